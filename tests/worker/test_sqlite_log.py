"""What only the SQLite log promises: one file, many processes, and clear errors."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from worker.errors import ConfigError, LogError, LogInDoubt, TaskTaken
from worker.logs import open_log
from worker.logs.memory import MemoryLog
from worker.logs.port import Commit, NewRecord, StateChange, TopicPartition, stored
from worker.logs.sqlite import SqliteLog
from worker.logs.sqlite_file import create
from worker.logs.sqlite_session import SqliteSession
from worker.logs.topics import WALLET_TOPICS, Cleanup

ROOT = Path(__file__).parents[2]
TOPICS: dict[str, Cleanup] = {"in": "delete", "out": "delete"}
AT = TopicPartition("in", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path, TOPICS, busy_timeout=0.05)
    yield log
    log.close()


def fill(log: SqliteLog, count: int, size: int = 10) -> None:
    log.append([NewRecord("in", b"k", b"%0*d" % (size, n), 0) for n in range(count)])


def session(log: SqliteLog) -> SqliteSession:
    opened = log.open_session("detect", ["in"], [0])
    list(opened.restore(0).states)
    return opened


def raw(opened: SqliteLog | SqliteSession) -> sqlite3.Connection:
    return opened._connection._db


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


# Where the file is


def test_relative_and_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes are relative to the working directory, four are absolute."""
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///rel.db", f"sqlite:///{tmp_path}/abs.db"):
        open_log(url).close()
    assert {found.suffix for found in tmp_path.iterdir()} == {".db"}
    assert (tmp_path / "rel.db").is_file()
    assert (tmp_path / "abs.db").is_file()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wallet.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "mysql://user:secret@host/x",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    """The message names log.url and the allowed forms; a URL may hold a password."""
    with pytest.raises(ConfigError, match=r"log\.url: .*sqlite:///rel.*sqlite:////abs") as caught:
        open_log(url)
    assert "secret" not in str(caught.value)


def test_a_new_log_has_the_wallets_topics(path: Path) -> None:
    """Every one with the same number of partitions, 4 unless told otherwise."""
    for name, partitions in (("four.db", None), ("six.db", 6)):
        log = open_log(f"sqlite:///{path.with_name(name)}", partitions)
        assert {log.partitions(topic) for topic in WALLET_TOPICS} == {partitions or 4}
        log.close()


def test_the_partition_count_is_fixed(path: Path) -> None:
    """Another count is refused naming both; no count takes the file's."""
    SqliteLog(path, TOPICS, partitions=3).close()
    with pytest.raises(ConfigError, match=r"log\.partitions: .* 3 partitions .* not 4"):
        SqliteLog(path, TOPICS, partitions=4)
    with closing(SqliteLog(path, TOPICS)) as log:
        assert log.partitions("in") == 3


def test_topics_of_a_newer_release_are_added(path: Path) -> None:
    """With the file's own number of partitions; what was there stays."""
    with closing(SqliteLog(path, TOPICS, partitions=2)) as log:
        fill(log, 1)
    with closing(SqliteLog(path, {**TOPICS, "more": "compact"})) as log:
        assert log.partitions("more") == 2
        assert log.offsets("in")[0] == (0, 1)
    with closing(SqliteLog(path, {"in": "delete"})) as log:
        assert log.partitions("more") == 2


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    """Nothing is created."""
    with pytest.raises(ConfigError, match=r"log\.url: there is no folder .*nowhere"):
        SqliteLog(tmp_path / "nowhere" / "x.db")
    with pytest.raises(ConfigError, match=r"log\.url: .* is a folder"):
        SqliteLog(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_programs_database_is_refused_untouched(path: Path) -> None:
    """Its bytes stay as they were."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE topics (name)")
        db.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="SQLite file of another program"):
        SqliteLog(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 100_000])
def test_what_is_no_database_is_refused_untouched(path: Path, content: bytes) -> None:
    """Also an empty file: it may be one that lost its content."""
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"damaged|empty"):
        SqliteLog(path)
    assert path.read_bytes() == content


def test_a_newer_layout_is_refused(log: SqliteLog, path: Path) -> None:
    """With both versions named."""
    raw(log).execute("PRAGMA user_version = 2")
    with pytest.raises(LogError, match="layout 2, this walletwatch knows layout 1"):
        SqliteLog(path)


def test_a_write_ahead_log_without_its_database_is_not_adopted(path: Path) -> None:
    """A new database would read the old one's pages into itself."""
    Path(f"{path}-wal").write_bytes(b"old pages")
    with pytest.raises(ConfigError, match=r"test\.db-wal is still there"):
        SqliteLog(path)
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user without permissions")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_no_permission_is_a_clear_error(what: str) -> None:
    """For the file as for its folder, where the write-ahead log has to be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.db"
        SqliteLog(path, TOPICS).close()
        Path(folder).chmod(0o777 if what == "file" else 0o755)
        path.chmod(0o644 if what == "file" else 0o666)
        os.seteuid(65534)
        try:
            with pytest.raises(ConfigError, match=r"log\.url: no permission to write to"):
                SqliteLog(path, TOPICS)
        finally:
            os.seteuid(0)


def test_making_a_log_never_replaces_one(path: Path) -> None:
    """Of two processes that find no file and make one, the slower takes the faster one's."""
    with closing(SqliteLog(path, TOPICS)) as log:
        fill(log, 1)
    create(path, TOPICS, 7)
    with closing(SqliteLog(path, TOPICS)) as log:
        assert (log.partitions("in"), log.offsets("in")[0]) == (4, (0, 1))
    assert not list(path.parent.glob("*.new*"))


def test_no_file_of_the_making_is_left(log: SqliteLog, path: Path) -> None:
    """Only the log (and, while open, SQLite's own two) is in the folder."""
    names = {found.name for found in path.parent.iterdir()}
    assert names <= {"test.db", "test.db-wal", "test.db-shm"}


def test_a_removed_or_replaced_file_is_noticed(log: SqliteLog, path: Path) -> None:
    """Nobody could read what is written to a file that has no name any more."""
    worker = session(log)
    path.rename(path.with_name("moved.db"))
    with pytest.raises(LogError, match="removed or replaced"):
        fill(log, 1)
    with pytest.raises(LogError, match="removed or replaced"):
        worker.commit(Commit(metas={0: b"m"}))
    with pytest.raises(LogError, match=r"test\.db"):
        log.open_session("triage", ["in"], [0])
    assert not path.exists()
    worker.close()


# Offsets and speed


def test_offsets_are_dense_from_zero(log: SqliteLog) -> None:
    """Per partition, across appends and commits."""
    fill(log, 3)
    worker = session(log)
    worker.commit(Commit(outputs=[NewRecord("in", b"k", b"v", 0)] * 2))
    fill(log, 2)
    worker.close()
    assert [record.offset for _, record in stored(log, "in")] == list(range(7))


def test_the_write_ahead_log_stays_small(log: SqliteLog, path: Path) -> None:
    """Although SQLite's own checkpoints are off; also while a session reads."""
    worker = session(log)
    largest = 0
    for _ in range(60):
        fill(log, 100, size=10_000)
        worker.poll(1)
        largest = max(largest, Path(f"{path}-wal").stat().st_size)
    worker.close()
    assert 10 << 20 < largest < 20 << 20, "not with each commit either: it costs a sync"
    assert path.stat().st_size > 30 << 20


def test_a_reader_that_stops_halfway_delays_but_stops_nobody(log: SqliteLog, path: Path) -> None:
    """A checkpoint that cannot finish is tried again later; appends go on."""
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        for _ in range(30):
            fill(log, 100, size=10_000)
    fill(log, 1)
    assert log.offsets("in")[0] == (0, 3001)


def test_prune_in_several_transactions(log: SqliteLog) -> None:
    """More than one chunk: all of it goes, and is counted."""
    fill(log, 25_000)
    assert log.prune({"in": -1}, {}) == 25_000
    assert log.offsets("in")[0] == (25_000, 25_000)


# Errors: a clear sentence, and nothing lost


def commit_until_full(worker: SqliteSession) -> int:
    """Commit numbered units of three outputs and five states; return how many fitted."""
    committed = []

    def commit_all() -> None:
        for done in range(10_000):
            name = b"%d" % done
            outputs = [NewRecord("out", name, b"x" * 1000, part) for part in range(3)]
            changes = [StateChange(0, b"%s-%d" % (name, n), name * 500) for n in range(5)]
            worker.commit(Commit(outputs, changes, {AT: min(done, 5)}, {0: name}))
            committed.append(name)

    with pytest.raises(LogError, match=r"disk is full|disk I/O") as caught:
        commit_all()
    assert caught.type is LogError
    return len(committed)


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
sys.path.insert(0, "tests/worker")
from test_sqlite_log import *
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


# Many processes

HOLDER = """
import sys
from pathlib import Path
from worker.logs.sqlite import SqliteLog
log = SqliteLog(Path(sys.argv[1]), {"in": "delete", "out": "delete"})
worker = log.open_session("detect", ["in"], [0])
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_task_is_taken_until_its_owner_dies(log: SqliteLog, path: Path) -> None:
    """The refusal names the process; kill -9 frees the task without any clean-up."""
    owner = start(HOLDER, path)
    assert line(owner) == "holding"
    with pytest.raises(TaskTaken, match=f"Task 0 of stage detect .* by process {owner.pid}"):
        log.open_session("detect", ["in"], [0])
    log.open_session("triage", ["in"], [0]).close()
    log.open_session("detect", ["in"], [1]).close()
    owner.send_signal(signal.SIGKILL)
    assert finish(owner) == -signal.SIGKILL
    session(log).close()


def test_two_paths_to_one_file_are_one_log(log: SqliteLog, path: Path) -> None:
    """A symbolic link does not let a second worker in."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    worker = session(log)
    with closing(SqliteLog(link, TOPICS)) as other, pytest.raises(TaskTaken):
        other.open_session("detect", ["in"], [0])
    worker.close()


APPENDER = """
import sys
from pathlib import Path
from worker.logs.port import NewRecord
from worker.logs.sqlite import SqliteLog
path, name, chunks = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
sys.stdin.readline()
log = SqliteLog(path, {"in": "delete", "out": "delete"})
for chunk in range(chunks):
    log.append([
        NewRecord("in", b"k%d" % n, b"%s %d" % (name, chunk * 50 + n)) for n in range(50)
    ])
log.close()
"""


def test_many_processes_append_while_a_session_works(path: Path) -> None:
    """They even race to make the file; every record comes once, in order, without a gap."""
    producers = [start(APPENDER, path, name, 40) for name in "abc"]
    for producer in producers:
        assert producer.stdin is not None
        producer.stdin.write("go\n")
        producer.stdin.flush()
    with closing(SqliteLog(path, TOPICS)) as log:
        worker = log.open_session("detect", ["in"], range(4))
        for task in range(4):
            worker.restore(task)
        seen: dict[TopicPartition, list[int]] = {TopicPartition("in", n): [] for n in range(4)}
        per_producer: dict[tuple[bytes, TopicPartition], list[int]] = {}
        total = 0
        while total < 3 * 40 * 50:
            batch = worker.poll(200, wait=20)
            assert batch.records, "the producers have stopped early"
            for at, records in batch.records.items():
                seen[at] += [record.offset for record in records]
                total += len(records)
                for record in records:
                    assert record.value is not None
                    name, number = record.value.split()
                    per_producer.setdefault((name, at), []).append(int(number))
            offsets = {at: found[-1] + 1 for at, found in seen.items() if found}
            worker.commit(Commit([NewRecord("out", b"k", b"v")], offsets=offsets))
        assert all(finish(producer) == 0 for producer in producers)
        assert worker.poll(10).at_end == seen.keys()
        worker.close()
    assert all(offsets == list(range(len(offsets))) for offsets in seen.values())
    assert all(numbers == sorted(set(numbers)) for numbers in per_producer.values())
    assert sum(map(len, per_producer.values())) == total == 6000


WORKER = """
import sys
from pathlib import Path
from worker.logs.port import *
from worker.logs.sqlite import SqliteLog
log = SqliteLog(Path(sys.argv[1]), {"in": "delete", "out": "delete"})
worker = log.open_session("detect", ["in"], [0])
snapshot = worker.restore(0)
states = dict(snapshot.states)
number = int(snapshot.meta or b"0")
while True:
    batch = worker.poll(1)
    at, (record,) = next(iter(batch.records.items()))
    assert record.offset == number
    number += 1
    name = b"%d" % number
    outputs = [NewRecord("out", name, b"x" * 2000, n % 4) for n in range(20)]
    changes = [StateChange(0, b"k%d" % n, name) for n in range(20)]
    worker.commit(Commit(outputs, changes, {at: number}, {0: name}))
    print(number, flush=True)
"""


def test_kill_9_in_the_middle_of_commits(log: SqliteLog, path: Path) -> None:
    """Outputs, states, metas and positions are always of the same commit, and none is lost."""
    fill(log, 100_000)
    chance = random.Random(7)
    for _ in range(6):
        process = start(WORKER, path)
        for _ in range(chance.randrange(1, 60)):
            told = int(line(process))
        process.send_signal(signal.SIGKILL)
        finish(process)
        worker = log.open_session("detect", ["in"], [0])
        snapshot = worker.restore(0)
        number = int(snapshot.meta or b"0")
        assert number >= told
        assert dict(snapshot.states) == {b"k%d" % n: b"%d" % number for n in range(20)}
        assert worker.poll(1).records[AT][0].offset == number
        worker.close()
    keys = [record.key for _, record in stored(log, "out")]
    assert sorted(map(str, keys)) == sorted(str(b"%d" % (n // 20 + 1)) for n in range(number * 20))


# The memory log's own facts


def test_a_memory_log_without_a_clock_has_no_times() -> None:
    """As in replay; retention then knows no age and keeps only what readers need."""
    log = MemoryLog(TOPICS)
    log.append([NewRecord("in", b"k", b"%d" % n, 0) for n in range(3)])
    worker = log.open_session("detect", ["in"], [0])
    worker.restore(0)
    assert [record.append_time for record in worker.poll(2).records[AT]] == [None, None]
    assert log.newest_append_time("in") is None
    worker.commit(Commit(offsets={AT: 2}))
    assert log.prune({"in": 0}, {"in": ["detect"]}) == 2
    assert [record.value for record in worker.poll(2).records[AT]] == [b"2"]
