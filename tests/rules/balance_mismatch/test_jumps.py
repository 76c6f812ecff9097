"""Jumps between rows without numbers: listed, signed, never hidden by a tolerance."""

import random
from itertools import pairwise, permutations
from typing import Any

import pytest

from rules.balance_mismatch.ledger.layout import lay_out
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import clock
from rules.testing import Scenario
from tests.support.events.balance_rows import Wire, both, ran

DAILY = {"tolerance_minor": 11, "chain_slack_ms": 86_400_000}
MORE = 1
"""In how many of 600 crowded groups a jump too many is reported."""
FIRST = both("a", "00:00:00", "100.00", "0.00", "100.00", occurred_at="2026-03-01T00:00:00Z")


def day(*rows: tuple[str, str], of: str = "10", prefix: str = "r") -> list[Wire]:
    """Return rows of one date, each a topup of what it moves; by name in the order given."""
    return [
        both(
            f"{prefix}{place}",
            "00:00:00",
            f"{float(after) - float(before):.2f}",
            before,
            after,
            "adjustment",
            occurred_at=f"2026-03-{of}T00:00:00Z",
        )
        for place, (before, after) in enumerate(rows)
    ]


def jumps(*events: Wire, **params: Any) -> list[list[int]]:
    """Return the jumps of each alert; all its sums hold."""
    scenario = ran(*events, both("end", "00:00:00", "1", "0", "1", currency="USD"), **params)
    scenario.pass_time(scenario.now + 30 * 86_400_000)
    listed = []
    for raised in scenario.raised:
        found = raised.details["jumps"]
        assert raised.details["check"] == "group"
        assert raised.details["drift_minor"] == sum(found)
        assert abs(raised.details["largest_jump_minor"]) == max(map(abs, found))
        assert raised.details["largest_jump_minor"] in found
        large = max(map(abs, found)) >= 100
        assert raised.verdict.severity == ("error" if large else "warning")
        listed.append(found)
    return listed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Within the tolerance.
        ([("100.00", "150.00")], []),
        ([("99.89", "150.00")], []),
        ([("100.11", "150.00")], []),
        ([("99.90", "150.00"), ("150.11", "140.00"), ("139.89", "145.00")], []),
        ([("150.11", "140.00"), ("99.90", "150.00")], []),
        ([("100.05", "100.00"), ("100.05", "100.02"), ("100.00", "99.95")], []),
        # One minor unit beyond it.
        ([("99.88", "150.00")], [[-12]]),
        ([("100.12", "150.00")], [[12]]),
        ([("99.90", "150.00"), ("150.12", "140.00")], [[12]]),
        # A loss behind rounding.
        ([("99.90", "150.00"), ("4950.00", "4949.95")], [[480_000]]),
        ([("99.90", "150.00"), ("4950.00", "4935.00")], [[480_000]]),
        ([("99.90", "150.00"), ("4950.00", "4950.00")], [[480_000]]),
        ([("4950.00", "4949.95"), ("99.90", "150.00")], [[480_000]]),
        ([("99.90", "99.95"), ("50.00", "49.95")], [[-4_995]]),
        ([("4900.00", "4899.95")], [[480_000]]),
        ([("99.90", "150.00"), ("-4650.00", "-4649.95")], [[-480_000]]),
        ([("99.90", "99.85"), ("4950.00", "4949.95"), ("4950.05", "4949.90")], [[485_015]]),
        # Between several rows on either side.
        (
            [("100.00", "90.00"), ("90.05", "80.00"), ("50.00", "40.00"), ("40.10", "30.00")],
            [[-3_000]],
        ),
        # Two jumps, which may cancel each other out.
        ([("100.00", "90.00"), ("95.00", "85.00"), ("80.00", "70.00")], [[500, -500]]),
        ([("100.00", "90.00"), ("130.00", "120.00"), ("119.50", "109.50")], [[4_000, -50]]),
        ([("100.00", "90.00"), ("130.00", "120.00"), ("80.50", "70.50")], [[4_000, -3_950]]),
        ([("50.00", "40.00"), ("30.00", "20.00")], [[-5_000, -1_000]]),
        ([("30.00", "20.00"), ("50.00", "40.00")], [[-7_000, 3_000]]),
        # Rows that lead back to where they began.
        ([("100.00", "90.00"), ("52.00", "47.00"), ("47.00", "52.00")], [[-3_800]]),
        ([("150.00", "160.00"), ("160.00", "150.00")], [[5_000]]),
        ([("50.00", "60.00"), ("60.00", "50.00"), ("20.00", "10.00")], [[-5_000, -3_000]]),
        # Trails that cross may exchange what follows: the jump told is the smaller.
        ([("100.00", "90.00"), ("90.00", "80.00"), ("95.00", "90.00")], [[500]]),
        ([("100.00", "120.00"), ("120.00", "100.00")], []),
        # Rows of nothing.
        ([("100.00", "100.00")], []),
        ([("100.00", "100.00"), ("50.00", "50.00")], [[-5_000]]),
        ([("50.00", "50.00"), ("70.00", "70.00")], [[-5_000, 2_000]]),
    ],
)
def test_jumps_of_a_day_are_told_with_their_amounts(
    rows: list[tuple[str, str]], expected: list[list[int]]
) -> None:
    """Whatever rounding lies around them."""
    assert jumps(FIRST, *day(*rows), **DAILY) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("50.00", "50.00"), ("80.00", "81.00")], [[-5_000], [3_000]]),
        ([("50.00", "50.00"), ("50.00", "51.00")], [[-5_000]]),
        ([("50.00", "50.00"), ("100.00", "101.00")], [[-5_000], [5_000]]),
        ([("100.00", "100.00"), ("130.00", "131.00")], [[3_000]]),
        ([("50.00", "50.00"), ("50.00", "50.00"), ("20.00", "20.00")], [[-5_000], [-3_000]]),
        ([("150.00", "140.00"), ("90.00", "80.00")], [[5_000], [-5_000]]),
    ],
)
def test_a_row_after_a_jump_anchors_however_little_it_moves(
    rows: list[tuple[str, str]], expected: list[list[int]]
) -> None:
    """The next jump is reported from its end, not from before it; each row on a day of its own."""
    events = [
        day(row, of=f"{10 + 3 * place}", prefix=f"d{place}")[0] for place, row in enumerate(rows)
    ]
    assert jumps(FIRST, *events, **DAILY) == expected
    assert jumps(FIRST, *events) == expected


def test_the_first_rows_of_a_book_may_lie_anywhere() -> None:
    """Nothing was known before them: no jump is reported, and the next group sets the balance."""
    assert jumps(*day(("1.00", "2.00"), ("50.00", "51.00")), **DAILY) == []
    rows = day(("1.00", "2.05"), ("2.00", "3.00"))
    assert jumps(*rows, *day(("3.05", "4.00"), of="13", prefix="s"), **DAILY) == []
    assert jumps(*rows, *day(("3.20", "4.00"), of="13", prefix="s"), **DAILY) == [[20]]


def test_a_correction_of_the_sum_cures() -> None:
    """Unless the sum is nothing: then no correction is one of it."""
    down = day(("100.00", "90.00"), ("95.00", "85.00"), ("80.00", "70.00"))
    for amount, cured in (("0.00", False), ("5.00", False), ("-5.00", False)):
        assert (steps_after(down, "70.00", amount)[-1] == "cured error") is cured
    up = day(("100.00", "90.00"), ("130.00", "120.00"), ("119.50", "109.50"))
    for amount, cured in (("-39.50", True), ("-40.00", False), ("0.50", False), ("39.50", False)):
        assert (steps_after(up, "109.50", amount)[-1] == "cured error") is cured


def steps_after(rows: list[Wire], balance: str, amount: str) -> list[str]:
    """Return the steps after an adjustment of an amount, days later."""
    after = f"{float(balance) + float(amount):.2f}"
    scenario = Scenario(BalanceMismatch, **DAILY).run([FIRST, *rows])
    (fix,) = day((balance, after), of="15", prefix="fix")
    scenario.give(fix | {"amount": amount})
    scenario.pass_time(scenario.now + 2 * 86_400_000)
    assert scenario.steps[0] == "raised error"
    return scenario.steps


def test_a_late_row_completes_a_group_within_the_tolerance() -> None:
    """As rows in time join within it; one minor unit beyond, it does not."""
    for before, after, steps in (
        ("99.90", "150.10", ["retracted error"]),
        ("99.89", "149.89", ["retracted error"]),
        ("99.88", "150.10", []),
        ("99.90", "150.12", []),
    ):
        scenario = Scenario(BalanceMismatch, tolerance_minor=11)
        scenario.run([FIRST, *day(("150.00", "160.00"))]).pass_time(scenario.now + 60_000)
        (late,) = day((before, after), prefix="late")
        scenario.give(late, late=True)
        assert scenario.steps == ["raised error", *steps]
        if steps:
            answered = scenario.rule.Facts.of(scenario.raised[0].values)
            closing = scenario.event_at(scenario.alerts[-1].evidence[0][0])
            assert scenario.rule.answers(answered, closing)


def test_a_late_row_has_its_place_by_time_in_the_group_that_it_joins() -> None:
    """The jumps are those of the rows in time, whichever came late."""
    rows = day(("100.00", "90.00"), ("50.00", "40.00"), ("70.00", "60.00"), ("20.00", "10.00"))
    for place, row in enumerate(rows):
        row["occurred_at"] = f"2026-03-10T0{place}:00:00Z"
    expected = jumps(FIRST, *rows, **DAILY)
    assert expected == [[-4_000, 3_000, -4_000]]
    for late in (1, 2):
        scenario = Scenario(BalanceMismatch, **DAILY).give(FIRST)
        for row in (*rows[:late], *rows[late + 1 :]):
            scenario.give(row)
        scenario.give(rows[late], late=True)
        scenario.pass_time(scenario.now + 2 * 86_400_000)
        assert [raised.details["jumps"] for raised in scenario.raised] == expected


def test_a_late_row_moves_the_rows_that_are_marked() -> None:
    """A row that is wrong in itself, and one that only anchors, are the same after it."""
    wrong = day(("80.00", "71.00"), of="10", prefix="w")[0] | {"amount": "-10.00"}
    last = day(("70.00", "60.00"), prefix="x")[0]
    (late,) = day(("100.00", "80.00"), prefix="late")
    pending = {key: last[key] for key in last if key != "balance_before"} | {"status": "pending"}
    for after in (last, pending):
        times = {"w0": "02", "x0": "03", "late0": "01"}
        events = [
            wire | {"occurred_at": f"2026-03-10T{times[wire['event_id']]}:00:00Z"}
            for wire in (wrong, after, late)
        ]
        scenario = Scenario(BalanceMismatch, **DAILY).give(FIRST)
        scenario.give(events[0]).give(events[1]).give(events[2], late=True)
        scenario.pass_time(scenario.now + 2 * 86_400_000)
        assert [raised.details["check"] for raised in scenario.raised] == ["row"]


def test_an_alert_of_a_release_before_jumps_is_judged_as_it_was() -> None:
    """One jump, which is the drift; a warning."""
    (raised,) = ran(FIRST, *day(("50.00", "40.00"))).pass_time(2 * 10**12).raised
    old = dict(raised.values)
    for name in ("jumps_minor", "other_jumps_minor", "largest_jump_minor"):
        del old[name]
    verdict = BalanceMismatch(BalanceMismatch.Params()).judge(BalanceMismatch.Facts.of(old))
    assert verdict is not None
    assert (verdict.severity, verdict.details["jumps"]) == ("warning", [-5_000])


def test_the_amount_at_stake_is_the_largest_jump_where_the_sum_is_less() -> None:
    """Jumps that cancel each other out are not nothing."""
    for rows, minor in (
        ((("105.00", "95.00"), ("90.00", "80.00")), 500),
        ((("105.00", "95.00"), ("99.00", "80.00")), 900),
    ):
        scenario = Scenario(BalanceMismatch, chain_slack_ms=86_400_000).run([FIRST, *day(*rows)])
        scenario.pass_time(scenario.now + 2 * 86_400_000)
        (raised,) = scenario.raised
        assert [each.minor for each in raised.verdict.amount_at_stake] == [minor]


def test_many_jumps_are_listed_in_part_and_summed_whole() -> None:
    """A group of a thousand rows that do not join is one alert of bounded size."""
    rows = [
        both(
            f"r{place:04}",
            "",
            "1.00",
            f"{1_000 * place}.00",
            f"{1_000 * place + 1}.00",
            occurred_at="2026-03-10T00:00:00Z",
        )
        for place in range(1, 400)
    ]
    scenario = Scenario(BalanceMismatch, **DAILY).run([FIRST, *rows])
    scenario.pass_time(scenario.now + 2 * 86_400_000)
    (raised,) = scenario.raised
    assert raised.details["jumps"] == [90_000] + [99_900] * 49
    assert raised.details["drift_minor"] == 90_000 + 99_900 * 398
    assert raised.details["largest_jump_minor"] == 99_900
    assert len(str(raised.values["jumps_minor"])) < 400


# -- texts --------------------------------------------------------------------------------


def said(*events: Wire, **params: Any) -> tuple[str, str]:
    """Return title and sentences of the only alert."""
    (raised,) = ran(*events, clock("23:00:00"), **params).raised
    rule = BalanceMismatch(BalanceMismatch.Params(**params))
    facts = rule.Facts.of(raised.values)
    return raised.title, " ".join([*rule.because(facts), rule.otherwise(facts)[0].sentence])


def test_a_break_between_two_rows_is_told_as_what_it_is() -> None:
    """Not as a group of one."""
    events = (
        both("a", "10:00:00", "1.00", "9.00", "10.00"),
        both("b", "11:00:00", "1.00", "40.00", "41.00"),
    )
    assert said(*events) == (
        "Balance jumped by 30.00 EUR between two ledger entries",
        (
            "An entry left 10.00 EUR. The next one starts at 40.00 EUR: nothing between them "
            "explains 30.00 EUR. no alert if the entry had started where the one before it ended"
        ),
    )


def test_a_group_is_told_with_its_jumps() -> None:
    """One, a few, or many."""
    first = both("a", "10:00:00", "1.00", "9.00", "10.00")
    rows = [
        both(f"r{place}", "11:00:00", "1.00", f"{place}0.00", f"{place}1.00")
        for place in range(1, 7)
    ]
    title, because = said(first, rows[0], rows[3])
    assert title == "Ledger entries of one moment leave 29.00 EUR unexplained in every order"
    assert "2 entries" in because
    assert "without a jump: 29.00 EUR are unexplained." in because
    title, because = said(first, rows[0], rows[3], rows[1])
    assert title == (
        "Ledger entries of one moment leave jumps in every order, the largest by 19.00 EUR"
    )
    assert "9.00 EUR and 19.00 EUR are unexplained, 28.00 EUR together." in because
    _, because = said(first, *rows)
    assert "9.00 EUR, 9.00 EUR, 9.00 EUR and more are unexplained, 45.00 EUR together." in because


@pytest.mark.parametrize(
    ("missing", "title"),
    [(1, "A ledger entry is missing (EUR)"), (2, "2 ledger entries are missing (EUR)")],
)
def test_a_gap_is_told_by_its_number(missing: int, title: str) -> None:
    """One entry is not "1 entries"."""
    first = both("a", "10:00:00", "1.00", "9.00", "10.00", ledger_sequence=1)
    after = both("b", "10:00:01", "1.00", "20.00", "21.00", ledger_sequence=2 + missing)
    scenario = Scenario(BalanceMismatch).run([first, after, clock("10:02:00")])
    assert [raised.title for raised in scenario.raised] == [title]


# -- against all orders -------------------------------------------------------------------


def fewest_jumps(start: int, rows: list[tuple[int, int]], tolerance: int) -> int:
    """Return how few jumps any order of the rows has."""
    least = len(rows)
    for order in permutations(rows):
        found, at = 0, start
        for before, after in order:
            found += abs(before - at) > tolerance
            at = after
        least = min(least, found)
    return least


def walk(rng: random.Random, reach: int, noise: int) -> tuple[int, list[tuple[int, int]]]:
    """Return a start and up to five rows that mostly go on from it, shuffled."""
    balances = [rng.randrange(reach) for _ in range(rng.randrange(2, 7))]
    rows = [(before + rng.randint(-noise, noise), after) for before, after in pairwise(balances)]
    if rng.random() < 0.4:
        place = rng.randrange(len(rows))
        rows[place] = rng.randrange(reach), rows[place][1]
    rng.shuffle(rows)
    return balances[0], rows


@pytest.mark.parametrize(("tolerance", "reach"), [(0, 6), (0, 100), (5, 500), (11, 10_000)])
def test_no_order_of_the_rows_has_fewer_jumps(tolerance: int, reach: int) -> None:
    """Nor more than are reported: tried over all orders, with rounding between right neighbours."""
    seen = set()
    for seed in range(300):
        start, rows = walk(random.Random(seed), reach, tolerance)
        found = lay_out(start, [each for row in rows for each in row], (), tolerance)
        assert len(found.jumps) == fewest_jumps(start, rows, tolerance), (start, rows)
        assert all(abs(jump) > tolerance for jump in found.jumps)
        seen.add(len(found.jumps))
    assert seen >= {0, 1}


def test_among_crowded_balances_no_jump_is_hidden() -> None:
    """Where a tolerance lets each row join many, a jump too many may be told; seldom."""
    more = 0
    for seed in range(600):
        start, rows = walk(random.Random(seed), 50, 5)
        found = lay_out(start, [each for row in rows for each in row], (), 5)
        least = fewest_jumps(start, rows, 5)
        assert len(found.jumps) >= least
        assert all(abs(jump) > 5 for jump in found.jumps)
        more += len(found.jumps) > least
    assert more <= MORE


def test_where_a_thousand_rows_join_within_a_tolerance_one_trail_is_found() -> None:
    """In any order."""
    rng = random.Random(1)
    balances = [rng.randrange(10**7) for _ in range(1_001)]
    rows = [(before + rng.randint(-9, 9), after) for before, after in pairwise(balances)]
    rng.shuffle(rows)
    found = lay_out(balances[0], [each for row in rows for each in row], (), 9)
    assert found.jumps == ()
    assert found.ends[0] == balances[-1]
