"""A disputed row moves nothing, or all of it back; moved unreported, it makes a chain unknown."""

from typing import Any

import pytest

from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import balance, clock, row, txn
from rules.testing import Scenario
from tests.support.events.balance_rows import Wire, both, found, numbered, raised_by, ran

FEE = {"fee": "0.50"}
SEPARATE = FEE | {"fee_mode": "separate"}
PART = {"funding": "mixed", "funding_from_balance": "4.00"}
AVAILABLE = {"balance_kind": "available"}


@pytest.mark.parametrize(
    ("type_", "amount", "after", "fields", "drift"),
    [
        ("payment", "40.00", "60.00", {}, 0),
        ("payment", "40.00", "100.00", {}, 0),
        ("payment", "40.00", "20.00", {}, -4_000),
        ("payment", "40.00", "100.01", {}, 1),
        ("payment", "40.00", "99.99", {}, -1),
        ("payment", "40.00", "60.01", {}, 1),
        ("payment", "40.00", "140.00", {}, 4_000),
        ("withdrawal", "40.00", "100.00", {}, 0),
        ("transfer_out", "40.00", "100.00", {}, 0),
        ("fee", "40.00", "100.00", {}, 0),
        ("topup", "50.00", "10.00", {}, 0),
        ("topup", "50.00", "60.00", {}, 0),
        ("topup", "50.00", "110.00", {}, 5_000),
        ("topup", "50.00", "9.99", {}, -1),
        ("topup", "90.00", "-30.00", {}, 0),
        ("transfer_in", "50.00", "10.00", {}, 0),
        ("refund", "50.00", "10.00", {}, 0),
        ("adjustment", "-5.00", "65.00", {}, 0),
        ("adjustment", "-5.00", "55.00", {}, -500),
        ("adjustment", "5.00", "55.00", {}, 0),
        ("payment", "40.00", "100.50", FEE, 0),
        ("payment", "40.00", "100.00", FEE, -50),
        ("payment", "40.00", "100.00", SEPARATE, 0),
        ("payment", "40.00", "100.50", SEPARATE, 50),
        ("payment", "40.00", "60.00", {"funding": "card"}, 0),
        ("payment", "40.00", "100.00", {"funding": "card"}, 4_000),
        ("payment", "40.00", "64.00", PART, 0),
        ("payment", "40.00", "100.00", PART, 3_600),
        ("payment", "40.00", "77.00", {"funding": "mixed"}, 0),
        ("payment", "40.00", "20.00", AVAILABLE, 0),
        ("topup", "0.00", "60.00", {}, 0),
        ("topup", "0.00", "60.01", {}, 1),
    ],
)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [None, 7])
def test_a_disputed_row_moves_nothing_or_exactly_the_opposite(
    type_: str, amount: str, after: str, fields: Wire, drift: int, late: bool, number: int | None
) -> None:
    """Of the full effect, with what the balance pays and with the fee in the row."""
    event = both("t1", "10:00:00", amount, "60.00", after, type_, status="disputed", **fields)
    if number is not None:
        event["ledger_sequence"] = number
    scenario = Scenario(BalanceMismatch)
    scenario.give(event, late=late).give(clock("23:00:00"))
    assert raised_by(scenario) == ([("row", drift)] if drift else [])


@pytest.mark.parametrize("status", ["pending", "completed"])
def test_other_rows_may_not_move_the_opposite(status: str) -> None:
    """A dispute is not a licence for all."""
    assert len(found(both("t1", "10:00:00", "40.00", "60.00", "100.00", "payment", status=status)))


def disputed_and_won(**fields: Any) -> list[Wire]:
    """Return a payment whose money is given back at the dispute and taken again when it is lost."""
    return [
        both("a", "09:00:00", "100.00", "0.00", "100.00"),
        both("b", "10:00:00", "40.00", "100.00", "60.00", "payment", transaction_id="p"),
        both("c", "11:00:00", "40.00", "60.00", "100.00", "payment", status="disputed", **fields),
        both("d", "12:00:00", "-40.00", "100.00", "60.00", "adjustment"),
        both("e", "13:00:00", "5.00", "60.00", "55.00", "payment"),
    ]


def test_the_money_that_a_dispute_moves_stands_in_the_chain() -> None:
    """Whether it is taken when the dispute opens or given back; with numbers and without."""
    assert found(*disputed_and_won()) == []
    assert found(*numbered(*disputed_and_won())) == []
    at_once = [event | {"occurred_at": "2026-03-02T11:00:00Z"} for event in disputed_and_won()]
    assert found(*at_once) == []


def test_a_dispute_without_its_money_breaks_no_chain_and_hides_no_jump() -> None:
    """What follows must go on from where it left the balance."""
    events = disputed_and_won()
    events[2]["balance_after"] = "60.00"
    assert found(*events) == [("group", 4_000)]
    assert found(*numbered(*events)) == [("chain", 4_000)]


# -- money that moves without a balance ---------------------------------------------------

KNOWN = both("a", "10:00:00", "100.00", "0.00", "100.00")
NEXT = both("c", "10:10:00", "1.00", "77.00", "78.00")
JUMP = [("group", -2_300)]


@pytest.mark.parametrize(
    ("type_", "status", "fields", "expected"),
    [
        ("payment", "completed", {}, []),
        ("payment", "reversed", {}, []),
        ("payment", "disputed", {}, []),
        ("topup", "completed", {}, []),
        ("topup", "reversed", {}, []),
        ("topup", "disputed", {}, []),
        ("withdrawal", "reversed", {}, []),
        ("transfer_in", "disputed", {}, []),
        ("adjustment", "reversed", {}, []),
        ("refund", "disputed", {}, []),
        ("payment", "disputed", {"funding": "mixed"}, []),
        ("payment", "disputed", {"funding": "card"}, JUMP),
        ("payment", "reversed", {"funding": "card"}, JUMP),
        ("payment", "completed", {"currency": "USD"}, JUMP),
        ("payment", "disputed", {"currency": "USD"}, JUMP),
        ("payment", "pending", {}, JUMP),
        ("payment", "failed", {}, JUMP),
        ("payment", "cancelled", {}, JUMP),
        ("topup", "expired", {}, JUMP),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_what_may_have_moved_unreported_makes_the_balance_unknown(
    type_: str, status: str, fields: Wire, expected: list[Any], late: bool
) -> None:
    """The next row sets it; a row after that is judged again."""
    unreported = txn("u", "10:05:00", status, "23.00", type=type_, **fields)
    scenario = Scenario(BalanceMismatch).give(KNOWN)
    scenario.give(unreported, late=late).give(NEXT).give(clock("10:20:00"))
    assert raised_by(scenario) == expected
    scenario.give(both("d", "10:30:00", "1.00", "80.00", "81.00")).give(clock("10:40:00"))
    assert raised_by(scenario) == [*expected, ("group", 200)]


@pytest.mark.parametrize("status", ["completed", "reversed", "disputed"])
def test_a_report_is_not_judged_against_what_was_known_before(status: str) -> None:
    """It is counted; after a status that moves nothing it is judged."""
    events = KNOWN, balance("10:06:00", "77.00")
    scenario = ran(*events, txn("u", "10:05:00", status, "23.00", type="topup"))
    assert (scenario.steps, scenario.counts["snapshot_balance_unknown"]) == ([], 1)
    assert ran(*events, txn("u", "10:05:00", "failed", "23.00")).steps == ["raised error"]


@pytest.mark.parametrize("status", ["completed", "reversed", "disputed", "failed"])
def test_a_numbered_row_without_balances_leaves_the_next_uncompared(status: str) -> None:
    """Whatever its status: where it left the balance is not known."""
    unreported = txn("u", "10:05:00", status, "23.00", ledger_sequence=2)
    events = row(1, "10:00:00", "1.00", "9.00", "8.00"), row(3, "10:10:00", "1.00", "3.00", "2.00")
    assert found(events[0], unreported, events[1]) == []


@pytest.mark.parametrize("status", ["reversed", "disputed"])
def test_a_row_that_reports_one_kind_makes_the_other_unknown(status: str) -> None:
    """As a completed one does."""
    hold = both("h", "10:00:00", "9.00", "50.00", "41.00", "payment", status="pending", **AVAILABLE)
    moved = both("m", "10:05:00", "9.00", "41.00", "50.00", "payment", status=status)
    after = both("n", "10:10:00", "2.00", "48.00", "46.00", "payment", status="pending")
    assert found(hold, moved, after | AVAILABLE) == []
