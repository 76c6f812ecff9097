"""The embedded log: one SQLite file, appended to and worked on by many processes at once."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from worker.engine.cutting import RECORD_BYTES
from worker.engine.records import NewRecord, Record, TopicPartition
from worker.errors import ConfigError, LogError
from worker.logs.sqlite.erase import erase
from worker.logs.sqlite.file import Connection, add_topics, create
from worker.logs.sqlite.holds import Holds
from worker.logs.sqlite.prune import prune
from worker.logs.sqlite.records import append, last, load_topics, partition_in, read, topic_of
from worker.logs.sqlite.session import SqliteSession
from worker.logs.topics import WALLET_TOPICS, Cleanup
from worker.private_files import refused, wider

DEFAULT_PARTITIONS = 4


def wall_clock() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class SqliteLog:
    """A log in one file. Appends are synced to the disk before they return."""

    def __init__(
        self,
        path: Path,
        topics: Mapping[str, Cleanup] = WALLET_TOPICS,
        *,
        partitions: int | None = None,
        clock: Callable[[], int] = wall_clock,
        busy_timeout: float = 30,
    ) -> None:
        """Open the file, or create it, with `partitions` per topic (4 if None).

        Raises:
            ConfigError: the path is no place for a log, others can reach the file, or its partition
                count is another one.
            LogError: the file cannot be used.
        """
        self._path = Path(os.path.realpath(path))
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._open_file(topics, partitions or DEFAULT_PARTITIONS)
        beside = [Path(f"{self._path}{suffix}") for suffix in ("-wal", "-shm")]
        open_to_others = wider([self._path, *beside, self._locks])
        self._connection = Connection(self._path, busy_timeout, "FULL")
        try:
            if open_to_others:
                raise refused("log.url", open_to_others)
            self._load_topics(topics, partitions)
        except BaseException:
            self._connection.close()
            raise

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has, fixed for its life."""
        return topic_of(self._topics, topic).partitions

    def record_limit(self, topic: str) -> int:
        """Return the limit of all topics; it is not enforced."""
        topic_of(self._topics, topic)
        return RECORD_BYTES

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all records in one synced transaction; see the port."""
        with self._connection.writing() as db:
            append(db, self._topics, records, self._clock())

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`."""
        at = partition_in(self._topics, topic, partition)
        with self._connection.reading() as db:
            return read(db, at, offset, limit)

    def offsets(self, topic: str) -> list[tuple[int, int]]:
        """Return per partition (the oldest stored offset, the offset that is appended next)."""
        id_ = topic_of(self._topics, topic).id
        with self._connection.reading() as db:
            rows = db.execute(
                "SELECT first, next FROM partitions WHERE topic = ? ORDER BY partition", (id_,)
            )
            return [(first, end) for first, end in rows]

    def hidden(self, topic: str) -> list[int]:
        """Return 0 per partition: no transaction stays open."""
        return [0] * self.partitions(topic)

    def last_records(self, topic: str) -> list[Record | None]:
        """Return the newest stored record of each partition; None where nothing is stored."""
        found = topic_of(self._topics, topic)
        with self._connection.reading() as db:
            return [last(db, (found.id, number)) for number in range(found.partitions)]

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> SqliteSession:
        """Take the tasks, or all, by locks in the folder `<file>.lock`; see the port."""
        if tasks is None:
            tasks = range(self.partitions(inputs[0]))
        for topic in inputs:
            for task in tasks:
                partition_in(self._topics, topic, task)
        holds = Holds(self._locks, stage, tasks)
        try:
            connection = Connection(self._path, self._busy_timeout, "NORMAL")
        except BaseException:
            holds.release()
            raise
        return SqliteSession(connection, holds, self._topics, self._clock, inputs)

    def prune(self, retention: Mapping[str, int], readers: Mapping[str, Collection[str]]) -> int:
        """Drop what is older than its retention and passed by all its readers; see the port."""
        now = self._clock()
        return sum(
            prune(
                self._connection,
                topic_of(self._topics, topic),
                now - milliseconds,
                readers.get(topic, ()),
            )
            for topic, milliseconds in retention.items()
        )

    def erase(
        self,
        chosen: Callable[[TopicPartition, Record], bool],
        readers: Mapping[str, Collection[str]],
    ) -> int:
        """Delete the chosen records that all readers have passed, and write the file anew."""
        erased = sum(
            erase(self._connection, name, topic, chosen, readers.get(name, ()))
            for name, topic in self._topics.items()
        )
        self._connection.rewrite()
        return erased

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._connection.close()

    @property
    def _locks(self) -> Path:
        return self._path.with_name(f"{self._path.name}.lock")

    def _open_file(self, topics: Mapping[str, Cleanup], partitions: int) -> None:
        path = self._path
        if not path.parent.is_dir():
            raise ConfigError(f"log.url: there is no folder {path.parent}.")
        if path.is_dir():
            raise ConfigError(f"log.url: {path} is a folder, not a file.")
        _check_writable(path.parent)
        if not path.exists():
            create(path, topics, partitions)
        _check_writable(path)
        if path.stat().st_size == 0:
            raise LogError(f"The log {path} is empty, which not even a new one is: remove it.")

    def _load_topics(self, topics: Mapping[str, Cleanup], partitions: int | None) -> None:
        with self._connection.reading() as db:
            self._topics = load_topics(db)
            stored = int(max(topic.partitions for topic in self._topics.values()))
        if partitions not in (None, stored):
            raise ConfigError(
                f"log.partitions: {self._path} was made with {stored} partitions per topic, "
                f"not {partitions}; that is fixed for the life of the file."
            )
        if topics.keys() <= self._topics.keys():
            return
        with self._connection.writing() as db:
            known = load_topics(db)
            new = {name: how for name, how in topics.items() if name not in known}
            add_topics(db, new, stored)
            self._topics = load_topics(db)


def _check_writable(place: Path) -> None:
    effective = os.access in os.supports_effective_ids
    if not os.access(place, os.W_OK, effective_ids=effective):
        raise ConfigError(f"log.url: no permission to write to {place}.")
