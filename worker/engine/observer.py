"""What workers tell whoever watches them: what they hold, what they do, what they committed. Pure.

Nothing here changes what comes out. Calls come from the thread that works, a few per unit of work
and none per event; what they do is waited for.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

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
    committed: bool = False
    """Whether there was anything to commit; if not, the rest says nothing."""
    read: Counter[str] = field(default_factory=Counter)
    """Records per topic that no unit has read before."""
    released: list[list[Entry]] = field(default_factory=list)
    """Per task the events that were judged, in their order."""
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What happened, by reason."""
    states: list[StateChange] = field(default_factory=list)


class Observer:
    """Is told everything and does nothing; others override what they want to know."""

    def begins(self, phase: str) -> None:
        """Hear which phase of a unit of work begins."""

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Hear which tasks a worker has now; those that it has not kept it restores next."""

    def restoring(self, stage: str, task: int) -> None:
        """Hear that a task is about to be restored, which may take minutes."""

    def restored(self, stage: str, task: Task) -> None:
        """Hear that a task is restored."""

    def worked(self, work: Work) -> None:
        """Hear what a unit of work was, once all of it is committed.

        Raises:
            LogError: it has asked the log something, in vain.
        """


class Observers(Observer):
    """Several observers that are told the same."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def begins(self, phase: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.begins(phase)

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.moved(stage, tasks, kept)

    def restoring(self, stage: str, task: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.restoring(stage, task)

    def restored(self, stage: str, task: Task) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.restored(stage, task)

    def worked(self, work: Work) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.worked(work)


UNOBSERVED: Final = Observer()
"""Nobody looks."""
