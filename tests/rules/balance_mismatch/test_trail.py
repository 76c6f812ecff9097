"""Rows in unknown order as a trail: against all permutations, and one row wrong or missing."""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product

import pytest

from rules.balance_mismatch.ledger.trail import MAX_ENDS, NoTrail, Trail, find_trail

Step = tuple[int, int]


def walk(rng: random.Random, rows: int, reach: int = 10**6) -> list[Step]:
    """Return rows that join, in their true order."""
    balances = [rng.randrange(reach) for _ in range(rows + 1)]
    return list(pairwise(balances))


def flat(rows: Sequence[Step]) -> list[int]:
    """Return starts and ends in turn."""
    return [balance for row in rows for balance in row]


def ends_tried(starts: Sequence[int], rows: Sequence[Sequence[Step]]) -> set[int]:
    """Return where trails end, by trying every order and every reading."""
    return {
        order[-1][1]
        for reading in product(*rows)
        for order in permutations(reading)
        if not starts or order[0][0] in starts
        if all(left[1] == right[0] for left, right in pairwise(order))
    }


def readings(row: Step, due: int | None) -> tuple[Step, ...]:
    """Return the three ways to read a row that is wrong in itself."""
    before, after = row
    if due is None:
        return (row,)
    return (row, (before, before + due), (after - due, after))


def small(rng: random.Random) -> Iterator[tuple[list[int], list[Step], dict[int, int]]]:
    """Yield starts, rows and wrong rows over so few balances that much coincides."""
    for _ in range(60):
        few = rng.choice((2, 3, 5, 8))
        rows = [(rng.randrange(few), rng.randrange(few)) for _ in range(rng.randrange(1, 6))]
        if rng.random() < 0.5:
            rows = walk(rng, len(rows), few)
        starts = rng.sample(range(few), rng.choice((0, 1, 1, min(few, 2))))
        if starts and rng.random() < 0.5:
            starts[0] = rows[0][0]
        chosen = rng.sample(range(len(rows)), min(len(rows), rng.choice((0, 0, 1, 2))))
        rng.shuffle(rows)
        yield list(dict.fromkeys(starts)), rows, {row: rng.randrange(-2, 3) for row in chosen}


@pytest.mark.parametrize("seed", range(40))
def test_what_all_permutations_say(seed: int) -> None:
    """Up to five rows: a trail exists, and ends there, exactly if some order shows it."""
    for starts, rows, wrong in small(random.Random(seed)):
        ways = [readings(row, wrong.get(index)) for index, row in enumerate(rows)]
        tried = ends_tried(starts, ways)
        found = find_trail(
            starts, flat(rows), [number for pair in wrong.items() for number in pair]
        )
        assert isinstance(found, NoTrail) == bool(starts and not tried)
        if isinstance(found, Trail):
            assert set(found.ends) == (tried if len(tried) <= MAX_ENDS else set())


@pytest.mark.parametrize("seed", range(20))
def test_six_rows_as_all_permutations_say(seed: int) -> None:
    """A walk, shuffled, sometimes one row of it changed."""
    rng = random.Random(seed)
    rows = walk(rng, 6, 6)
    start = rows[0][0]
    if seed % 2:
        rows[rng.randrange(6)] = (rng.randrange(7), rng.randrange(7))
    rng.shuffle(rows)
    found = find_trail([start], flat(rows), [])
    assert isinstance(found, Trail) == bool(ends_tried([start], [(row,) for row in rows]))


@pytest.mark.parametrize("seed", range(30))
def test_the_closing_rows_of_a_broken_group_close_it_and_nothing_else_does(seed: int) -> None:
    """Every single row between balances of the group, tried."""
    rng = random.Random(seed)
    rows = walk(rng, 5, 8)
    start, gone = rows[0][0], rows.pop(rng.randrange(5))
    found = find_trail([start], flat(rows), [])
    if isinstance(found, NoTrail):
        balances = {start, *flat(rows)}
        closing = {
            (before, after)
            for before in balances
            for after in balances
            if isinstance(find_trail([start], [*flat(rows), before, after], []), Trail)
        }
        assert gone in found.closing_rows
        assert set(found.closing_rows) == closing


@pytest.mark.parametrize("rows", [1, 2, 50, 1_000])
def test_any_order_of_a_walk_closes_at_its_end(rows: int) -> None:
    """However many rows, and where they began is known."""
    rng = random.Random(rows)
    steps = walk(rng, rows)
    start, end = steps[0][0], steps[-1][1]
    rng.shuffle(steps)
    assert find_trail([start], flat(steps), []) == Trail((end,))
    assert find_trail([], flat(steps), []) == Trail((end,))


@pytest.mark.parametrize("seed", range(50))
def test_one_start_off_by_one_is_a_drift_of_one(seed: int) -> None:
    """At any place of the group, also its first row."""
    rng = random.Random(seed)
    steps = walk(rng, 20)
    start, place, by = steps[0][0], rng.choice((0, rng.randrange(20))), rng.choice((-1, 1))
    steps[place] = (steps[place][0] + by, steps[place][1])
    rng.shuffle(steps)
    found = find_trail([start], flat(steps), [])
    assert isinstance(found, NoTrail)
    assert sum(found.jumps) == by


@pytest.mark.parametrize("seed", range(50))
def test_one_end_off_by_one_is_a_drift_of_one_unless_it_is_the_last(seed: int) -> None:
    """The end of the last row is seen by the next group only."""
    rng = random.Random(seed)
    steps = walk(rng, 20)
    start, end = steps[0][0], steps[-1][1]
    place, by = rng.randrange(20), rng.choice((-1, 1))
    wrong = (steps[place][0], steps[place][1] + by)
    steps[place] = wrong
    rng.shuffle(steps)
    found = find_trail([start], flat(steps), [])
    if place == 19:
        assert found == Trail((wrong[1],))
    else:
        assert isinstance(found, NoTrail)
        assert (sum(found.jumps), found.ends) == (-by, (end,))


def test_rows_that_are_shifted_together_do_not_cancel_out() -> None:
    """There and back again is a drift all the same."""
    found = find_trail([100], [100, 90, 91, 81, 80, 70], [])
    assert found == NoTrail((70, 81), (1, -1), ())


def test_a_circuit_that_is_never_reached_gives_no_trail() -> None:
    """Counting alone would not see it; it begins at its first row, and may end anywhere on it."""
    found = find_trail([100], [100, 90, 52, 47, 47, 52], [])
    assert found == NoTrail((52, 47), (-38,), ((90, 52), (90, 47)))


def test_a_circuit_may_end_anywhere_on_it_if_its_start_is_not_known() -> None:
    """More than three balances are as good as none."""
    assert find_trail([], [5, 6, 6, 5], []) == Trail((5, 6))
    assert find_trail([], [5, 6, 6, 7, 7, 8, 8, 5], []) == Trail(())
    assert find_trail([5], [5, 6, 6, 7, 7, 8, 8, 5], []) == Trail((5,))


def test_without_a_start_rows_that_do_not_close_end_nowhere() -> None:
    """They are no break: nothing was known before."""
    assert find_trail([], [5, 6, 8, 9], []) == Trail(())


def test_jumps_lie_between_trails_in_the_order_of_their_first_rows() -> None:
    """Whatever other order had smaller ones."""
    assert find_trail([0], [0, 500, 503, 100, 104, 900], []) == NoTrail((900, 100), (3, 4), ())
    found = find_trail([0], [0, 500, 104, 900, 503, 100], [])
    assert found == NoTrail((100, 900), (-396, -397), ())
