"""The parts that sessions share: read positions, fair polls, checked commits."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from worker.engine.records import Commit, Record, TopicPartition
from worker.errors import LogError

RECHECK_SECONDS = 0.025
"""How often a waiting poll checks whether something was appended."""


UNIT_BYTES = 64 * 1024 * 1024
"""About how much one poll returns at most, however many records are asked for."""


class Extent(NamedTuple):
    """The stored offsets of one partition: from `first` up to, not including, `next`."""

    first: int
    next: int


class Reading:
    """A session's restored tasks, the read position of each of their inputs, and its health."""

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.sequences: dict[int, int] = {}
        """Per restored task: the commit sequence found, or written since."""
        self._fairness = Fairness()
        self._dead = False

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Run one step of the session; after any error no later step is allowed."""
        if self._dead:
            raise LogError("This session of the log has failed or was closed: open a new one.")
        self._dead = True
        yield
        self._dead = False

    def end(self) -> None:
        """Allow no further step."""
        self._dead = True

    def shares(
        self,
        extents: Mapping[TopicPartition, Extent],
        limit: int,
        paused: Collection[TopicPartition],
    ) -> dict[TopicPartition, int]:
        """Return how many records to read of each partition that has some and is not paused."""
        available = {}
        for at, position in self.positions.items():
            count = extents[at].next - max(position, extents[at].first)
            if count > 0 and at not in paused:
                available[at] = count
        return self._fairness.shares(available, limit)

    def move(self, at: TopicPartition, records: list[Record], share: int, extent: Extent) -> None:
        """Set the position after the records; fewer than `share` are all there is."""
        self.positions[at] = records[-1].offset + 1 if len(records) == share else extent.next

    def at_end(self, extents: Mapping[TopicPartition, Extent]) -> set[TopicPartition]:
        """Return the partitions without a record after their position."""
        return {at for at, position in self.positions.items() if position >= extents[at].next}

    def touched(self, unit: Commit) -> set[int]:
        """Return the tasks the unit writes for.

        Raises:
            ValueError: one was not restored, or an offset is above the session's position.
        """
        for at, offset in unit.offsets.items():
            if offset > self.positions.get(at, -1):
                raise ValueError(f"{at.topic}/{at.partition}: committed offset above the position")
        tasks = {at.partition for at in unit.offsets} | {change.task for change in unit.states}
        tasks.update(unit.metas)
        if not tasks <= self.sequences.keys():
            raise ValueError("commit for a task that this session has not restored")
        return tasks


def size(record: Record) -> int:
    """Return how many bytes key and value of a record have."""
    return len(record.key or b"") + len(record.value or b"")


def within(records: list[Record], most: int) -> list[Record]:
    """Return the first records that have so many bytes together; at least one if there is one."""
    if sum(map(size, records)) <= most:
        return records
    total = 0
    for number, record in enumerate(records):
        total += size(record)
        if total > most:
            return records[: max(number, 1)]
    return records


class Fairness:
    """Shares a limit among partitions; where it is too small for all, they take turns."""

    def __init__(self) -> None:
        self._turn = 0

    def shares(
        self, available: Mapping[TopicPartition, int], limit: int
    ) -> dict[TopicPartition, int]:
        """Return how many records each partition gives, at most as many as it has."""
        if limit >= len(available):
            return even(available, limit)
        self._turn += limit
        turn = self._turn % len(available)
        ready = list(available)
        return dict.fromkeys((ready[turn:] + ready[:turn])[:limit], 1)


def even(available: Mapping[TopicPartition, int], limit: int) -> dict[TopicPartition, int]:
    """Share a limit evenly; the unused part of a share goes to the partitions with more."""
    # Smallest first.
    shares = {}
    waiting = len(available)
    for at in sorted(available, key=available.__getitem__):
        shares[at] = min(available[at], limit // waiting)
        limit -= shares[at]
        waiting -= 1
    return shares
