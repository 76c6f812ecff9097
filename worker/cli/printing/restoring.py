"""Prints the progress of a restore, which a worker ends before it goes on."""

from collections.abc import Callable, Collection
from time import monotonic
from typing import Final

from worker.cli.printing.output import say
from worker.engine.observer import Observer
from worker.engine.task import Task

_SILENT_SECONDS: Final = 2.0
"""A line is printed after that long without one, so that the worker does not seem dead."""


class Restoring(Observer):
    """Prints how far the restore of a stage's tasks is, and its duration; nothing of empty ones."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._tasks = self._left = self._keys = 0
        self._began = self._said = 0.0

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Begin to count."""
        self._tasks = self._left = len(set(tasks) - set(kept))
        self._keys = 0
        self._began = self._said = self._clock()

    def restored(self, stage: str, task: Task) -> None:
        """Print what is done."""
        self._left -= 1
        self._keys += task.keys
        now = self._clock()
        if not self._left:
            if self._keys:
                tasks = f"{self._tasks} task{'s' * (self._tasks > 1)} of {stage}"
                say(f"Restored {tasks}: {self._keys:,} keys in {now - self._began:.1f} s.")
        elif now - self._said >= _SILENT_SECONDS:
            self._said = now
            done = self._tasks - self._left
            say(f"Restoring {stage}: {done} of {self._tasks} tasks, {self._keys:,} keys so far.")
