"""What is removed from an SQLite log is nowhere in its files."""

import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.sqlite_logs import AT, TOPICS, raw, session
from worker.engine.records import Commit, NewRecord, Record, StateChange
from worker.errors import LogError
from worker.logs.sqlite.log import SqliteLog


def files(path: Path) -> bytes:
    """Return the bytes of the file and of those beside it."""
    beside = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    return b"".join(each.read_bytes() for each in beside if each.exists())


def churn(log: SqliteLog, owners: list[bytes]) -> None:
    """Let records and states of all sizes come, change and go, so that pages split and merge."""
    chance, worker = random.Random(7), session(log)
    for _ in range(30):
        some = chance.choices(owners, k=200)
        sizes = [chance.choice((50, 300, 900, 4_000, 12_000)) for _ in some]
        log.append([NewRecord("in", owner, owner, 0) for owner in some])
        states = [
            StateChange(0, owner, owner + os.urandom(size) + owner)
            for owner, size in zip(some, sizes, strict=True)
        ]
        worker.poll(1_000)
        worker.commit(Commit(states=states, offsets={AT: log.offsets("in")[0][1]}))
    worker.close()


@pytest.mark.parametrize("before", [False, True], ids=["of now", "of a release before"])
def test_no_byte_is_left_of_what_is_erased(log: SqliteLog, path: Path, before: bool) -> None:
    """Not in pages that are free, in the slack of others, nor in the write-ahead log."""
    owners = [b"owner-%08d;" % n for n in range(600)]
    if before:
        with_slack = session(log)
        raw(log).execute("PRAGMA secure_delete = OFF")
        raw(with_slack).execute("PRAGMA secure_delete = OFF")
        with_slack.close()
    churn(log, owners)
    gone = set(owners[::7])
    assert all(owner in files(path) for owner in gone)
    worker = session(log)
    worker.commit(Commit(states=[StateChange(0, owner, b"") for owner in gone], erase=True))
    worker.close()

    def is_gone(_: object, record: Record) -> bool:
        return record.key in gone

    assert log.erase(is_gone, {"in": {"detect"}}) > 0
    left = files(path)
    assert [owner for owner in gone if owner in left] == []
    assert all(owner in left for owner in owners if owner not in gone)
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that by default overwrites nothing; that of some systems does."""
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*arguments, **options)
        db.execute("PRAGMA secure_delete = OFF")
        return db

    monkeypatch.setattr("worker.logs.sqlite.file.sqlite3.connect", connected)


@pytest.mark.usefixtures("careless")
def test_every_connection_overwrites_what_it_removes(path: Path) -> None:
    log = SqliteLog(path, TOPICS)
    worker = session(log)
    for opened in (log, worker):
        assert raw(opened).execute("PRAGMA secure_delete").fetchone() == (1,)
    worker.close()
    log.close()


@pytest.mark.usefixtures("careless")
def test_what_is_pruned_is_not_left_in_free_pages(path: Path) -> None:
    now = 1_000_000
    log = SqliteLog(path, TOPICS, clock=lambda: now)
    log.append([NewRecord("in", b"k", b"private;" * 3_000, 0) for _ in range(50)])
    now += 10
    assert log.prune({"in": 0}, {}) == 50
    log.append([NewRecord("in", b"k", b"x", 0)])
    raw(log).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert raw(log).execute("PRAGMA freelist_count").fetchone()[0] > 50
    assert b"private" not in files(path)
    log.close()


def test_another_reader_is_named(log: SqliteLog, path: Path) -> None:
    """The write-ahead log cannot be emptied while it reads; afterwards it can."""
    log.append([NewRecord("in", b"k", b"private", 0)])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM records").fetchone()
    with pytest.raises(LogError, match="another process reads the log"):
        log.erase(lambda _, record: record.value == b"private", {})
    reader.close()
    assert log.erase(lambda *_: False, {}) == 0
    assert b"private" not in files(path)
