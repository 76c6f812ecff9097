"""What a balance was, and when."""

import random

import pytest

from rules.balance_mismatch.ledger.history import (
    MAX_BALANCES,
    add_balance,
    distance_ms,
    nearest_balance,
    starts_after,
)

KEPT = 1_000


def noted(*pairs: tuple[int, int]) -> list[int]:
    """Return the history of (time, balance) in the order given."""
    history: list[int] = []
    for at, balance in pairs:
        add_balance(history, at, balance, KEPT)
    return history


def test_a_balance_holds_until_the_next_both_moments_included() -> None:
    """The newest holds on."""
    history = noted((100, 1), (200, 2), (300, 3))
    assert [distance_ms(history, 1, at) for at in (99, 100, 200, 201)] == [1, 0, 0, 1]
    assert [distance_ms(history, 2, at) for at in (150, 200, 300, 350)] == [50, 0, 0, 50]
    assert [distance_ms(history, 3, at) for at in (299, 300, 10**9)] == [1, 0, 0]
    assert distance_ms(history, 4, 200) is None


def test_the_nearest_time_counts_where_a_balance_held_twice() -> None:
    """Before the moment or after it."""
    history = noted((100, 1), (200, 2), (300, 1), (400, 2))
    assert [distance_ms(history, 1, at) for at in (230, 280)] == [30, 20]


def test_the_present_balance_stays_whatever_its_age() -> None:
    """Older ones go as soon as the next has held for long enough."""
    assert noted((0, 1), (5_000, 2)) == [0, 1, 5_000, 2]
    assert noted((0, 1), (10, 2), (1_009, 3)) == [0, 1, 10, 2, 1_009, 3]
    assert noted((0, 1), (10, 2), (1_010, 3)) == [10, 2, 1_010, 3]


def test_the_same_balance_again_is_nothing_new() -> None:
    """Rows that move nothing cost nothing."""
    assert noted((0, 1), (5, 1), (9, 2), (9, 2)) == [0, 1, 9, 2]


def test_an_older_balance_is_put_in_its_place() -> None:
    """But not before the oldest: what held then is not needed."""
    assert noted((100, 1), (300, 3), (200, 2)) == [100, 1, 200, 2, 300, 3]
    assert noted((100, 1), (300, 3), (50, 2)) == [100, 1, 300, 3]
    assert noted((100, 1), (100, 2), (300, 3), (100, 4)) == [100, 1, 100, 2, 100, 4, 300, 3]


def test_it_is_bounded_and_knows_from_when() -> None:
    """As many balances at one moment as there may be."""
    history = noted(*((500, balance) for balance in range(200)))
    assert len(history) == 2 * MAX_BALANCES
    assert starts_after([], 500)
    assert starts_after(history, 499)
    assert not starts_after(history, 500)


@pytest.mark.parametrize("seed", range(20))
def test_a_history_equals_a_table_of_every_millisecond(seed: int) -> None:
    """Compared with a table of what held when."""
    rng = random.Random(seed)
    times = sorted(rng.sample(range(60), 6))
    pairs = [(at, rng.randrange(4)) for at in times]
    held: dict[int, set[int]] = {at: set() for at in range(80)}
    for (at, balance), until in zip(pairs, [*times[1:], 79], strict=True):
        for moment in range(at, until + 1):
            held[moment].add(balance)
    history = noted(*pairs)
    for at in range(times[0], 80):
        for balance in range(4):
            near = [abs(moment - at) for moment in held if balance in held[moment]]
            assert distance_ms(history, balance, at) == min(near, default=None)
        around = {b for m in range(max(at - 5, 0), min(at + 6, 80)) for b in held[m]}
        if at - 5 >= times[0]:
            least = min(abs(each - 9) for each in around)
            assert abs(nearest_balance(history, 9, at - 5, at + 5) - 9) == least
