"""`walletwatch forget`: all that is kept of one account goes in one commit, or nothing does."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.time import format_time
from schemas.topics import ALERTS, DETECT_INPUTS, INCIDENTS, SIGNALS, TOPICS
from tests.support.accounts_to_forget import (
    ACCOUNTS,
    NOW,
    PARTITIONS,
    filled,
    first,
    heartbeats,
    login,
    of,
    statuses,
    then,
    work,
    work_in,
)
from tests.support.random_runs import POLICY
from tests.support.run_comparison import comparable, documents
from worker.detect.handler import Horizons
from worker.detect.stage import DETECT, detect
from worker.engine.keyed_state import payload_of
from worker.engine.log import stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import Commit, NewRecord, StateChange
from worker.engine.saved import numbered
from worker.errors import LogError, TaskTaken
from worker.explain.revisions import revisions
from worker.logs.sqlite.log import SqliteLog
from worker.logs.sqlite.session import SqliteSession
from worker.run.forget import forget
from worker.tokens import PUBLIC_KEY, Tokens
from worker.triage.handler import _STORED
from worker.triage.stage import TRIAGE


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """A log on which every account has an open alert."""
    with closing(filled(tmp_path / "wallet.db")) as log:
        yield log


def saved(log: SqliteLog) -> dict[int, tuple[Any, dict[bytes, bytes]]]:
    """Return what detect has saved: per task the offsets with the states."""
    found: dict[int, tuple[Any, dict[bytes, bytes]]] = {}
    for task in range(PARTITIONS):
        session = log.open_session(DETECT, DETECT_INPUTS, [task])
        snapshot = session.restore(task)
        found[task] = (dict(session._reading.positions), dict(snapshot.states))
        session.close()
    return found


def test_alerts_expire_and_the_state_goes_with_them(log: SqliteLog) -> None:
    """In one commit; the offsets and all other accounts stay as they were.

    Of its records, only those stay that say that its alerts have ended.
    """
    before = saved(log)
    assert of(log, "goes") == ["raised"]
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert (found.open_alerts, found.event_ids) == (1, 6)
    assert found.habits > 0
    after = saved(log)
    task = partition_of(b"goes", PARTITIONS)
    for number, (offsets, states) in before.items():
        expected = {k: v for k, v in states.items() if number != task or k != b"goes"}
        assert after[number] == (offsets, expected)
    assert of(log, "goes") == ["expired"]
    assert all(of(log, account) == ["raised"] for account in ACCOUNTS if account != "goes")


def test_the_incident_closes_and_nothing_else_does(log: SqliteLog) -> None:
    forget(log, POLICY, "goes", NOW)
    log.append(heartbeats(30))
    work(log)
    tokens = POLICY.tokens
    assert statuses(log).pop(tokens.of("goes")) == "resolved"
    assert {s for token, s in statuses(log).items() if token != tokens.of("goes")} == {"open"}


def test_a_run_goes_on_exactly_once_afterwards(log: SqliteLog, tmp_path: Path) -> None:
    """The forgotten account begins anew; the others do not notice that anything was."""
    forget(log, POLICY, "goes", NOW)
    log.append(then())
    work(log)
    other = SqliteLog(tmp_path / "other.db", partitions=PARTITIONS, clock=lambda: NOW)
    other.append(first())
    work(other)
    other.append(then())
    work(other)
    found, expected = comparable(log), comparable(other)
    token = POLICY.tokens.of("goes")

    def without(records: list[str]) -> list[str]:
        return [record for record in records if '"goes"' not in record and token not in record]

    assert without(found.alerts) == without(expected.alerts) != []
    assert without(found.incidents) == without(expected.incidents) != []
    assert of(log, "goes") == ["expired", "raised"]
    signals = [s for _, s in documents(log, SIGNALS) if s["kind"] != "progress"]
    assert len({(s["origin"], s["origin_sequence"]) for s in signals}) == len(signals)
    other.close()


class Plug(Exception):
    """Somebody has pulled it."""


STEPS = ("before triage", "within triage", "after triage", "within detect", "after detect")


@pytest.mark.parametrize("when", STEPS)
def test_a_crash_anywhere_is_finished_by_the_same_command(
    log: SqliteLog, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commits, between their statements, between them, and before the records go."""
    before, (where, stage) = saved(log), when.split()
    write, states = SqliteSession.commit, SqliteSession._write_states

    def commit(self: SqliteSession, unit: Commit) -> None:
        if (where, self._stage) == ("before", stage):
            raise Plug
        write(self, unit)
        if (where, self._stage) == ("after", stage):
            raise Plug

    def write_states(self: SqliteSession, db: Any, unit: Commit) -> None:
        states(self, db, unit)
        if (where, self._stage) == ("within", stage):
            raise Plug

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSession, "commit", commit)
        patch.setattr(SqliteSession, "_write_states", write_states)
        with pytest.raises(Plug):
            forget(log, POLICY, "goes", NOW)
    if when == "after detect":
        assert of(log, "goes") == ["raised", "expired"]
    else:
        assert saved(log) == before
        assert of(log, "goes") == ["raised"]
    published = list(stored(log, INCIDENTS))
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert found.incidents == (when in ("before triage", "within triage"))
    assert len(of(log, "goes")) == (0 if when == "after detect" else 1)
    if found.incidents == 0:  # it was published by the command that crashed
        assert {r.key: r.value for _, r in stored(log, INCIDENTS)} == {
            r.key: r.value for _, r in published
        }
    log.append(heartbeats(30))
    work(log)
    assert statuses(log)[POLICY.tokens.of("goes")] == "resolved"
    assert forget(log, POLICY, "goes", NOW) is None or when != "after detect"


def test_an_unknown_account_changes_nothing(log: SqliteLog) -> None:
    """Not even the sequence of the task."""
    before = saved(log)
    assert forget(log, POLICY, "nobody", NOW) is None
    assert forget(log, POLICY, "", NOW) is None
    assert forget(log, POLICY, "\0auth", NOW) is None
    assert saved(log) == before


def test_a_running_worker_is_named(log: SqliteLog) -> None:
    task = partition_of(b"goes", PARTITIONS)
    session = log.open_session(DETECT, DETECT_INPUTS, [task])
    with pytest.raises(TaskTaken, match=f"Task {task} of stage detect is already run by process"):
        forget(log, POLICY, "goes", NOW)
    session.close()


def test_another_commit_in_between_is_noticed(log: SqliteLog) -> None:
    """Where locks do not hold, as on a shared folder of another machine."""
    write = SqliteSession.commit

    class Late(SqliteSession):
        def commit(self, unit: Commit) -> None:
            with self._connection.writing() as db:
                db.execute("UPDATE tasks SET sequence = sequence + 1")
            write(self, unit)

    before = saved(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteSession, "commit", Late.commit)
        with pytest.raises(LogError):
            forget(log, POLICY, "goes", NOW)
    assert saved(log) == before


def test_alerts_of_a_rule_that_is_off_expire_too(log: SqliteLog) -> None:
    off = replace(POLICY, rules=(), horizons=Horizons())
    assert forget(log, off, "goes", NOW) is not None
    assert of(log, "goes") == ["expired"]


def incident(log: SqliteLog, account: str) -> list[Any]:
    """Return the records of an account's only incident: documents, and None for a tombstone."""
    token = POLICY.tokens.of(account)
    records = [record for _, record in stored(log, INCIDENTS)]
    (key,) = {record.key for record in records if token.encode() in (record.value or b"")}
    return [r.value and json.loads(r.value) for r in records if r.key == key]


def test_an_open_incident_ends_in_one_record_and_goes_when_its_time_has_come(
    log: SqliteLog,
) -> None:
    """It cites no records; triage keeps nothing but when it is to go from its topic."""
    (before,) = incident(log, "goes")
    assert before["evidence"]
    found = forget(log, replace(POLICY, resolved_retention=1_800_000), "goes", NOW)
    assert found is not None
    assert found.incidents == 1
    (last,) = incident(log, "goes")
    assert (last["status"], last["resolution"]) == ("resolved", "expired")
    assert (last["revision"], last["state_revision"]) == (2, 2)
    assert last["alerts"] == {
        "total": 1, "active": 0, "cured": 0, "retracted": 0, "expired": 1
    }  # fmt: skip
    assert "evidence" not in last or not last["evidence"]
    assert last["transactions"] == before["transactions"]
    (kept,) = [each for each in triaged(log).values() if last["incident_id"].encode() in each]
    state = numbered(_STORED, payload_of(kept), "")
    assert state.state is None
    assert [timer.name for timer in state.timers] == [last["incident_id"]]
    log.append(heartbeats(29))
    work(log)
    assert incident(log, "goes") == [last]
    log.append(heartbeats(59))
    work(log)
    assert incident_ids(log)[last["incident_id"]] is None
    assert revisions(log, last["incident_id"]) == {}
    assert not any(last["incident_id"].encode() in each for each in triaged(log).values())


def incident_ids(log: SqliteLog) -> dict[str, bytes | None]:
    """Return the newest value per incident_id."""
    return {(r.key or b"").decode(): r.value for _, r in stored(log, INCIDENTS)}


def triaged(log: SqliteLog) -> dict[bytes, bytes]:
    """Return what triage keeps."""
    session = log.open_session(TRIAGE, [SIGNALS], range(PARTITIONS))
    found = {
        key: value for task in range(PARTITIONS) for key, value in session.restore(task).states
    }
    session.close()
    return found


def test_incidents_that_are_resolved_already_go_at_once(log: SqliteLog) -> None:
    """Here and on their topic: who reads it has seen them resolved. So do records without value."""
    log.append([NewRecord(DETECT_INPUTS[1], b"goes", None)])
    ok = {"outcome": "success", "action": "login", "occurred_at": "2026-03-02T10:40:00Z"}
    event = {"event_id": "goes-ok", "account_id": "goes", "device_id": "phone-of-goes"} | ok
    login = NewRecord(DETECT_INPUTS[1], b"goes", msgspec.json.encode(event))
    log.append([login, *heartbeats(50)])
    work(log)
    ids = {record["incident_id"] for record in incident(log, "goes")}
    assert statuses(log)[POLICY.tokens.of("goes")] == "resolved"
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert (found.open_alerts, found.incidents) == (0, 1)
    assert [incident_ids(log)[each] for each in ids] == [None]
    assert not ids & revisions(log, "").keys()
    assert not any(
        record.key == b"goes" for topic in TOPICS for _, record in stored(log, topic.name)
    )
    assert not any(each.encode() in value for each in ids for value in triaged(log).values())


def test_what_triage_alone_keeps_goes_too(log: SqliteLog) -> None:
    """As after the days in which detect has let the account go."""
    task = partition_of(b"goes", PARTITIONS)
    session = log.open_session(DETECT, DETECT_INPUTS, [task])
    session.restore(task)
    session.commit(Commit(states=[StateChange(task, b"goes", b"")]))
    session.close()
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert (found.open_alerts, found.incidents) == (0, 1)
    assert statuses(log)[POLICY.tokens.of("goes")] == "resolved"


@pytest.mark.parametrize("keys", ["both active", "the former retired"])
def test_incidents_named_by_a_former_key_are_meant(log: SqliteLog, keys: str) -> None:
    """By the tokens of both active keys; one that was named before these, by the open alert."""
    former = PUBLIC_KEY if keys == "both active" else ("k2", b"another former key of tests")
    rotated = replace(POLICY, tokens=Tokens(("k3", b"the present key of these tests"), former))
    found = forget(log, rotated, "goes", NOW)
    assert found is not None
    assert (found.open_alerts, found.incidents) == (1, 1)
    assert [each["status"] for each in incident(log, "goes")] == ["resolved"]
    assert {s for t, s in statuses(log).items() if t != POLICY.tokens.of("goes")} == {"open"}


def test_an_alert_that_triage_has_not_read_yet_ends_too(log: SqliteLog) -> None:
    """Triage opens its incident when it reads on, and ends it; a second call removes both."""
    log.append([login("new", n, 1500 + 10 * n) for n in range(6)] + heartbeats(50))
    work_in(log, detect(POLICY))
    found = forget(log, POLICY, "new", NOW)
    assert found is not None
    assert (found.open_alerts, found.incidents, found.unhandled) == (1, 0, True)
    log.append(heartbeats(59))
    work(log)
    assert statuses(log)[POLICY.tokens.of("new")] == "resolved"
    again = forget(log, POLICY, "new", NOW)
    assert again is not None
    assert (again.open_alerts, again.incidents, again.unhandled) == (0, 1, False)
    assert forget(log, POLICY, "new", NOW) is None


def test_signals_are_written_only_if_triage_needs_them(log: SqliteLog) -> None:
    """Or else it would handle them, and the file would name the account until then."""
    before = log.offsets(SIGNALS)
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert not found.unhandled
    assert [end for _, end in log.offsets(SIGNALS)] == [end for _, end in before]


def test_events_that_detect_has_not_handled_are_noticed(log: SqliteLog) -> None:
    """Their records stay, and make new state; afterwards the command removes that."""
    log.append([login("goes", 100, 1500)])
    found = forget(log, POLICY, "goes", NOW)
    assert found is not None
    assert found.unhandled
    log.append(heartbeats(50))
    work(log)
    again = forget(log, POLICY, "goes", NOW)
    assert again is not None
    assert (again.event_ids, again.unhandled) == (1, False)


def test_a_running_triage_is_named(log: SqliteLog) -> None:
    session = log.open_session(TRIAGE, [SIGNALS], [1])
    with pytest.raises(TaskTaken, match="Task 1 of stage triage is already run by process"):
        forget(log, POLICY, "goes", NOW)
    session.close()
    assert of(log, "goes") == ["raised"]


def test_the_file_holds_the_account_where_it_is_said_and_nowhere_else(
    log: SqliteLog, tmp_path: Path
) -> None:
    """Byte by byte, with what is beside the file; the alerts that ended go with a second call."""
    files = [tmp_path / f"wallet.db{end}" for end in ("", "-wal", "-shm")]

    def count(what: bytes) -> int:
        return sum(file.read_bytes().count(what) for file in files)

    assert count(b"goes") > 20
    assert forget(log, POLICY, "goes", NOW) is not None
    (last,) = [r.value or b"" for _, r in stored(log, ALERTS) if b"goes" in (r.value or b"")]
    assert count(b"goes") == last.count(b"goes")
    assert forget(log, POLICY, "goes", NOW) is not None
    assert count(b"goes") == 0
    assert count(b"keeps-1") > 20


def test_where_a_clock_runs_what_is_published_has_its_time(log: SqliteLog) -> None:
    """Of alerts and of incidents, of a worker's and of those that a removal closes."""
    forget(log, POLICY, "goes", NOW)
    work(log)
    for topic in (ALERTS, INCIDENTS):
        times = {record["published_at"] for _, record in documents(log, topic)}
        assert times == {format_time(NOW)}
