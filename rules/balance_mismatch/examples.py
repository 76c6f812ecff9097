"""What A2 finds and what it leaves alone; run by the tests and `rules test`."""

from typing import Any, Final

from rules.balance_mismatch.dispute_examples import DISPUTES
from rules.balance_mismatch.group_examples import GROUPS
from rules.balance_mismatch.jump_examples import AFTER_ONLY, JUMPS
from rules.balance_mismatch.snapshot_examples import SNAPSHOTS
from rules.builders import clock, row, txn
from rules.contract import Example

HALF_PAID: Final = {"funding": "mixed", "funding_from_balance": "4.00"}


def _alone(
    status: str, amount: str, before: str, after: str, kind: str = "posted", **fields: Any
) -> tuple[dict[str, Any], ...]:
    balances = {"balance_before": before, "balance_after": after, "balance_kind": kind}
    return (txn("t1", "10:00:00", status, amount, **balances | fields),)


def _fix(sequence: int, amount: str, before: str, after: str, **fields: Any) -> dict[str, Any]:
    return row(sequence, "10:30:00", amount, before, after, **{"type": "adjustment"} | fields)


ONE = row(1, "10:00:00", "10.00", "100.00", "90.00")
TWO = row(2, "10:00:01", "10.00", "90.00", "80.00")
THREE = row(3, "10:00:02", "10.00", "80.00", "70.00")
FOUR = row(4, "10:00:03", "10.00", "70.00", "60.00")

_ROW: Final = (
    Example(
        name="A completed row moved the balance by less than it should",
        events=_alone("completed", "12.50", "100.00", "87.51"),
        expect=("raised warning",),
        details=({"check": "row", "drift_minor": 1, "currency": "EUR"},),
    ),
    Example(
        name="One major unit or more is an error, in either direction",
        events=_alone("completed", "12.50", "100.00", "86.50"),
        expect=("raised error",),
        details=({"drift_minor": -100},),
    ),
    Example(
        name="A currency without decimals has its own major unit",
        events=_alone("completed", "1250", "10000", "8751", currency="JPY"),
        expect=("raised error",),
        details=({"drift_minor": 1, "currency": "JPY"},),
    ),
    Example(
        name="Within the tolerance nothing is wrong",
        events=_alone("completed", "12.50", "100.00", "87.51"),
        params={"tolerance_minor_by_currency": {"EUR": 1}},
    ),
    Example(
        name="The fee moves the balance with the row",
        events=_alone("completed", "12.50", "100.00", "87.00", fee="0.50"),
    ),
    Example(
        name="A fee with a row of its own does not",
        events=_alone("completed", "12.50", "100.00", "87.50", fee="0.50", fee_mode="separate"),
    ),
    Example(
        name="A payment by card moves nothing",
        events=_alone("completed", "12.50", "100.00", "100.00", funding="card"),
    ),
    Example(
        name="Of a mixed funding the balance pays its part",
        events=_alone("completed", "12.50", "100.00", "96.00", **HALF_PAID),
    ),
    Example(
        name="A mixed funding that does not state its part is not judged",
        events=_alone("completed", "12.50", "100.00", "96.00", funding="mixed"),
    ),
    Example(
        name="A credit adds its amount, an adjustment its signed amount",
        events=(
            row(1, "10:00:00", "5.00", "10.00", "15.00", type="topup"),
            row(2, "10:00:01", "-2.00", "15.00", "13.00", type="adjustment"),
        ),
    ),
    Example(
        name="A pending payment that moved the posted balance",
        events=_alone("pending", "12.50", "100.00", "87.50"),
        expect=("raised error",),
        details=({"drift_minor": -1250},),
    ),
    Example(
        name="A hold takes the whole amount from the available balance",
        events=_alone("pending", "12.50", "100.00", "87.50", "available"),
    ),
    Example(
        name="A hold of another amount",
        events=_alone("pending", "12.50", "100.00", "97.50", "available"),
        expect=("raised error",),
        details=({"drift_minor": 1000, "balance_kind": "available"},),
    ),
    Example(
        name="Money on its way in holds nothing and is not available yet",
        events=_alone("pending", "12.50", "100.00", "100.00", "available", type="topup"),
    ),
    Example(
        name="A partial capture gives the rest of the hold back: available is not judged then",
        events=_alone("completed", "8.00", "87.50", "92.00", "available"),
    ),
    Example(
        name="An expired or failed payment moves nothing or gives all back",
        events=(
            *_alone("expired", "12.50", "87.50", "100.00"),
            *_alone("failed", "12.50", "100.00", "100.00"),
        ),
    ),
    Example(
        name="A failed payment that took the money",
        events=_alone("failed", "12.50", "100.00", "87.50"),
        expect=("raised error",),
        details=({"drift_minor": -1250},),
    ),
    Example(
        name="The row check can be switched off",
        events=_alone("completed", "12.50", "100.00", "87.51"),
        params={"row_check": False},
    ),
)

_CHAIN: Final = (
    Example(
        name="A row starts at another balance than the one before left; later rows give no alert",
        events=(
            ONE,
            row(2, "10:00:01", "10.00", "89.99", "79.99"),
            row(3, "10:00:02", "10.00", "79.99", "69.99"),
        ),
        expect=("raised warning",),
        details=({"check": "chain", "drift_minor": -1, "ledger_sequence": 2},),
    ),
    Example(
        name="A row with a wrong end is one alert, whatever balance the next row starts at",
        events=(ONE, row(2, "10:00:01", "10.00", "90.00", "80.01"), THREE, FOUR),
        expect=("raised warning",),
        details=({"check": "row", "ledger_sequence": 2},),
    ),
    Example(
        name="A row with a wrong start is one alert",
        events=(ONE, row(2, "10:00:01", "10.00", "90.01", "80.00"), THREE),
        expect=("raised warning",),
        details=({"check": "row", "ledger_sequence": 2},),
    ),
    Example(
        name="Rows in another order of time are compared by their number",
        events=(
            ONE,
            row(3, "10:00:01", "10.00", "80.00", "70.00"),
            row(2, "10:00:02", "10.00", "90.00", "80.00"),
            FOUR,
            clock("10:30:00"),
        ),
    ),
    Example(
        name="A break at the far side of a gap is an alert about the row after it",
        events=(
            ONE,
            row(3, "10:00:01", "10.00", "79.00", "69.00"),
            row(2, "10:00:02", "10.00", "90.00", "80.00"),
        ),
        expect=("raised error",),
        details=({"check": "chain", "drift_minor": -100, "ledger_sequence": 3},),
    ),
    Example(
        name="The two kinds of balance are never chained together",
        events=(
            ONE,
            row(
                2, "10:00:01", "5.00", "60.00", "55.00", balance_kind="available", status="pending"
            ),
            row(3, "10:00:02", "10.00", "90.00", "80.00"),
        ),
    ),
    Example(
        name="After a row without balances the next one sets the balance",
        events=(
            ONE,
            txn("r2", "10:00:01", ledger_sequence=2),
            row(3, "10:00:02", "10.00", "55.00", "45.00"),
        ),
    ),
    Example(
        name="The same row under another event id is counted once",
        events=(ONE, TWO, TWO | {"event_id": "again"}, THREE),
    ),
    Example(
        name="Two rows with one number; the next may follow the second",
        events=(
            ONE,
            TWO,
            row(2, "10:00:01.500", "5.00", "80.00", "75.00", event_id="other"),
            row(3, "10:00:02", "10.00", "75.00", "65.00"),
        ),
        expect=("raised warning",),
        details=({"check": "sequence_conflict", "ledger_sequence": 2},),
    ),
    Example(
        name="Two rows with one number; the next may follow the first",
        events=(
            ONE,
            TWO,
            row(2, "10:00:01.500", "5.00", "80.00", "75.00", event_id="other"),
            THREE,
        ),
        expect=("raised warning",),
        details=({"check": "sequence_conflict", "ledger_sequence": 2},),
    ),
    Example(
        name="The chain check can be switched off",
        events=(ONE, row(2, "10:00:01", "10.00", "89.99", "79.99")),
        params={"chain_check": False},
    ),
)

_GAPS: Final = (
    Example(
        name="A missing row is an alert after a minute, and an error after a quarter of an hour",
        events=(ONE, THREE, FOUR, clock("10:20:00")),
        expect=("raised info", "updated error"),
        details=({"check": "missing_entries", "first_missing": 2, "last_missing": 2, "count": 1},),
    ),
    Example(
        name="It is closed when the row comes",
        events=(
            ONE,
            FOUR,
            TWO | {"occurred_at": "2026-03-02T10:05:00Z"},
            _fix(3, "-10.00", "80.00", "70.00"),
        ),
        expect=("raised info", "updated error", "cured error"),
    ),
    Example(
        name="It is nothing when the row comes within the minute",
        events=(ONE, THREE, TWO | {"occurred_at": "2026-03-02T10:01:00Z"}, clock("10:30:00")),
    ),
)

_CURES: Final = (
    Example(
        name="An adjustment of exactly the drift cures",
        events=(
            ONE,
            row(2, "10:00:01", "10.00", "90.00", "80.01"),
            _fix(3, "-0.01", "80.01", "80.00"),
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="A reversal of exactly the drift cures",
        events=(
            *_alone("completed", "12.50", "100.00", "75.00"),
            _fix(1, "12.50", "75.00", "87.50", type="reversal"),
        ),
        expect=("raised error", "cured error"),
    ),
    Example(
        name="An adjustment of another amount, or of another kind of balance, does not",
        events=(
            *_alone("completed", "12.50", "100.00", "75.00"),
            _fix(1, "12.49", "75.00", "87.49"),
            _fix(2, "12.50", "87.49", "99.99", balance_kind="available"),
        ),
        expect=("raised error",),
    ),
)

EXAMPLES: Final = (
    *(*_ROW, *DISPUTES, *_CHAIN, *_GAPS, *_CURES),
    *(*GROUPS, *JUMPS, *AFTER_ONLY, *SNAPSHOTS),
)
