"""A worker's session on a SQLite log."""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from worker.engine.records import Batch, Commit, Record, Snapshot, TopicPartition
from worker.errors import LogInDoubt
from worker.logs.reading import RECHECK_SECONDS, UNIT_BYTES, Extent, Reading, size
from worker.logs.sqlite.file import Connection, damaged
from worker.logs.sqlite.holds import Holds
from worker.logs.sqlite.records import Topics, append, read

_STATES_AT_ONCE = 10_000


class SqliteSession:
    """One hold on some tasks of one stage, with a connection of its own.

    The connection commits with synchronous=NORMAL, without waiting for the disk. The write-ahead
    log is a prefix log: a power failure can only lose the newest commits, each as a whole, and
    the producers synced their inputs before these could be read; so the worker computes the same
    again. A later synced append makes all commits before it durable too.
    """

    def __init__(
        self,
        connection: Connection,
        holds: Holds,
        topics: Topics,
        clock: Callable[[], int],
        inputs: Sequence[str],
    ) -> None:
        """Take over connection and holds; `close` releases both."""
        self._connection = connection
        self._holds = holds
        self._topics = topics
        self._clock = clock
        self._stage = holds.stage
        self._names = {topics[name].id: name for name in inputs}
        self._ids: dict[int, int] = {}
        self._reading = Reading()

    @property
    def tasks(self) -> Sequence[int]:
        """The tasks held."""
        return self._holds.tasks

    def restore(self, task: int) -> Snapshot:
        """Return what was committed for the task and set its read positions to it."""
        with self._reading.unit(), self._connection.writing() as db:
            address = (self._stage, task)
            db.execute("INSERT OR IGNORE INTO tasks (stage, task) VALUES (?, ?)", address)
            id_, sequence, meta = db.execute(
                "SELECT id, sequence, meta FROM tasks WHERE stage = ? AND task = ?", address
            ).fetchone()
            committed = dict(
                db.execute("SELECT topic, offset FROM offsets WHERE task = ?", (id_,)).fetchall()
            )
            for at, extent in self._extents(db).items():
                if at.partition == task:
                    topic = self._topics[at.topic].id
                    self._reading.positions[at] = committed.get(topic, extent.first)
        self._ids[task] = id_
        self._reading.sequences[task] = sequence
        return Snapshot(meta, self._states(id_))

    def poll(self, limit: int, paused: Collection[TopicPartition] = (), wait: float = 0) -> Batch:
        """Return up to `limit` records, shared evenly; see the port."""
        deadline = time.monotonic() + wait
        with self._reading.unit():
            while True:
                version = self._connection.data_version()
                batch = self._poll_once(limit, paused)
                if batch.records or not self._changed(version, deadline):
                    return batch

    def commit(self, unit: Commit) -> None:
        """Make the unit durable in one transaction; see the port."""
        with self._reading.unit():
            touched = self._reading.touched(unit)
            with self._connection.writing() as db:
                self._check_sequences(db)
                append(db, self._topics, unit.outputs, self._clock())
                self._write_tasks(db, unit, touched)
                self._write_states(db, unit)
            for task in touched:
                self._reading.sequences[task] += 1

    def close(self) -> None:
        """Release the tasks. May be called twice."""
        self._reading.end()
        self._connection.close()
        self._holds.release()

    def _states(self, id_: int) -> Iterator[tuple[bytes, bytes]]:
        # In chunks: no read transaction stays open while the caller works.
        after = None
        rows = [(b"", b"")] * _STATES_AT_ONCE
        while len(rows) == _STATES_AT_ONCE:
            with self._connection.reading() as db:
                rows = db.execute(
                    "SELECT key, value FROM states WHERE task = ? AND (? IS NULL OR key > ?)"
                    " ORDER BY key LIMIT ?",
                    (id_, after, after, _STATES_AT_ONCE),
                ).fetchall()
            yield from rows
            after = rows[-1][0] if rows else None

    def _extents(self, db: sqlite3.Connection) -> dict[TopicPartition, Extent]:
        rows = db.execute("SELECT topic, partition, first, next FROM partitions").fetchall()
        return {
            TopicPartition(self._names[topic], partition): Extent(first, end)
            for topic, partition, first, end in rows
            if topic in self._names
        }

    def _poll_once(self, limit: int, paused: Collection[TopicPartition]) -> Batch:
        batch = Batch()
        with self._connection.reading() as db:
            extents = self._extents(db)
            shares = self._reading.shares(extents, limit, paused)
            for at, share in shares.items():
                records, cut = self._read(db, at, extents[at], share, UNIT_BYTES // len(shares))
                self._reading.move(at, records, len(records) if cut else share, extents[at])
                if records:
                    batch.records[at] = records
            batch.at_end = self._reading.at_end(extents)
        return batch

    def _read(
        self, db: sqlite3.Connection, at: TopicPartition, extent: Extent, share: int, most: int
    ) -> tuple[list[Record], bool]:
        """Return the records of a share, and whether there are more than `most` bytes of them."""
        topic = self._topics[at.topic]
        start = max(self._reading.positions[at], extent.first)
        records = read(db, (topic.id, at.partition), start, share, most)
        if len(records) < share and records:
            following = read(db, (topic.id, at.partition), records[-1].offset + 1, 1)
            if following and sum(map(size, [*records, *following])) > most:
                return records, True
        # Only compaction leaves gaps: another one is a lost page, which SQLite may not notice.
        whole = len(records) == share and records[-1].offset == start + share - 1
        if not whole and not topic.compacted:
            raise damaged(self._connection.path, f"records of {at.topic}/{at.partition} missing")
        return records, False

    def _changed(self, version: int, deadline: float) -> bool:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(RECHECK_SECONDS, left))
            if self._connection.data_version() != version:
                return True
        return False

    def _check_sequences(self, db: sqlite3.Connection) -> None:
        stored = dict(
            db.execute("SELECT task, sequence FROM tasks WHERE stage = ?", (self._stage,))
        )
        for task, sequence in self._reading.sequences.items():
            if stored.get(task) != sequence:
                raise LogInDoubt(
                    f"Another worker has committed for task {task} of stage {self._stage}: "
                    "nothing of this unit of work was committed."
                )

    def _write_tasks(self, db: sqlite3.Connection, unit: Commit, touched: set[int]) -> None:
        db.executemany(
            "UPDATE tasks SET sequence = sequence + 1, meta = ifnull(?, meta) WHERE id = ?",
            [(unit.metas.get(task), self._ids[task]) for task in touched],
        )
        db.executemany(
            "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)",
            [
                (self._ids[at.partition], self._topics[at.topic].id, offset)
                for at, offset in unit.offsets.items()
            ],
        )

    def _write_states(self, db: sqlite3.Connection, unit: Commit) -> None:
        newest = {(self._ids[task], key): value for task, key, value in unit.states}
        db.executemany(
            "INSERT INTO states VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(*address, value) for address, value in newest.items() if value],
        )
        db.executemany(
            "DELETE FROM states WHERE task = ? AND key = ?",
            [address for address, value in newest.items() if not value],
        )
