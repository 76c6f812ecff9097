"""Ledger rows in unknown order as one Eulerian trail over balances. Pure.

Take balances as nodes and each row as an edge from the balance before it to the one after it. The
rows can be ordered so that each starts where the one before ended exactly if the edges form an
Eulerian trail: the graph is connected, and every node is left as often as it is reached, except
for the start and the end. So no order is tried: counting and connecting take linear time.

Where they cannot be ordered so, or only within a tolerance, they are laid out (`ledger.layout`).

A row that is wrong in itself has three *readings*, any of which may be right: as it stands, with
its balance after corrected, or with its balance before corrected.

Rows are a flat list `steps`: `[before0, after0, before1, ...]`, in minor units. Wrong rows are a
flat list `wrong_rows`: `[row0, expected0, row1, ...]`, the index of a row and what it should have
moved, in minor units.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from operator import itemgetter
from typing import Final

from msgspec import Struct

from rules.balance_mismatch.ledger.layout import Layout, lay_out

MAX_WRONG_ROWS: Final = 3
"""Wrong rows in one group; a group with more is not judged."""
MIN_WAYS: Final = 9
MAX_WORK: Final = 20_000
"""How many steps are laid out at most, but always in so many ways: starts times readings."""
MAX_ENDS: Final = 3
"""Candidates for the end; with more of them the end is unknown."""

Reading = tuple[int, int, int]
"""(index of a row, balance before, balance after)."""
Excess = dict[int, int]
"""By balance, how often it is left minus how often it is reached; without zeros."""


class Trail(Struct):
    """The rows join in some order."""

    ends: tuple[int, ...]
    """The candidates for the end; none if it is unknown."""


class NoTrail(Struct):
    """The rows join in no order."""

    ends: tuple[int, ...]
    """The candidates for the end nevertheless, the likeliest first; none if it is unknown."""
    jumps: tuple[int, ...]
    """In minor units, in the order of the rows: see `ledger.layout`."""
    closing_rows: tuple[tuple[int, int], ...]
    """(before, after) of rows any one of which would complete a trail."""


def find_trail(
    starts: Sequence[int],
    steps: Sequence[int],
    wrong_rows: Sequence[int],
    open_starts: Collection[int] = (),
    tolerance: int = 0,
) -> Trail | NoTrail:
    """Return whether the rows form a trail from one of the starts, or from anywhere if none given.

    Args:
        starts: candidates for the balance before the rows, in minor units.
        steps: `[before0, after0, before1, ...]`.
        wrong_rows: `[row0, expected0, row1, ...]` of at most MAX_WRONG_ROWS rows.
        open_starts: rows whose balance before is not known; `steps` has any for them.
        tolerance: what may lie between two rows that join, in minor units.
    """
    if len(steps) == 2 and not wrong_rows and _may_start(steps[0], starts, tolerance, open_starts):
        return Trail((steps[1],))  # nearly always
    excess = _excess(steps)
    ways: list[tuple[int, int | None, Sequence[int]]] = []
    ends: list[int] = []
    for readings in _combined_readings(steps, wrong_rows):
        read = _with_readings(steps, readings)
        for start in starts or (None,):
            remaining = _remaining_excess(excess, steps, readings, start)
            ends += () if open_starts else _trail_ends(remaining, read, start)
            ways.append((sum(map(abs, remaining.values())), start, read))
    if ends or not (starts or tolerance or open_starts):
        return Trail(_limited(ends))
    ways = sorted(ways, key=itemgetter(0))[: max(MIN_WAYS, MAX_WORK // len(steps))]
    return _shortest(
        [lay_out(start, read, open_starts, tolerance) for _, start, read in ways], bool(starts)
    )


def _shortest(layouts: Sequence[Layout], is_start_known: bool) -> Trail | NoTrail:
    """Return the result of the layout with the fewest and smallest jumps."""
    shortest = min(layouts, key=lambda layout: layout.length)
    fewest = [layout for layout in layouts if len(layout.jumps) == len(shortest.jumps)]
    ends = _limited([end for layout in (shortest, *fewest) for end in layout.ends])
    if shortest.jumps:
        closing_rows = shortest.closing_rows
        return NoTrail(ends, shortest.jumps, closing_rows) if is_start_known else Trail(())
    return Trail(ends)


def _may_start(
    before: int, starts: Sequence[int], tolerance: int, open_starts: Collection[int]
) -> bool:
    """Return whether a single row may follow one of the starts."""
    if not starts or open_starts or before in starts:
        return True
    return any(abs(before - start) <= tolerance for start in starts)


def _excess(steps: Sequence[int]) -> Excess:
    excess: Excess = {}
    for index in range(0, len(steps), 2):
        before, after = steps[index], steps[index + 1]
        excess[before] = excess.get(before, 0) + 1
        excess[after] = excess.get(after, 0) - 1
    return {balance: off for balance, off in excess.items() if off}


def _combined_readings(
    steps: Sequence[int], wrong_rows: Sequence[int]
) -> Iterator[tuple[Reading, ...]]:
    """Yield every combination of readings, the rows as they stand first."""
    choices = []
    for row, expected in zip(wrong_rows[::2], wrong_rows[1::2], strict=True):
        before, after = steps[2 * row], steps[2 * row + 1]
        choices.append(
            ((row, before, after), (row, before, before + expected), (row, after - expected, after))
        )
    yield from product(*choices)


def _with_readings(steps: Sequence[int], readings: Sequence[Reading]) -> Sequence[int]:
    if not readings:
        return steps
    read = list(steps)
    for row, before, after in readings:
        read[2 * row : 2 * row + 2] = before, after
    return read


def _remaining_excess(
    excess: Excess, steps: Sequence[int], readings: Sequence[Reading], start: int | None
) -> Excess:
    """Return the excess with these readings, after one edge that reaches the start."""
    remaining = dict(excess)
    for row, before, after in readings:
        changes = (steps[2 * row], -1), (steps[2 * row + 1], 1), (before, 1), (after, -1)
        for balance, by in changes:
            remaining[balance] = remaining.get(balance, 0) + by
    if start is not None:
        remaining[start] = remaining.get(start, 0) - 1
    return {balance: off for balance, off in remaining.items() if off}


def _trail_ends(remaining: Excess, steps: Sequence[int], start: int | None) -> Sequence[int]:
    """Return where a trail may end; empty if there is no trail."""
    ends = [balance for balance, off in remaining.items() if off < 0]
    if start is not None:
        is_balanced = list(remaining.values()) == [-1]
        return ends if is_balanced and _is_connected([*steps, start, start]) else ()
    if not _is_connected(steps):
        return ()
    if not remaining:
        return list(dict.fromkeys(steps))  # a circuit, which may start anywhere
    return ends if sorted(remaining.values()) == [-1, 1] else ()


def _is_connected(steps: Sequence[int]) -> bool:
    return len(set(_components(steps).values())) == 1


def _components(steps: Sequence[int]) -> dict[int, int]:
    """Return by balance the root of its connected component (union-find)."""
    parent: dict[int, int] = {}

    def root(balance: int) -> int:
        parent.setdefault(balance, balance)
        while parent[balance] != balance:
            parent[balance] = parent[parent[balance]]
            balance = parent[balance]
        return balance

    for index in range(0, len(steps), 2):
        parent[root(steps[index])] = root(steps[index + 1])
    return {balance: root(balance) for balance in parent}


def _limited(ends: Sequence[int]) -> tuple[int, ...]:
    """Return the different ends; none if there are more than MAX_ENDS."""
    different = tuple(dict.fromkeys(ends))
    return different if len(different) <= MAX_ENDS else ()
