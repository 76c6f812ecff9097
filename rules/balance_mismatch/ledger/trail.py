"""Ledger rows in unknown order as one trail over balances. Pure.

A row leads from one balance to another. Rows can be put into an order in which each starts where
the one before ended exactly if, drawn as arrows between balances, they form an Eulerian trail: all
hang together, and every balance is left as often as it is reached, but for the first and the last.
So no order is ever tried: counting and joining take linear time.

A row that is wrong in itself is a *fork*: any of three readings of it may be right.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from msgspec import Struct

MAX_FORKS: Final = 3
"""Rows with several readings in one group: beyond that it is not judged."""
MAX_ENDS: Final = 3
MAX_LINKS: Final = 8

Reading = tuple[int, int, int]
"""(index of a row, where it starts, where it ends)."""
Excess = dict[int, int]
"""By balance, how much more often it is left than reached; without those where it is even."""


class Trail(Struct):
    """The rows close."""

    ends: tuple[int, ...]
    """Where they may end; none: unknown."""


class Torn(Struct):
    """The rows close in no order."""

    ends: tuple[int, ...]
    """Where they may end nevertheless, the likeliest first; none: unknown."""
    drift: int
    """What is missing to close: all jumps together, or the largest if they cancel each other."""
    links: tuple[tuple[int, int], ...]
    """Rows (from, to) of which any single one would close them; at most MAX_LINKS."""


def follow(starts: Sequence[int], steps: Sequence[int], forks: Sequence[int]) -> Trail | Torn:
    """Find out whether the rows close from one of the starts, or from anywhere if there is none.

    Args:
        steps: where each row starts and ends, in turn.
        forks: index of a row and what it should have moved, in turn; at most MAX_FORKS.
    """
    excess = _excess_of(steps)
    ends: list[int] = []
    nearest: tuple[int, Excess, list[int]] | None = None
    for readings in _readings(steps, forks):
        read = _read(steps, readings)
        for start in starts or (None,):
            rest = _rest(excess, steps, readings, start)
            found = _ends_of(rest, read, start)
            ends += found
            off = sum(map(abs, rest.values()))
            if start is not None and not found and (nearest is None or off < nearest[0]):
                nearest = off, rest, [*read, start, start]
    if ends or nearest is None:
        return Trail(_few(ends))
    return _torn(nearest[1], nearest[2])


def _excess_of(steps: Sequence[int]) -> Excess:
    excess: Excess = {}
    for index in range(0, len(steps), 2):
        before, after = steps[index], steps[index + 1]
        excess[before] = excess.get(before, 0) + 1
        excess[after] = excess.get(after, 0) - 1
    return {balance: off for balance, off in excess.items() if off}


def _readings(steps: Sequence[int], forks: Sequence[int]) -> Iterator[tuple[Reading, ...]]:
    """Yield every choice of readings, beginning with the rows as they stand."""
    choices = []
    for row, due in zip(forks[::2], forks[1::2], strict=True):
        before, after = steps[2 * row], steps[2 * row + 1]
        choices.append(
            ((row, before, after), (row, before, before + due), (row, after - due, after))
        )
    yield from product(*choices)


def _read(steps: Sequence[int], readings: Sequence[Reading]) -> Sequence[int]:
    if not readings:
        return steps
    read = list(steps)
    for row, before, after in readings:
        read[2 * row : 2 * row + 2] = before, after
    return read


def _rest(
    excess: Excess, steps: Sequence[int], readings: Sequence[Reading], start: int | None
) -> Excess:
    """Return the excess of the rows as read, after one arrow into the start."""
    rest = dict(excess)
    for row, before, after in readings:
        changes = (steps[2 * row], -1), (steps[2 * row + 1], 1), (before, 1), (after, -1)
        for balance, by in changes:
            rest[balance] = rest.get(balance, 0) + by
    if start is not None:
        rest[start] = rest.get(start, 0) - 1
    return {balance: off for balance, off in rest.items() if off}


def _ends_of(rest: Excess, steps: Sequence[int], start: int | None) -> Sequence[int]:
    """Return where a trail may end; none if there is none."""
    ends = [balance for balance, off in rest.items() if off < 0]
    if start is not None:
        closes = list(rest.values()) == [-1]
        return ends if closes and _hang_together([*steps, start, start]) else ()
    if not _hang_together(steps):
        return ()
    if not rest:
        return list(dict.fromkeys(steps))  # a circuit, begun anywhere
    return ends if sorted(rest.values()) == [-1, 1] else ()


def _hang_together(steps: Sequence[int]) -> bool:
    return len(set(_parts(steps).values())) == 1


def _parts(steps: Sequence[int]) -> dict[int, int]:
    """Return by balance a name of the part it hangs together with."""
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


def _torn(rest: Excess, steps: Sequence[int]) -> Torn:
    """Say what is missing; the last step leads from the start to itself."""
    parts = _parts(steps)
    ups = sorted(balance for balance, off in rest.items() for _ in range(off))
    downs = sorted(balance for balance, off in rest.items() for _ in range(-off))
    if not ups:
        return _apart(parts, steps[-1], downs[0])
    links = _links(ups, downs, parts)
    costs = _costs(ups, downs)
    possible = _possible_ends(downs, links, parts, steps[-1])
    last = min(possible, key=costs.__getitem__)
    ends = _few([downs[last], *(downs[index] for index in possible)])
    del downs[last]
    jumps = [up - down for up, down in zip(ups, downs, strict=True)]
    return Torn(ends, sum(jumps) or max(jumps, key=abs), links)


def _possible_ends(
    downs: Sequence[int],
    links: Sequence[tuple[int, int]],
    parts: dict[int, int],
    start: int,
) -> Sequence[int]:
    """Return which of the downs may be the end: something must lead on from all others."""
    every = range(len(downs))
    if links:
        linked = {down for down, _ in links}
        return [i for i in every if any(j != i and downs[j] in linked for j in every)]
    near = [i for i in every if parts[downs[i]] == parts[start]]
    return [i for i in every if near != [i]] if len(set(parts.values())) > 1 else every


def _apart(parts: dict[int, int], start: int, end: int) -> Torn:
    """Rows that close, and others that close among themselves but are never reached."""
    main = sorted(balance for balance, part in parts.items() if part == parts[start])
    others = [balance for balance, part in parts.items() if part != parts[start]]
    drifts = []
    for balance in others:
        place = bisect_left(main, balance)
        drifts += [balance - near for near in main[max(place - 1, 0) : place + 1]]
    links = tuple((end, balance) for balance in others[:MAX_LINKS])
    alone = len({parts[balance] for balance in others}) == 1
    return Torn(_few([end, *others]), min(drifts, key=abs), links if alone else ())


def _links(
    ups: Sequence[int], downs: Sequence[int], parts: dict[int, int]
) -> tuple[tuple[int, int], ...]:
    """Return the single rows that would make a trail."""
    separate = len(set(parts.values()))
    if len(ups) != 1 or separate > 2:
        return ()
    up = ups[0]
    return tuple(
        (down, up) for down in dict.fromkeys(downs) if separate == 1 or parts[down] != parts[up]
    )


def _costs(ups: Sequence[int], downs: Sequence[int]) -> list[int]:
    """Return how far all jumps together reach if the i-th of the downs is the end."""
    cost = sum(abs(up - down) for up, down in zip(ups, downs[1:], strict=True))
    costs = [cost]
    for index, up in enumerate(ups):
        cost += abs(up - downs[index]) - abs(up - downs[index + 1])
        costs.append(cost)
    return costs


def _few(ends: Sequence[int]) -> tuple[int, ...]:
    different = tuple(dict.fromkeys(ends))
    return different if len(different) <= MAX_ENDS else ()
