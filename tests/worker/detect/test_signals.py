"""What detect writes as signals is what their schema says, byte for byte."""

from random import Random

import pytest
from msgspec import Struct
from pydantic import BaseModel

from schemas.signal import BucketCounts, CauseCounts, RareEvent, Signal
from schemas.topics import BALANCES, LOGINS, SIGNALS, TRANSACTIONS
from tests.support.clocked_stages import Station
from tests.support.events.arrivals import in_order
from tests.support.events.traffic import HOUR, MINUTE, START, live
from tests.support.random_runs import run_plainly
from worker.detect.signals import BucketCountsBody, CauseCountsBody, RareEventBody
from worker.engine.log import Log, stored


def written(log: Log) -> list[bytes]:
    """Return the signals of a log as they were written."""
    return [record.value or b"" for _, record in stored(log, SIGNALS)]


def read_back(raw: bytes) -> bytes:
    """Return the bytes of a signal as its model writes what it has read."""
    signal = Signal.model_validate_json(raw)
    return signal.model_dump_json(exclude_none=True).encode()


def test_every_signal_is_valid_and_the_same_again() -> None:
    """Those of all four kinds, from a run."""
    signals = written(run_plainly(in_order(live(Random(7)))))
    assert [read_back(raw) for raw in signals] == signals
    kinds = {Signal.model_validate_json(raw).kind for raw in signals}
    assert kinds == {"alert", "event", "count", "progress"}


def test_a_rare_event_has_all_that_is_known_of_a_login() -> None:
    station = Station()
    station.now = START + HOUR
    details = {"reason": "unknown_account", "channel": "app", "network": "vpn", "ip": "192.0.2.1"}
    station.login("nobody", START, "failure", **details)
    for topic in (TRANSACTIONS, LOGINS, BALANCES):
        station.control(topic, "heartbeat", START + MINUTE)
    station.work()
    (raw,) = [raw for raw in written(station.log) if b'"kind":"event"' in raw]
    assert read_back(raw) == raw
    body = Signal.model_validate_json(raw).body
    assert isinstance(body, RareEvent)
    assert (body.reason, body.channel, body.network) == ("unknown_account", "app", "vpn")
    assert None not in body.model_dump().values()


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (RareEventBody, RareEvent),
        (CauseCountsBody, CauseCounts),
        (BucketCountsBody, BucketCounts),
    ],
)
def test_bodies_have_the_fields_of_their_models(body: type[Struct], model: type[BaseModel]) -> None:
    """In their order."""
    assert list(body.__struct_fields__) == list(model.model_fields)
