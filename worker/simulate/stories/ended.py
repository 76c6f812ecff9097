"""Failures of what has succeeded: failed_payment_sufficient_balance must not believe them.

They are late or repeated statuses, or money that a bank has sent back. What is remembered of ended
transactions is bounded: each bound is just kept in one story, and just exceeded in another.
"""

from collections.abc import Callable
from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import complete, decline, failed_row, hold, retry, top_up
from worker.simulate.life.orders import Order, purchase, transfer
from worker.simulate.stories.refusals import refused
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS, SimulatedAccount
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.ledger import Ledger

REMEMBERED = 32
"""How many ended transactions are remembered, payouts apart."""
PAYOUTS = 64
"""How many ended payouts are remembered: withdrawals, and transfers out with a rail."""
ANSWERED = 8
"""Of how many payments key and reference are remembered."""
RETURNED_AFTER_MS = 3 * DAY_MS
RETRY_GRACE_MS = 2 * MINUTE_MS
OnPaid = Callable[[Order, str], None]
OrderKind = Callable[[SimulatedAccount, int, Ledger], Order]


def stale_failure(story: Story) -> None:
    """A payment fails by a status that comes minutes after its completion."""

    def fail(order: Order, transaction_id: str) -> None:
        refused(story, order, "nothing", None, transaction_id=transaction_id)

    _paid(story, fail)


def stale_failure_of_key(story: Story) -> None:
    """A failure has another transaction, but the idempotency key of a payment that completed."""

    def fail(order: Order, transaction_id: str) -> None:
        same = order.details | {"idempotency_key": f"key-{transaction_id[4:]}"}
        other = replace(order, reference=story.account.new_id("ord"), details=same)
        refused(story, other, severity=None)

    _paid(story, fail)


def stale_failure_of_reference(story: Story) -> None:
    """A failure has another transaction, but the reference of a payment that completed."""
    _paid(story, lambda order, _: refused(story, order, severity=None))


def stale_technical_failure(story: Story) -> None:
    """A payment times out by a status that comes minutes after its completion."""

    def fail(order: Order, transaction_id: str) -> None:
        event_id, _ = decline(story.account, order, "technical", transaction_id=transaction_id)
        story.must_stay_silent(StoryEvidence((event_id,), (transaction_id,)))

    _paid(story, fail)


def another_payment_refused(story: Story) -> None:
    """The same payment is made again, as another one, and refused."""

    def fail(order: Order, _: str) -> None:
        refused(story, replace(order, reference=story.account.new_id("ord")))

    _paid(story, fail)


def failure_told_again(story: Story) -> None:
    """A payment times out and is retried with success; then its failure is sent again, twice."""
    account = story.account
    order = _small(story, account.ledgers[0])
    story.keep_quiet()
    top_up(account, order.ledger, order.cost)
    event_id, transaction_id = decline(account, order, "technical")
    evidence = StoryEvidence((event_id,), (transaction_id,))
    delay = account.rng.randint(20, 90) * SECOND_MS
    story.must_alert("info", evidence, cured_after=delay)
    account.agenda.after(delay, retry, account, order)

    def fail() -> None:
        decline(account, order, "technical", transaction_id=transaction_id)

    for again in (delay + 1, 5 * MINUTE_MS):
        account.agenda.after(again, fail)


def thirty_two_ended(story: Story) -> None:
    """A payment fails after its completion; it is just not too many ago to be remembered."""
    _forgotten_after(story, REMEMBERED - 1, REMEMBERED)


def thirty_three_ended(story: Story) -> None:
    """One transaction more has ended since: the completion is forgotten."""
    _forgotten_after(story, REMEMBERED, REMEMBERED)


def sixty_four_payouts(story: Story) -> None:
    """A transfer fails after its completion; it is just not too many ago to be remembered."""
    _forgotten_after(story, PAYOUTS - 1, PAYOUTS, transfer)


def sixty_five_payouts(story: Story) -> None:
    """One transfer more has ended since: the completion is forgotten."""
    _forgotten_after(story, PAYOUTS, PAYOUTS, transfer)


def eight_paid(story: Story) -> None:
    """A payment's key fails after its completion; it is just not too many ago to be remembered."""
    _forgotten_after(story, ANSWERED - 1, ANSWERED, by_key=True)


def nine_paid(story: Story) -> None:
    """One payment more has completed since: the key is forgotten."""
    _forgotten_after(story, ANSWERED, ANSWERED, by_key=True)


def payout_returned(story: Story) -> None:
    """A bank returns money three days after the transfer to it completed; the row shows it."""

    def act(ledger: Ledger) -> None:
        order = transfer(story.account, story.account.price(ledger, 5, 80), ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.agenda.after(RETURNED_AFTER_MS, send_back, order, transaction_id)

    def send_back(order: Order, transaction_id: str) -> None:
        row = failed_row(order, transaction_id, "technical")
        event_id = story.account.emit("transaction", row | order.ledger.book(-order.effect))
        story.must_stay_silent(StoryEvidence((event_id,), (transaction_id,)))

    story.undisturbed(act)


def payout_failed(story: Story) -> None:
    """A transfer fails three days after it was ordered, and never was completed."""

    def act(ledger: Ledger) -> None:
        order = transfer(story.account, story.account.price(ledger, 5, 80), ledger)
        transaction_id = hold(story.account, order)
        story.account.agenda.after(RETURNED_AFTER_MS, fail, order, transaction_id)

    def fail(order: Order, transaction_id: str) -> None:
        story.keep_quiet()
        order.ledger.held -= order.cost
        event_id, _ = decline(story.account, order, "technical", transaction_id=transaction_id)
        story.must_alert(
            "warning",
            StoryEvidence((event_id,), (transaction_id,)),
            severity_after=RETRY_GRACE_MS,
        )

    story.undisturbed(act)


def numbered_per_wallet(story: Story) -> None:
    """A payment is refused whose transaction_id is that of others in other wallets too."""
    story.undisturbed(
        lambda ledger: refused(story, _small(story, ledger), transaction_id="txn-000001")
    )


def _paid(story: Story, then: OnPaid, kind: OrderKind | None = None) -> None:
    """Pay; let `then` go on with the order and its transaction_id two minutes later."""

    def act(ledger: Ledger) -> None:
        order = _small(story, ledger, kind)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.agenda.after(2 * MINUTE_MS, then, order, transaction_id)

    story.undisturbed(act)


def _forgotten_after(
    story: Story, others: int, most: int, kind: OrderKind = purchase, *, by_key: bool = False
) -> None:
    """Pay, let so many others be paid, then fail the first, or another one with its key.

    The memory holds `most`, the first included.
    """
    severity: Severity | None = None if others < most else "error"

    def act(order: Order, transaction_id: str) -> None:
        for number in range(others):
            story.account.agenda.after((number + 1) * SECOND_MS, pay_one, order.ledger)
        wait = (others + 10) * SECOND_MS
        story.account.agenda.after(wait, fail, order, transaction_id)

    def pay_one(ledger: Ledger) -> None:
        complete(story.account, kind(story.account, 1, ledger))

    def fail(order: Order, transaction_id: str) -> None:
        other = replace(order, reference=story.account.new_id("ord"))
        if by_key:
            same = order.details | {"idempotency_key": f"key-{transaction_id[4:]}"}
            refused(story, replace(other, details=same), severity=severity)
        else:
            refused(story, other, severity=severity, transaction_id=transaction_id)

    _paid(story, act, kind)


def _small(story: Story, ledger: Ledger, kind: OrderKind | None = None) -> Order:
    kind = kind or story.account.rng.choice((purchase, transfer))
    return kind(story.account, story.account.price(ledger, 5, 80), ledger)


ANOMALIES = (
    another_payment_refused,
    failure_told_again,
    thirty_three_ended,
    sixty_five_payouts,
    nine_paid,
    numbered_per_wallet,
)
INNOCENTS = (
    stale_failure,
    stale_failure_of_key,
    stale_failure_of_reference,
    stale_technical_failure,
    thirty_two_ended,
    sixty_four_payouts,
    eight_paid,
)
