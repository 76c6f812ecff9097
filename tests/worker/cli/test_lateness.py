"""ingest and run say when most of what comes is late: how many, why, and what to do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rules.builders import login, txn
from schemas.time import parse_time
from schemas.topics import DETECT_INPUTS, LATE, LOGINS, TRANSACTIONS
from worker.cli import ingest as module
from worker.cli.app import app
from worker.cli.printing.lateness import Lateness
from worker.engine.log import stored
from worker.engine.observer import Work
from worker.engine.outcomes import LateEvent
from worker.engine.records import NewRecord, Record
from worker.run.open_log import open_log

URL = "sqlite:///log.db"
PAST = "older than what the log had already"
DISORDER = "after lines of a later time"

invoke = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without configuration and log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)
    monkeypatch.setenv("WALLETWATCH_ENGINE__IDLE_ADVANCES", "false")
    monkeypatch.setattr(module, "wall_clock", lambda: parse_time("2026-03-02T12:00:00Z"))
    return tmp_path


def logins(*times: str, account: str = "acc-1") -> list[dict[str, Any]]:
    """Return a login at each time."""
    return [
        login(time, event_id=f"{account}-{time}-{number}", account_id=account)
        for number, time in enumerate(times)
    ]


def ingest(events: Sequence[dict[str, Any]], *options: str) -> str:
    """Append events and return what it printed about it."""
    Path("events.ndjson").write_text("".join(f"{json.dumps(each)}\n" for each in events))
    ended = invoke(app, ["ingest", "events.ndjson", *options])
    assert ended.exit_code == 0, ended.output
    return ended.stdout if "--json" in options else ended.stderr


def test_bad_records_of_the_log_do_not_disturb() -> None:
    """Neither what cannot be read nor what is of a later century says what is late."""
    ingest(logins("10:00:00"))
    bad = [b"", b"{", b"[" * 3000, b'{"kind":"login","occurred_at":"2199-01-01T00:00:00Z"}', None]
    log = open_log(URL)
    log.append([NewRecord(LOGINS, b"acc-1", value) for value in bad])
    log.close()
    assert "late" not in ingest(logins("10:00:01"))


def late_records() -> int:
    """Return how many events a worker has published as late."""
    log = open_log(URL)
    try:
        return sum(1 for _ in stored(log, LATE))
    finally:
        log.close()


def test_yesterdays_file_in_a_live_log() -> None:
    """Both commands count what the worker then publishes as late."""
    live = [txn("t0", "11:00:00"), *logins("11:00:00", "11:00:01")]
    ingest(live)
    file = [txn("t1", "09:00:00", event_id="old"), *logins("09:00:00", "09:00:01", "11:00:02")]
    said = ingest(file, "--end")
    assert f"2 of 3 events of {LOGINS} come late, most of them {PAST}" in said
    assert f"1 of 1 event of {TRANSACTIONS} come late, most of them {PAST}" in said
    assert "ingest the file with --end into a log of its own" in said
    ended = invoke(app, ["run", "--until-ended"])
    assert ended.exit_code == 0, ended.output
    assert late_records() == 3
    # Of the logins 2 of 5 were late, of the transactions 1 of 2: no more than half.
    assert "came late" not in ended.stderr


def test_a_worker_says_so_when_it_ends() -> None:
    """For each topic whose events mostly were late; also where the file was in another order."""
    said = ingest(logins("11:00:00", "10:00:00", "09:00:00", "08:00:00"), "--end")
    assert f"3 of 4 events of {LOGINS} come late, most of them {DISORDER}" in said
    assert "sort the lines by occurred_at" in said
    ended = invoke(app, ["run", "--until-ended"])
    assert late_records() == 3
    (sentence,) = [line for line in ended.stderr.splitlines() if "came late" in line]
    assert sentence.startswith(f"3 of 4 events of {LOGINS} came late: more than ")
    assert "inputs.logins.lateness_ms" in sentence


@pytest.mark.parametrize(
    "times",
    [
        ("11:00:00", "11:00:01", "10:59:58", "10:59:57"),  # within the lateness
        ("11:00:00", "11:00:01", "10:00:00", "10:00:01"),  # half of them
        ("10:00:00", "10:00:01", "11:00:00"),
    ],
)
def test_no_word_about_what_is_in_time(times: Sequence[str]) -> None:
    """Or about a few that are late."""
    assert "late" not in ingest(logins(*times))


def test_each_partition_has_a_time_of_its_own() -> None:
    """As for the worker: another account may be in another partition."""
    accounts = [f"acc-{number}" for number in range(40)]
    early = [logins("09:00:00", account=account)[0] for account in accounts]
    assert "late" not in ingest(early)
    newer = [logins("11:00:00", account="acc-0")[0]]
    ingest(newer)
    again = [dict(each, event_id=f"{each['event_id']}x") for each in early]
    said = json.loads(ingest([*again, txn("t1", "11:30:00")], "--json", "--end"))
    assert invoke(app, ["run", "--until-ended"]).exit_code == 0
    assert 0 < said["late"][LOGINS] < len(accounts)
    assert late_records() == said["late"][LOGINS]


def test_what_the_log_holds_may_be_no_event() -> None:
    """Such as bytes of a producer: they have no time."""
    log = open_log(URL, partitions=4)
    try:
        for value in (b"", b"\xff", b"[]", b'{"occurred_at": 5}', b'{"occurred_at": "soon"}', None):
            log.append([NewRecord(LOGINS, b"acc-1", value)])
    finally:
        log.close()
    assert "late" not in ingest(logins("09:00:00"))


def minute(number: int, late: int, read: int) -> Work:
    """Return the work of a minute."""
    work = Work("detect", 1 + number * 60_000, (), (), committed=True)
    source = DETECT_INPUTS.index(LOGINS)
    entry = (0, 0, 0, -1, "", 0, source, Record(0, None, None, None), None, None, b"")
    work.released = [[entry] * (read // 2), [entry] * (read - read // 2)]
    work.counts[LateEvent(LOGINS)] = late
    return work


def test_a_worker_says_so_once_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    """And again after a minute in which it was over; a few late events are no news."""
    observer = Lateness()
    said = []
    for number, (late, read) in enumerate(
        [(0, 100), (60, 100), (60, 100), (50, 100), (19, 19), (20, 20), (0, 0), (0, 0)]
    ):
        observer.worked(minute(number, late, read))
        said.append(len(capsys.readouterr().err.splitlines()))
    assert said == [0, 0, 1, 0, 0, 1, 0, 0]


def test_what_was_not_committed_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    """It is done again."""
    observer = Lateness()
    for number in range(3):
        work = minute(number, 100, 100)
        work.committed = False
        observer.worked(work)
    observer.finish()
    assert capsys.readouterr().err == ""
