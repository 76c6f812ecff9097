"""A log in the memory of one process: for tests and for replay. Not safe across threads."""

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from worker.engine.cutting import RECORD_BYTES
from worker.engine.murmur2 import partition_of
from worker.engine.records import Batch, Commit, NewRecord, Record, Snapshot, TopicPartition
from worker.errors import LogError, LogInDoubt, TaskTaken
from worker.logs.reading import RECHECK_SECONDS, UNIT_BYTES, Extent, Reading, within
from worker.logs.topics import WALLET_TOPICS, Cleanup

_OFFSET = attrgetter("offset")


@dataclass(slots=True)
class _Partition:
    records: list[Record] = field(default_factory=list)
    next: int = 0
    newest: int | None = None

    @property
    def extent(self) -> Extent:
        return Extent(self.records[0].offset if self.records else self.next, self.next)

    def read(self, offset: int, limit: int) -> list[Record]:
        start = bisect_left(self.records, offset, key=_OFFSET)
        return self.records[start : start + limit]

    def keep_from(self, bound: int, compacted: bool) -> int:
        """Drop records below the offset (if compacted: superseded ones); return how many."""
        cut = bisect_left(self.records, bound, key=_OFFSET)
        old, kept = self.records[:cut], self.records[cut:]
        if compacted:
            newest = {record.key: record for record in self.records}
            kept[:0] = [r for r in old if newest[r.key] is r and r.value is not None]
        dropped = len(self.records) - len(kept)
        self.records = kept
        return dropped

    def erase(self, bound: int, compacted: bool, chosen: Callable[[Record], bool]) -> int:
        """Drop the chosen records below the offset (if compacted: not the newest of a key)."""
        newest = {record.key: record for record in self.records} if compacted else {}
        before = len(self.records)
        self.records = [
            record
            for record in self.records
            if record.offset >= bound or newest.get(record.key) is record or not chosen(record)
        ]
        return before - len(self.records)


@dataclass(slots=True)
class _Task:
    sequence: int = 0
    meta: bytes | None = None
    states: dict[bytes, bytes] = field(default_factory=dict)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


class MemoryLog:
    """Topics, committed state and holds; they outlive every session, and `close`."""

    def __init__(
        self,
        topics: Mapping[str, Cleanup] = WALLET_TOPICS,
        *,
        partitions: int = 4,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """Create empty topics; without a clock (milliseconds) records have no append time."""
        self._topics = {name: [_Partition() for _ in range(partitions)] for name in topics}
        self._compacted = {name for name, cleanup in topics.items() if cleanup == "compact"}
        self._clock = clock
        self._tasks: dict[tuple[str, int], _Task] = {}
        self._held: dict[tuple[str, int], MemorySession] = {}

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        return len(self._topic(topic))

    def record_limit(self, topic: str) -> int:
        """Return the limit of all topics; it is not enforced."""
        self._topic(topic)
        return RECORD_BYTES

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all records, in order, or (unknown topic or partition) none."""
        self._write(self._resolve(records))

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`."""
        return self._partition(topic, partition).read(offset, limit)

    def offsets(self, topic: str) -> list[tuple[int, int]]:
        """Return per partition (the oldest stored offset, the offset that is appended next)."""
        return [partition.extent for partition in self._topic(topic)]

    def hidden(self, topic: str) -> list[int]:
        """Return 0 per partition: no transaction stays open."""
        return [0] * self.partitions(topic)

    def last_records(self, topic: str) -> list[Record | None]:
        """Return the newest stored record of each partition; None where nothing is stored."""
        each = (partition.records for partition in self._topic(topic))
        return [records[-1] if records else None for records in each]

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> "MemorySession":
        """Take the tasks, or all; TaskTaken if an open session has one of them."""
        if tasks is None:
            tasks = range(self.partitions(inputs[0]))
        for topic in inputs:
            for task in tasks:
                self._partition(topic, task)
        for task in tasks:
            if (stage, task) in self._held:
                raise TaskTaken(
                    f"Task {task} of stage {stage} is already run by process {os.getpid()}."
                )
        session = MemorySession(self, stage, inputs, tasks)
        self._held.update(dict.fromkeys(((stage, task) for task in tasks), session))
        return session

    def prune(self, retention: Mapping[str, int], readers: Mapping[str, Collection[str]]) -> int:
        """Drop records older than their retention (no append time: always) that all have passed."""
        now = self._clock() if self._clock else 0
        dropped = 0
        for topic, milliseconds in retention.items():
            for number, partition in enumerate(self._topic(topic)):
                bound = partition.next
                for record in partition.records:
                    if record.append_time is not None and record.append_time >= now - milliseconds:
                        bound = record.offset
                        break
                passed = self._passed(TopicPartition(topic, number), readers.get(topic, ()))
                dropped += partition.keep_from(min(bound, *passed), topic in self._compacted)
        return dropped

    def erase(
        self,
        chosen: Callable[[TopicPartition, Record], bool],
        readers: Mapping[str, Collection[str]],
    ) -> int:
        """Drop the chosen records that all readers have passed; see the port."""
        return sum(
            partition.erase(
                min(self._passed(TopicPartition(topic, number), readers.get(topic, ()))),
                topic in self._compacted,
                partial(chosen, TopicPartition(topic, number)),
            )
            for topic, partitions in self._topics.items()
            for number, partition in enumerate(partitions)
        )

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _passed(self, at: TopicPartition, stages: Collection[str]) -> list[int]:
        tasks = (self._tasks.get((stage, at.partition)) for stage in stages)
        passed = [task.offsets.get(at, 0) if task else 0 for task in tasks]
        return passed or [self._topics[at.topic][at.partition].next]

    def _topic(self, topic: str) -> list[_Partition]:
        if topic not in self._topics:
            raise LogError(f"The log has no topic {topic}.")
        return self._topics[topic]

    def _partition(self, topic: str, partition: int) -> _Partition:
        found = self._topic(topic)
        if not 0 <= partition < len(found):
            raise LogError(
                f"Topic {topic} has no partition {partition}, only 0 to {len(found) - 1}."
            )
        return found[partition]

    def _resolve(self, records: Sequence[NewRecord]) -> list[tuple[_Partition, NewRecord]]:
        resolved = []
        topic, number, partition = "", -1, _Partition()
        for record in records:
            # Most records follow one of the same partition.
            if record.partition is None or record.partition != number or record.topic != topic:
                partition = self._partition_of(record)
                topic, number = record.topic, -1 if record.partition is None else record.partition
            resolved.append((partition, record))
        return resolved

    def _partition_of(self, record: NewRecord) -> _Partition:
        number = record.partition
        if number is None:
            if record.key is None:
                raise ValueError("a record without a key needs a partition")
            count = len(self._topic(record.topic))
            number = partition_of(record.key, count) if count > 1 else 0
        return self._partition(record.topic, number)

    def _write(self, resolved: list[tuple[_Partition, NewRecord]]) -> None:
        now = self._clock() if self._clock else None
        for partition, new in resolved:
            if now is not None and (partition.newest is None or partition.newest < now):
                partition.newest = now
            offset = partition.next
            partition.next = offset + 1
            partition.records.append(
                Record(offset, partition.newest, new.key, new.value, new.headers)
            )


class MemorySession:
    """One hold on some tasks of one stage of a MemoryLog."""

    def __init__(
        self, log: MemoryLog, stage: str, inputs: Sequence[str], tasks: Sequence[int]
    ) -> None:
        self._log = log
        self._stage = stage
        self._inputs = tuple(inputs)
        self._tasks = tuple(tasks)
        self._reading = Reading()

    @property
    def tasks(self) -> Sequence[int]:
        """The tasks held."""
        return self._tasks

    def restore(self, task: int) -> Snapshot:
        """Return what was committed for the task and set its read positions to it."""
        with self._reading.unit():
            saved = self._log._tasks.setdefault((self._stage, task), _Task())
            self._reading.sequences[task] = saved.sequence
            for topic in self._inputs:
                at = TopicPartition(topic, task)
                first = self._log._topics[topic][task].extent.first
                self._reading.positions[at] = saved.offsets.get(at, first)
            return Snapshot(saved.meta, list(saved.states.items()))

    def poll(self, limit: int, paused: Collection[TopicPartition] = (), wait: float = 0) -> Batch:
        """Return up to `limit` records, shared evenly; see the port."""
        deadline = time.monotonic() + wait
        with self._reading.unit():
            while True:
                batch = self._read(limit, paused)
                left = deadline - time.monotonic()
                if batch.records or left <= 0:
                    return batch
                time.sleep(min(RECHECK_SECONDS, left))

    def commit(self, unit: Commit) -> None:
        """Make the unit visible, all of it or nothing; see the port."""
        with self._reading.unit():
            touched = self._reading.touched(unit)
            tasks = {task: self._log._tasks[self._stage, task] for task in self._reading.sequences}
            if any(tasks[task].sequence != own for task, own in self._reading.sequences.items()):
                raise LogInDoubt(f"Another worker has committed for stage {self._stage}.")
            self._log._write(self._log._resolve(unit.outputs))
            for task in touched:
                tasks[task].sequence += 1
                self._reading.sequences[task] += 1
            for task, key, value in unit.states:
                if value:
                    tasks[task].states[key] = value
                else:
                    tasks[task].states.pop(key, None)
            for task, meta in unit.metas.items():
                tasks[task].meta = meta
            for at, offset in unit.offsets.items():
                tasks[at.partition].offsets[at] = offset

    def close(self) -> None:
        """Release the tasks. May be called twice."""
        self._reading.end()
        for task in self._tasks:
            if self._log._held.get((self._stage, task)) is self:
                del self._log._held[self._stage, task]

    def _read(self, limit: int, paused: Collection[TopicPartition]) -> Batch:
        reading, topics = self._reading, self._log._topics
        extents = {at: topics[at.topic][at.partition].extent for at in reading.positions}
        batch = Batch()
        shares = reading.shares(extents, limit, paused)
        for at, share in shares.items():
            stored = topics[at.topic][at.partition].read(reading.positions[at], share)
            records = within(stored, UNIT_BYTES // len(shares))
            cut = len(records) < len(stored)
            reading.move(at, records, len(records) if cut else share, extents[at])
            if records:
                batch.records[at] = records
        batch.at_end = reading.at_end(extents)
        return batch
