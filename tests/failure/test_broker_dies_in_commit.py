"""A broker that dies, or freezes, within a commit: run names the cause, and the next goes on."""

import signal
from pathlib import Path

import pytest

from scripts.broker import Broker
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import differences, of_the_embedded_log, outcome
from tests.support.producer import crowd

LONG = [pytest.mark.chaos, pytest.mark.timeout(600)]
SEED, EVENTS, POLL = 31, 600, 200
STEPS = ("begin_transaction", "send", "send_offsets", "commit_transaction")
SHORT = {("send", signal.SIGKILL), ("commit_transaction", signal.SIGKILL)}


@pytest.mark.parametrize(
    ("step", "number"),
    [
        pytest.param(step, number, marks=[] if (step, number) in SHORT else LONG)
        for step in STEPS
        for number in (signal.SIGKILL, signal.SIGSTOP)
    ],
)
def test_the_cause_is_named_and_nothing_harmed(
    step: str, number: signal.Signals, own_broker: Broker, tmp_path: Path
) -> None:
    """Whichever call of the transaction is next, and however the producer is closed after it.

    A coordinator that is gone leaves calls without an answer: the watchdog ends these. A broker
    that was killed may forget to end the transaction when it starts again.
    """
    place = KafkaPlace(tmp_path / "place", own_broker.address)
    place.fill(crowd(SEED, EVENTS))
    place.environment["WALLETWATCH_TEST_SIGNAL"] = f"{step} {int(number)} {own_broker.pid}"
    with place.running("--until-ended") as process:
        assert process.wait(DEADLINE_SECONDS) == 70
    if number is signal.SIGKILL:
        own_broker.kill()
        own_broker.start()
    own_broker.resume()
    said = place.errors.read_text().splitlines()[-1]
    failed = f"walletwatch: {place.prefix}walletwatch.detect.0: the commit failed: "
    hung = f"walletwatch: committing on the brokers at {own_broker.address}: no answer since "
    assert said.startswith((failed, hung)), said
    del place.environment["WALLETWATCH_TEST_SIGNAL"]
    place.finish()
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, of_the_embedded_log(tmp_path, SEED, EVENTS, POLL)) == []
