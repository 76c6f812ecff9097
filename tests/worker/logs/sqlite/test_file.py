"""The SQLite log is one file: where it is, what is in it, how large it gets."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.sqlite_logs import TOPICS, fill, raw, session
from worker.engine.log import stored
from worker.engine.records import Commit, NewRecord
from worker.errors import ConfigError, LogError
from worker.logs.sqlite.file import create
from worker.logs.sqlite.log import SqliteLog
from worker.logs.topics import WALLET_TOPICS
from worker.run.open_log import open_log

# Where it is


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


# What it grows by


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
