"""SIGTERM and Ctrl-C while `run` starts, in any of its calls: it exits 0 and holds nothing."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import DETECT_INPUTS
from tests.support.commands import PUBLIC_TOKENS
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import crowd
from worker.detect.stage import DETECT
from worker.logs.kafka.client import ClusterPartition, Consumer
from worker.triage.stage import TRIAGE

LONG = [pytest.mark.chaos, pytest.mark.timeout(3_600)]
MOMENTS = [4, pytest.param(60, marks=LONG)]
SIGNALS = (signal.SIGTERM, signal.SIGINT)
NEVER = 1 << 60


@pytest.fixture(params=["sqlite", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A log with states to restore, of both stages."""
    if request.param == "sqlite":
        place = Place(tmp_path / "place", 200)
    else:
        place = KafkaPlace(tmp_path / "place", request.getfixturevalue("kafka_address"), 200)
    place.fill(crowd(7, 300))
    place.finish()
    yield place
    if isinstance(place, KafkaPlace):
        place.remove()


def stopped(place: Place, number: signal.Signals, calls: int) -> int:
    """Stop a start in this call, and return how many calls it had made, or would have made."""
    counted = place.config.with_name("calls")
    place.environment["WALLETWATCH_TEST_STOP"] = f"{int(number)} {calls} {counted}"
    with place.running() as process:
        code = process.wait(DEADLINE_SECONDS)
    said = place.errors.read_text()
    assert code == 0, f"{number.name} in call {calls}: {said}"
    assert said.splitlines()[-1].startswith("Stopped; nothing had happened."), said
    assert "Traceback" not in said
    return int(counted.read_text())


def members(place: KafkaPlace) -> list[str]:
    """Return who is in the groups of both stages."""
    with closing(place.cluster.admin()) as admin:
        found = [admin.describe_group(place.cluster.group(stage)) for stage in (DETECT, TRIAGE)]
    return [member.client_id for group in found for member in group.members]


@pytest.mark.parametrize("moments", MOMENTS)
def test_a_start_may_be_stopped_in_any_call(moments: int, place: Place) -> None:
    """Each signal in as many calls, spread over the whole start; then another worker starts."""
    calls = stopped(place, signal.SIGTERM, NEVER)
    for moment in range(moments):
        for number in SIGNALS:
            stopped(place, number, 1 + calls * moment // moments)
            if isinstance(place, KafkaPlace):
                assert members(place) == []
    del place.environment["WALLETWATCH_TEST_STOP"]
    place.finish()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_waits_for_brokers_may_be_stopped(
    number: signal.Signals, tmp_path: Path
) -> None:
    """There is something at their address that takes connections, and never answers."""
    place = Place(tmp_path / "place", 200)
    place.environment |= PUBLIC_TOKENS
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(DEADLINE_SECONDS)
        place.url = f"kafka://127.0.0.1:{mute.getsockname()[1]}"
        with place.running() as process:
            connection, _ = mute.accept()
            process.send_signal(number)
            code = process.wait(DEADLINE_SECONDS)
            connection.close()
    said = place.errors.read_text()
    assert code == 0, said
    assert said == "Stopped; nothing had happened.\n"


class FromTheStart:
    """Lets a consumer read what it is assigned from offset 0."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def partitions_assigned(self, assigned: frozenset[ClusterPartition]) -> None:
        for at in assigned:
            self._consumer.seek(at, 0)

    def partitions_lost(self) -> None:
        pass


@pytest.mark.parametrize("number", SIGNALS)
def test_a_join_that_waits_for_another_worker_may_be_stopped(
    number: signal.Signals, kafka_address: str, tmp_path: Path
) -> None:
    """The other one does not answer the group; what is left in the group is that one."""
    place = KafkaPlace(tmp_path / "place", kafka_address, 200)
    cluster = place.cluster
    group = {"group_id": cluster.group(DETECT), "group_instance_id": "mute"}
    with closing(cluster.consumer(client_id="mute", **group)) as other:
        other.subscribe([cluster.topic(name) for name in DETECT_INPUTS], FromTheStart(other))
        wait_until(lambda: bool(other.poll(100, 1) or other.assignment()), "the other member")
        with place.running() as process:
            wait_until(lambda: len(members(place)) > 1, "the worker to join")
            process.send_signal(number)
            code = process.wait(DEADLINE_SECONDS)
        assert code == 0, place.errors.read_text()
        assert members(place) == ["mute"]
    place.remove()
