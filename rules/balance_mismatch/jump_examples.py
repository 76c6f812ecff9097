"""What A2 finds where rows are rounded, jump, or report only the balance after."""

from typing import Any, Final

from rules.balance_mismatch.group_examples import END, FIRST, entry
from rules.builders import row, txn
from rules.contract import Example


def after_only(name: str, time: str, amount: str, after: str, **fields: Any) -> dict[str, Any]:
    """Return a completed payment that reports its posted balance after alone."""
    balances = {"balance_after": after, "balance_kind": "posted"}
    return txn(name, time, amount=amount, **balances | fields)


JUMPS: Final = (
    Example(
        name="A tolerance absorbs the rounding between rows, and no jump behind it",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "90.05", "70.05"),
            entry("c", "10:01:00", "0.05", "4870.00", "4869.95"),
            END,
        ),
        params={"tolerance_minor": 11},
        expect=("raised error",),
        details=({"drift_minor": 479_995, "jumps": [479_995], "rows": 2},),
    ),
    Example(
        name="Rows that join within the tolerance are right, in any order",
        events=(
            FIRST,
            entry("c", "10:01:00", "10.00", "70.11", "60.11"),
            entry("b", "10:01:00", "20.00", "90.00", "70.00"),
            END,
        ),
        params={"tolerance_minor": 11},
    ),
    Example(
        name="Several jumps are one alert: their sum is the drift, the largest decides",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "120.00", "100.00"),
            entry("c", "10:01:00", "10.00", "70.50", "60.50"),
            END,
        ),
        expect=("raised error",),
        details=({"jumps": [3_000, -2_950], "drift_minor": 50, "largest_jump_minor": 3_000},),
    ),
    Example(
        name="Jumps that cancel each other out are reported too, and no correction cures them",
        events=(
            FIRST,
            entry("b", "10:01:00", "20.00", "95.00", "75.00"),
            entry("c", "10:01:00", "10.00", "70.00", "60.00"),
            entry("fix", "10:10:00", "0.00", "60.00", "60.00", type="adjustment"),
            END,
        ),
        expect=("raised error",),
        details=({"jumps": [500, -500], "drift_minor": 0},),
    ),
    Example(
        name="A row of nothing after a jump is where the next one must go on",
        events=(
            FIRST,
            entry("b", "10:01:00", "0.00", "50.00", "50.00"),
            entry("c", "10:02:00", "1.00", "20.00", "19.00"),
            END,
        ),
        expect=("raised error", "raised error"),
        details=({"drift_minor": -4_000}, {"drift_minor": -3_000}),
    ),
    Example(
        name="With numbers too, a row that is wrong in itself may come after a jump",
        events=(
            row(1, "10:00:00", "10.00", "20.00", "10.00"),
            row(2, "10:00:01", "5.00", "300.00", "200.00"),
            row(3, "10:00:02", "1.00", "200.00", "199.00"),
        ),
        expect=("raised error", "raised error"),
        details=(
            {"check": "row", "drift_minor": -9_500},
            {"check": "chain", "drift_minor": 19_500},
        ),
    ),
)

AFTER_ONLY: Final = (
    Example(
        name="Of a completed row that reports the balance after alone, the one before follows",
        events=(
            after_only("a", "10:00:00", "10.00", "90.00"),
            after_only("b", "10:01:00", "20.00", "70.00"),
            after_only("c", "10:02:00", "5.00", "500.00"),
            after_only("d", "10:03:00", "5.00", "495.00"),
            END,
        ),
        expect=("raised error",),
        details=({"check": "group", "drift_minor": 43_500, "rows": 1},),
    ),
    Example(
        name="It is judged with numbers as well",
        events=(
            after_only("a", "10:00:00", "10.00", "90.00", ledger_sequence=1),
            after_only("b", "10:01:00", "20.00", "69.99", ledger_sequence=2),
        ),
        expect=("raised warning",),
        details=({"check": "chain", "drift_minor": -1, "ledger_sequence": 2},),
    ),
    Example(
        name="Where the part that the balance pays is not stated, it only sets the balance",
        events=(
            after_only("a", "10:00:00", "10.00", "90.00"),
            after_only("b", "10:01:00", "20.00", "77.00", funding="mixed"),
            after_only("c", "10:02:00", "5.00", "72.00"),
            after_only("d", "10:03:00", "5.00", "67.01"),
            END,
        ),
        expect=("raised warning",),
        details=({"drift_minor": 1},),
    ),
)
