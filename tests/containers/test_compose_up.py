"""docker compose up: containers are killed, and what is found is what an undisturbed run finds."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from schemas.time import parse_time
from schemas.topics import DETECT_INPUTS, INCIDENTS, TRANSACTIONS
from scripts.broker import ALONE, free_port
from tests.support.commands import walletwatch
from tests.support.compose import Compose, await_that
from tests.support.crashing_worker import Place
from tests.support.kafka_clients import library_client
from tests.support.log_comparison import Outcome, differences, outcome, outcome_of
from worker.config.load import load_settings
from worker.engine.log import Log
from worker.run.open_log import cluster_at, open_log
from worker.run.replay import ends

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

CHANGES: Final = Path(__file__).with_name("compose.yml")
START: Final = "2026-01-05T00:00:00Z"
LOAD: Final = ("simulate", "--accounts", "400", "--days", "1", "--seed", "3", "--start", START)
WORKERS: Final = ("detect", "triage")
KEY: Final = ("/var/lib/walletwatch/token.key", "/var/lib/walletwatch")
KEY_ID: Final = "compose"
FINISH: Final = ("detect", "run", "--until-ended")


class ComposedPlace:
    """The log of the services, as this machine reaches it."""

    def __init__(self, address: str) -> None:
        self._settings = load_settings(None, ALONE, log_url=f"kafka://{address}").settings

    def open(self) -> Log:
        """Open the log, to look at it or to append."""
        return open_log(self._settings.log.url, kafka=self._settings.kafka)

    def committed(self, stage: str) -> int:
        """Return how many records of its inputs the stage has committed to have read."""
        cluster = cluster_at(self._settings.log.url, self._settings.kafka)
        group = cluster.group(stage)
        with closing(library_client(cluster.admin())) as admin:
            return sum(at.offset for at in admin.list_group_offsets([group])[group].values())

    def appended(self, *topics: str) -> int:
        """Return how many records topics have got, markers of transactions included."""
        with closing(self.open()) as log:
            return sum(end for topic in topics for _, end in log.offsets(topic))

    def await_work(self) -> None:
        """Wait until both stages have committed more than now."""
        before = {stage: self.committed(stage) for stage in WORKERS}
        for stage, read in before.items():
            await_that(partial(self._has_passed, stage, read), f"work of {stage}")

    def _has_passed(self, stage: str, read: int) -> bool:
        return self.committed(stage) > read

    def end(self, at: int) -> None:
        """Append the end of all inputs at that event time."""
        with closing(self.open()) as log:
            log.append(ends(at, log.partitions(TRANSACTIONS)))

    def outcome(self) -> Outcome:
        """Read what was committed."""
        with closing(self.open()) as log:
            return outcome_of(log)


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports of this machine, by the variables of the compose file."""
    return {name: str(free_port()) for name in ("KAFKA_PORT", "PROMETHEUS_PORT")}


@pytest.fixture
def compose(engine: None, ports: dict[str, str]) -> Iterator[Compose]:
    """The services, none of them started; they are gone after the test."""
    load = " ".join((*LOAD, "--log", "kafka://kafka:9092"))
    compose = Compose(CHANGES, ports | {"LOAD": load})
    try:
        yield compose
    finally:
        print(compose.logs())
        compose.down()


@pytest.fixture
def place(ports: dict[str, str]) -> ComposedPlace:
    """The log of these services."""
    return ComposedPlace(f"127.0.0.1:{ports['KAFKA_PORT']}")


@pytest.fixture
def embedded(tmp_path: Path) -> tuple[Place, int]:
    """An embedded log with the same load, and the time of its end."""
    events = tmp_path / "events.ndjson"
    assert walletwatch(*LOAD, "--output", events).returncode == 0
    place = Place(tmp_path / "place")
    ingested = walletwatch("ingest", events, "--end", "--json", "--log", place.url)
    assert ingested.returncode == 0, ingested.stderr
    return place, parse_time(json.loads(ingested.stdout)["end"])


def undisturbed(place: Place, key: str) -> Outcome:
    """Return what the embedded log makes of the load without a kill, by the key of the services."""
    file = place.config.with_name("token.key")
    file.touch(0o600)
    file.write_text(key)
    place.environment |= {
        "WALLETWATCH_TOKENS__KEY_ID": KEY_ID,
        "WALLETWATCH_TOKENS__KEY_FILE": str(file),
    }
    place.finish()
    return outcome(place)


def test_killed_containers_lose_nothing(
    compose: Compose,
    place: ComposedPlace,
    ports: dict[str, str],
    embedded: tuple[Place, int],
) -> None:
    """Programs and containers of both stages are killed (-9) at work, and the broker in between.

    A program that ends is started again by itself; a container that is killed is not. A broker that
    dies in a commit is in tests/failure.
    """
    alone, end = embedded
    compose("up", "--build", "--detach", "detect", "triage", "simulator", "prometheus")
    compose.await_health("kafka", *WORKERS)
    assert compose.await_exit("simulator") == 0
    place.end(end)
    await_that(lambda: place.appended(INCIDENTS) > 0, "incidents")
    for worker in WORKERS:
        place.await_work()
        compose.crash(worker)
    for services in (("detect",), WORKERS):
        place.await_work()
        compose.kill(*services)
    place.await_work()
    assert [compose.stop(worker) for worker in WORKERS] == [0, 0]
    compose.kill("kafka")
    compose.await_health("kafka")
    compose.start(*WORKERS)
    place.await_work()
    await_that(lambda: scraped(ports["PROMETHEUS_PORT"]) == {"up"}, "both workers to be scraped")
    assert [compose.stop(worker) for worker in WORKERS] == [0, 0]
    assert place.committed("detect") < place.appended(*DETECT_INPUTS)
    compose("run", "--rm", "--env", "WALLETWATCH_ENGINE__POLL_RECORDS=5000", *FINISH)
    found = place.outcome()
    assert found.misnumbered == []
    key = compose("run", "--rm", "--entrypoint", "cat", "cli", KEY[0])
    assert differences(found, undisturbed(alone, key)) == []
    assert found.dangling == 0
    assert found.found.incidents
    look = ("run", "--rm", "--entrypoint", "stat", "cli", "--format=%a %u", *KEY)
    assert compose(*look).splitlines() == ["600 10001", "700 10001"]
    shown = compose("run", "--rm", "cli", "incidents", "list", "--all", "--json")
    assert incident_ids(shown.splitlines()) == incident_ids(found.found.incidents)


def incident_ids(records: Iterable[str]) -> set[str]:
    """Return the ids of incidents, which are JSON texts."""
    return {json.loads(record)["incident_id"] for record in records}


def scraped(port: str) -> set[str]:
    """Return the states of the two workers as a Prometheus sees them."""
    with urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=10) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    assert len(targets) == len(WORKERS)
    return {target["health"] for target in targets}
