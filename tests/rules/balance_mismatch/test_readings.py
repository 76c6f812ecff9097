"""A row that is wrong in itself is judged in the chain too: in the best of its three readings."""

import random
from typing import Any

import pytest

from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import row
from rules.testing import Scenario
from tests.support.events.balance_rows import Found, Wire, both, found, numbered, raised_by, ran

FIRST = both("a", "10:00:00", "10.00", "0.00", "10.00")


def of(*steps: tuple[str, str, str]) -> list[Wire]:
    """Return rows, a minute apart, of (amount, before, after), after the first."""
    rows = [
        both(f"b{place}", f"10:{place:02}:00", amount, before, after, "adjustment")
        for place, (amount, before, after) in enumerate(steps, 1)
    ]
    return [FIRST, *rows]


def by_number(events: list[Wire]) -> Found:
    """Return what is found in the rows with numbers, the chain's findings called a group's."""
    names = {"chain": "group"}
    return [(names.get(check, check), off) for check, off in found(*numbered(*events))]


JOINING = ("5.00", "10.00", "16.00")
"""A row that starts right and moves 1.00 too much."""
ENDING = ("5.00", "11.00", "15.00")
"""A row that ends right, and starts 1.00 too high."""
APART = ("5.00", "300.00", "400.00")
"""A row that does not go on from the one before, and moves 95.00 too much."""


@pytest.mark.parametrize(
    ("steps", "rows", "jumps"),
    [
        # The row does not go on from the one before in any reading: the nearest is reported.
        ([APART], [9_500], [29_000]),
        ([("5.00", "-300.00", "-200.00")], [9_500], [-21_500]),
        ([("-5.00", "300.00", "290.00")], [-500], [28_500]),
        ([("5.00", "300.00", "306.00"), ("1.00", "306.00", "307.00")], [100], [29_000]),
        ([("5.00", "300.00", "16.00")], [-28_900], [100]),
        ([("5.00", "9.00", "100.00")], [8_600], [-100]),
        # Its start is right: the row may end in two ways.
        ([JOINING, ("1.00", "16.00", "17.00")], [100], []),
        ([JOINING, ("1.00", "15.00", "16.00")], [100], []),
        ([JOINING, ("1.00", "14.00", "15.00")], [100], [-100]),
        ([JOINING, ("1.00", "17.00", "18.00")], [100], [100]),
        # Its end is right: it ends there, and nowhere else.
        ([ENDING, ("1.00", "15.00", "16.00")], [-100], []),
        ([ENDING, ("1.00", "16.00", "17.00")], [-100], [100]),
        # After a jump the next row may go on from any of its ends.
        ([APART, ("1.00", "400.00", "401.00")], [9_500], [29_000]),
        ([APART, ("1.00", "305.00", "306.00")], [9_500], [29_000]),
        ([APART, ("1.00", "300.00", "301.00")], [9_500], [29_000, -500]),
        # Two wrong rows, each with a jump before it.
        ([("5.00", "20.00", "26.00"), ("5.00", "40.00", "46.00")], [100, 100], [1_000, 1_400]),
    ],
)
def test_numbers_find_what_is_found_without_them(
    steps: list[tuple[str, str, str]], rows: list[int], jumps: list[int]
) -> None:
    """At most one alert of the row by itself, and one of the chain."""
    expected = sorted([*(("row", each) for each in rows), *(("group", each) for each in jumps)])
    assert sorted(found(*of(*steps))) == expected
    assert sorted(by_number(of(*steps))) == expected


def some_rows(rng: random.Random) -> list[Wire]:
    """Return rows of which some are wrong in themselves, some after a jump, some both."""
    now, steps = 1_000, []
    for _ in range(12):
        amount = rng.randrange(1, 400)
        now += rng.choice((0, 0, 0, 7, -300, 5_000))
        before, after = now, now + amount
        match rng.randrange(6):
            case 0:
                after += rng.choice((-1, 3, 2_000))
            case 1:
                before += rng.choice((-1, 3, 2_000))
        now = rng.choice((after, after, before + amount))
        steps.append((_text(amount), _text(before), _text(after)))
    return of(*steps)


def _text(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02}"


@pytest.mark.parametrize("tolerance", [0, 3])
@pytest.mark.parametrize("seed", range(40))
def test_any_rows_with_numbers_have_the_alerts_that_they_have_without(
    seed: int, tolerance: int
) -> None:
    """As long as their order in time is not in doubt."""
    events = some_rows(random.Random(seed))
    without = found(*events, tolerance_minor=tolerance)
    with_numbers = raised_by(ran(*numbered(*events), tolerance_minor=tolerance))
    assert sorted(off for _, off in with_numbers) == sorted(off for _, off in without)
    assert sum(check == "row" for check, _ in without) == sum(
        check == "row" for check, _ in with_numbers
    )


@pytest.mark.parametrize("order", [(1, 2, 3), (1, 3, 2), (2, 1, 3)])
def test_a_wrong_row_beside_a_gap_is_compared_when_the_gap_is_filled(order: Any) -> None:
    """From either side; its alerts are two, about the one row."""
    rows = {
        1: row(1, "", "10.00", "100.00", "90.00"),
        2: row(2, "", "10.00", "90.00", "80.00"),
        3: row(3, "", "10.00", "300.00", "200.00"),
    }
    events = [
        rows[number] | {"occurred_at": f"2026-03-02T10:00:0{place}Z"}
        for place, number in enumerate(order)
    ]
    scenario = ran(*events)
    assert sorted(raised_by(scenario)) == [("chain", 13_000), ("row", -9_000)]
    anchors = [raised.anchor for raised in scenario.raised]
    assert sorted(anchors) == ["chain:r3-completed", "r3-completed"]


@pytest.mark.parametrize(("third", "off"), [("80.00", 0), ("79.00", -100), ("81.00", 100)])
def test_a_wrong_row_that_fills_a_gap_ends_where_its_best_reading_does(
    third: str, off: int
) -> None:
    """As one that comes in order."""
    events = [
        row(1, "10:00:00", "10.00", "100.00", "90.00"),
        row(3, "10:00:01", "1.00", third, f"{float(third) - 1:.2f}"),
        row(2, "10:00:02", "10.00", "91.00", "80.00"),
    ]
    expected = [("row", -100), *([("chain", off)] if off else [])]
    assert sorted(found(*events)) == sorted(expected)
    in_order = [e | {"occurred_at": f"2026-03-02T10:00:0{e['ledger_sequence']}Z"} for e in events]
    assert sorted(found(*in_order)) == sorted(expected)


def test_a_reading_that_joins_exactly_is_likelier_than_one_within_the_tolerance() -> None:
    """So the row ends where that one does."""
    steps = [JOINING, ("5.00", "15.02", "21.00"), ("1.00", "20.02", "21.02")]
    expected = [("group", -98), ("row", 98), ("row", 100)]
    assert sorted(found(*of(*steps), tolerance_minor=2)) == expected
    names = {"chain": "group"}
    with_numbers = found(*numbered(*of(*steps)), tolerance_minor=2)
    assert sorted((names.get(check, check), off) for check, off in with_numbers) == expected


def test_the_text_tells_the_reading_that_is_nearest() -> None:
    """The balance at which the row started, or should have."""
    for events, sentence in (
        (of(("5.00", "300.00", "400.00")), "Entry 2 starts at 300.00 EUR"),
        (of(("5.00", "300.00", "16.00")), "Entry 2 should have started at 11.00 EUR"),
    ):
        scenario = ran(*numbered(*events))
        (chain,) = [each for each in scenario.raised if each.details["check"] == "chain"]
        because = scenario.rule.because(scenario.rule.Facts.of(chain.values))
        assert because[0] == "Entry 1 left 10.00 EUR."
        assert because[1].startswith(sentence)


def test_a_late_wrong_row_is_judged_by_itself_alone() -> None:
    """It is not compared with rows that are newer than what it may be compared with."""
    first, wrong = numbered(*of(("5.00", "300.00", "400.00")))
    scenario = Scenario(BalanceMismatch).give(first)
    scenario.pass_time(scenario.now + 60_000)
    scenario.give(wrong | {"occurred_at": "2026-03-02T10:00:30Z"}, late=True)
    assert raised_by(scenario) == [("row", 9_500)]
