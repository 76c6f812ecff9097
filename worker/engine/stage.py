"""A stage as the engine runs it: its inputs, how a task is made of it, and its clock policy."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from worker.engine.log import Log
from worker.engine.outbox import Outbox
from worker.engine.records import Snapshot, TopicPartition
from worker.engine.task import Task


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker polls and when it acts by the clock; decides no output but idle advances.

    Times in milliseconds.
    """

    poll_records: int = 40_000
    """At most. Many, for who lags: an account is decoded and saved once for all of its own."""
    max_buffered: int = 1_000
    idle_advances: bool = True
    silence_limit: int = 60_000
    origin_timeout: int = 300_000
    progress_interval: int = 1_000


class ClockPolicy(Protocol):
    """What the wall clock does in one worker of a stage; all else follows from the log alone.

    Times are wall times in milliseconds.
    """

    def begin(self) -> None:
        """Begin a unit of work: what was asked of the log before may have changed."""

    def assign(self, tasks: Collection[int]) -> None:
        """Keep what is known of these tasks, forget the others."""

    def advance(self, task: Task, at_end: Collection[TopicPartition], now: int) -> bool:
        """Move inputs that are read to their end; return whether any moved."""

    def publish(self, task: Task, now: int, outbox: Outbox) -> None:
        """Add the records that depend on the clock to those of a unit of work."""

    def is_settled(self, task: Task) -> bool:
        """Return whether `publish` has nothing left to publish of the task."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its name, its inputs, how to make a task of it, and its clock policy."""

    name: str
    inputs: tuple[str, ...]
    make: Callable[[int, Snapshot], Task]
    clock_policy: Callable[[Log, Pace], ClockPolicy]
    check_reading: Callable[[], None] = lambda: None
    """Called when all records of a unit of work have been read; drops the unit by raising."""
