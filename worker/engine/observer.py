"""What workers report to observers: their tasks, their phase, what they committed. Pure.

Nothing here changes what comes out. Calls come from the thread that works, a few per unit of work
and none per event; what they do is waited for.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.engine.holds import Hold
from worker.engine.outcomes import Counts
from worker.engine.records import StateChange, TopicPartition
from worker.engine.reorder import Entry
from worker.engine.task import Task


@dataclass(slots=True)
class Work:
    """One unit of work of a stage, at its end."""

    stage: str
    now: int
    """When it began: wall time, milliseconds."""
    tasks: Collection[Task]
    """Those that the worker holds."""
    at_end: Collection[TopicPartition]
    """Inputs that had been read to their end when it began to work."""
    held: Mapping[TopicPartition, Hold] = field(default_factory=dict)
    """Inputs that an open transaction of another producer holds."""
    committed: bool = False
    """Whether there was anything to commit; if not, the other fields mean nothing."""
    read: Counter[str] = field(default_factory=Counter)
    """Records per topic that no unit has read before."""
    released: list[list[Entry]] = field(default_factory=list)
    """Per task the events that were judged, in their order."""
    counts: Counts = field(default_factory=Counts)
    """What happened."""
    states: list[StateChange] = field(default_factory=list)


class Observer:
    """Ignores all reports; subclasses override those they need."""

    def begins(self, phase: str) -> None:
        """A phase of a unit of work begins."""

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """A worker has these tasks now; it restores those that are not among `kept` next."""

    def restoring(self, stage: str, task: int) -> None:
        """The restore of a task begins, which may take minutes."""

    def restored(self, stage: str, task: Task) -> None:
        """A task is restored."""

    def noticed(self, text: str) -> None:
        """Others have changed the log, and the worker goes on; the text says what in a sentence."""

    def worked(self, work: Work) -> None:
        """A unit of work has ended; if it committed anything, all of that is durable.

        Raises:
            LogError: the log did not answer the observer.
        """


class Observers(Observer):
    """Reports to several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def begins(self, phase: str) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.begins(phase)

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.moved(stage, tasks, kept)

    def restoring(self, stage: str, task: int) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.restoring(stage, task)

    def restored(self, stage: str, task: Task) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.restored(stage, task)

    def noticed(self, text: str) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.noticed(text)

    def worked(self, work: Work) -> None:
        """Report to each."""
        for observer in self._observers:
            observer.worked(work)


UNOBSERVED: Final = Observer()
"""The observer of workers that are not observed."""
