"""`run` serves its health and metrics over HTTP while it works."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import DETECT_INPUTS, SIGNALS
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, wait_until
from tests.support.expected_metrics import problems
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import PARTITIONS, crowd
from tests.support.scraping import Pages
from worker.detect.stage import DETECT
from worker.engine.loop import READING
from worker.triage.stage import TRIAGE

SEED = 13
EVENTS = 1_000
POLL = 50
INPUTS = [(DETECT, topic) for topic in DETECT_INPUTS] + [(TRIAGE, SIGNALS)]
TASKS = [(str(number), *of) for of in INPUTS for number in range(PARTITIONS)]
"""Every partition of every input: partition, stage, topic."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log with everything in it, on which no worker has run, and a port for metrics."""
    place = Place(tmp_path / "place", POLL)
    place.environment["WALLETWATCH_METRICS__PORT"] = "0"
    place.fill(crowd(SEED, EVENTS))
    return place


def test_what_is_scraped_is_what_was_committed(place: Place) -> None:
    """By a run that has read everything, and by another one that only restores its incidents."""
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: place.unread(DETECT) == place.unread(TRIAGE) == 0, "all to be read")
        with closing(place.open()) as log:
            wait_until(lambda: not problems(pages.samples(), log), "the metrics to agree")
            found = pages.samples()
            ends = {t: sum(end for _, end in log.offsets(t)) for t in (*DETECT_INPUTS, SIGNALS)}
        assert {t: found["events_consumed_total", t] for t in ends} == ends
        assert found["commits_total", DETECT] == place.commits(DETECT) > 10
        assert found["assigned_tasks", TRIAGE] == found["restored_tasks", TRIAGE] == PARTITIONS
        assert pages.get("/readyz") == pages.get("/livez") == (200, "ok\n")
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    before = {key: n for key, n in found.items() if key[0] == "incidents_open"}
    assert sum(before.values()) > 0
    started = found["process_start_time_seconds",]
    assert found["process_resident_memory_bytes",] > 0
    with place.running("--stage", "triage") as process:
        pages = Pages(place.errors)
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the tasks to be restored")
        found = pages.samples()
        assert {key: n for key, n in found.items() if key[0] == "incidents_open"} == before
        assert found["events_consumed_total", SIGNALS] == 0
        assert found["process_start_time_seconds",] > started > 0


def test_a_worker_that_hangs_is_not_alive(place: Place) -> None:
    """Once it has been silent for as long as the configuration allows; it is ready nevertheless."""
    place.environment["WALLETWATCH_METRICS__STALLED_AFTER_MS"] = "1000"
    place.environment["WALLETWATCH_TEST_HANG"] = READING
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: pages.get("/livez")[0] == 503, "the probe to notice")
        assert "no sign of life for" in pages.get("/livez")[1]
        assert pages.get("/readyz") == (200, "ok\n")
        assert pages.samples()["last_poll_timestamp_seconds",] > 0
        assert process.poll() is None


def test_without_a_port_nothing_is_served(place: Place) -> None:
    """As it is by default."""
    del place.environment["WALLETWATCH_METRICS__PORT"]
    place.finish()
    assert "Metrics" not in place.errors.read_text()


def test_a_port_that_is_taken_ends_the_second_worker(place: Place, tmp_path: Path) -> None:
    """With exit code 78 and a sentence."""
    second = Place(tmp_path / "second", POLL)
    with place.running():
        address = Pages(place.errors).address
        second.environment["WALLETWATCH_METRICS__PORT"] = address.rpartition(":")[2]
        with second.running() as process:
            assert process.wait(DEADLINE_SECONDS) == 78
    last_line = second.errors.read_text().splitlines()[-1]
    assert last_line.startswith("walletwatch: metrics.port: cannot listen on")


def test_workers_on_kafka_tell_of_their_own_tasks(kafka_address: str, tmp_path: Path) -> None:
    """A task has its series at its worker; one that comes and goes is counted as such."""
    first = KafkaPlace(tmp_path / "first", kafka_address, POLL)
    second = first.beside("1")
    first.fill(crowd(SEED, EVENTS))
    for place in (first, second):
        place.environment["WALLETWATCH_METRICS__PORT"] = "0"
    with first.running():
        pages = Pages(first.errors)
        wait_until(lambda: lags(pages) == dict.fromkeys(TASKS, 0), "all to be read by the first")
        with closing(first.open()) as log:
            wait_until(lambda: not problems(pages.samples(), log), "the metrics to agree")
        before = incidents_open(pages)
        with second.running() as process:
            others = Pages(second.errors)
            wait_until(lambda: pages.get("/readyz")[0] == others.get("/readyz")[0] == 200, "both")
            wait_until(
                lambda: sorted([*lags(pages), *lags(others)]) == sorted(TASKS), "shared tasks"
            )
            assert len(lags(others)) == len(TASKS) // 2
            assert incidents_open(pages) + incidents_open(others) == before
            assert incidents_open(others) < before
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
        wait_until(lambda: lags(pages) == dict.fromkeys(TASKS, 0), "the first to have all again")
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the first to be ready")
        assert incidents_open(pages) == before
        found = pages.samples()
        assert found["rebalances_total", DETECT] >= 2
        assert found["restore_seconds_count", TRIAGE] > PARTITIONS
    first.remove()


def lags(pages: Pages) -> dict[tuple[str, ...], float]:
    """Return the lag by (partition, stage, topic)."""
    found = pages.samples().items()
    return {key[1:]: lag for key, lag in found if key[0] == "consumer_lag_records"}


def incidents_open(pages: Pages) -> Counter[str]:
    """Return how many incidents are open by severity."""
    found = pages.samples().items()
    return Counter({key[1]: int(number) for key, number in found if key[0] == "incidents_open"})
