"""The loop: poll, work, commit. One poll is one unit of work is one commit.

This is where the clock is read and where the log is asked; everything else is in the tasks. What
fails in here is not repaired: the caller drops the worker, and a new one starts from the log.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from rules.events import TRANSACTION
from schemas.topics import SIGNALS
from worker.codec.codec import Codec, Control, Limits
from worker.detect.signals import signal_of
from worker.detect.silence import watch
from worker.detect.stage import DETECT, Stage
from worker.engine.event_time import BEGINNING
from worker.engine.log import Log, TasksMoved, last_record
from worker.engine.observer import UNOBSERVED, Observer, Work
from worker.engine.outbox import Outbox
from worker.engine.records import Commit, NewRecord, TopicPartition
from worker.engine.task import Task

READING: Final = "reading"
RELEASING: Final = "releasing"
COMMITTING: Final = "committing"
_SECOND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker goes about its work; changes nothing of what comes out but idle advances.

    Times in milliseconds.
    """

    poll_records: int = 20_000
    """At most. Many, for who lags: an account is decoded and saved once for all of its own."""
    max_buffered: int = 20_000
    idle_advances: bool = True
    silence_limit: int = 60_000
    origin_timeout: int = 300_000
    progress_interval: int = 1_000


class StageWorker:
    """Some tasks of one stage, as this process runs them."""

    def __init__(
        self,
        log: Log,
        stage: Stage,
        tasks: Sequence[int] | None,
        clock: Callable[[], int],
        pace: Pace,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Take the tasks and restore them.

        Args:
            tasks: their numbers; None: all, or those that the log gives this worker. Then they may
                change whenever it polls.
        """
        self._log = log
        self._stage = stage
        self._clock = clock
        self._pace = pace
        self._observer = observer
        self._session = log.open_session(stage.name, stage.inputs, tasks)
        self._triage_partitions = range(log.partitions(SIGNALS))
        self._ends = _Ends(log)
        self._origins = _Origins(pace.origin_timeout)
        self._told: dict[int, tuple[int, int]] = {}
        """Per task: the watermark last told to triage, and when (wall time)."""
        self._silence_checked = 0
        self._newest_times: dict[str, int | None] = {}
        self.counts: Counter[tuple[str, ...]] = Counter()
        """What was committed, by reason."""
        self.tasks: dict[int, Task] = {}
        self._follow(TasksMoved(self._session.tasks, ()))

    def close(self) -> None:
        """Release the tasks."""
        self._session.close()

    @property
    def ended(self) -> bool:
        """Whether the last record read of every input was an end, and triage has been told.

        A worker without tasks waits for some.
        """
        return bool(self.tasks) and all(
            all(source.ended for source in task.sources)
            and self._told[task.number][0] == task.watermark
            for task in self.tasks.values()
        )

    def run_once(self, wait: float = 0) -> bool:
        """Do one unit of work; say whether there was anything to do.

        Raises:
            LogError: the log failed; nothing of this unit was committed, or it is in doubt.
            DeadLetterLimit: too much of an input is bad.
        """
        now = self._clock()
        self._newest_times.clear()
        self._observer.begins(READING)
        paused = [at for task in self.tasks.values() for at in task.paused(self._pace.max_buffered)]
        try:
            batch = self._session.poll(self._pace.poll_records, paused, wait)
        except TasksMoved as change:
            self._follow(change)
            return True
        work = Work(self._stage.name, now, self.tasks.values(), batch.at_end)
        for at, records in batch.records.items():
            work.read[at.topic] += self.tasks[at.partition].read(at, records)
        moved = self._pace.idle_advances and self._advance(batch.at_end, now)
        self._observer.begins(RELEASING)
        unit = self._work(work)
        changed = any(task.touched for task in self.tasks.values())
        if batch.records or moved or changed or unit.outputs:
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
        told = self._told
        self._told = {number: told.get(number, (BEGINNING, 0)) for number in self.tasks}
        self._origins.keep(self.tasks)

    def _restore(self, number: int) -> None:
        self._observer.restoring(self._stage.name, number)
        task = self._stage.make(number, self._session.restore(number))
        self.tasks[number] = task
        self._observer.restored(self._stage.name, task)

    def _work(self, work: Work) -> Commit:
        unit, now = Commit(), work.now
        for task in self.tasks.values():
            outbox = task.work(now)
            if self._stage.name == DETECT:
                self._watch_silence(task, now, outbox)
                self._tell_progress(task, now, outbox)
            unit.outputs += outbox.records
            work.released.append(outbox.released)
            work.counts.update(outbox.counts)
        return unit

    # -- the clock's part -----------------------------------------------------------------

    def _advance(self, at_end: Collection[TopicPartition], now: int) -> bool:
        """Move inputs that stand at their end by the clock; say whether any moved."""
        moved = False
        for task in self.tasks.values():
            if self._stage.name == DETECT:
                moved |= self._advance_idle(task, at_end, now)
            else:
                moved |= self._origins.pass_over(task, at_end, now)
        return moved

    def _advance_idle(self, task: Task, at_end: Collection[TopicPartition], now: int) -> bool:
        if not (task.waiting or self._progress_is_due(task, now)):
            return False
        moved = False
        blocking = [source for source, _ in task.blocking()]
        for source in task.sources:
            at = task.addresses[source.index]
            if at not in at_end or source.replaying:
                continue
            if source.ended and not source.by_the_clock and self._ends.ended(at.topic):
                continue
            policy = self._stage.policies[source.index]
            proven: int | None = now
            if not policy.may_be_silent:
                # What may still be held back is younger than the newest record of the topic.
                proven = self._newest(at.topic)
            if proven is not None and task.waiting:
                moved |= source.advance(0, min(proven, now) - policy.lateness, proves=True)
            if source in blocking:
                moved |= source.advance(0, now - policy.lateness, proves=False)
        return moved

    def _watch_silence(self, task: Task, now: int, outbox: Outbox) -> None:
        """Let the task of partition 0 look, about every second, for topics that say nothing."""
        if task.number or not self._pace.idle_advances or now - self._silence_checked < _SECOND:
            return
        if task.watermark == BEGINNING:
            return
        self._silence_checked = now
        newest = {}
        for source in task.sources:
            topic = task.addresses[source.index].topic
            since = self._newest(topic)
            if since is not None and not self._stage.policies[source.index].may_be_silent:
                ended = source.ended and self._ends.ended(topic)
                newest[topic] = now if ended else since
        turn = task.turn(outbox)
        task.stage_meta = watch(task.stage_meta, newest, self._pace.silence_limit, now, turn)

    def _newest(self, topic: str) -> int | None:
        """Return the topic's newest append time; asked of the log once per unit of work."""
        if topic not in self._newest_times:
            self._newest_times[topic] = self._log.newest_append_time(topic)
        return self._newest_times[topic]

    def _progress_is_due(self, task: Task, now: int) -> bool:
        return now - self._told[task.number][1] >= self._pace.progress_interval

    def _tell_progress(self, task: Task, now: int, outbox: Outbox) -> None:
        """Tell every triage task how far this task is, so that it need not wait."""
        told, _ = self._told[task.number]
        if task.watermark <= told or not self._progress_is_due(task, now):
            return
        self._told[task.number] = (task.watermark, now)
        turn = task.turn(outbox)
        value = signal_of("progress", task.watermark, turn.origin, turn.next_signal())
        outbox.records += [
            NewRecord(SIGNALS, None, value, partition) for partition in self._triage_partitions
        ]


class _Origins:
    """When an origin of signals has been silent for too long to be waited for."""

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout
        self._heard: dict[tuple[int, int], tuple[int, int]] = {}
        """Per task and origin: its proof, and since when (wall time) it has been that."""

    def keep(self, tasks: Collection[int]) -> None:
        """Forget the tasks that are not among these."""
        self._heard = {origin: heard for origin, heard in self._heard.items() if origin[0] in tasks}

    def pass_over(self, task: Task, at_end: Collection[TopicPartition], now: int) -> bool:
        """Advance silent origins to where the others are; time counts only at the end."""
        moved = False
        (source,) = task.sources
        waiting = task.addresses[0] in at_end and not source.replaying
        for index, time in enumerate(source.inputs):
            proof, since = self._heard.get((task.number, index), (None, now))
            if not waiting or time.proof != proof:
                self._heard[task.number, index] = (time.proof, now)
            elif now - since >= self._timeout:
                furthest = max(other.frontier for other in source.inputs)
                moved |= source.advance(index, furthest, proves=False)
        return moved


class _Ends:
    """Whether all partitions of a topic stand at an end; asked of the log, which is not cheap."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: dict[str, tuple[list[tuple[int, int]], bool]] = {}
        self._codec = Codec(TRANSACTION, Limits())

    def ended(self, topic: str) -> bool:
        """Say whether the last record of every partition is an end."""
        offsets = self._log.offsets(topic)
        known = self._known.get(topic)
        if known is None or known[0] != offsets:
            last = (last_record(self._log, topic, number) for number in range(len(offsets)))
            ended = all(record is not None and self._is_end(record.value) for record in last)
            known = self._known[topic] = (offsets, ended)
        return known[1]

    def _is_end(self, value: bytes | None) -> bool:
        found = self._codec.decode(value)
        return isinstance(found, Control) and found.is_end
