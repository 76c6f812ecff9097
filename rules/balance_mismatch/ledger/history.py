"""The recent past of one balance. Pure.

A history is a flat list `[time0, balance0, time1, ...]`, oldest first: times in milliseconds,
balances in minor units. A balance holds from its own time to the time of the next, both included;
the newest holds on. A history keeps a retention period, and before it the one balance that held
when the period began; so a quiet account keeps only its last few balances.
"""

from typing import Final

MAX_BALANCES: Final = 64
"""Balances kept; beyond that the oldest is dropped."""


def add_balance(history: list[int], at: int, balance: int, retention_ms: int) -> None:
    """Add a balance; one that is older than the newest is inserted by its time."""
    if not history:
        history += (at, balance)
        return
    if at < history[-2]:
        _insert(history, at, balance)
        at = history[-2]
    elif history[-1] != balance:
        history += (at, balance)
    since = at - retention_ms
    size = len(history)
    if size > 2 and (history[2] <= since or size > 2 * MAX_BALANCES):
        expire(history, since)


def _insert(history: list[int], at: int, balance: int) -> None:
    index = len(history)
    while index and history[index - 2] > at:
        index -= 2
    if index:  # what held before the oldest is neither known nor needed
        history[index:index] = (at, balance)


def expire(history: list[int], since: int) -> None:
    """Drop the balances that held only before a moment; keep the one that held then."""
    size, old = len(history), 0
    while old + 2 < size and (history[old + 2] <= since or size - old > 2 * MAX_BALANCES):
        old += 2
    del history[:old]


def starts_after(history: list[int], at: int) -> bool:
    """Return whether the history does not reach back to a moment."""
    return not history or history[0] > at


def distance_ms(history: list[int], balance: int, at: int) -> int | None:
    """Return how many milliseconds from a moment the balance held (0: at it); None if never."""
    nearest: int | None = None
    for index in range(0, len(history), 2):
        if history[index + 1] == balance:
            until = history[index + 2] if index + 2 < len(history) else at
            off = max(history[index] - at, at - until, 0)
            nearest = off if nearest is None else min(nearest, off)
    return nearest


def nearest_balance(history: list[int], balance: int, since: int, until: int) -> int:
    """Return the balance nearest to this one among those that held between two moments."""
    held = [
        history[index + 1]
        for index in range(0, len(history), 2)
        if history[index] <= until and (index + 2 == len(history) or history[index + 2] >= since)
    ]
    return min(held, key=lambda each: abs(each - balance))
