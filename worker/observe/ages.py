"""How old events are when they are judged: counts by bound, whole batches at a time. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

BOUNDS_MS: Final = tuple(
    int(1_000 * seconds)
    for seconds in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600)
)


class Ages(Struct, frozen=True):
    """A histogram of ages; adding makes a new one, so that other threads see it whole."""

    at_most: tuple[int, ...] = (0,) * len(BOUNDS_MS)
    """How many were at most as old as each bound."""
    count: int = 0
    total_ms: int = 0

    def add(self, times: Sequence[int], now: int) -> "Ages":
        """Return the ages with those of more events, given by their sorted times.

        A time after `now` (a clock that is fast) counts as no age.
        """
        past = bisect_left(times, now)
        at_most = tuple(
            before + len(times) - bisect_left(times, now - bound)
            for before, bound in zip(self.at_most, BOUNDS_MS, strict=True)
        )
        total = self.total_ms + past * now - sum(times[:past])
        return Ages(at_most, self.count + len(times), total)
