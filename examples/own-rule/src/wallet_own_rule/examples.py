"""What OWN1 finds and what it does not: `walletwatch rules test charged_twice` runs these."""

from typing import Any

from rules.builders import clock, txn
from rules.contract import Example


def paid(transaction_id: str, time: str, **fields: Any) -> dict[str, Any]:
    """Return a completed payment of 10.00 EUR to one merchant."""
    return txn(transaction_id, time, **({"merchant_id": "bakery"} | fields))


def refunded(time: str, of: str) -> dict[str, Any]:
    """Return the refund of a payment."""
    return txn(f"refund-{of}", time, type="refund", original_transaction_id=of)


EXAMPLES = (
    Example(
        name="The same amount at the same merchant, a minute apart",
        events=(paid("t1", "10:00:00"), paid("t2", "10:01:00")),
        expect=("raised warning",),
    ),
    Example(
        name="The second payment is refunded",
        events=(
            paid("t1", "10:00:00"),
            paid("t2", "10:01:00"),
            refunded("10:30:00", of="t2"),
            clock("10:31:00"),
        ),
        expect=("raised warning", "cured warning"),
    ),
    Example(
        name="Two orders of the same price are two purchases",
        events=(
            paid("t1", "10:00:00", external_reference="order-1"),
            paid("t2", "10:01:00", external_reference="order-2"),
        ),
    ),
    Example(
        name="Another coffee in the afternoon",
        events=(paid("t1", "10:00:00"), paid("t2", "15:00:00")),
    ),
    Example(
        name="The same amount elsewhere",
        events=(paid("t1", "10:00:00"), paid("t2", "10:01:00", merchant_id="kiosk")),
    ),
)
