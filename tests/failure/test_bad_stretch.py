"""Ten thousand bad records in a row: the worker stops, names the range, goes on when accepted."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from rules.builders import login
from schemas.topics import BALANCES, DEAD_LETTERS, LOGINS, TRANSACTIONS
from tests.support.crashing_worker import DEADLINE_SECONDS, Place
from tests.support.kafka_place import KafkaPlace
from worker.engine.log import stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord

BAD = 10_000
GOOD = 20
PARTITION = 2


@pytest.fixture
def on_kafka(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A place on Kafka."""
    place = KafkaPlace(tmp_path / "place", kafka_address, poll=5_000)
    yield place
    place.remove()


class End(NamedTuple):
    """How a run ended."""

    code: int
    printed: str


def run(place: Place, *options: str) -> End:
    """Run a worker to its end."""
    with place.running("--until-ended", *options) as process:
        code = process.wait(DEADLINE_SECONDS)
    return End(code, place.errors.read_text())


def fill(place: Place) -> list[bytes]:
    """Append good logins, bad records and good logins to one partition; return the bad ones."""
    account = next(name for name in map(str, range(100)) if partition_of(name.encode(), 4) == 2)
    bad = [b'{"no": %d}' % number for number in range(BAD)]

    def good(first: int) -> list[bytes]:
        return [
            msgspec.json.encode(login("10:00:00", event_id=f"e{n}", account_id=account))
            for n in range(first, first + GOOD)
        ]

    keyed = [(account.encode(), value) for value in good(0)]
    keyed += [(b"key-%d" % number, value) for number, value in enumerate(bad)]
    keyed += [(account.encode(), value) for value in good(GOOD)]
    end = msgspec.json.encode({"kind": "end", "occurred_at": "2026-03-05T00:00:00Z"})
    with closing(place.open()) as log:
        log.append([NewRecord(LOGINS, key, value, PARTITION) for key, value in keyed])
        log.append(
            [
                NewRecord(topic, None, end, partition)
                for topic in (TRANSACTIONS, LOGINS, BALANCES)
                for partition in range(log.partitions(topic))
            ]
        )
    return bad


def dead(place: Place) -> list[bytes | None]:
    """Return the values of all dead letters."""
    with closing(place.open()) as log:
        return [record.value for _, record in stored(log, DEAD_LETTERS)]


@pytest.mark.parametrize("where", ["embedded", "on_kafka"])
def test_the_worker_stops_and_every_bad_record_is_kept_once(
    where: str, request: pytest.FixtureRequest
) -> None:
    """It stops as often as it is started, and goes on by the command that it prints each time."""
    place: Place = request.getfixturevalue(where)
    bad = fill(place)
    first = run(place)
    assert first.code == 1
    assert "successive records of an input partition are bad" in first.printed
    assert f"{LOGINS}, partition {PARTITION}, offsets {GOOD} to" in first.printed
    assert run(place).printed.splitlines()[-1] == first.printed.splitlines()[-1]
    assert len(dead(place)) <= 100

    ended, accepted, stops = first, [], 1
    while ended.code == 1:
        command = re.search(r"walletwatch run (--accept-dead-letters \S+)$", ended.printed.strip())
        assert command is not None, ended.printed
        accepted += shlex.split(command[1])
        assert stops <= BAD // 100, "it does not get on"
        ended = run(place, *accepted)
        stops += 1
    assert ended.code == 0, ended.printed
    assert sorted(dead(place), key=str) == sorted(bad, key=str)
