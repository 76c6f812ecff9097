"""The clock policy of detect: idle inputs advance, progress is published, silence is watched.

An input that is read to its end advances by the clock, since nothing else moves its time. Its proof
follows only while its topic is alive: records that a slow producer still holds back are younger
than the newest record of the topic.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Final

from rules.events import TRANSACTION
from schemas.topics import SIGNALS
from worker.codec.codec import Codec, Control, Limits
from worker.detect.reader import InputPolicy
from worker.detect.signals import signal_of
from worker.detect.silence import watch
from worker.engine.event_time import BEGINNING, Source
from worker.engine.log import Log
from worker.engine.outbox import Outbox
from worker.engine.records import NewRecord, TopicPartition
from worker.engine.stage import Pace
from worker.engine.task import Task

_SILENCE_CHECK_MS: Final = 1_000


class DetectClock:
    """The clock policy of one worker of detect."""

    def __init__(self, log: Log, inputs: Sequence[InputPolicy], pace: Pace) -> None:
        self._inputs = inputs
        self._pace = pace
        self._topics = _Topics(log)
        self._triage_partitions = range(log.partitions(SIGNALS))
        self._published: dict[int, tuple[int, int]] = {}
        """Per task: the watermark last published to triage, and when (wall time)."""
        self._silence_checked = 0

    def begin(self) -> None:
        """Begin a unit of work."""
        self._topics.begin()

    def assign(self, tasks: Collection[int]) -> None:
        """Keep what is known of these tasks, forget the others."""
        known = self._published
        self._published = {number: known.get(number, (BEGINNING, 0)) for number in tasks}

    def is_settled(self, task: Task) -> bool:
        """Return whether triage has the task's watermark."""
        return self._published[task.number][0] == task.watermark

    def advance(self, task: Task, at_end: Collection[TopicPartition], now: int) -> bool:
        """Move idle inputs; return whether any moved."""
        if not (task.waiting or self._progress_is_due(task, now)):
            return False
        moved = False
        blocking = [source for source, _ in task.blocking()]
        for source in task.sources:
            if task.addresses[source.index] in at_end and not self._is_fixed(task, source):
                moved |= self._advance_idle(task, source, source in blocking, now)
        return moved

    def _is_fixed(self, task: Task, source: Source) -> bool:
        """Return whether the clock may not move a source: it replays, or all inputs have ended.

        What an input that goes on brings, or the clock has put behind an end, would wait for good.
        The task may still have to read the ends of the other inputs.
        """
        return source.replaying or (
            source.ended
            and not any(each.by_the_clock for each in task.sources)
            and all(self._topics.last(at.topic).ended for at in task.addresses)
        )

    def _advance_idle(self, task: Task, source: Source, blocks: bool, now: int) -> bool:
        policy, moved = self._inputs[source.index], False
        proven: int | None = now
        if not policy.may_be_silent:
            proven = self._topics.last(task.addresses[source.index].topic).append_time
        if proven is not None and task.waiting:
            moved |= source.advance(0, min(proven, now) - policy.lateness, proves=True)
        if blocks:
            moved |= source.advance(0, now - policy.lateness, proves=False)
        return moved

    def publish(self, task: Task, now: int, outbox: Outbox) -> None:
        """Publish silences of topics and the task's progress."""
        self._watch_silence(task, now, outbox)
        self._publish_progress(task, now, outbox)

    def _watch_silence(self, task: Task, now: int, outbox: Outbox) -> None:
        """Let the task of partition 0 look for silent topics, at most once a second."""
        if task.number or not self._pace.idle_advances or task.watermark == BEGINNING:
            return
        if now - self._silence_checked < _SILENCE_CHECK_MS:
            return
        self._silence_checked = now
        newest, limit = {}, self._pace.silence_limit
        for source in task.sources:
            topic = task.addresses[source.index].topic
            last = self._topics.last(topic)
            since = last.append_time
            if since is None or self._inputs[source.index].may_be_silent:
                continue
            # Not what the task has read decides: it may be far behind.
            if now - since <= limit:
                newest[topic] = since
            elif last.ended:
                newest[topic] = now
            elif not any(self._topics.hidden(topic)):
                newest[topic] = since
        context = task.context(outbox)
        task.stage_meta = watch(task.stage_meta, newest, limit, now, context)

    def _progress_is_due(self, task: Task, now: int) -> bool:
        return now - self._published[task.number][1] >= self._pace.progress_interval

    def _publish_progress(self, task: Task, now: int, outbox: Outbox) -> None:
        """Publish the watermark to every triage task, so that none waits for this one."""
        published, _ = self._published[task.number]
        if task.watermark <= published or not self._progress_is_due(task, now):
            return
        self._published[task.number] = (task.watermark, now)
        context = task.context(outbox)
        value = signal_of("progress", task.watermark, context.origin, context.next_signal())
        outbox.outputs += [
            NewRecord(SIGNALS, None, value, partition) for partition in self._triage_partitions
        ]


class _Topics:
    """The last records of topics, asked of the log at most once per unit of work."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._codec = Codec(TRANSACTION, Limits())
        self._last: dict[str, _LastRecords] = {}
        self._asked: set[str] = set()
        """Topics whose last records are those of the present unit of work."""

    def begin(self) -> None:
        """Begin a unit of work."""
        self._asked.clear()

    def last(self, topic: str) -> "_LastRecords":
        """Return what the last records of the topic say."""
        if topic not in self._asked:
            self._asked.add(topic)
            last = _LastRecords(self._log, topic, self._codec)
            known = self._last.get(topic)
            if known is None or known.records != last.records:
                self._last[topic] = last
        return self._last[topic]

    def hidden(self, topic: str) -> list[int]:
        """Return per partition how many offsets at its end open transactions hide."""
        return self._log.hidden(topic)


class _LastRecords:
    """The last record of each partition of a topic, and what follows from them."""

    def __init__(self, log: Log, topic: str, codec: Codec) -> None:
        self.records = log.last_records(topic)
        self._log = log
        self._topic = topic
        self._codec = codec

    @cached_property
    def append_time(self) -> int | None:
        """The newest append time in milliseconds; None if there is none."""
        times = (record.append_time for record in self.records if record is not None)
        return max((time for time in times if time is not None), default=None)

    @cached_property
    def ended(self) -> bool:
        """Whether each partition ends with an end, or has lost all of its records to retention.

        A partition that never had a record has not ended: its producer may still begin.
        """
        extents = self._log.offsets(self._topic)
        return all(
            first > 0 if record is None else self._is_end(record.value)
            for record, (first, _) in zip(self.records, extents, strict=True)
        )

    def _is_end(self, value: bytes | None) -> bool:
        decoded = self._codec.decode(value)
        return isinstance(decoded, Control) and decoded.is_end
