"""What passes through a log: records as bytes, batches of them, and units of work. Pure.

A log holds topics of numbered partitions. What the bytes of a record mean is the codec's business.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from msgspec import Struct

Headers = tuple[tuple[str, bytes], ...]
"""Names and values. What is no UTF-8 in a name is written as \\xff; a null value is empty."""
NoticeKind = Literal["offsets_set", "timestamps_by_producers"]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(Struct, frozen=True, gc=False):
    """One stored record, as bytes; what they mean is the codec's business."""

    offset: int
    append_time: int | None
    """Milliseconds since the epoch at which the log took it; None where there is none (replay)."""
    key: bytes | None
    value: bytes | None
    """None is a tombstone of a compacted topic."""
    headers: Headers = ()


class NewRecord(Struct, frozen=True, gc=False):
    """A record to append. Without a partition, murmur2 of the key chooses it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


class Notice(NamedTuple):
    """A change of the log by others, with which the session goes on."""

    kind: NoticeKind
    text: str
    """A sentence."""


@dataclass(slots=True)
class Batch:
    """What one poll returned."""

    records: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    """In offset order; only partitions with at least one record."""
    at_end: set[TopicPartition] = field(default_factory=set)
    """Assigned partitions of which nothing more was there when the poll returned."""
    held: dict[TopicPartition, range] = field(default_factory=dict)
    """Partitions read up to an open transaction of another producer: the offsets that it hides."""
    notices: list[Notice] = field(default_factory=list)
    """What others have changed since the poll before, each once."""


class StateChange(NamedTuple):
    """The new bytes of one key of one task's state; empty bytes remove the key."""

    task: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class Commit:
    """One unit of work: all of it becomes durable and visible at once, or none of it."""

    outputs: list[NewRecord] = field(default_factory=list)
    states: list[StateChange] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    """From where to read after a restart: per input, at most the session's position."""
    metas: dict[int, bytes] = field(default_factory=dict)
    """Per task: positions, frontiers and the like, opaque to the log."""
    erase: bool = False
    """Whether the log may keep no older bytes of these states longer than its cleanup takes."""


@dataclass(slots=True)
class Snapshot:
    """What was last committed for one task."""

    meta: bytes | None
    """None: the task has never committed."""
    states: Iterable[tuple[bytes, bytes]]
    """(key, value) of every key that was not removed; read once."""
    renewed: Collection[str] = ()
    """Inputs whose offsets begin anew: what was saved of their positions is not valid any more."""
