"""What A2 finds and leaves alone in reported balances."""

from typing import Final

from rules.balance_mismatch.group_examples import END, FIRST, entry
from rules.builders import balance, row, txn
from rules.contract import Example

SNAPSHOTS: Final = (
    Example(
        name="A reported balance that is right",
        events=(FIRST, balance("10:05:00", "90.00"), END),
    ),
    Example(
        name="A reported balance that no row had",
        events=(FIRST, balance("10:05:00", "90.01"), END),
        expect=("raised warning",),
        details=({"check": "snapshot", "drift_minor": 1, "balance_kind": "posted"},),
    ),
    Example(
        name="One major unit or more is an error",
        events=(FIRST, balance("10:05:00", "89.00"), END),
        expect=("raised error",),
        details=({"drift_minor": -100},),
    ),
    Example(
        name="Balances of numbered rows are compared too",
        events=(
            row(1, "10:00:00", "10.00", "100.00", "90.00"),
            row(2, "10:01:00", "10.00", "90.00", "80.00"),
            balance("10:05:00", "90.00"),
            END,
        ),
        expect=("raised error",),
        details=({"drift_minor": 1000},),
    ),
    Example(
        name="A stale report is right for its own moment",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.00", "70.00"),
            balance("10:05:00", "90.00", as_of="2026-03-02T10:00:30Z"),
            END,
        ),
    ),
    Example(
        name="A statement that cuts off within the slack of a row may have either balance",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.00", "70.00"),
            balance("10:01:05", "90.00"),
            balance("10:02:00", "70.00", as_of="2026-03-02T10:00:55Z"),
            END,
        ),
    ),
    Example(
        name="A millisecond beyond the slack it may not",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.00", "70.00"),
            balance("10:01:05.001", "90.00"),
            END,
        ),
        expect=("raised error",),
        details=({"drift_minor": 2000},),
    ),
    Example(
        name="The row that the report knows already comes within the slack",
        events=(
            FIRST,
            balance("10:00:56", "70.00"),
            entry("b", "10:01:00", "20.00", "90.00", "70.00"),
            END,
        ),
    ),
    Example(
        name="A report of long ago is not judged",
        events=(
            FIRST,
            balance("10:20:00", "12.00", as_of="2026-03-02T10:09:59.999Z"),
            END,
        ),
    ),
    Example(
        name="A report of a moment before all that is known is not judged",
        events=(
            FIRST,
            balance("10:05:00", "12.00", as_of="2026-03-02T09:59:00Z"),
            END,
        ),
    ),
    Example(
        name="Beside a gap a report is not judged: the missing row may explain it",
        events=(
            row(1, "10:00:00", "10.00", "100.00", "90.00"),
            row(3, "10:00:30", "10.00", "80.00", "70.00"),
            balance("10:00:40", "12.00"),
            row(2, "10:01:10", "10.00", "90.00", "80.00"),
            END,
        ),
    ),
    Example(
        name="The available balance is not compared with the posted one",
        events=(FIRST, balance("10:05:00", "40.00", balance_kind="available"), END),
    ),
    Example(
        name="Two balances of two currencies",
        events=(FIRST, balance("10:05:00", "40.00", currency="USD"), END),
    ),
    Example(
        name="After a payment without balances nothing is known",
        events=(FIRST, txn("u", "10:01:00"), balance("10:05:00", "90.00"), END),
    ),
    Example(
        name="The next right report cures; one as wrong before it gives no second alert",
        events=(
            FIRST,
            balance("10:05:00", "90.01"),
            balance("10:06:00", "90.01"),
            balance("10:07:00", "90.00"),
            END,
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="A correction of the book to what was reported cures",
        events=(
            FIRST,
            balance("10:05:00", "90.01"),
            entry("fix", "10:10:00", "0.01", "90.00", "90.01", type="adjustment"),
            END,
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="A report without the drift of a wrong row cures it, and rows may go on from there",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.00", "70.01"),
            entry("c", "10:02:00", "10.00", "70.01", "60.01"),
            balance("10:05:00", "60.00"),
            entry("d", "10:06:00", "10.00", "60.00", "50.00"),
            END,
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="The snapshot check can be switched off",
        events=(FIRST, balance("10:05:00", "12.00"), END),
        params={"snapshot_check": False},
    ),
)
