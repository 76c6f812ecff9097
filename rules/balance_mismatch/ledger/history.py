"""What a balance was, and when: time and balance in turn, oldest first. Pure.

A balance holds from its time to the time of the next, both included; the newest holds on. A short
past is kept, and before it the one balance that held when it began: so a quiet account keeps no
more than its last few balances.
"""

from typing import Final

MAX_KEPT: Final = 64
"""Balances remembered; beyond that the oldest is forgotten."""
LONG: Final = 16
"""Numbers from which `go_on` shortens."""


def note(history: list[int], at: int, balance: int, kept_ms: int) -> None:
    """Add a balance; one that is older than the newest is put in its place."""
    if not history:
        history += (at, balance)
        return
    if at < history[-2]:
        _insert(history, at, balance)
        at = history[-2]
    elif history[-1] != balance:
        history += (at, balance)
    since = at - kept_ms
    size = len(history)
    if size > 2 and (history[2] <= since or size > 2 * MAX_KEPT):
        shorten(history, since)


def go_on(history: list[int], at: int, balance: int, kept_ms: int) -> None:
    """Add a balance that is newer than all: as `note`, once it is shortened to `kept_ms`."""
    history += (at, balance)
    if len(history) > LONG:
        shorten(history, at - kept_ms)


def _insert(history: list[int], at: int, balance: int) -> None:
    index = len(history)
    while index and history[index - 2] > at:
        index -= 2
    if index:  # what held before the oldest is not known, nor is it needed
        history[index:index] = (at, balance)


def shorten(history: list[int], since: int) -> None:
    """Forget what held until before a moment; keep what held then."""
    size, old = len(history), 0
    while old + 2 < size and (history[old + 2] <= since or size - old > 2 * MAX_KEPT):
        old += 2
    del history[:old]


def begins_after(history: list[int], at: int) -> bool:
    """Say whether nothing is known of a moment."""
    return not history or history[0] > at


def off_by(history: list[int], balance: int, at: int) -> int | None:
    """Return how far from a moment the balance held (0: at it, milliseconds); None: it did not."""
    nearest: int | None = None
    for index in range(0, len(history), 2):
        if history[index + 1] == balance:
            until = history[index + 2] if index + 2 < len(history) else at
            off = max(history[index] - at, at - until, 0)
            nearest = off if nearest is None else min(nearest, off)
    return nearest


def nearest_to(history: list[int], balance: int, since: int, until: int) -> int:
    """Return the balance nearest to this one of those that held between two moments."""
    held = [
        history[index + 1]
        for index in range(0, len(history), 2)
        if history[index] <= until and (index + 2 == len(history) or history[index + 2] >= since)
    ]
    return min(held, key=lambda each: abs(each - balance))
