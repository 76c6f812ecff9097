"""One task: records in, one outcome out. Pure: no clock, no I/O, no logging.

A unit of work is `read` (any number of times), `advance` for inputs at their end, `work`, and
`save`. The task keeps the state of its keys as bytes; keys that a unit touches are decoded once,
handled in order of event time, and encoded once at the end.

Timers are part of their key's state; the heap here is an index into it. Its entries are only hints:
one whose timer is gone or has another due time is skipped. At one order time all events come before
all timers.

When a handler raises for one event, the unit's work so far is dropped (the decoded states, that
is all) and done again in *careful* mode, in which the handler guards each rule with a copy of its
state. So the ordinary unit pays nothing for isolation.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final, Protocol

import msgspec

from worker.engine.context import Context, Family, Handler, HeapEntry, Live, RuleFailed
from worker.engine.event_time import Source
from worker.engine.keyed_state import Timer, next_due, pack
from worker.engine.outbox import Outbox
from worker.engine.records import Record, StateChange, TopicPartition
from worker.engine.reorder import KEY, ORDER, Entry, ReorderBuffer
from worker.engine.task_meta import LAYOUT, TaskMeta, read_meta

_HINT: Final = "?"
"""The name of a heap entry for all timers of its key, which is not decoded yet."""


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
        meta: bytes | None,
        states: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Restore the task.

        Args:
            inputs: how many inputs each source has, by its topic. A source's place is its number
                in `Timer.awaits`, and in the saved layout that did not name sources.
            meta: what its last commit saved of the task; None: it has never committed.
            states: (key, value) of every key.

        Raises:
            LogError: a newer release has saved it, or it is damaged.
        """
        saved = read_meta(meta, stage, list(inputs))
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
        self._inputs = [time for source in self.sources for time in source.inputs]
        self._reader = reader
        self._handler = handler
        self._buffer = ReorderBuffer()
        self._states = dict(states)
        self._renewed = handler.renewed(self._states)
        """What an older release saved otherwise, as it is saved now."""
        for key, value in self._renewed.items():
            if value:
                self._states[key] = value
            else:
                del self._states[key]
        self._live: dict[bytes, Any] = {}
        self._dirty: set[bytes] = set()
        self._heap: list[HeapEntry] = []
        self._held: list[HeapEntry] = []
        self._popped: list[HeapEntry] = []
        self._rebuild_timers()
        self._context = Context(number, self._heap, saved.now, saved.signals, self._touch_to_save)
        self._read_outbox = Outbox(stage)

    def _rebuild_timers(self) -> None:
        for key, stored in self._states.items():
            due = next_due(stored)
            if due is not None:
                self._heap.append((due, due, key, "", _HINT, 0))
        heapify(self._heap)

    # -- what the loop asks ---------------------------------------------------------------

    @property
    def now(self) -> int:
        """The order time of the last event or timer handled, in milliseconds."""
        return self._context.now

    @property
    def signals(self) -> int:
        """How many signals the task has written."""
        return self._context.signals

    def context(self, outbox: Outbox) -> Context:
        """Return the context in which a clock policy publishes, after `work`.

        Its order time is the watermark: no later decision has an order time below it.
        """
        self._context.outbox = outbox
        self._context.now = max(self._context.now, self.watermark)
        return self._context

    @property
    def keys(self) -> int:
        """How many keys have state."""
        return len(self._states)

    @property
    def states(self) -> Mapping[bytes, bytes]:
        """The stored state of every key, as it was saved last."""
        return self._states

    @property
    def waiting(self) -> bool:
        """Whether events or timers wait for time to pass."""
        return bool(len(self._buffer) or self._heap or self._held)

    @property
    def touched(self) -> bool:
        """Whether this unit of work has changed the state of any key."""
        return bool(self._dirty or self._renewed)

    def undecided(self) -> list[tuple[int, bytes, str, str]]:
        """Return what is not judged yet: (due, key, owner, name) of timers that judge absence."""
        found = []
        for key, stored in self._states.items():
            if next_due(stored) is not None:
                live = self._family(key).load(stored)
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

    def work(self, published_at: int) -> Outbox:
        """Release what the watermark allows and handle it; return what there is to publish."""
        self.watermark = max(self.watermark, min(time.frontier for time in self._inputs))
        entries = self._buffer.release(self.watermark)
        self._context.published_at = published_at
        start = (self._context.now, self._context.signals, list(self._held))
        try:
            self._process(entries)
        except RuleFailed:
            self._context.now, self._context.signals, self._held = start
            self._context.careful = True
            self._live.clear()
            self._dirty.clear()
            for item in self._popped:
                heappush(self._heap, item)
            self._process(entries)
            self._context.careful = False
        self._popped.clear()
        outbox, self._read_outbox = self._read_outbox, Outbox(self.stage)
        outbox.records += self._context.outbox.records
        outbox.counts.update(self._context.outbox.counts)
        outbox.released = entries
        return outbox

    def save(self) -> tuple[list[StateChange], dict[TopicPartition, int], bytes]:
        """End the unit: return state changes, offsets to read on from, and the task's meta."""
        changes = self._encode_touched()
        _, oldest = self._buffer.held(len(self.sources))
        sources, offsets = {}, {}
        for source, at in zip(self.sources, self.addresses, strict=True):
            saved = source.save(oldest[source.index], self.watermark)
            sources[at.topic] = saved
            if saved.offset:  # else nothing was read: the log knows where the oldest record is
                offsets[at] = saved.offset
        context = self._context
        meta = TaskMeta(
            LAYOUT, self.watermark, context.now, context.signals, sources, self.stage_meta
        )
        context.outbox, context.unit = Outbox(self.stage), None  # frees what the unit has handled
        return changes, offsets, msgspec.msgpack.encode(meta)

    def _encode_touched(self) -> list[StateChange]:
        changes = [StateChange(self.number, *renewed) for renewed in self._renewed.items()]
        self._renewed = {}
        states, live, number = self._states, self._live, self.number
        for key in self._dirty:
            decoded = live[key]
            payload = self._family(key).dump(decoded)
            if payload:
                states[key] = stored = pack(decoded.timers, payload)
                changes.append(StateChange(number, key, stored))
            elif states.pop(key, None) is not None:
                changes.append(StateChange(number, key, b""))
        self._live.clear()
        self._dirty.clear()
        return changes

    # -- events and timers in order -------------------------------------------------------

    def _process(self, entries: list[Entry]) -> None:
        context, handler, heap = self._context, self._handler, self._heap
        context.outbox, context.unit = Outbox(self.stage), None
        live_states, states, dirty = self._live, self._states, self._dirty
        load = handler.families[b""].load  # events have keys of that family
        self._release_held()
        for entry in entries:
            order = entry[ORDER]
            if heap and heap[0][0] < order:
                self._fire(order)
            context.now = order
            key = entry[KEY]
            if key is None:
                handler.on_keyless(entry, context)
                continue
            live = live_states.get(key)
            if live is None:
                live = live_states[key] = load(states.get(key))
            dirty.add(key)
            context.key = key
            handler.on_event(live, entry, context)
        self._fire(self.watermark)
        handler.finish(self.watermark, context)

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for item in held:
            heappush(self._heap, item)

    def _fire(self, limit: int) -> None:
        """Fire, in order, the timers whose order time is below the limit."""
        heap = self._heap
        while heap and heap[0][0] < limit:
            item = heappop(heap)
            self._popped.append(item)
            order, due, key, owner, name, awaits = item
            live = self._touch(key)
            if name == _HINT:
                self._expand(key, live)
                continue
            timer = _timer(live.timers, owner, name, due)
            if timer is None:
                continue
            judged_at = self._judged_at(due, awaits) if awaits else order
            if judged_at is None:
                self._held.append(item)
            elif judged_at > order:
                heappush(heap, (judged_at, due, key, owner, name, awaits))
            else:
                self._context.now = max(self._context.now, order)
                self._context.key = key
                self._dirty.add(key)
                live.timers.remove(timer)
                self._family(key).on_timer(live, timer, self._context)

    def _family(self, key: bytes) -> Family:
        families = self._handler.families
        return families.get(key[:1]) or families[b""]

    def _touch(self, key: bytes) -> Any:
        live = self._live.get(key)
        if live is None:
            live = self._live[key] = self._family(key).load(self._states.get(key))
        return live

    def _touch_to_save(self, key: bytes) -> Any:
        self._dirty.add(key)
        live = self._live.get(key)
        return self._touch(key) if live is None else live

    def _expand(self, key: bytes, live: Live) -> None:
        for timer in live.timers:
            item = (timer.due, timer.due, key, timer.owner, timer.name, timer.awaits)
            heappush(self._heap, item)

    def _judged_at(self, due: int, awaits: int) -> int | None:
        """Return the order time at which absence at `due` is judged, None if not yet proven."""
        order = due
        for source in self.sources:
            if awaits >> source.index & 1:
                for time in source.inputs:
                    if time.proof <= due:
                        return None
                    order = max(order, time.held_at(due))
        return order


def _from(offset: int, records: Sequence[Record]) -> int:
    """Return how many records lie at an offset or behind it; they come in order."""
    if not records or records[0].offset >= offset:
        return len(records)
    return sum(record.offset >= offset for record in records)


def _timer(timers: list[Timer], owner: str, name: str, due: int) -> Timer | None:
    for timer in timers:
        if timer.name == name and timer.owner == owner:
            return timer if timer.due == due else None
    return None
