"""One task: records in, one outcome out. Pure: no clock, no I/O, no logging.

A unit of work is `read` (any number of times), `advance` for inputs at their end, `work`, and
`save`. The task keeps the state of its keys as bytes; `unit` has what is done with them.

When a rule raises for one event, the unit's work so far is dropped and done again in *careful*
mode, in which the handler guards each rule with a copy of its state. So the ordinary unit pays
nothing for isolation.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from worker.engine.context import Context, Handler, RuleFailed, family_of
from worker.engine.event_time import Source, absence_judged_at
from worker.engine.keyed_state import NEVER, next_due
from worker.engine.outbox import Outbox, numbered
from worker.engine.records import NewRecord, Record, Snapshot, StateChange, TopicPartition
from worker.engine.reorder import KEY, Entry, ReorderBuffer
from worker.engine.segments import is_segment
from worker.engine.task_meta import LAYOUT, TaskMeta, read_meta
from worker.engine.timer_index import TimerIndex
from worker.engine.unit import UnitOfWork


class Reader(Protocol):
    """How a stage converts the records of a source into entries and time."""

    def read(
        self, task: "Task", source: Source, records: Sequence[Record], outbox: Outbox
    ) -> list[Entry]:
        """Decode, move the source's inputs, dead-letter what is bad, return what to buffer."""


class Task:
    """Task `number` of a stage: its sources, its keys' states, its timers, its time."""

    def __init__(
        self,
        number: int,
        stage: str,
        inputs: Mapping[str, int],
        reader: Reader,
        handler: Handler,
        snapshot: Snapshot,
        secret: bytes = b"",
        id_key: bytes = b"",
    ) -> None:
        """Restore the task.

        Args:
            inputs: how many inputs each source has, by its topic. A source's place is its number
                in `Timer.awaits`, and in the saved layout that did not name sources.
            snapshot: what its last commit has saved.
            secret: a key for hashes in its states, kept for the life of the task; that of its
                first commit counts.
            id_key: a key for the ids that it gives, kept likewise; empty: it has none yet.

        Raises:
            LogError: a newer release has saved it, or it is damaged.
        """
        saved = read_meta(snapshot.meta, stage, list(inputs))
        for topic in snapshot.renewed:
            saved.sources.pop(topic, None)
        self.number = number
        self.stage = stage
        self.addresses = [TopicPartition(topic, number) for topic in inputs]
        self.sources = [
            Source(index, count, saved.source(topic, count))
            for index, (topic, count) in enumerate(inputs.items())
        ]
        self.watermark = saved.watermark
        self.applied_until = self.watermark
        """Re-read events with an order time below this were applied before the restart."""
        self.stage_meta = saved.stage
        self.secret = saved.secret or secret
        self._inputs = [time for source in self.sources for time in source.inputs]
        self._reader = reader
        self._handler = handler
        self._buffer = ReorderBuffer()
        self._states = dict(snapshot.states)
        self._renewed = handler.renewed(self._states)
        """What an older release saved otherwise, as it is saved now."""
        self._take_over(self._renewed)
        self._timers = TimerIndex(self._states)
        self._changes: dict[bytes, bytes] = {}
        """Those of the unit of work that is not saved yet; empty bytes remove a key."""
        self._context = Context(number, saved.now, saved.signals, saved.id_key or id_key)
        self._read_outbox = Outbox(stage)

    # -- what the loop asks ---------------------------------------------------------------

    @property
    def now(self) -> int:
        """The order time of the last event or timer handled, in milliseconds."""
        return self._context.now

    @property
    def signals(self) -> int:
        """How many signals the task has written."""
        return self._context.signals

    def numbered(self, outbox: Outbox) -> list[NewRecord]:
        """Return the records of an outbox, each numbered that needs a number."""
        return numbered(outbox.outputs, self._context.next_signal)

    def context(self, outbox: Outbox) -> Context:
        """Return the context in which a clock policy publishes, after `work`.

        Its order time is the watermark: no later decision has an order time below it.
        """
        self._context.outbox = outbox
        self._context.now = max(self._context.now, self.watermark)
        return self._context

    @property
    def keys(self) -> int:
        """How many keys have state; segments of them do not count."""
        return sum(not is_segment(key) for key in self._states)

    @property
    def states(self) -> Mapping[bytes, bytes]:
        """The stored state of every key, as it was saved last."""
        return self._states

    @property
    def waiting(self) -> bool:
        """Whether events or timers wait for time to pass."""
        return bool(len(self._buffer) or self._timers)

    @property
    def touched(self) -> bool:
        """Whether this unit of work has changed the state of any key."""
        return bool(self._changes or self._renewed)

    def undecided(self) -> list[tuple[int, bytes, str, str]]:
        """Return what is not judged yet: (due, key, owner, name) of timers that judge absence."""
        families, found = self._handler.families, []
        for key, stored in self._states.items():
            if next_due(stored) != NEVER:
                live = family_of(key, families).load(stored)
                found += [(t.due, key, t.owner, t.name) for t in live.timers if t.awaits]
        return sorted(found)

    def blocking(self) -> list[tuple[Source, int]]:
        """Return the inputs that hold the watermark back: (source, index within it)."""
        least = min(time.frontier for time in self._inputs)
        return [
            (source, index)
            for source in self.sources
            for index, time in enumerate(source.inputs)
            if time.frontier == least
        ]

    def paused(self, max_buffered: int) -> list[TopicPartition]:
        """Return the inputs that must not be read on: ahead of the others, and much buffered."""
        if len(self._buffer) <= max_buffered:
            return []
        counts, _ = self._buffer.held(len(self.sources))
        return [
            self.addresses[source.index]
            for source in self.sources
            if counts[source.index] > max_buffered
            and min(time.frontier for time in source.inputs) > self.watermark
        ]

    # -- a unit of work -------------------------------------------------------------------

    def read(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Take the records that follow on one source; return how many no unit has read before."""
        source = self.sources[self.addresses.index(at)]
        new = _from(source.reread_until, records)
        while records:
            source.begin_batch(records[0].offset)
            stop = source.next_replay()
            count = len(records)
            if stop is not None:
                count = sum(record.offset < stop for record in records)
            batch = records[:count]
            self._buffer.extend(self._reader.read(self, source, batch, self._read_outbox))
            source.position = batch[-1].offset + 1
            source.reach(source.position)
            records = records[count:]
        return new

    def work(self, wall: int | None) -> Outbox:
        """Release what the watermark allows and handle it; return what there is to publish.

        Args:
            wall: milliseconds; None where no clock runs.
        """
        self.watermark = max(self.watermark, min(time.frontier for time in self._inputs))
        released = self._buffer.release(self.watermark)
        self._context.wall = wall
        outbox, self._read_outbox = self._read_outbox, Outbox(self.stage)
        keyless, visits = self._by_key(released)
        now = self._context.now
        try:
            self._process(keyless, visits, outbox)
        except RuleFailed:
            self._context.now, self._context.careful = now, True
            self._process(keyless, visits, outbox)
            self._context.careful = False
        outbox.released = released
        return outbox

    def _by_key(self, entries: Sequence[Entry]) -> tuple[list[Entry], dict[bytes, list[Entry]]]:
        """Return the entries without a key, and those of each key; and the keys with due timers."""
        keyless: list[Entry] = []
        visits: dict[bytes, list[Entry]] = {}
        for entry in entries:
            key = entry[KEY]
            if key is None:
                keyless.append(entry)
            elif (events := visits.get(key)) is None:
                visits[key] = [entry]
            else:
                events.append(entry)
        for key in self._timers.take(self.watermark, self._judged_at):
            visits.setdefault(key, [])
        return keyless, visits

    def _process(
        self, keyless: list[Entry], visits: dict[bytes, list[Entry]], outbox: Outbox
    ) -> None:
        """Do one unit of work, and take it over once the whole of it has succeeded.

        Raises:
            RuleFailed: it has to be done again in careful mode; nothing has changed.
        """
        made, limit = Outbox(self.stage), self.watermark
        unit = UnitOfWork(self._handler, self._states, self._judged_at, limit, self._context, made)
        unit.run(keyless, visits)
        outbox.outputs += unit.end()
        outbox.counts.update(made.counts)
        self._take_over(unit.changes)
        for key, timers in unit.scheduled:
            self._timers.schedule(key, timers, limit)
        self._changes.update(unit.changes)
        self._context.begin(limit, Outbox(self.stage))  # frees what the unit has handled

    def _take_over(self, changes: Mapping[bytes, bytes]) -> None:
        """Make changes those of the task; empty bytes remove a key."""
        self._states.update(changes)
        for key in [key for key, value in changes.items() if not value]:
            del self._states[key]

    def _judged_at(self, due: int, awaits: int) -> int | None:
        return absence_judged_at(self.sources, due, awaits)

    def save(self) -> tuple[list[StateChange], dict[TopicPartition, int], bytes]:
        """End the unit: return state changes, offsets to read on from, and the task's meta."""
        number = self.number
        changed = {**self._renewed, **self._changes} if self._renewed else self._changes
        changes = [StateChange(number, key, value) for key, value in changed.items()]
        self._renewed, self._changes = {}, {}
        _, oldest = self._buffer.held(len(self.sources))
        sources, offsets = {}, {}
        for source, at in zip(self.sources, self.addresses, strict=True):
            saved = source.save(oldest[source.index], self.watermark)
            sources[at.topic] = saved
            if saved.offset:  # else nothing was read: the log knows where the oldest record is
                offsets[at] = saved.offset
        context = self._context
        meta = TaskMeta(
            LAYOUT,
            self.watermark,
            context.now,
            context.signals,
            sources,
            self.stage_meta,
            self.secret,
            context.id_key,
        )
        return changes, offsets, msgspec.msgpack.encode(meta)


def _from(offset: int, records: Sequence[Record]) -> int:
    """Return how many records lie at an offset or behind it; they come in order."""
    if not records or records[0].offset >= offset:
        return len(records)
    return sum(record.offset >= offset for record in records)
