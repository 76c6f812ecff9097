"""One unit of work of a task, key by key. Pure.

The keys of a unit do not depend on each other, so all of its work on one key is done in one piece:
the state is decoded, the key's events and timers are handled in order, and the state is encoded
again while it is still in the processor's cache. What was published is then put into the order of
all events and timers, and numbered.

Nothing of the task changes before the whole unit has succeeded: one that fails is dropped.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import Any, Final

from worker.engine.context import Context, DueTimer, Family, Handler, Live, Place, family_of
from worker.engine.keyed_state import Timer, first_due, next_due, with_header
from worker.engine.outbox import Outbox, Output, numbered
from worker.engine.records import NewRecord
from worker.engine.reorder import ORDER, Entry
from worker.engine.timer_index import JudgedAt

_PLACE: Final = itemgetter(0)


class UnitOfWork:
    """What one unit of work has made so far.

    Attributes:
        changes: the new states by key; empty where nothing is left.
        scheduled: (key, timers) of the keys whose timers are to be indexed anew.
    """

    def __init__(
        self,
        handler: Handler,
        states: Mapping[bytes, bytes],
        judged_at: JudgedAt,
        limit: int,
        context: Context,
        outbox: Outbox,
    ) -> None:
        """Begin.

        Args:
            states: of all keys, as the unit before has left them.
            limit: timers with an order time below it fire.
            context: of the task; its `now` is where the unit before has ended.
            outbox: collects counts, and what the present event or timer publishes.
        """
        self.changes: dict[bytes, bytes] = {}
        self.scheduled: list[tuple[bytes, list[Timer]]] = []
        self._handler = handler
        self._states = states
        self._judged_at = judged_at
        self._limit = limit
        self._context = context
        self._outputs = outbox.outputs
        self._start = self._latest = context.now
        self._kept: dict[bytes, Any] = {}
        """Decoded states of keys without events, by key; saved at the end of the unit."""
        self._published: list[tuple[Place, bytes, list[Output]]] = []
        """(place in the order, key, what was published there)."""
        context.begin(limit, outbox, self._touch, self._read)

    def run(self, entries: Sequence[Entry], visits: Mapping[bytes, Sequence[Entry]]) -> None:
        """Handle events and timers.

        Args:
            entries: those without a key, in order.
            visits: the other keys of the unit, each with its events in order, none where only a
                timer is due.

        Raises:
            RuleFailed: the unit has to be dropped, and done again in careful mode.
        """
        context = self._context
        for entry in entries:
            context.now = self._latest = entry[ORDER]
            self._handler.on_keyless(entry, context)
            self._collect((entry[ORDER], 0, entry), b"")
        accounts = self._handler.families[b""]
        for key, events in visits.items():
            family = accounts if events else self._family(key)
            if family is accounts:
                self._visit(key, family, events)
            else:
                live = self._touch(key)
                context.key, context.due = key, self._due(live)
                self._fire(key, family, live, self._limit)

    def end(self) -> list[NewRecord]:
        """Let the handler end the unit; return what it publishes, in order and numbered."""
        context, published = self._context, self._published
        context.now = self._latest
        published.sort(key=_PLACE)
        records = [numbered(outputs, context.next_signal) for _, _, outputs in published]
        place = self._handler.finish(self._limit, context)
        last = numbered(self._outputs, context.next_signal)
        at = len(records) if place is None else bisect_right(published, place, key=_PLACE)
        records.insert(at, last)
        for key, live in self._kept.items():
            self._save(key, self._family(key), live, self._states.get(key))
        return [record for each in records for record in each]

    # -- one key --------------------------------------------------------------------------

    def _visit(self, key: bytes, family: Family, events: Sequence[Entry]) -> None:
        context, outputs, on_event = self._context, self._outputs, self._handler.on_event
        stored = self._states.get(key)
        live = family.load(stored)
        context.key = key
        due = context.due = self._due(live) if next_due(stored) < self._limit else []
        fired, order = False, self._start
        for entry in events:
            order = entry[ORDER]
            if due and due[0][0] < order:
                fired |= self._fire(key, family, live, order)
            context.now = order
            on_event(live, entry, context)
            if outputs:
                self._collect((order, 0, entry), key)
        self._latest = max(self._latest, order)
        if due:
            fired |= self._fire(key, family, live, self._limit)
        if events or fired:
            self._save(key, family, live, stored)
        else:
            self.scheduled.append((key, live.timers))

    def _due(self, live: Live) -> list[DueTimer]:
        """Return the timers of a key that may fire in this unit, as a heap."""
        limit = self._limit
        due = [
            (timer.due, timer.due, timer.owner, timer.name, timer.awaits)
            for timer in live.timers
            if timer.due < limit
        ]
        if len(due) > 1:
            heapify(due)
        return due

    def _fire(self, key: bytes, family: Family, live: Live, limit: int) -> bool:
        """Fire, in order, the key's timers with an order time below the limit; return if any did.

        One whose absence is not proven within this unit is left for a later one.
        """
        context, due, fired = self._context, self._context.due, False
        while due and due[0][0] < limit:
            order, at, owner, name, awaits = heappop(due)
            timer = _timer(live.timers, owner, name, at)
            if timer is None:  # cancelled, or set anew
                continue
            judged_at = self._judged_at(at, awaits) if awaits else order
            if judged_at is None or judged_at >= self._limit:
                continue
            if judged_at > order:
                heappush(due, (judged_at, at, owner, name, awaits))
                continue
            fired = True
            context.now = max(self._start, order)
            self._latest = max(self._latest, context.now)
            context.place = (order, 1, (at, key, owner, name))
            live.timers.remove(timer)
            family.on_timer(live, timer, context)
            self._collect(context.place, key)
        return fired

    def _collect(self, place: Place, key: bytes) -> None:
        """Take what was published at a place; of one key, nothing comes before what was before."""
        if not self._outputs:
            return
        published = self._published
        if published and published[-1][1] == key and place < published[-1][0]:
            place = published[-1][0]
        published.append((place, key, self._outputs.copy()))
        self._outputs.clear()

    def _save(self, key: bytes, family: Family, live: Live, stored: bytes | None) -> None:
        payload = family.dump(live)
        if not payload and stored is None:
            return
        due, awaits = first_due(live.timers)
        self.changes[key] = with_header(due, awaits, payload) if payload else b""
        if due != next_due(stored) or due < self._limit:
            self.scheduled.append((key, live.timers))

    def _touch(self, key: bytes) -> Any:
        live = self._kept[key] = self._read(key)
        return live

    def _read(self, key: bytes) -> Any:
        live = self._kept.get(key)
        return self._family(key).load(self._states.get(key)) if live is None else live

    def _family(self, key: bytes) -> Family:
        return family_of(key, self._handler.families)


def _timer(timers: list[Timer], owner: str, name: str, due: int) -> Timer | None:
    for timer in timers:
        if timer.name == name and timer.owner == owner:
            return timer if timer.due == due else None
    return None
