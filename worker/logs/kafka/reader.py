"""Reading outside any group: single records, and the offsets of partitions."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Final, ParamSpec, TypeVar

from worker.engine.records import Record
from worker.errors import LogError
from worker.logs.kafka.client import ClusterPartition, Consumer
from worker.logs.kafka.client_errors import ClientError, UnreadableBatch
from worker.logs.kafka.cluster import Cluster, client_id

P = ParamSpec("P")
T = TypeVar("T")

_SLICE_MS: Final = 5
"""Short, since a poll uses all of it where it meets only offsets that hold no record."""
_ANSWER_MS: Final = 10_000
_FETCH_WAIT_MS: Final = 5
"""The records read exist; a fetch of later ones must not delay the next question."""


class Reader:
    """A consumer outside any group. Connects when first used."""

    def __init__(self, cluster: Cluster, written: dict[ClusterPartition, int]) -> None:
        self._written = written
        """Per partition the offset after the last record that this process committed, unless
        an open transaction of another producer hides it."""
        self._cluster = cluster
        self._connected: Consumer | None = None
        self._at: tuple[ClusterPartition, int] | None = None
        """The partition being read, and the position: reading on needs no new fetch."""
        self._last: dict[ClusterPartition, tuple[int, Record | None]] = {}
        """Per partition its end when it was last asked, and the last record before that."""

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has; 0 if it is missing or may not be read."""
        return self._ask(self._consumer.partition_count, topic)

    def extents(self, partitions: Sequence[ClusterPartition]) -> list[tuple[int, int]]:
        """Return (oldest stored, appended next) offset of each partition."""
        first = self._first(partitions)
        following = self._ask(self._consumer.end_offsets, partitions, _ANSWER_MS)
        return [(first[at], following[at]) for at in partitions]

    def hidden(self, partitions: Sequence[ClusterPartition]) -> list[int]:
        """Return how many offsets at the end of each partition open transactions hide."""
        following = self._ask(self._consumer.end_offsets, partitions, _ANSWER_MS)
        readable = self._ask(self._consumer.stable_offsets, partitions, _ANSWER_MS)
        return [max(0, following[at] - readable[at]) for at in partitions]

    def last_records(self, partitions: Sequence[ClusterPartition]) -> list[Record | None]:
        """Return the newest record of each partition that can be read; None where none can."""
        first, end = self._first(partitions), self._readable(partitions)
        return [self._last_record(at, first[at], end[at]) for at in partitions]

    def _first(self, partitions: Sequence[ClusterPartition]) -> Mapping[ClusterPartition, int]:
        return self._ask(self._consumer.beginning_offsets, partitions, _ANSWER_MS)

    def _readable(
        self, partitions: Sequence[ClusterPartition], deadline: float | None = None
    ) -> Mapping[ClusterPartition, int]:
        """Return the offset before which each partition can be read.

        Waits until the brokers show what this process has committed, but not again for what an
        open transaction of another producer hides.
        """
        deadline = deadline or monotonic() + _ANSWER_MS / 1000
        while True:
            found = self._ask(self._consumer.stable_offsets, partitions, _ANSWER_MS)
            lacking = [at for at in partitions if found[at] < self._written.get(at, 0)]
            if not lacking:
                return found
            if monotonic() > deadline:
                for at in lacking:
                    del self._written[at]
            sleep(_FETCH_WAIT_MS / 1000)

    def _last_record(self, at: ClusterPartition, first: int, end: int) -> Record | None:
        known_end, record = self._last.get(at, (0, None))
        if end < known_end:  # another topic of the same name
            known_end, record = 0, None
        if end > known_end:
            record = self._last_between(at, max(first, known_end), end) or record
            self._last[at] = end, record
        return record if record and record.offset >= first else None

    def _last_between(self, at: ClusterPartition, first: int, end: int) -> Record | None:
        """Look back from the end, ever further.

        Offsets may hold no record: those of transaction markers and of aborted transactions.
        """
        start, step = end, 2
        while start > first:
            start = max(first, end - step)
            if records := self.read(at, start, end - start):
                return records[-1]
            step *= 4
        return None

    def read(self, partition: ClusterPartition, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`."""
        if self._at != (partition, offset):
            self._consumer.assign([partition])
            self._at = None
        end = self._readable([partition])[partition]
        position = max(self._first([partition])[partition], offset)
        if self._at is None or position != offset:
            self._consumer.seek(partition, position)
        found: list[Record] = []
        deadline = monotonic() + _ANSWER_MS / 1000
        while position < end and len(found) < limit:
            polled = self._ask(self._consumer.poll, _SLICE_MS, limit - len(found))
            found += polled.get(partition, ())
            before, position = position, self._consumer.position(partition)
            if position > before:
                deadline = monotonic() + _ANSWER_MS / 1000
            elif monotonic() > deadline:
                raise LogError(
                    f"{partition.topic}/{partition.partition} cannot be read at offset {position}."
                )
        self._at = (partition, position)
        return found

    def await_written(self) -> None:
        """Wait until every reader can read what this process has committed.

        It asks for offsets, which also a user who may only write may know. Waits no longer than
        ten seconds for what an open transaction of another producer hides: that is committed too,
        and read once the other has ended.
        """
        deadline = monotonic() + _ANSWER_MS / 1000
        for at in list(self._written):
            # One at a time: the client raises KeyError where it does not know all topics yet.
            self._readable([at], deadline)

    def close(self) -> None:
        """Close the connections."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    @property
    def _consumer(self) -> Consumer:
        if self._connected is None:
            self._connected = self._cluster.consumer(
                client_id=client_id(), fetch_max_wait_ms=_FETCH_WAIT_MS
            )
        return self._connected

    def _ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return question(*args, **kwargs)
        except UnreadableBatch as error:
            raise LogError(str(error)) from error
        except ClientError as error:
            raise LogError(f"The log cannot be read: {error}") from error
