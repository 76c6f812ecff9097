"""Ledger rows that form no single trail, laid out as several with jumps between them. Pure.

Two neighbours *join* if the balance that one ends at and the balance that the next starts at differ
by no more than the tolerance: rounding lies between them, and no jump. So each end is matched with
one start near it, as many as possible, both in order of balance. That gives trails, and circuits
that lead back to their own beginning; a circuit is spliced into another trail wherever both pass
one balance. All of it takes linear time once the balances are sorted.

The trail that begins at the known balance comes first, the others in order of their first row.
Between two of them lies a *jump*. Rows are given in order of time and event_id.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from rules.balance_mismatch.ledger.joints import (
    START,
    Joint,
    matched,
    splice_circuits,
    with_near_matched,
)

MAX_CLOSING_ROWS: Final = 8


class Layout(Struct):
    """Trails in their order."""

    jumps: tuple[int, ...]
    """From the end of each trail to the start of the next, in minor units; none within the
    tolerance, and none to a row whose start is not known."""
    ends: tuple[int, ...]
    """Balances at which the rows may end, the likeliest first."""
    closing_rows: tuple[tuple[int, int], ...]
    """(before, after) of rows any one of which would leave no jump."""

    @property
    def length(self) -> tuple[int, int]:
        """How many jumps there are, and how long they are together."""
        return len(self.jumps), sum(map(abs, self.jumps))


class _Trail(Struct):
    rows: list[int]
    """In their order; a circuit begins at its least."""
    start: int | None
    """The balance at which it begins; None if unknown."""
    end: int
    is_circuit: bool = False


def lay_out(
    start: int | None, steps: Sequence[int], open_starts: Collection[int], tolerance: int
) -> Layout:
    """Return the rows laid out with few jumps.

    Balances that are equal are matched first; if jumps are left, all are matched anew within the
    tolerance, and the shorter layout is returned.

    Args:
        start: the balance before the rows, in minor units; None: not known, they begin anywhere.
        steps: `[before0, after0, before1, ...]`, in minor units.
        open_starts: rows whose balance before is not known: they may follow any other.
        tolerance: in minor units.
    """
    rows = [(after, row) for row, after in enumerate(steps[1::2])]
    ends = sorted(rows if start is None else [(start, START), *rows])
    starts = sorted(
        (before, row) for row, before in enumerate(steps[::2]) if row not in open_starts
    )
    equal = matched(ends, starts, 0)
    found = _layout_of(equal, start, steps, open_starts, 0)
    if not tolerance or not found.jumps:
        return found
    anew = matched(ends, starts, tolerance)
    matchings = (with_near_matched(equal, tolerance), anew)
    layouts = [_layout_of(each, start, steps, open_starts, tolerance) for each in matchings]
    return min(layouts, key=lambda layout: layout.length)


# -- trails -------------------------------------------------------------------------------


def _layout_of(
    joints: list[Joint],
    start: int | None,
    steps: Sequence[int],
    open_starts: Collection[int],
    tolerance: int,
) -> Layout:
    connected = splice_circuits(joints, len(steps) // 2, tolerance)
    trails = _trails(joints, start, steps, open_starts)
    sets = [
        connected.root(START if place == 0 and start is not None else trail.rows[0])
        for place, trail in enumerate(trails)
    ]
    _exchange_ends(trails, sets, tolerance)
    first, *others = trails
    jumps, at = [], first.end
    for trail in others:
        if trail.start is not None and abs(trail.start - at) > tolerance:
            jumps.append(trail.start - at)
        at = trail.end
    crosses = any(trail.start is None for trail in others) or sets[0] in sets[1:]
    last = others[-1] if others else first
    ends = [last.end, *(steps[2 * row + 1] for row in last.rows if last.is_circuit)]
    ends += [trail.end for trail in others]
    ends += [first.end] if crosses else []
    closing_rows = _closing_rows(first, others[0], crosses, steps) if len(others) == 1 else ()
    return Layout(tuple(jumps), tuple(dict.fromkeys(ends)), closing_rows if jumps else ())


def _trails(
    joints: Sequence[Joint], start: int | None, steps: Sequence[int], open_starts: Collection[int]
) -> list[_Trail]:
    """Return the trails in their order; the first begins at the known balance, if there is one."""
    after = {end[1]: begun[1] for end, begun in joints if end is not None and begun is not None}
    led_to = set(after.values())
    rows = range(len(steps) // 2)
    chains = [_followed(row, after) for row in rows if row not in led_to]
    first = [] if start is None else _followed(START, after)[1:]
    seen = {row for chain in (first, *chains) for row in chain}
    circuits = []
    for row in rows:
        if row not in seen:
            circuits.append(_followed(row, after))
            seen.update(circuits[-1])
    trails = [
        _Trail(
            chain,
            None if chain[0] in open_starts else steps[2 * chain[0]],
            steps[2 * chain[-1] + 1],
            is_circuit=chain[0] in led_to,
        )
        for chain in sorted([*chains, *circuits], key=min)
    ]
    if start is None:
        return trails
    return [_Trail(first, start, steps[2 * first[-1] + 1] if first else start), *trails]


def _followed(row: int, after: Mapping[int, int]) -> list[int]:
    """Return a row and all that follow it, up to the end or the row itself."""
    rows = [row]
    while (following := after.get(rows[-1], row)) != row:
        rows.append(following)
    return rows


def _exchange_ends(trails: Sequence[_Trail], sets: Sequence[int], tolerance: int) -> None:
    """Let trails of one set end where others of it did, if the jumps are shorter so.

    Trails that cross may exchange what follows; that hides no jump. Ends and next starts are
    nearest if both are sorted; of one end more than starts, the one is left out that saves most.
    """
    next_starts = [*(trail.start for trail in trails[1:]), None]
    places_of = defaultdict(list)
    for place, one in enumerate(sets):
        places_of[one].append(place)
    for places in places_of.values():
        starts = sorted(
            (start, place) for place in places if (start := next_starts[place]) is not None
        )
        ends = sorted(trails[place].end for place in places)
        if not starts or len(ends) - len(starts) > 1:
            continue
        exchanged = [place for _, place in starts]
        if len(ends) > len(starts):
            spare = _dearest([start for start, _ in starts], ends)
            exchanged += (place for place in places if place not in exchanged)
            ends = [*ends[:spare], *ends[spare + 1 :], ends[spare]]
        before = sum(abs(start - trails[place].end) for start, place in starts)
        jumps = [abs(start - end) for (start, _), end in zip(starts, ends, strict=False)]
        if sum(jumps) < before and min(jumps) > tolerance:
            for place, end in zip(exchanged, ends, strict=True):
                trails[place].end = end


def _dearest(starts: Sequence[int], ends: Sequence[int]) -> int:
    """Return the index of the end without which all others are nearest to the starts."""
    cost = sum(abs(start - end) for start, end in zip(starts, ends[1:], strict=True))
    costs = [cost]
    for index, start in enumerate(starts):
        cost += abs(start - ends[index]) - abs(start - ends[index + 1])
        costs.append(cost)
    return costs.index(min(costs))


def _closing_rows(
    first: _Trail, other: _Trail, crosses: bool, steps: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Return (before, after) of every single row that would join two trails."""
    if other.start is None:
        return ()
    if other.is_circuit:
        rows = [(first.end, steps[2 * row]) for row in other.rows]
    else:
        rows = [(trail.end, other.start) for trail in (first, other)[: 1 + crosses]]
    return tuple(dict.fromkeys(rows))[:MAX_CLOSING_ROWS]
