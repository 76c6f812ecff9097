"""`forget` in processes: killed between its commits, and on a real broker, byte by byte."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.topics import (
    ALERTS,
    BALANCES,
    DETECT_INPUTS,
    INCIDENTS,
    LATE,
    LOGINS,
    NOTIFICATIONS,
    SIGNALS,
    TOPICS,
    TRANSACTIONS,
)
from scripts.broker import Broker, Unavailable
from tests.support.commands import ROOT, walletwatch
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.run_comparison import documents
from worker.engine.log import Log, stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord

ACCOUNT, EVENT = "zurgoes", "zurevent"
OTHER = next(
    name
    for name in map("other-{}".format, range(100))
    if partition_of(name.encode(), 4) == partition_of(ACCOUNT.encode(), 4)
)
CHANGELOGS = ("walletwatch.detect.changelog", "walletwatch.triage.changelog")


def login(account: str, event: str, second: int) -> NewRecord:
    """Return a failed login."""
    fields = {
        "event_id": event,
        "account_id": account,
        "action": "login",
        "outcome": "failure",
        "reason": "bad_credentials",
        "occurred_at": f"2026-03-02T10:{second // 60:02}:{second % 60:02}Z",
    }
    return NewRecord(LOGINS, account.encode(), msgspec.json.encode(fields))


def times(kind: str, minute: int, *topics: str) -> list[NewRecord]:
    """Return heartbeats or ends for all partitions of topics."""
    value = b'{"kind":"%b","occurred_at":"2026-03-02T10:%02d:00Z"}' % (kind.encode(), minute)
    return [NewRecord(topic, None, value, number) for topic in topics for number in range(4)]


def begin(place: Place) -> None:
    """Let both stages handle failed logins of two accounts, a late one and one that is bad."""
    logins = [
        login(account, f"{event}-{n}", 60 * n + 10)
        for n in range(6)
        for account, event in ((ACCOUNT, EVENT), (OTHER, "other"))
    ]
    bad = NewRecord(TRANSACTIONS, ACCOUNT.encode(), b'{"account_id":"%b"}' % ACCOUNT.encode())
    place.append([*logins, login(ACCOUNT, f"{EVENT}-late", 5), bad])
    place.append(times("end", 20, *DETECT_INPUTS))
    place.finish()


def command(place: Place, *words: str) -> tuple[str, ...]:
    return ("forget", ACCOUNT, "--yes", *words, "--log", place.url, "--config", str(place.config))


def forget(place: Place) -> dict[str, Any]:
    """Run the command; return what it has removed."""
    done = walletwatch(*command(place, "--json"), **place.environment)
    assert done.returncode == 0, done.stderr
    removed: dict[str, Any] = json.loads(done.stdout)["removed"]
    return removed


def forget_and_die(place: Place, after: int) -> None:
    """Run the command, which is killed after that commit."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.dying_command", *command(place)],
        cwd=ROOT,
        env={**os.environ, **place.environment, "WALLETWATCH_TEST_DIES_AFTER": str(after)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(params=["embedded", "place"])
def any_place(request: pytest.FixtureRequest) -> Place:
    """A log in a file, and one on Kafka."""
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.mark.parametrize("after", [1, 2])
def test_killed_after_a_commit_the_same_command_does_the_rest(any_place: Place, after: int) -> None:
    """Each alert and each incident ends in one record, whichever commit was the last."""
    place = any_place
    begin(place)
    forget_and_die(place, after)
    removed = wait_for_rest(place, nothing_left=after == 2)
    assert (removed.get("open_alerts", 0), removed.get("incidents", 0)) == (2 - after, 0)
    with closing(place.open()) as log:
        ended = [alert for _, alert in documents(log, ALERTS) if is_expired(alert)]
        (last,) = [each for _, each in documents(log, INCIDENTS) if is_of_expired(each)]
    # From a file the second call has removed the record, if the first one has published it.
    assert len(ended) == (0 if after == 2 and removed else 1)
    place.append(times("end", 40, *DETECT_INPUTS))
    place.finish()
    with closing(place.open()) as log:
        life = [i for _, i in documents(log, INCIDENTS) if i["incident_id"] == last["incident_id"]]
    assert life[-1] == last
    assert [each["status"] for each in life].count("resolved") == 1


def is_of_expired(incident: Any) -> bool:
    return bool(incident["last_change"]["what"] == "alert_expired")


def is_expired(alert: Any) -> bool:
    return bool(alert["account_id"] == ACCOUNT and alert["kind"] == "expired")


def wait_for_rest(place: Place, *, nothing_left: bool) -> dict[str, Any]:
    """Run the command until the group has let go of the dead process; return what it removed."""
    outcome: dict[str, Any] = {}

    def is_done() -> bool:
        done = walletwatch(*command(place, "--json"), **place.environment)
        if done.returncode == 70 and "is already run by process" in done.stderr:
            return False
        if done.returncode == 1 and nothing_left:
            return True
        assert done.returncode == 0, done.stderr
        outcome.update(json.loads(done.stdout)["removed"])
        return True

    wait_until(is_done, "the end of the dead process's membership")
    return outcome


# -- byte by byte -------------------------------------------------------------------------


@pytest.fixture
def quick_broker(tmp_path: Path) -> Iterator[tuple[Broker, Path]]:
    """A broker that cleans at once what may be cleaned, and the folder of its data."""
    folder = tmp_path / "kafka"
    at_once = {
        "log.cleaner.backoff.ms": "100",
        "log.segment.delete.delay.ms": "100",
        "log.retention.check.interval.ms": "200",
        "log.initial.task.delay.ms": "100",
    }
    try:
        broker = Broker(folder, at_once)
    except Unavailable as missing:
        pytest.skip(f"a Kafka broker: {missing}")
    broker.start()
    yield broker, folder / "data"
    broker.kill()


def naming(data: Path, what: bytes) -> set[str]:
    """Return the topics whose files hold these bytes, files of other names by these."""
    found = set()
    for file in data.rglob("*"):
        try:
            is_there = file.is_file() and what in file.read_bytes()
        except FileNotFoundError:  # the broker has removed it meanwhile
            continue
        if is_there:
            found.add(file.parent.name.rpartition("-")[0])
    return found


def nudged(place: KafkaPlace) -> Callable[[], None]:
    """Return what lets every partition of the compacted topics begin another segment."""
    minutes = iter(range(21, 60))

    def nudge() -> None:
        minute = next(minutes)
        # One more event per partition, so that both stages commit; one more incident.
        incidents = [NewRecord(INCIDENTS, b"nudge-%d" % minute, None, n) for n in range(4)]
        place.append([*times("end", minute, *DETECT_INPUTS), *incidents])
        place.finish()

    return nudge


def test_no_byte_is_left_on_brokers_when_the_bounds_have_passed(
    quick_broker: tuple[Broker, Path], tmp_path: Path
) -> None:
    """Of the account and of its events: first where compaction removes them, then by retention."""
    broker, data = quick_broker
    place = KafkaPlace(tmp_path / "place", broker.address)
    names = {each.name for each in TOPICS} | set(CHANGELOGS)
    place.configure(
        names, compression_type="uncompressed", segment_ms=1_000, delete_retention_ms=1_000
    )
    begin(place)
    keeping = {topic.removeprefix(place.prefix) for topic in naming(data, ACCOUNT.encode())}
    assert keeping >= {LOGINS, ALERTS, SIGNALS, LATE, "wallet.dead-letters", CHANGELOGS[0]}
    evidence = {topic.removeprefix(place.prefix) for topic in naming(data, EVENT.encode())}
    assert evidence >= {INCIDENTS, CHANGELOGS[1]}

    removed = forget(place)
    assert (removed["open_alerts"], removed["incidents"], removed["records"]) == (1, 1, 0)
    compacted = {place.prefix + name for name in (*CHANGELOGS, INCIDENTS)}
    place.configure([*CHANGELOGS, INCIDENTS], max_compaction_lag_ms=1_000)
    nudge = nudged(place)

    def is_compacted() -> bool:
        nudge()
        left = naming(data, ACCOUNT.encode()) | naming(data, EVENT.encode())
        return compacted.isdisjoint(left)

    wait_until(is_compacted, "compaction")
    kept = (LOGINS, TRANSACTIONS, BALANCES, ALERTS, SIGNALS, LATE, NOTIFICATIONS)
    assert {LOGINS, ALERTS} <= {
        t.removeprefix(place.prefix) for t in naming(data, ACCOUNT.encode())
    }
    place.configure([*kept, "wallet.dead-letters", "wallet.alerts.shadow"], retention_ms=1_000)

    def is_gone() -> bool:
        return not naming(data, ACCOUNT.encode()) and not naming(data, EVENT.encode())

    wait_until(is_gone, "retention")
    with closing(place.open()) as log:
        assert other_is_there(log)


def other_is_there(log: Log) -> bool:
    """Return whether the incident of the other account is as it was: open."""
    newest = {record.key: record.value for _, record in stored(log, INCIDENTS)}
    statuses = [json.loads(value)["status"] for value in newest.values() if value]
    return sorted(statuses) == ["open", "resolved"]
