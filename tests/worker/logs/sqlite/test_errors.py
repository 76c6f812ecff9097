"""What goes wrong with an SQLite log is said in a clear sentence, and nothing is lost."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.sqlite_logs import (
    AT,
    TOPICS,
    commit_until_full,
    fill,
    finish,
    line,
    raw,
    session,
    start,
)
from worker.engine.log import stored
from worker.engine.records import Commit, NewRecord
from worker.errors import ConfigError, LogError, LogInDoubt
from worker.logs.sqlite.log import SqliteLog


def assert_whole(log: SqliteLog, done: int) -> None:
    """So many units are committed, with outputs, states, meta and position; of the next nothing."""
    worker = log.open_session("detect", ["in"], [0])
    snapshot = worker.restore(0)
    assert snapshot.meta == b"%d" % (done - 1)
    assert len(list(snapshot.states)) == 5 * done
    assert worker.poll(1).records[AT][0].offset == min(done - 1, 5)
    worker.close()
    for partition in range(3):
        keys = [record.key for record in log.read("out", partition, 0, 10_000)]
        assert keys == [b"%d" % n for n in range(done)]


def test_a_full_database_loses_nothing(log: SqliteLog) -> None:
    """The unit that did not fit is not there; with space again a new session goes on."""
    fill(log, 10)
    worker = session(log)
    worker.poll(10)
    pages = raw(worker).execute("PRAGMA page_count").fetchone()[0]
    raw(worker).execute(f"PRAGMA max_page_count = {pages + 20}")
    done = commit_until_full(worker)
    worker.close()
    assert done > 2
    assert_whole(log, done)
    raw(log).execute(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(LogError, match=r"disk is full: nothing of this was written"):
        fill(log, 1000, size=1000)
    assert log.offsets("in")[0] == (0, 10)
    raw(log).execute("PRAGMA max_page_count = 1000000")
    fill(log, 1000, size=1000)
    assert log.offsets("in")[0] == (0, 1010)


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from tests.support.sqlite_logs import TOPICS, commit_until_full, fill, session
from worker.logs.sqlite.log import SqliteLog
log = SqliteLog(Path(sys.argv[1]), TOPICS)
fill(log, 10)
worker = session(log)
worker.poll(10)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
print(commit_until_full(worker))
"""


def test_a_disk_that_refuses_bytes_loses_nothing(path: Path) -> None:
    """The process may write no file beyond 300 kB: the write-ahead log hits that."""
    process = start(FILE_LIMIT, path)
    done = int(line(process))
    assert finish(process) == 0
    assert done > 2
    with closing(SqliteLog(path, TOPICS)) as log:
        assert_whole(log, done)


def test_a_sync_that_fails_in_the_commit_leaves_it_in_doubt(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames may be on the disk all the same: the task has to be rebuilt."""

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
            return real.execute(sql, *arguments)  # type: ignore[arg-type]

    worker = session(log)
    real = raw(worker)
    monkeypatch.setattr(worker._connection, "_db", Failing())
    with pytest.raises(LogInDoubt, match="disk I/O error"):
        worker.commit(Commit(metas={0: b"m"}))
    worker.close()


def test_whatever_fails_in_the_middle_takes_the_unit_back(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even an error that is not SQLite's, after rows were written."""
    fill(log, 1)
    worker = session(log)
    raw(worker).execute(
        "CREATE TEMP TRIGGER boom BEFORE UPDATE ON main.tasks BEGIN SELECT RAISE(FAIL, 'boom'); END"
    )
    with pytest.raises(LogError, match="boom"):
        worker.commit(Commit(outputs=[NewRecord("out", b"k", b"v")], metas={0: b"m"}))
    worker.close()
    monkeypatch.setattr(log, "_clock", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        fill(log, 1)
    assert not raw(log).in_transaction
    assert list(stored(log, "out")) == []
    assert log.offsets("in")[0] == (0, 1)


def test_a_lock_held_too_long_is_a_clear_error(log: SqliteLog, path: Path) -> None:
    """Readers are not blocked; when the lock is free again everything works."""
    fill(log, 1)
    worker = session(log)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LogError, match="locked by another process for too long"):
            fill(log, 1)
        assert len(worker.poll(10).records[AT]) == 1
        with pytest.raises(LogError, match="locked"):
            worker.commit(Commit(metas={0: b"m"}))
    worker.close()
    fill(log, 1)
    worker = log.open_session("detect", ["in"], [0])
    assert worker.restore(0).meta is None
    assert len(worker.poll(10).records[AT]) == 2
    worker.close()


def attempt(path: Path) -> list[bytes | None]:
    """Open, restore, poll everything, commit; return the values read."""
    log = SqliteLog(path, TOPICS, busy_timeout=0.05)
    try:
        worker = session(log)
        try:
            found = [record.value for record in worker.poll(10_000).records.get(AT, [])]
            worker.commit(Commit([NewRecord("out", b"k", b"v")], offsets={AT: len(found)}))
            fill(log, 1)
            return found
        finally:
            worker.close()
    finally:
        log.close()


def damages(content: bytes) -> Iterator[bytes]:
    """Overwrite each page, in several ways; cut the file anywhere."""
    chance = random.Random(1)
    page = 8192
    for start_ in range(0, len(content), page):
        for bad in (bytes(page), b"\xff" * page, chance.randbytes(page), chance.randbytes(200)):
            yield content[:start_] + bad + content[start_ + len(bad) :]
    for _ in range(20):
        yield content[: chance.randrange(1, len(content))]


def test_a_damaged_file_is_a_clear_error_or_harmless(log: SqliteLog, path: Path) -> None:
    """Never a traceback of another kind, and never some records silently missing."""
    fill(log, 1000, size=50)
    log.close()
    content = path.read_bytes()
    expected = [b"%050d" % n for n in range(1000)]
    sentences = []
    for number, damaged in enumerate(damages(content)):
        bad = path.with_name(f"bad{number}.db")
        bad.write_bytes(damaged)
        bad.chmod(0o600)
        try:
            assert attempt(bad) == expected
        except (LogError, ConfigError) as error:
            sentences.append(str(error).replace(str(bad), "PATH"))
    assert len(sentences) > 20
    assert all("PATH" in sentence and sentence.endswith(".") for sentence in sentences)


def test_lost_records_are_noticed(log: SqliteLog) -> None:
    """Offsets of a topic that is not compacted have no gaps: one is a damage."""
    fill(log, 10)
    for gone in (0, 5, 9):
        row = raw(log).execute("SELECT * FROM records WHERE offset = ?", (gone,)).fetchone()
        raw(log).execute("DELETE FROM records WHERE offset = ?", (gone,))
        worker = session(log)
        with pytest.raises(LogError, match=r"damaged \(records of in/0 missing\)"):
            worker.poll(100)
        worker.close()
        raw(log).execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def test_a_closed_log_says_so(log: SqliteLog) -> None:
    """Using it is a LogError."""
    log.close()
    with pytest.raises(LogError, match="closed"):
        fill(log, 1)
