"""A2 and rows that undo a transaction: what they may move by what is known of it."""

from typing import Any

import pytest

from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import clock, txn
from rules.testing import Scenario

UNDOING = ("failed", "cancelled", "expired", "reversed")


def entry(time: str, status: str, before: str, after: str, **fields: Any) -> dict[str, Any]:
    """Return a row of a payment of 40.00 from the posted balance."""
    balances = {"balance_before": before, "balance_after": after, "balance_kind": "posted"}
    named = {"event_id": f"{status}-{time}"}
    return txn(fields.pop("name", "p1"), time, status, "40.00", **balances | named | fields)


def unreported(time: str, status: str, **fields: Any) -> dict[str, Any]:
    """Return an event of the payment without balances."""
    return txn("p1", time, status) | {"amount": "40.00", "event_id": f"u-{time}"} | fields


def steps(*events: dict[str, Any]) -> list[str]:
    """Return what is found of the rows by themselves."""
    scenario = Scenario(BalanceMismatch, chain_check=False, group_check=False).run(events)
    return scenario.give(clock("11:00:00")).steps


PENDING = entry("10:01:00", "pending", "100.00", "100.00")
PAID = entry("10:01:30", "completed", "100.00", "60.00")


@pytest.mark.parametrize("status", UNDOING)
@pytest.mark.parametrize(
    ("before", "given_back", "kept"),
    [
        ([], [], []),
        ([PAID], [], []),
        ([PENDING], ["raised error"], []),
        ([PENDING, PAID], [], []),
        ([PENDING, unreported("10:01:30", "completed")], [], []),
        ([unreported("10:01:00", "pending")], ["raised error"], []),
        ([unreported("10:01:00", "pending", funding="card")], [], []),
        ([unreported("10:01:30", "cancelled")], ["raised error"], []),
        ([unreported("10:01:30", "expired"), unreported("10:01:40", "completed")], [], []),
        ([PAID, unreported("10:01:40", "reversed")], ["raised error"], []),
        ([unreported("10:01:00", "pending", hold_remaining="0.00")], [], []),
        (
            [PENDING, unreported("10:01:30", "completed", amount="9.00", hold_remaining="31.00")],
            [],
            [],
        ),
        ([unreported("10:01:00", "pending", account_id="acc-2")], [], []),
        ([unreported("10:01:00", "pending", transaction_id="p2")], [], []),
    ],
)
def test_a_posted_balance_gets_back_what_was_taken(
    status: str, before: list[dict[str, Any]], given_back: list[str], kept: list[str]
) -> None:
    """Not what was only held, nor a second time; nothing may move in any case."""
    back = entry("10:02:00", status, "60.00", "100.00")
    assert steps(*before, back) == given_back
    assert steps(*before, entry("10:02:00", status, "60.00", "60.00")) == kept


@pytest.mark.parametrize("status", UNDOING)
@pytest.mark.parametrize("moved", ["99.99", "100.01", "20.00"])
def test_it_gets_back_neither_more_nor_less(status: str, moved: str) -> None:
    """Whatever is known."""
    back = entry("10:02:00", status, "60.00", moved)
    for before in ([], [PAID], [PENDING], [unreported("10:01:30", "cancelled")]):
        assert len(steps(*before, back)) == 1


HOLD = entry("10:01:00", "pending", "100.00", "60.00", balance_kind="available")


@pytest.mark.parametrize("status", UNDOING)
@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([HOLD], "100.00", []),
        ([HOLD], "60.00", []),
        ([HOLD], "140.00", ["raised error"]),
        ([], "100.00", []),
        ([], "70.00", ["raised error"]),
        ([HOLD, unreported("10:01:30", "cancelled")], "100.00", ["raised error"]),
        ([HOLD, unreported("10:01:30", "cancelled")], "60.00", []),
        ([HOLD, unreported("10:01:30", "completed", amount="10.00")], "90.00", []),
    ],
)
def test_an_available_balance_gets_back_what_was_held(
    status: str, before: list[dict[str, Any]], after: str, found: list[str]
) -> None:
    """Once; of what was captured in part, the rest."""
    back = entry("10:02:00", status, "60.00", after, balance_kind="available")
    assert steps(*before, back) == found


@pytest.mark.parametrize("kind", ["posted", "available"])
def test_a_late_row_is_judged_by_itself_alone(kind: str) -> None:
    """What is known may be of after it: both are right."""
    scenario = Scenario(BalanceMismatch, chain_check=False, group_check=False)
    scenario.give(unreported("10:01:00", "cancelled")).give(clock("10:30:00"))
    back = entry("10:02:00", "cancelled", "60.00", "100.00", balance_kind=kind)
    assert scenario.give(back, late=True).steps == []


def test_credits_are_undone_once_too() -> None:
    """A refund that is reversed twice takes the money twice."""
    refund = {"type": "refund", "name": "r1"}
    done = entry("10:01:00", "completed", "60.00", "100.00", **refund)
    first = entry("10:02:00", "reversed", "100.00", "60.00", **refund)
    second = entry("10:03:00", "reversed", "60.00", "20.00", **refund)
    assert steps(done, first) == []
    assert steps(done, first, second) == ["raised error"]


@pytest.mark.parametrize(
    ("before", "why"),
    [(unreported("10:01:30", "expired"), "had been undone already"), (PENDING, "only been held")],
)
def test_the_alert_says_what_was_known(before: dict[str, Any], why: str) -> None:
    """It follows from the quoted facts; what was known has no address."""
    scenario = Scenario(BalanceMismatch, chain_check=False, group_check=False)
    scenario.run([before, entry("10:02:00", "cancelled", "60.00", "100.00")])
    (raised,) = scenario.raised
    assert ("transaction_before", None) in [(name, ref) for name, _, ref in raised.facts]
    facts = scenario.rule.Facts.of(raised.values)
    assert any(why in sentence for sentence in scenario.rule.because(facts))
    assert scenario.rule.judge(facts) is not None


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired"])
def test_what_undoes_a_completion_unreported_makes_the_balance_unknown(status: str) -> None:
    """The money came back or not: the next row anchors."""
    paid = entry("10:01:00", "completed", "100.00", "60.00")
    back = entry("10:04:00", "completed", "100.00", "60.00", name="p2")
    assert _chain(paid, unreported("10:02:00", status), back) == []
    assert _chain(paid, unreported("10:02:00", status, transaction_id="p3"), back) != []


def _chain(*events: dict[str, Any]) -> list[str]:
    scenario = Scenario(BalanceMismatch).run(events)
    return scenario.give(clock("11:00:00")).steps
