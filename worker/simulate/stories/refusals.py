"""What stories of refused payments are made of: the refusal, and what it needs to be covered."""

from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import Shown, decline
from worker.simulate.life.orders import Order, transfer
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import SECOND_MS
from worker.simulate.world.ledger import Ledger

CONCURRENT_MS = 5 * SECOND_MS
"""For so long before and after a refusal other money may explain it; then it is judged."""


def refused(
    story: Story,
    order: Order,
    shown: Shown = "available",
    severity: Severity | None = "error",
    *,
    transaction_id: str | None = None,
    cured_after: int | None = None,
    waits: bool = True,
) -> None:
    """Refuse the order for insufficient funds; record what it alerts with. None: it is innocent.

    It is judged when all is known that is beside it, or at once if it does not wait.
    """
    event_id, transaction_id = decline(
        story.account, order, "insufficient_funds", shown=shown, transaction_id=transaction_id
    )
    evidence = StoryEvidence((event_id,), (transaction_id,))
    if severity is None:
        story.must_stay_silent(evidence)
    else:
        story.must_alert(
            severity,
            evidence,
            earliest_after=CONCURRENT_MS if waits else 0,
            cured_after=cured_after,
        )


def transfer_of(story: Story, ledger: Ledger, missing: int) -> Order:
    """Return a transfer that costs `missing` minor units more than what is available."""
    cost = ledger.available + missing
    fee = max(1, cost // 200)
    return replace(transfer(story.account, cost, ledger), amount=cost - fee, fee=fee)
