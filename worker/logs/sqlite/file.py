"""One SQLite file as a log: its layout, its connections, and its errors as sentences for users."""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from worker.errors import ConfigError, LogError, LogInDoubt
from worker.logs.topics import Cleanup
from worker.private_files import create as create_private

APPLICATION_ID = 0x77617463
"""Marks the file as ours in its header, so that no other program's database is written to."""

LAYOUT = 1
"""Version of the tables below; a file with another one is refused."""

_WAL_BYTES = 16 << 20
"""The write-ahead log is moved into the database when it has grown by so much."""

# Events are about half a kilobyte: pages of 8 KiB append them a fifth faster than the default 4.
_TABLES = f"""
PRAGMA page_size = 8192;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL
) STRICT;
CREATE TABLE partitions (
    topic INTEGER, partition INTEGER, first INTEGER NOT NULL, next INTEGER NOT NULL,
    newest INTEGER, PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE records (
    topic INTEGER, partition INTEGER, offset INTEGER, append_time INTEGER NOT NULL,
    key BLOB, value BLOB, headers BLOB, PRIMARY KEY (topic, partition, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, stage TEXT NOT NULL, task INTEGER NOT NULL,
    sequence INTEGER NOT NULL DEFAULT 0, meta BLOB, UNIQUE (stage, task)
) STRICT;
CREATE TABLE offsets (
    task INTEGER, topic INTEGER, offset INTEGER NOT NULL, PRIMARY KEY (task, topic)
) STRICT, WITHOUT ROWID;
CREATE TABLE states (
    task INTEGER, key BLOB, value BLOB NOT NULL, PRIMARY KEY (task, key)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""


class Connection:
    """One connection; each of its failures is a LogError with a clear sentence."""

    def __init__(
        self, path: Path, busy_timeout: float, synchronous: Literal["FULL", "NORMAL"]
    ) -> None:
        """Connect to an existing log file, waiting up to `busy_timeout` seconds for its locks.

        Raises:
            ConfigError: the file is another program's.
            LogError: it cannot be used.
        """
        self.path = path
        self._busy_timeout = busy_timeout
        self._wal = Path(f"{path}-wal")
        self._checkpoint_at = _WAL_BYTES
        with self.errors():
            # mode=rw: a file that has gone must not come back as an empty one.
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=rw",
                uri=True,
                timeout=busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        self._inode = path.stat().st_ino
        try:
            with self.errors():
                self._check_layout()
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute(f"PRAGMA synchronous = {synchronous}")
                self._db.execute("PRAGMA wal_autocheckpoint = 0")
                self._db.execute("PRAGMA cache_size = -16384")
                self._db.execute("PRAGMA secure_delete = ON")
        except BaseException:
            self.close()
            raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite raises into a LogError."""
        try:
            yield
        except sqlite3.Error as error:
            raise LogError(_sentence(self.path, error)) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield one consistent snapshot of the file."""
        with self.errors():
            self._db.execute("BEGIN")
            try:
                yield self._db
            except (TypeError, LookupError, msgspec.MsgspecError) as error:
                # A damage that SQLite does not detect: missing rows, values of another type.
                raise damaged(self.path, type(error).__name__) from error
            finally:
                self._rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run one write transaction: all of it is committed, or (whatever is raised) nothing.

        Raises:
            LogInDoubt: the disk failed so late that a restart may find the commit after all.
        """
        self._check_still_there()
        with self.errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._commit()
            except BaseException:
                self._rollback()
                raise
        self._checkpoint()

    def data_version(self) -> int:
        """Return a number that differs once another connection has committed."""
        with self.errors():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def rewrite(self) -> None:
        """Write the whole file anew, without a byte of what was removed; empties the WAL.

        secure_delete overwrites what is removed, but not the copies that stay in a page when its
        rows move to another page. All writers wait meanwhile, and it takes the file's size in free
        space twice.

        Raises:
            LogError: it cannot be done, or another process reads for too long.
        """
        self._check_still_there()
        with self.errors():
            self._db.execute("VACUUM")
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise LogError(
                f"{self._wal} still holds what was removed, because another process reads the "
                "log: end it, and try again."
            )

    def close(self) -> None:
        """Close the connection. May be called twice."""
        with self.errors():
            self._db.close()

    def _check_layout(self) -> None:
        if self._db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ConfigError(f"log.url: {self.path} is an SQLite file of another program.")
        layout = self._db.execute("PRAGMA user_version").fetchone()[0]
        if layout != LAYOUT:
            raise LogError(
                f"The log {self.path} has layout {layout}, this walletwatch knows layout {LAYOUT}: "
                "use the version that wrote it, or a newer one."
            )

    def _check_still_there(self) -> None:
        # SQLite would go on writing into a removed file, which no process can open any more.
        try:
            inode = self.path.stat().st_ino
        except OSError:
            inode = None
        if inode != self._inode:
            raise LogError(f"The log {self.path} was removed or replaced while it was in use.")

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            # A frame that was not written cannot be found again; one not synced may be.
            code = error.sqlite_errorcode
            if code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_WRITE:
                raise LogInDoubt(_sentence(self.path, error)) from error
            raise

    def _rollback(self) -> None:
        with suppress(sqlite3.Error):  # SQLite rolls back by itself after some errors
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        """Move a large write-ahead log into the database.

        SQLite's own checkpoints are off: before 3.51.3 one that runs while another connection
        commits can, very rarely, lose pages (sqlite.org/wal.html, "the WAL-reset bug"). TRUNCATE
        holds the write lock meanwhile. Nothing depends on its success: the commit is done.
        """
        with suppress(OSError, sqlite3.Error):
            size = self._wal.stat().st_size
            if size < _WAL_BYTES:
                self._checkpoint_at = _WAL_BYTES
            if size < self._checkpoint_at:
                return
            self._checkpoint_at = size + _WAL_BYTES  # not again with each commit if it fails
            # No process can write while it waits for a slow reader: so it waits only shortly.
            self._db.execute("PRAGMA busy_timeout = 500")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout * 1000)}")


def create(path: Path, topics: Mapping[str, Cleanup], partitions: int) -> None:
    """Create a log file, unless another process is faster; it appears complete or not at all.

    Raises:
        ConfigError: it cannot be created there.
    """
    if Path(f"{path}-wal").exists():
        raise ConfigError(
            f"log.url: {path} is gone but its {path.name}-wal is still there: put the file back, "
            "or remove the rest of it too."
        )
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        os.close(create_private(new))  # its -wal and -shm get the mode that it has
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.executescript(_TABLES)
            db.execute("BEGIN")
            add_topics(db, topics, partitions)
            db.execute("COMMIT")
        with suppress(FileExistsError):
            os.link(new, path)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"log.url: cannot create {path}: {reason}.") from error
    finally:
        for leftover in (new, f"{new}-wal", f"{new}-shm"):
            Path(leftover).unlink(missing_ok=True)


def add_topics(db: sqlite3.Connection, topics: Mapping[str, Cleanup], partitions: int) -> None:
    """Insert topics, with empty partitions."""
    for name, cleanup in topics.items():
        topic = db.execute(
            "INSERT INTO topics (name, partitions, compacted) VALUES (?, ?, ?) RETURNING id",
            (name, partitions, cleanup == "compact"),
        ).fetchone()[0]
        rows = [(topic, partition) for partition in range(partitions)]
        db.executemany("INSERT INTO partitions VALUES (?, ?, 0, 0, NULL)", rows)


def damaged(path: Path, what: str) -> LogError:
    """Return the error for a file with impossible content."""
    return LogError(
        f"The log {path} is damaged ({what}): nothing was changed; keep a copy of the file, and "
        "go on with a backup or a new log."
    )


def _sentence(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"The log {path} is locked by another process for too long: try again."
        case sqlite3.SQLITE_FULL:
            return f"The log {path} cannot grow, the disk is full: nothing of this was written."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return str(damaged(path, str(error)))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return (
                f"The log {path} cannot be opened for writing ({error}): is it there, and writable?"
            )
        case sqlite3.SQLITE_IOERR:
            return f"The log {path} cannot be read or written ({error}): check disk and limits."
        case _:
            return f"The log {path} cannot be used: {error}."
