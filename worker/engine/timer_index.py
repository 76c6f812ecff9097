"""Which keys have a timer that is due: an index into their states. Pure.

Timers are part of their key's state. The index has, per key, the due time of its next timer, as the
state's header has it: by the minute, and exactly for the minutes that have begun, so that a key
that is not due soon costs the place of one pointer. A key whose due timers wait for a proof is kept
aside, with what they wait for, so that it is decoded only when one of them can be judged.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from worker.engine.keyed_state import NEVER, Timer, next_due

JudgedAt = Callable[[int, int], int | None]
"""Returns the order time at which absence is judged, given due time and awaited inputs; None: it is
not proven yet."""

_Waits = list[tuple[int, int]]
_MINUTE: Final = 60_000


class TimerIndex:
    """The keys of one task by the due time of their next timer."""

    def __init__(self, states: Mapping[bytes, bytes]) -> None:
        """Index the states, which may change from then on: `schedule` says so."""
        self._states = states
        self._later: defaultdict[int, list[bytes]] = defaultdict(list)
        """By minute the keys that are due in it, unless they were set anew since."""
        for key, stored in states.items():
            if (due := next_due(stored)) != NEVER:
                self._later[due // _MINUTE].append(key)
        self._minutes = list(self._later)
        heapify(self._minutes)
        self._begun: int | None = None
        """The newest minute whose keys are in `_soon`."""
        self._soon: list[tuple[int, bytes]] = []
        """A heap of (due, key)."""
        self._held: dict[bytes, tuple[_Waits, int]] = {}
        """Per key: (due, awaits) of its timers that are due, and when the next of the others is."""

    def __bool__(self) -> bool:
        """Whether any timer is set."""
        return bool(self._soon or self._later or self._held)

    def take(self, limit: int, judged_at: JudgedAt) -> list[bytes]:
        """Remove and return the keys with a timer whose order time is below the limit."""
        while self._minutes and self._minutes[0] * _MINUTE < limit:
            self._begin(heappop(self._minutes))
        heap, keys = self._soon, dict[bytes, None]()
        while heap and heap[0][0] < limit:
            due, key = heappop(heap)
            if next_due(self._states.get(key)) == due:  # else it has been set anew
                keys[key] = None
        for key, (waits, other) in self._held.items():
            orders = (judged_at(due, awaits) for due, awaits in waits)
            if other < limit or any(order is not None and order < limit for order in orders):
                keys[key] = None
        for key in keys:
            self._held.pop(key, None)
        return list(keys)

    def schedule(self, key: bytes, timers: Sequence[Timer], limit: int) -> None:
        """Take over the timers of a key after a unit of work that has fired those it could."""
        waits = [(timer.due, timer.awaits) for timer in timers if timer.due < limit]
        other = min((timer.due for timer in timers if timer.due >= limit), default=NEVER)
        if waits:
            self._held[key] = waits, other
            return
        self._held.pop(key, None)
        if other != NEVER:
            self._add(key, other)

    def _add(self, key: bytes, due: int) -> None:
        minute = due // _MINUTE
        if self._begun is not None and minute <= self._begun:
            heappush(self._soon, (due, key))
            return
        keys = self._later[minute]
        if not keys:
            heappush(self._minutes, minute)
        keys.append(key)

    def _begin(self, minute: int) -> None:
        self._begun = minute
        for key in self._later.pop(minute):
            due = next_due(self._states.get(key))
            if due // _MINUTE == minute:
                heappush(self._soon, (due, key))
