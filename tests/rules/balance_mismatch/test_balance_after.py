"""Rows that report only the balance after: the one before follows from a completed row's effect."""

from typing import Any

import pytest

from rules.balance_mismatch.ledger.row import start_of, with_start
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import balance, clock, txn
from rules.testing import Scenario, event_of
from tests.support.events.balance_rows import (
    Wire,
    after_only,
    both,
    found,
    numbered,
    raised_by,
    ran,
)

FIRST = after_only("a", "10:00:00", "100.00", "100.00")
FEE = {"fee": "0.50"}
PART = {"funding": "mixed", "funding_from_balance": "4.00"}


def third(before: str, after: str) -> Wire:
    """Return a row after the others, a topup of 1.00 with both balances."""
    return both("c", "12:00:00", "1.00", before, after)


@pytest.mark.parametrize(
    ("second", "drifts"),
    [
        (after_only("b", "11:00:00", "10.00", "110.00"), []),
        (after_only("b", "11:00:00", "10.00", "500.00"), [39_000]),
        (after_only("b", "11:00:00", "10.00", "50.00"), [-6_000]),
        (after_only("b", "11:00:00", "10.00", "110.01"), [1]),
        (after_only("b", "11:00:00", "10.00", "109.99"), [-1]),
        (after_only("b", "11:00:00", "10.00", "90.00", "payment"), []),
        (after_only("b", "11:00:00", "10.00", "110.00", "payment"), [2_000]),
        (after_only("b", "11:00:00", "10.00", "90.00", "withdrawal"), []),
        (after_only("b", "11:00:00", "10.00", "89.50", "payment", **FEE), []),
        (after_only("b", "11:00:00", "10.00", "90.00", "payment", **FEE), [50]),
        (after_only("b", "11:00:00", "10.00", "90.00", "payment", fee_mode="separate", **FEE), []),
        (after_only("b", "11:00:00", "10.00", "100.00", "payment", funding="card"), []),
        (after_only("b", "11:00:00", "10.00", "90.00", "payment", funding="card"), [-1_000]),
        (after_only("b", "11:00:00", "10.00", "96.00", "payment", **PART), []),
        (after_only("b", "11:00:00", "10.00", "90.00", "payment", **PART), [-600]),
        (after_only("b", "11:00:00", "-3.00", "97.00", "adjustment"), []),
        (after_only("b", "11:00:00", "-3.00", "103.00", "adjustment"), [600]),
        (after_only("b", "11:00:00", "0.00", "100.00"), []),
        (after_only("b", "11:00:00", "0.00", "140.00"), [4_000]),
        (after_only("b", "11:00:00", "400.00", "-300.00", "payment"), []),
    ],
)
@pytest.mark.parametrize("with_numbers", [False, True])
def test_a_completed_row_is_judged_in_the_chain_from_its_effect(
    second: Wire, drifts: list[int], with_numbers: bool
) -> None:
    """Not by itself; and the row after it goes on from where it ended."""
    after = second["balance_after"]
    rows = [FIRST, second, third(after, f"{float(after) + 1:.2f}")]
    check = "chain" if with_numbers else "group"
    assert found(*(numbered(*rows) if with_numbers else rows)) == [(check, each) for each in drifts]


@pytest.mark.parametrize(
    "second",
    [
        after_only("b", "11:00:00", "10.00", "77.00", "payment", funding="mixed"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="pending"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="failed"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="cancelled"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="expired"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="reversed"),
        after_only("b", "11:00:00", "10.00", "77.00", "payment", status="disputed"),
        after_only("b", "11:00:00", "10.00", "77.00", status="pending"),
        after_only("b", "11:00:00", "10.00", "77.00", status="disputed"),
        after_only("b", "11:00:00", "10.00", "77.00", status="reversed"),
    ],
    ids=lambda wire: f"{wire['type']} {wire['status']}",
)
@pytest.mark.parametrize("with_numbers", [False, True])
def test_a_row_whose_start_does_not_follow_only_anchors(second: Wire, with_numbers: bool) -> None:
    """It is not compared with the row before, the row after is compared with it."""
    numbers = numbered if with_numbers else lambda *rows: list(rows)
    assert found(*numbers(FIRST, second, third("77.00", "78.00"))) == []
    check = "chain" if with_numbers else "group"
    assert found(*numbers(FIRST, second, third("100.00", "101.00"))) == [(check, 2_300)]


def test_the_first_row_anchors() -> None:
    """Wherever it begins."""
    assert found(after_only("a", "10:00:00", "1.00", "55.00"), third("55.00", "56.00")) == []
    pending = after_only("a", "10:00:00", "1.00", "55.00", status="pending")
    assert found(pending, third("55.00", "56.00")) == []
    assert found(pending, third("54.00", "55.00")) == [("group", -100)]


ONE_MOMENT = (
    after_only("d", "11:00:00", "10.00", "110.00"),
    after_only("e", "11:00:00.200", "30.00", "80.00", "payment"),
    after_only("b", "11:00:00.400", "5.00", "85.00"),
)


def test_rows_of_one_moment_join_in_some_order() -> None:
    """In time or not; mixed with rows that report both balances; a missing one is a jump."""
    assert found(FIRST, *ONE_MOMENT, third("85.00", "86.00")) == []
    first, *others = ONE_MOMENT
    swapped = [first | {"occurred_at": "2026-03-02T11:00:00.500Z"}, *others]
    assert found(FIRST, *swapped, third("85.00", "86.00")) == []
    assert found(FIRST, *others, third("85.00", "86.00")) == [("group", 1_000)]
    whole = both("b", "11:00:00.400", "5.00", "80.00", "85.00")
    assert found(FIRST, *ONE_MOMENT[:2], whole, third("85.00", "86.00")) == []


def test_a_row_without_a_start_may_stand_anywhere_in_its_group() -> None:
    """Rows around it join without it, or through it; a jump beside it is reported all the same."""
    pending = after_only("p", "11:00:00.300", "9.00", "80.00", "payment", status="pending")
    assert found(FIRST, *ONE_MOMENT, pending, third("85.00", "86.00")) == []
    elsewhere = after_only("p", "11:00:00.300", "9.00", "70.00", "payment", status="failed")
    onward = after_only("q", "11:00:00.500", "5.00", "65.00", "payment")
    assert found(FIRST, *ONE_MOMENT, elsewhere, onward, third("65.00", "66.00")) == []
    apart = after_only("q", "11:00:00.500", "5.00", "300.00", "payment")
    assert len(found(FIRST, *ONE_MOMENT, pending, apart, third("300.00", "301.00"))) == 1


@pytest.mark.parametrize("tolerance", [9, 10])
def test_a_tolerance_holds_for_the_balance_worked_out(tolerance: int) -> None:
    """In both directions."""
    for after in ("110.10", "109.90"):
        rows = FIRST, after_only("b", "11:00:00", "10.00", after)
        for numbers in (numbered, lambda *each: each):
            assert len(found(*numbers(*rows), tolerance_minor=tolerance)) == (tolerance < 10)


def test_currencies_and_kinds_have_chains_of_their_own() -> None:
    """Also without decimals, and for available balances."""
    yen = {"currency": "JPY"}
    assert found(
        FIRST,
        after_only("j", "10:30:00", "500", "700", **yen),
        after_only("k", "11:00:00", "100", "800", **yen),
        after_only("m", "11:10:00", "1", "802", **yen),
        after_only("b", "11:30:00", "10.00", "110.00"),
    ) == [("group", 1)]
    available = {"balance_kind": "available"}
    rows = after_only("v", "10:00:00", "5.00", "5.00", **available), third("9.00", "10.00")
    assert found(*rows, after_only("w", "10:30:00", "1.00", "7.00", **available)) == [
        ("group", 100)
    ]


def test_a_late_row_closes_the_group_that_it_completes() -> None:
    """Its start follows from its effect; so it does for a report that it explains."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    scenario.give(after_only("c", "11:00:00", "5.00", "85.00")).give(clock("11:30:00"))
    assert raised_by(scenario) == [("group", -2_000)]
    late = after_only("b", "10:30:00", "20.00", "80.00", "payment")
    scenario.give(late | {"balance_after": "79.00"}, late=True)
    assert scenario.steps == ["raised error"]
    scenario.give(late | {"event_id": "bb"}, late=True)
    assert scenario.steps == ["raised error", "retracted error"]
    scenario = Scenario(BalanceMismatch).give(FIRST).give(balance("10:40:00", "60.00"))
    scenario.give(clock("11:00:00"))
    late = after_only("b", "10:40:02", "20.00", "40.00", "payment")
    scenario.give(late, late=True)
    assert scenario.steps == ["raised error", "retracted error"]


@pytest.mark.parametrize(("reported", "steps"), [("110.00", []), ("111.00", ["raised error"])])
def test_a_report_is_compared_with_balances_after_alone(reported: str, steps: list[str]) -> None:
    """With numbers and without, and after a row that only anchors."""
    second = after_only("b", "11:00:00", "10.00", "110.00")
    report = balance("11:30:00", reported)
    assert ran(FIRST, second, report).steps == steps
    assert ran(*numbered(FIRST, second), report).steps == steps
    assert ran(FIRST, second | {"status": "pending"}, report).steps == steps
    assert ran(*numbered(FIRST, second | {"status": "pending"}), report).steps == steps


def test_the_same_row_under_another_event_id_is_counted_once() -> None:
    """Its contents are those that it reports: as releases before have remembered them."""
    first, second = numbered(FIRST, after_only("b", "11:00:00", "10.00", "110.00"))
    again = second | {"event_id": "again", "occurred_at": "2026-03-02T11:00:05Z"}
    scenario = ran(first, second, again)
    assert (scenario.steps, scenario.counts["repeated_entry"]) == ([], 1)


@pytest.mark.parametrize(
    ("wire", "start"),
    [
        (after_only("a", "10:00:00", "10.00", "30.00"), 2_000),
        (after_only("a", "10:00:00", "10.00", "30.00", "payment"), 4_000),
        (after_only("a", "10:00:00", "10.00", "30.00", balance_before="1.00"), 100),
        (after_only("a", "10:00:00", "10.00", "30.00", status="pending"), None),
        (after_only("a", "10:00:00", "10.00", "30.00", "payment", funding="mixed"), None),
        (txn("a", "10:00:00"), None),
    ],
)
def test_where_a_row_starts(wire: dict[str, Any], start: int | None) -> None:
    """The event that others see stays as it came."""
    event = event_of(wire)
    before = event.balance_before  # type: ignore[union-attr]
    assert start_of(event) == start  # type: ignore[arg-type]
    assert with_start(event).balance_before == start  # type: ignore[arg-type]
    assert event.balance_before == before  # type: ignore[union-attr]
