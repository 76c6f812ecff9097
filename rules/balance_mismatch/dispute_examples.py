"""What A2 finds and leaves alone where transactions are disputed or reversed."""

from typing import Final

from rules.balance_mismatch.group_examples import END, FIRST, entry
from rules.builders import txn
from rules.contract import Example

DISPUTES: Final = (
    Example(
        name="A dispute gives the money back at once, or later by an adjustment",
        events=(
            FIRST,
            entry("a", "10:01:00", "10.00", "90.00", "100.00", status="disputed"),
            entry("won", "10:02:00", "-10.00", "100.00", "90.00", type="adjustment"),
            entry("b", "10:03:00", "20.00", "90.00", "70.00"),
            entry("b", "10:04:00", "20.00", "70.00", "70.00", status="disputed"),
            END,
        ),
    ),
    Example(
        name="A disputed topup is taken back",
        events=(
            entry("t", "10:00:00", "50.00", "0.00", "50.00", type="topup"),
            entry("t", "10:01:00", "50.00", "50.00", "0.00", type="topup", status="disputed"),
            END,
        ),
    ),
    Example(
        name="A dispute that gives back another amount",
        events=(
            FIRST,
            entry("a", "10:01:00", "10.00", "90.00", "99.00", status="disputed"),
            END,
        ),
        expect=("raised error",),
        details=({"check": "row", "drift_minor": -100},),
    ),
    Example(
        name="After a dispute or a reversal without balances the next row sets the balance",
        events=(
            FIRST,
            txn("x", "10:00:30", "disputed"),
            entry("b", "10:01:00", "20.00", "55.00", "35.00"),
            txn("y", "10:01:30", "reversed", type="topup"),
            entry("c", "10:02:00", "20.00", "77.00", "57.00"),
            END,
        ),
    ),
)
