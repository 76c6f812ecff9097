"""`walletwatch forget`: all that is kept of one account goes in one commit, or nothing does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from schemas.time import format_time
from schemas.topics import ALERTS, DETECT_INPUTS, INCIDENTS, SIGNALS, TOPICS
from tests.support.random_runs import PLAIN, POLICY
from tests.support.run_comparison import comparable, documents
from worker.cli.app import app
from worker.config.load import default_settings
from worker.config.token_keys import tokens_for
from worker.detect.handler import Horizons
from worker.detect.stage import DETECT, detect
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.records import Commit, NewRecord
from worker.engine.stage import Stage
from worker.errors import LogError, TaskTaken
from worker.logs.sqlite.log import SqliteLog
from worker.logs.sqlite.session import SqliteSession
from worker.run.forget import Forgotten, forget
from worker.triage.stage import triage

PARTITIONS = 2
ACCOUNTS = ("keeps-1", "goes", "keeps-2", "keeps-3")
NOW = 1_772_500_000_000


def login(account: str, number: int, second: int) -> NewRecord:
    """Return a failed login."""
    event = {
        "event_id": f"{account}-{number}",
        "account_id": account,
        "action": "login",
        "outcome": "failure",
        "reason": "bad_credentials",
        "occurred_at": f"2026-03-02T10:{second // 60:02}:{second % 60:02}Z",
        "device_id": f"phone-of-{account}",
    }
    return NewRecord(DETECT_INPUTS[1], account.encode(), msgspec.json.encode(event))


def heartbeats(minute: int) -> list[NewRecord]:
    """Return a heartbeat for every partition of every input."""
    value = b'{"kind":"heartbeat","occurred_at":"2026-03-02T10:%02d:00Z"}' % minute
    return [NewRecord(t, None, value, n) for t in DETECT_INPUTS for n in range(PARTITIONS)]


def first() -> list[NewRecord]:
    """Return failures of every account, enough for an alert."""
    return [login(a, n, 10 * n) for n in range(6) for a in ACCOUNTS] + heartbeats(20)


def then() -> list[NewRecord]:
    """Return later failures of every account, enough for an alert again."""
    return [login(a, 10 + n, 1500 + 10 * n) for n in range(6) for a in ACCOUNTS] + heartbeats(50)


def work(log: SqliteLog) -> None:
    """Run both stages until nothing is left."""
    for stage in (detect(POLICY), triage(POLICY, PARTITIONS)):
        _work(log, stage)


def _work(log: SqliteLog, stage: Stage) -> None:
    worker = StageWorker(log, stage, range(PARTITIONS), lambda: NOW, PLAIN)
    while worker.run_once():
        pass
    worker.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """A log on which every account has an open alert."""
    log = SqliteLog(tmp_path / "wallet.db", partitions=PARTITIONS, clock=lambda: NOW)
    log.append(first())
    work(log)
    yield log
    log.close()


def saved(log: SqliteLog) -> dict[int, tuple[Any, dict[bytes, bytes]]]:
    """Return what detect has saved: per task the offsets with the states."""
    found: dict[int, tuple[Any, dict[bytes, bytes]]] = {}
    for task in range(PARTITIONS):
        session = log.open_session(DETECT, DETECT_INPUTS, [task])
        snapshot = session.restore(task)
        found[task] = (dict(session._reading.positions), dict(snapshot.states))
        session.close()
    return found


def of(log: SqliteLog, account: str) -> list[str]:
    """Return what became of the alerts of an account, in order."""
    return [a["kind"] for _, a in documents(log, ALERTS) if a.get("account_id") == account]


def statuses(log: SqliteLog) -> dict[str, str]:
    """Return the newest status per account token."""
    newest = {i["incident_id"]: i for _, i in documents(log, INCIDENTS)}
    return {i["account_token"]: i["status"] for i in newest.values()}


def test_alerts_expire_and_the_state_goes_with_them(log: SqliteLog) -> None:
    """In one commit; the offsets and all other accounts stay as they were."""
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
    assert of(log, "goes") == ["raised", "expired"]
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
    assert of(log, "goes") == ["raised", "expired", "raised"]
    signals = [s for _, s in documents(log, SIGNALS) if s["kind"] != "progress"]
    assert len({(s["origin"], s["origin_sequence"]) for s in signals}) == len(signals)
    other.close()


class Plug(Exception):
    """Somebody has pulled it."""


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_a_crash_leaves_all_or_nothing(
    log: SqliteLog, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit, between its statements, or after it."""
    before = saved(log)
    write, states = SqliteSession.commit, SqliteSession._write_states

    def commit(self: SqliteSession, unit: Commit) -> None:
        if when == "before":
            raise Plug
        write(self, unit)
        if when == "after":
            raise Plug

    def write_states(self: SqliteSession, db: Any, unit: Commit) -> None:
        states(self, db, unit)
        if when == "within":
            raise Plug

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSession, "commit", commit)
        patch.setattr(SqliteSession, "_write_states", write_states)
        with pytest.raises(Plug):
            forget(log, POLICY, "goes", NOW)
    if when == "after":
        assert of(log, "goes") == ["raised", "expired"]
        assert forget(log, POLICY, "goes", NOW) is None
    else:
        assert saved(log) == before
        assert of(log, "goes") == ["raised"]
        assert isinstance(forget(log, POLICY, "goes", NOW), Forgotten)
    log.append(heartbeats(30))
    work(log)
    assert of(log, "goes") == ["raised", "expired"]


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
    from dataclasses import replace

    off = replace(POLICY, rules=(), horizons=Horizons())
    assert forget(log, off, "goes", NOW) is not None
    assert of(log, "goes") == ["raised", "expired"]


# -- the command --------------------------------------------------------------------------


def command(log: SqliteLog, *words: str) -> Result:
    """Run `walletwatch forget` on the log's file."""
    return CliRunner().invoke(app, ["forget", *words, "--log", f"sqlite:///{log._path}"])


def test_the_command_says_what_went_and_what_stays(log: SqliteLog) -> None:
    """The account by its token only."""
    done = command(log, "goes")
    token = tokens_for(default_settings(), f"sqlite:///{log._path}").of("goes")
    assert done.exit_code == 0
    assert f"Forgot account {token}: 1 open alert, expired now, 6 event ids" in done.stdout
    assert "goes" not in done.output
    for topic in TOPICS:
        assert (topic.name in done.stdout) == (topic.name != "wallet.incident-updates")
    assert "make new state" in done.stdout


def test_the_command_in_json(log: SqliteLog) -> None:
    done = command(log, "goes", "--json", "--yes")
    summary = json.loads(done.stdout)
    assert summary["removed"]["open_alerts"] == 1
    remains = {each["topic"]: each for each in summary["remains"]}
    assert remains["wallet.incidents"]["account"] == "token"
    assert remains["wallet.alerts"]["account"] == "raw"
    assert remains["wallet.dead-letters"]["until"] < remains["wallet.alerts"]["until"]
    assert "goes" not in done.output


def test_what_cannot_be_is_said_in_a_sentence(log: SqliteLog, tmp_path: Path) -> None:
    """An unknown account, a task that is run, no log."""
    unknown = command(log, "nobody")
    assert unknown.exit_code == 1
    assert "detect keeps nothing of that account" in unknown.stderr
    session = log.open_session(DETECT, DETECT_INPUTS, range(PARTITIONS))
    taken = command(log, "goes")
    session.close()
    assert taken.exit_code == 70
    assert "is already run by process" in taken.stderr
    assert "Stop it, forget the account, and start it again." in taken.stderr
    none = CliRunner().invoke(app, ["forget", "x", "--log", f"sqlite:///{tmp_path}/none.db"])
    assert none.exit_code == 2


@pytest.mark.parametrize("answer", ["n\n", "y\n"])
def test_on_a_terminal_it_asks(
    log: SqliteLog, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the account's name."""
    monkeypatch.setattr("worker.cli.forget._asks", lambda: True)
    arguments = ["forget", "goes", "--log", f"sqlite:///{log._path}"]
    done = CliRunner().invoke(app, arguments, input=answer)
    assert "Forget account" in done.stderr
    assert "goes" not in done.output
    assert of(log, "goes") == (["raised", "expired"] if answer == "y\n" else ["raised"])
    assert done.exit_code == (0 if answer == "y\n" else 1)


def test_where_a_clock_runs_what_is_published_has_its_time(log: SqliteLog) -> None:
    """Of alerts and of incidents, of a worker's and of those that a removal closes."""
    forget(log, POLICY, "goes", NOW)
    work(log)
    for topic in (ALERTS, INCIDENTS):
        times = {record["published_at"] for _, record in documents(log, topic)}
        assert times == {format_time(NOW)}
