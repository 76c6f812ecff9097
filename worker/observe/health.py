"""Whether the process is alive and whether it is ready, for those who restart and route.

Alive is judged by promises: with each sign of life the worker promises when the next is due.
So a long restore is life, and a loop that hangs is not, whatever the brokers do.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic
from typing import Final

from worker.engine.holds import Hold
from worker.engine.loop import COMMITTING, READING
from worker.engine.observer import Observer, Work
from worker.engine.records import TopicPartition
from worker.engine.task import Task
from worker.observe.holding import describe

ANSWER_SECONDS: Final = 5.0
"""How long the log may take to answer before the worker is not ready; a poll waits far less."""
_MEASURING: Final = "measuring its lag"
_ASKS_LOG: Final = (READING, COMMITTING, _MEASURING)
RESTORE_SECONDS: Final = 600.0
"""How long opening the log, or restoring one task, may take; on Kafka a longer one is ended."""


class Health(Observer):
    """Observes the workers of some stages, and answers from another thread.

    Args:
        patience: seconds within which a loop that is at work gives a sign of life.
        hold_limit: milliseconds for which an open transaction may hold an input.
        log: where it is, for sentences.
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        stages: Sequence[str],
        patience: float,
        hold_limit: int,
        log: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._patience = patience
        self._hold_limit = hold_limit
        self._log = log
        self._clock = clock
        self._heard = clock()
        self._deadline = self._heard + RESTORE_SECONDS
        self._tasks: dict[str, int] = dict.fromkeys(stages, 0)
        self._unrestored: dict[str, frozenset[int]] = {}
        self._held: dict[str, tuple[Mapping[TopicPartition, Hold], int]] = {}
        """Per stage the inputs that are held, and when (wall time)."""
        self._phase = ""

    def begins(self, phase: str) -> None:
        """Take it as a sign of life."""
        self._hear(self._patience, phase)

    def moved(self, stage: str, tasks: Collection[int], kept: Collection[int]) -> None:
        """Be unready until the new tasks are restored."""
        self._unrestored[stage] = frozenset(tasks).difference(kept)
        self._tasks[stage] = len(tasks)
        self._hear(RESTORE_SECONDS)

    def restoring(self, stage: str, task: int) -> None:
        """Have patience."""
        self._hear(RESTORE_SECONDS)

    def restored(self, stage: str, task: Task) -> None:
        """Wait for one task less."""
        self._unrestored[stage] -= {task.number}
        self._hear(RESTORE_SECONDS if self._unrestored[stage] else self._patience)

    def worked(self, work: Work) -> None:
        """Keep what is held. Observers that are next may ask the log."""
        self._held[work.stage] = work.held, work.now
        self._hear(self._patience, _MEASURING)

    def _hear(self, patience: float, phase: str = "") -> None:
        self._phase = phase
        self._heard = self._clock()
        self._deadline = self._heard + patience

    def ailment(self) -> str | None:
        """Return why the process should be restarted; None if it should not."""
        now = self._clock()
        if now < self._deadline:
            return None
        return f"The worker has given no sign of life for {now - self._heard:.0f} s."

    def unreadiness(self) -> str | None:
        """Return what is missing until the process judges all there is; None if nothing is."""
        for stage, tasks in self._tasks.items():
            if not tasks:
                return f"Stage {stage} has no tasks."
            if missing := self._unrestored[stage]:
                numbers = ", ".join(map(str, sorted(missing)))
                return f"Stage {stage} has not restored all its tasks: {numbers} to go."
        silent = self._clock() - self._heard
        if self._phase in _ASKS_LOG and silent > ANSWER_SECONDS:
            return (
                f"The log {self._log} has not answered for {silent:.0f} s: the worker waits in "
                f"{self._phase}. Look at its brokers (walletwatch doctor), or at who locks its "
                "file."
            )
        for held, now in list(self._held.values()):
            if sentence := describe(held, now, self._hold_limit):
                return sentence
        return None
