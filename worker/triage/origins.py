"""The clock policy of triage: an origin of signals that is silent for too long is passed over.

Each detect task is an origin, an input of its own within a source of signals. Its silence counts
once this triage task has read all signals there are: then it has sent nothing since its last one.
"""

from collections.abc import Collection

from worker.engine.event_time import Source
from worker.engine.outbox import Outbox
from worker.engine.records import TopicPartition
from worker.engine.task import Task


class OriginTimeouts:
    """The clock policy of one worker of triage.

    Args:
        timeout: milliseconds of wall time after which a silent origin is passed over.
    """

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout
        self._proofs: dict[tuple[int, int, int], tuple[int, int]] = {}
        """Per (task, source, origin): its proof, and since when (wall time) it has been that."""

    def begin(self) -> None:
        """Do nothing: the log is not asked."""

    def assign(self, tasks: Collection[int]) -> None:
        """Keep what is known of these tasks, forget the others."""
        self._proofs = {key: proof for key, proof in self._proofs.items() if key[0] in tasks}

    def advance(self, task: Task, at_end: Collection[TopicPartition], now: int) -> bool:
        """Advance silent origins to the furthest frontier; return whether any moved."""
        moved = False
        for source in task.sources:
            at = task.addresses[source.index]
            moved |= self._advance(task, source, at in at_end and not source.replaying, now)
        return moved

    def _advance(self, task: Task, source: Source, is_waiting: bool, now: int) -> bool:
        moved = False
        for origin, time in enumerate(source.inputs):
            key = task.number, source.index, origin
            proof, since = self._proofs.get(key, (None, now))
            if time.proof != proof:
                self._proofs[key] = (time.proof, now)
            elif is_waiting and now - since >= self._timeout:
                furthest = max(other.frontier for other in source.inputs)
                moved |= source.advance(origin, furthest, proves=False)
        return moved

    def publish(self, task: Task, now: int, outbox: Outbox) -> None:
        """Publish nothing: no record of triage depends on the clock."""

    def is_settled(self, task: Task) -> bool:
        """Return True: nothing is left to publish."""
        return True
