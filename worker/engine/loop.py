"""The loop: poll, work, commit. One poll is one unit of work is one commit.

This is where the clock is read and where the log is asked; everything else is in the tasks. What
fails in here is not repaired: the caller drops the worker, and a new one starts from the log.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from schemas.topics import DEAD_LETTERS, LATE
from worker.engine.cutting import fitting
from worker.engine.holds import Holds
from worker.engine.log import Log, TasksMoved
from worker.engine.observer import UNOBSERVED, Observer, Work
from worker.engine.outcomes import Counts, LogChanged
from worker.engine.records import Commit, NewRecord, TopicPartition
from worker.engine.stage import Pace, Stage
from worker.engine.task import Task

READING: Final = "reading"
RELEASING: Final = "releasing"
COMMITTING: Final = "committing"
_OF_ANY_SIZE: Final = frozenset({DEAD_LETTERS, LATE})


class StageWorker:
    """Some tasks of one stage, as this process runs them."""

    def __init__(
        self,
        log: Log,
        stage: Stage,
        tasks: Sequence[int] | None,
        clock: Callable[[], int] | None,
        pace: Pace,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Take the tasks and restore them.

        Args:
            tasks: their numbers; None: all, or those that the log gives this worker. Then they may
                change whenever it polls.
            clock: wall time in milliseconds; None: there is none, records are of files.
        """
        self._log = log
        self._stage = stage
        self._clock = clock
        self._pace = pace
        self._observer = observer
        self._session = log.open_session(stage.name, stage.inputs, tasks)
        self._clock_policy = stage.clock_policy(log, pace)
        self._limits: dict[str, int] = {}
        """Per topic the bytes that a record may take, where that has been asked."""
        self.counts = Counts()
        """What was committed."""
        self._at_end: Collection[TopicPartition] = ()
        self._holds = Holds()
        self.tasks: dict[int, Task] = {}
        self._follow(TasksMoved(self._session.tasks, ()))

    def close(self) -> None:
        """Release the tasks."""
        self._session.close()

    @property
    def ended(self) -> bool:
        """Whether every input is read to its end, which is an end, and all is published.

        A worker without tasks waits for some.
        """
        return bool(self.tasks) and all(
            self._has_read_ends(task) and self._clock_policy.is_settled(task)
            for task in self.tasks.values()
        )

    def _has_read_ends(self, task: Task) -> bool:
        # Behind an end, records may follow that an open transaction hides.
        return all(
            source.ended and task.addresses[source.index] in self._at_end for source in task.sources
        )

    def run_once(self, wait: float = 0) -> bool:
        """Do one unit of work; return whether there was anything to do.

        Raises:
            LogError: the log failed; nothing of this unit was committed, or it is in doubt.
            DeadLetterLimit: too much of an input is bad.
        """
        now = self._clock() if self._clock else 0
        self._clock_policy.begin()
        self._observer.begins(READING)
        paused = [at for task in self.tasks.values() for at in task.paused(self._pace.max_buffered)]
        try:
            batch = self._session.poll(self._pace.poll_records, paused, wait)
        except TasksMoved as change:
            self._follow(change)
            return True
        self._at_end = batch.at_end
        held = self._holds.follow(batch.held, now)
        work = Work(self._stage.name, now, self.tasks.values(), batch.at_end, held)
        for notice in batch.notices:
            self._observer.noticed(notice.text)
            work.counts[LogChanged(notice.kind)] += 1
        for at, records in batch.records.items():
            work.read[at.topic] += self.tasks[at.partition].read(at, records)
        self._stage.check_reading()
        moved = self._pace.idle_advances and self._advance(batch.at_end, now)
        self._observer.begins(RELEASING)
        unit = self._work(work)
        changed = any(task.touched for task in self.tasks.values())
        if batch.records or batch.notices or moved or changed or unit.outputs:
            self._commit(unit, work)
        self._observer.worked(work)
        return bool(batch.records) or moved

    def _commit(self, unit: Commit, work: Work) -> None:
        for task in self.tasks.values():
            changes, offsets, unit.metas[task.number] = task.save()
            unit.states += changes
            unit.offsets.update(offsets)
        self._observer.begins(COMMITTING)
        self._session.commit(unit)
        self.counts.update(work.counts)
        work.committed, work.states = True, unit.states

    def _follow(self, moved: TasksMoved) -> None:
        """Drop the tasks that are not this worker's any more, and restore those that now are."""
        self.tasks = {number: self.tasks[number] for number in moved.kept}
        self._observer.moved(self._stage.name, moved.tasks, moved.kept)
        try:
            for number in moved.tasks:
                if number not in moved.kept:
                    self._restore(number)
        except TasksMoved as again:
            self._follow(again)
            return
        self.tasks = dict(sorted(self.tasks.items()))
        self._clock_policy.assign(self.tasks)

    def _restore(self, number: int) -> None:
        self._observer.restoring(self._stage.name, number)
        task = self._stage.make(number, self._session.restore(number))
        self.tasks[number] = task
        self._observer.restored(self._stage.name, task)

    def _work(self, work: Work) -> Commit:
        unit, now = Commit(), work.now
        for task in self.tasks.values():
            outbox = task.work(now if self._clock else None)
            self._clock_policy.publish(task, now, outbox)
            unit.outputs += map(self._fitting, task.numbered(outbox))
            work.released.append(outbox.released)
            work.counts.update(outbox.counts)
        return unit

    def _fitting(self, record: NewRecord) -> NewRecord:
        """Cut a record that holds what a producer wrote to what its topic takes."""
        topic = record.topic
        if topic not in _OF_ANY_SIZE:
            return record
        if topic not in self._limits:
            self._limits[topic] = self._log.record_limit(topic)
        return fitting(record, self._limits[topic])

    def _advance(self, at_end: Collection[TopicPartition], now: int) -> bool:
        """Move inputs that are read to their end by the clock; return whether any moved."""
        moved = False
        for task in self.tasks.values():
            moved |= self._clock_policy.advance(task, at_end, now)
        return moved
