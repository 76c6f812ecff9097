"""Which keys have a timer that is due: an index into their states. Pure.

Timers are part of their key's state. The index has, per key, the due time of its next timer, as the
state's header has it. A key whose due timers wait for a proof is kept aside, with what they wait
for, so that it is decoded only when one of them can be judged.
"""

from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from worker.engine.keyed_state import NEVER, Timer, next_due

JudgedAt = Callable[[int, int], int | None]
"""Returns the order time at which absence is judged, given due time and awaited inputs; None: it is
not proven yet."""

_Waits = list[tuple[int, int]]


class TimerIndex:
    """The keys of one task by the due time of their next timer."""

    def __init__(self, states: Mapping[bytes, bytes]) -> None:
        """Index the states, which may change from then on: `schedule` says so."""
        self._states = states
        self._heap = [
            (due, key) for key, stored in states.items() if (due := next_due(stored)) != NEVER
        ]
        heapify(self._heap)
        self._held: dict[bytes, tuple[_Waits, int]] = {}
        """Per key: (due, awaits) of its timers that are due, and when the next of the others is."""

    def __bool__(self) -> bool:
        """Whether any timer is set."""
        return bool(self._heap or self._held)

    def take(self, limit: int, judged_at: JudgedAt) -> list[bytes]:
        """Remove and return the keys with a timer whose order time is below the limit."""
        heap, keys = self._heap, []
        while heap and heap[0][0] < limit:
            due, key = heappop(heap)
            if next_due(self._states.get(key)) == due:  # else it has been set anew
                keys.append(key)
        for key, (waits, other) in self._held.items():
            orders = (judged_at(due, awaits) for due, awaits in waits)
            if other < limit or any(order is not None and order < limit for order in orders):
                keys.append(key)
        for key in keys:
            self._held.pop(key, None)
        return keys

    def schedule(self, key: bytes, timers: Sequence[Timer], limit: int) -> None:
        """Take over the timers of a key after a unit of work that has fired those it could."""
        waits = [(timer.due, timer.awaits) for timer in timers if timer.due < limit]
        other = min((timer.due for timer in timers if timer.due >= limit), default=NEVER)
        if waits:
            self._held[key] = waits, other
            return
        self._held.pop(key, None)
        if other != NEVER:
            heappush(self._heap, (other, key))
