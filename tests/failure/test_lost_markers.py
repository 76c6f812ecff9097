"""Commits of which the brokers have lost end markers: the next worker goes on as if none were."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.broker import Broker, Unavailable
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.lost_markers import OFFSETS, RECORDS
from tests.support.producer import crowd

SEED, EVENTS, POLL = 31, 600, 100


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


@pytest.fixture(scope="module")
def credulous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that takes what belongs to no transaction of the coordinator."""
    unchecked = {"transaction.partition.verification.enable": "false"}
    try:
        broker = Broker(tmp_path_factory.mktemp("kafka"), unchecked)
    except Unavailable as missing:
        pytest.skip(f"a Kafka broker: {missing}")
    broker.start()
    yield broker.address
    broker.kill()


@pytest.mark.parametrize("slot", ["0", "1"])
@pytest.mark.parametrize(
    ("lost", "decided"),
    [
        ([RECORDS, OFFSETS], False),
        ([OFFSETS], False),
        ([OFFSETS], True),
        ([RECORDS], False),
        ([RECORDS], True),
    ],
)
def test_nothing_is_lost_and_nothing_doubled(
    lost: list[str], decided: bool, slot: str, credulous: str, expected: Outcome, tmp_path: Path
) -> None:
    """The next worker takes the dead one's slot, or another one."""
    place = KafkaPlace(tmp_path / "place", credulous, POLL)
    place.fill(crowd(SEED, EVENTS))
    place.environment["WALLETWATCH_TEST_LOSE"] = f"{'+'.join(lost)} {int(decided)}"
    with place.running("--until-ended") as process:
        assert process.wait(DEADLINE_SECONDS) == -9, place.errors.read_text()
    del place.environment["WALLETWATCH_TEST_LOSE"]
    (place if slot == "0" else place.beside(slot)).finish()
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, expected) == []
    assert found.dangling == 0
