"""What A2 finds and leaves alone in books without numbers."""

from typing import Any, Final

from rules.builders import clock, txn
from rules.contract import Example


def entry(
    name: str, time: str, amount: str, before: str, after: str, kind: str = "posted", **fields: Any
) -> dict[str, Any]:
    """Return a row without a number: a completed payment with its balances."""
    balances = {"balance_before": before, "balance_after": after, "balance_kind": kind}
    return txn(name, time, amount=amount, **balances | fields)


def hold(name: str, time: str, status: str, amount: str, before: str, after: str) -> dict[str, Any]:
    """Return a row of the available balance: a hold, or the end of one."""
    return entry(name, time, amount, before, after, "available", status=status)


FIRST: Final = entry("a", "10:00:00", "10.00", "100.00", "90.00")
END: Final = clock("10:30:00")
TEN: Final = (
    entry("c", "10:01:00", "10.00", "70.00", "60.00"),
    entry("b", "10:01:00", "20.00", "90.00", "70.00"),
    entry("d", "10:01:00.999", "5.00", "60.00", "55.00"),
)

GROUPS: Final = (
    Example(name="Rows of one moment in any order", events=(FIRST, *TEN, END)),
    Example(
        name="A row starts at another balance than the group before left; later rows are right",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "89.99", "69.99"),
            entry("c", "10:02:00", "10.00", "69.99", "59.99"),
            END,
        ),
        expect=("raised warning",),
        details=({"check": "group", "drift_minor": -1, "currency": "EUR", "rows": 1},),
    ),
    Example(
        name="A jump of one major unit or more is an error",
        events=(FIRST, entry("b", "10:01:00", "20.00", "50.00", "30.00"), END),
        expect=("raised error",),
        details=({"drift_minor": -4000, "balance_kind": "posted"},),
    ),
    Example(
        name="A break in the middle of a group is one alert",
        events=(
            FIRST,
            *TEN[:2],
            entry("d", "10:01:00.999", "5.00", "60.01", "55.01"),
            entry("e", "10:02:00", "5.00", "55.01", "50.01"),
            END,
        ),
        expect=("raised warning",),
        details=({"drift_minor": 1, "rows": 3},),
    ),
    Example(
        name="999 milliseconds later a row is of the same group",
        events=(
            FIRST,
            entry("c", "10:01:00", "10.00", "70.00", "60.00"),
            entry("b", "10:01:00.999", "20.00", "90.00", "70.00"),
            END,
        ),
    ),
    Example(
        name="A second later it is not, and both groups are broken",
        events=(
            FIRST,
            entry("c", "10:01:00", "10.00", "70.00", "60.00"),
            entry("b", "10:01:01", "20.00", "90.00", "70.00"),
            END,
        ),
        expect=("raised error", "raised error"),
        details=({"drift_minor": -2000}, {"drift_minor": 3000}),
    ),
    Example(
        name="A book that knows days only",
        events=(
            FIRST,
            entry("c", "12:00:00", "10.00", "70.00", "60.00"),
            entry("b", "13:00:00", "20.00", "90.00", "70.00"),
            clock("23:59:59"),
        ),
        params={"chain_slack_ms": 86_400_000},
    ),
    Example(
        name="A row that is wrong in itself is one alert, wherever the next one starts",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.00", "70.01"),
            entry("c", "10:02:00", "10.00", "70.00", "60.00"),
            END,
        ),
        expect=("raised warning",),
        details=({"check": "row", "drift_minor": 1},),
    ),
    Example(
        name="The first group sets the balance, also if its rows do not join",
        events=(
            entry("x", "10:00:00", "1.00", "50.00", "49.00"),
            entry("y", "10:00:00", "1.00", "30.00", "29.00"),
            entry("z", "10:01:00", "1.00", "80.00", "79.00"),
            END,
        ),
    ),
    Example(
        name="After a completed row without balances the next one sets the balance",
        events=(
            FIRST,
            txn("u", "10:00:30"),
            entry("b", "10:01:00", "20.00", "55.00", "35.00"),
            END,
        ),
    ),
    Example(
        name="A payment by card moves no balance: what was known stays known",
        events=(
            FIRST,
            txn("u", "10:00:30", funding="card"),
            entry("b", "10:01:00", "20.00", "55.00", "35.00"),
            END,
        ),
        expect=("raised error",),
    ),
    Example(
        name="The fee has a row of its own, at the same moment",
        events=(
            FIRST,
            entry("f", "10:01:00", "0.50", "70.00", "69.50", type="fee"),
            entry("b", "10:01:00", "20.00", "90.00", "70.00", fee="0.50", fee_mode="separate"),
            END,
        ),
    ),
    Example(
        name="Each currency has a book of its own, also when one is changed into the other",
        events=(
            FIRST,
            entry("u", "10:00:00", "5.00", "5.00", "10.00", type="topup", currency="USD"),
            entry("out", "10:01:00", "90.00", "90.00", "0.00", type="transfer_out"),
            entry("in", "10:01:00", "99.00", "10.00", "109.00", type="transfer_in", currency="USD"),
            END,
        ),
    ),
    Example(
        name="A hold, its partial capture and its release move the available balance",
        events=(
            entry("a", "10:00:00", "5.00", "95.00", "100.00", type="topup"),
            hold("h1", "10:01:00", "pending", "60.00", "100.00", "40.00"),
            hold("h2", "10:01:00", "pending", "10.00", "40.00", "30.00"),
            hold("h2", "10:02:00", "expired", "10.00", "30.00", "40.00"),
            entry("h1", "10:03:00", "45.00", "100.00", "55.00"),
            hold("h3", "10:04:00", "pending", "5.00", "55.00", "50.00"),
            END,
        ),
    ),
    Example(
        name="Holds alone are chained",
        events=(
            hold("h1", "10:01:00", "pending", "60.00", "100.00", "40.00"),
            hold("h2", "10:02:00", "pending", "10.00", "39.99", "29.99"),
            END,
        ),
        expect=("raised warning",),
        details=({"check": "group", "balance_kind": "available", "drift_minor": -1},),
    ),
    Example(
        name="Without numbers, too, an adjustment of exactly the drift cures",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "89.99", "69.99"),
            entry("fix", "10:10:00", "0.01", "69.99", "70.00", type="adjustment"),
            END,
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="The group check can be switched off",
        events=(FIRST, entry("b", "10:01:00", "20.00", "89.99", "69.99"), END),
        params={"group_check": False},
    ),
)
