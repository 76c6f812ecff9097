"""Ledger rows in unknown order as one Eulerian trail over balances. Pure.

Take balances as nodes and each row as an edge from the balance before it to the one after it. The
rows can be ordered so that each starts where the one before ended exactly if the edges form an
Eulerian trail: the graph is connected, and every node is left as often as it is reached, except
for the start and the end. So no order is tried: counting and connecting take linear time.

A row that is wrong in itself has three *readings*, any of which may be right: as it stands, with
its balance after corrected, or with its balance before corrected.

Rows are a flat list `steps`: `[before0, after0, before1, ...]`, in minor units. Wrong rows are a
flat list `wrong_rows`: `[row0, expected0, row1, ...]`, the index of a row and what it should have
moved, in minor units.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from msgspec import Struct

MAX_WRONG_ROWS: Final = 3
"""Wrong rows in one group; a group with more is not judged."""
MAX_ENDS: Final = 3
"""Candidates for the end; with more of them the end is unknown."""
MAX_CLOSING_ROWS: Final = 8

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
    drift: int
    """Sum of all jumps between rows, in minor units; the largest jump if the sum is 0."""
    closing_rows: tuple[tuple[int, int], ...]
    """(before, after) of rows any one of which would complete a trail."""


def find_trail(
    starts: Sequence[int], steps: Sequence[int], wrong_rows: Sequence[int]
) -> Trail | NoTrail:
    """Return whether the rows form a trail from one of the starts, or from anywhere if none given.

    Args:
        starts: candidates for the balance before the rows, in minor units.
        steps: `[before0, after0, before1, ...]`.
        wrong_rows: `[row0, expected0, row1, ...]` of at most MAX_WRONG_ROWS rows.
    """
    if len(steps) == 2 and not wrong_rows and (not starts or steps[0] in starts):
        return Trail((steps[1],))  # nearly always
    excess = _excess(steps)
    ends: list[int] = []
    nearest: tuple[int, Excess, list[int]] | None = None
    for readings in _combined_readings(steps, wrong_rows):
        read = _with_readings(steps, readings)
        for start in starts or (None,):
            remaining = _remaining_excess(excess, steps, readings, start)
            found = _trail_ends(remaining, read, start)
            ends += found
            off = sum(map(abs, remaining.values()))
            if start is not None and not found and (nearest is None or off < nearest[0]):
                nearest = off, remaining, [*read, start, start]
    if ends or nearest is None:
        return Trail(_limited(ends))
    return _nearest_to_trail(nearest[1], nearest[2])


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


def _nearest_to_trail(remaining: Excess, steps: Sequence[int]) -> NoTrail:
    """Return what is missing to a trail; the last of the steps leads from the start to itself.

    *Sources* are balances left more often than reached, *sinks* the opposite. A trail has one sink
    more than sources, its end; every other sink needs a jump to a source.
    """
    roots = _components(steps)
    sources = sorted(balance for balance, off in remaining.items() for _ in range(off))
    sinks = sorted(balance for balance, off in remaining.items() for _ in range(-off))
    if not sources:
        return _not_connected(roots, steps[-1], sinks[0])
    closing_rows = _closing_rows(sources, sinks, roots)
    costs = _jump_costs(sources, sinks)
    possible = _possible_ends(sinks, closing_rows, roots, steps[-1])
    last = min(possible, key=costs.__getitem__)
    ends = _limited([sinks[last], *(sinks[index] for index in possible)])
    del sinks[last]
    jumps = [source - sink for source, sink in zip(sources, sinks, strict=True)]
    return NoTrail(ends, sum(jumps) or max(jumps, key=abs), closing_rows)


def _possible_ends(
    sinks: Sequence[int],
    closing_rows: Sequence[tuple[int, int]],
    roots: dict[int, int],
    start: int,
) -> Sequence[int]:
    """Return the indexes of the sinks that may be the end: a jump must leave all others."""
    every = range(len(sinks))
    if closing_rows:
        left = {sink for sink, _ in closing_rows}
        return [i for i in every if any(j != i and sinks[j] in left for j in every)]
    near = [i for i in every if roots[sinks[i]] == roots[start]]
    return [i for i in every if near != [i]] if len(set(roots.values())) > 1 else every


def _not_connected(roots: dict[int, int], start: int, end: int) -> NoTrail:
    """Return the result for rows that form a trail beside circuits that it never reaches."""
    main = sorted(balance for balance, root in roots.items() if root == roots[start])
    others = [balance for balance, root in roots.items() if root != roots[start]]
    drifts = []
    for balance in others:
        place = bisect_left(main, balance)
        drifts += [balance - near for near in main[max(place - 1, 0) : place + 1]]
    closing_rows = tuple((end, balance) for balance in others[:MAX_CLOSING_ROWS])
    is_one_circuit = len({roots[balance] for balance in others}) == 1
    return NoTrail(
        _limited([end, *others]), min(drifts, key=abs), closing_rows if is_one_circuit else ()
    )


def _closing_rows(
    sources: Sequence[int], sinks: Sequence[int], roots: dict[int, int]
) -> tuple[tuple[int, int], ...]:
    """Return (before, after) of every single row that would complete a trail."""
    components = len(set(roots.values()))
    if len(sources) != 1 or components > 2:
        return ()
    source = sources[0]
    return tuple(
        (sink, source)
        for sink in dict.fromkeys(sinks)
        if components == 1 or roots[sink] != roots[source]
    )


def _jump_costs(sources: Sequence[int], sinks: Sequence[int]) -> list[int]:
    """Return by index of a sink the total length of all jumps if the trail ends there."""
    cost = sum(abs(source - sink) for source, sink in zip(sources, sinks[1:], strict=True))
    costs = [cost]
    for index, source in enumerate(sources):
        cost += abs(source - sinks[index]) - abs(source - sinks[index + 1])
        costs.append(cost)
    return costs


def _limited(ends: Sequence[int]) -> tuple[int, ...]:
    """Return the different ends; none if there are more than MAX_ENDS."""
    different = tuple(dict.fromkeys(ends))
    return different if len(different) <= MAX_ENDS else ()
