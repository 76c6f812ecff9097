"""The port between tasks and the world: partitioned records in, one atomic commit out.

A log holds topics of numbered partitions. Producers append; a worker opens a *session* on the
tasks of one stage: task i owns partition i of every input of the stage. A unit of work is
one poll followed by one commit. A session that raised is dead: close it and open a new one
(crash-only); nothing of an uncommitted unit of work is ever visible.

Offsets of a partition rise by append order but need not be dense (pruning, transaction markers).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from worker.engine.records import Batch, Commit, NewRecord, Record, Snapshot, TopicPartition


class TasksMoved(Exception):
    """The log has given tasks to this worker, or taken some: the session goes on with others.

    Nothing was read. Drop every task that is not among `kept`, restore those of `tasks` that are
    not either, then poll on.
    """

    def __init__(self, tasks: Collection[int], kept: Collection[int]) -> None:
        super().__init__(f"tasks {sorted(tasks)}, of which {sorted(kept)} are kept")
        self.tasks = tuple(sorted(tasks))
        """Those the session holds now."""
        self.kept = frozenset(kept)
        """Those for which no other session has committed: their restored state is current."""


class Session(Protocol):
    """One worker's hold on some tasks of one stage. Not safe to share between threads."""

    @property
    def tasks(self) -> Sequence[int]:
        """The tasks held."""

    def restore(self, task: int) -> Snapshot:
        """Return what was committed for the task and set its read positions to it.

        Called once per task before the first poll. Positions of inputs that were never committed
        are the oldest record still stored.

        Raises:
            TasksMoved: only where the session was opened for whatever tasks it gets.
        """

    def poll(self, limit: int, paused: Collection[TopicPartition] = (), wait: float = 0) -> Batch:
        """Return up to `limit` records of the inputs, moving the read positions past them.

        Partitions with records share the limit evenly; paused ones return none (but may be
        `at_end`). Fewer are returned, at least one, where they are so large that a unit of work
        would not fit into memory. Waits up to `wait` seconds when there is nothing to return.

        Records of a transaction that is open have offsets, and hide themselves and all that follow
        until it ends: such a partition is `held`, not at its end.

        Raises:
            TasksMoved: only where the session was opened for whatever tasks it gets.
            LogError: the log cannot be read.
        """

    def commit(self, unit: Commit) -> None:
        """Make outputs, states, offsets and metas durable, atomically.

        Raises:
            LogInDoubt: another owner has committed for one of the tasks since the restore.
            LogError: nothing was committed.
        """

    def close(self) -> None:
        """Release the tasks. Uncommitted work is forgotten. May be called twice."""


class Log(Protocol):
    """Topics, producers' appends, sessions, and reads outside any session."""

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has, fixed for its life."""

    def record_limit(self, topic: str) -> int:
        """Return how many bytes one record of the topic may take, its frame included.

        Raises:
            LogError: the log did not answer, or has no such topic.
        """

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all records atomically, in order, stamped with the append time.

        Raises:
            LogError: none was appended.
        """

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`.

        Ends before what an open transaction hides, without waiting for it.
        """

    def offsets(self, topic: str) -> list[tuple[int, int]]:
        """Return per partition (the oldest stored offset, the offset that is appended next)."""

    def hidden(self, topic: str) -> list[int]:
        """Return per partition how many offsets at its end open transactions hide."""

    def last_records(self, topic: str) -> list[Record | None]:
        """Return the newest record of each partition that can be read; None where none can."""

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> Session:
        """Take the tasks of a stage that reads `inputs`.

        None: all, or as many as there are for this worker where a stage has several; then the
        session may raise TasksMoved.

        Raises:
            TaskTaken: a living worker has one of them; names it, and its process id if known.
        """

    def prune(self, retention: Mapping[str, int], readers: Mapping[str, Collection[str]]) -> int:
        """Drop records older than the topic's retention (milliseconds) and return how many.

        A record of a topic is kept, however old, until every stage in `readers[topic]` has
        committed an offset above it. Of a compacted topic the newest record per key stays too,
        unless it is a tombstone. Where the store does this by itself, nothing is dropped here.
        """

    def erase(
        self,
        chosen: Callable[[TopicPartition, Record], bool],
        readers: Mapping[str, Collection[str]],
    ) -> int:
        """Remove the chosen records at once, without a trace in files, and return how many.

        A record stays, as in `prune`, until every stage in `readers[topic]` has committed an
        offset above it, and where it is the newest of its key on a compacted topic. The others
        keep their offsets. No bytes stay of what has been removed or replaced before, either.
        Where the store removes records by retention alone, nothing is removed here.

        Args:
            chosen: whether the record there is to go.

        Raises:
            LogError: the log cannot be written; some may be removed, and calling again goes on.
        """

    def close(self) -> None:
        """Release files and connections. May be called twice."""


def following(log: Log, at: TopicPartition, offset: int, chunk: int = 1000) -> Iterator[Record]:
    """Yield every stored record of a partition at or after an offset, in offset order."""
    end = log.offsets(at.topic)[at.partition][1]
    while offset < end:
        records = log.read(at.topic, at.partition, offset, chunk)
        if not records:
            break
        yield from records
        offset = records[-1].offset + 1


def stored(log: Log, topic: str, chunk: int = 1000) -> Iterator[tuple[TopicPartition, Record]]:
    """Yield every stored record of a topic, partition by partition, in offset order."""
    for partition in range(log.partitions(topic)):
        at = TopicPartition(topic, partition)
        for record in following(log, at, 0, chunk):
            yield at, record
