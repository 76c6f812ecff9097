"""How ledger rows join: the end of each matched with the start of one that may follow. Pure.

An end and a start may be matched if the balances differ by no more than a tolerance. Matched in
order of balance, as many as possible are; so each row is followed by at most one other.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final

Edge = tuple[int, int]
"""(balance in minor units, row) of one end or one start of a row."""
Joint = tuple[Edge | None, Edge | None]
"""(end, start) that are matched; None for the one that is missing."""
START: Final = -1
"""In place of the row that ended at the known balance."""
REACH: Final = 4
"""How many joints ahead one is looked for to swap with, where a tolerance lets several fit."""


class Sets:
    """Disjoint sets of rows (union-find)."""

    def __init__(self, rows: int) -> None:
        self._parent = list(range(rows + 1))  # the last place is that of START

    def root(self, row: int) -> int:
        """Return the number of the set of a row."""
        parent = self._parent
        row %= len(parent)
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def unite(self, row: int, other: int) -> None:
        """Make one set of two."""
        self._parent[self.root(row)] = self.root(other)


def matched(ends: Sequence[Edge], starts: Sequence[Edge], tolerance: int) -> list[Joint]:
    """Return ends and starts, as many as possible of them matched; all are sorted."""
    joints: list[Joint] = []
    at_end = at_start = 0
    while at_end < len(ends) and at_start < len(starts):
        end, start = ends[at_end], starts[at_start]
        off = start[0] - end[0]
        joints.append((end if off >= -tolerance else None, start if off <= tolerance else None))
        at_end += off >= -tolerance
        at_start += off <= tolerance
    joints += [(end, None) for end in ends[at_end:]]
    joints += [(None, start) for start in starts[at_start:]]
    return joints


def with_near_matched(joints: Sequence[Joint], tolerance: int) -> list[Joint]:
    """Return the joints with those matched that miss an end or a start."""
    ends = [end for end, start in joints if end is not None and start is None]
    starts = [start for end, start in joints if start is not None and end is None]
    joined = [(end, start) for end, start in joints if end is not None and start is not None]
    return sorted([*joined, *matched(ends, starts, tolerance)], key=_place)


def _place(joint: Joint) -> Edge:
    end, start = joint
    edge = start if end is None else end
    assert edge is not None
    return edge


def splice_circuits(joints: list[Joint], rows: int, tolerance: int) -> Sets:
    """Swap the starts of two joints where that splices a circuit into another trail.

    Returns the sets of rows that a chain of common balances connects.
    """
    own, connected = Sets(rows), Sets(rows)
    for end, start in joints:
        if end is not None and start is not None:
            own.unite(end[1], start[1])
            connected.unite(end[1], start[1])
    places = [_place(joint) for joint in joints]
    open_ended = {
        own.root(place[1]) for place, joint in zip(places, joints, strict=True) if None in joint
    }
    reach = REACH if tolerance else 1  # those of one balance are neighbours
    for at, ahead in product(range(len(joints)), range(1, reach + 1)):
        if at + ahead >= len(joints) or places[at + ahead][0] - places[at][0] > 2 * tolerance:
            continue
        left, right = joints[at], joints[at + ahead]
        if None in left and None in right:  # nothing leads on from one to the other
            continue
        if not (_joins((left[0], right[1]), tolerance) and _joins((right[0], left[1]), tolerance)):
            continue
        one, other = own.root(places[at][1]), own.root(places[at + ahead][1])
        connected.unite(one, other)
        if one != other and not {one, other} <= open_ended:
            joints[at], joints[at + ahead] = (left[0], right[1]), (right[0], left[1])
            own.unite(one, other)
            if open_ended & {one, other}:
                open_ended.add(own.root(one))
    return connected


def _joins(joint: Joint, tolerance: int) -> bool:
    """Return whether an end and a start may be matched; one that is missing fits all."""
    end, start = joint
    return end is None or start is None or abs(start[0] - end[0]) <= tolerance
