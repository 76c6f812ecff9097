"""Failed payments: what failed_payment_sufficient_balance must find, and its look-alikes."""

from worker.simulate.life.bookings import decline, hold, retry, settle, top_up
from worker.simulate.life.orders import Order, merchant_debit, purchase, transfer
from worker.simulate.stories.refusals import refused
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SECOND_MS, SimulatedAccount
from worker.simulate.world.world import Family

RETRY_GRACE_MS = 2 * MINUTE_MS


def contradicted(story: Story) -> None:
    """Insufficient funds, although the available balance covers amount and fee."""
    refused(story, _funded(story.account))


def technical_uncured(story: Story) -> None:
    """A technical failure without a retry: reported at once, a warning after the grace."""
    evidence = _decline(story, _funded(story.account), "technical")
    story.must_alert("warning", evidence, severity_after=RETRY_GRACE_MS)


def technical_cured(story: Story) -> None:
    """A technical failure, and a retry of the order well within the grace."""
    _retried_after(story, story.account.rng.randint(20, 90) * SECOND_MS)


def retried_just_in_time(story: Story) -> None:
    """The retry succeeds at the last moment of the grace: no warning."""
    _retried_after(story, RETRY_GRACE_MS)


def retried_just_too_late(story: Story) -> None:
    """The retry succeeds one millisecond after the grace: a warning, which it cures."""
    _retried_after(story, RETRY_GRACE_MS + 1)


def insufficient_then_retry(story: Story) -> None:
    """Funds that really do not suffice; after a topup the retry succeeds."""
    account = story.account
    ledger = account.ledgers[0]
    order = purchase(account, ledger.available + account.price(ledger, 1, 50), ledger)
    _innocent(story, order, "insufficient_funds")
    account.soon(30, 90, retry, account, order)


def held_funds(story: Story) -> None:
    """A balance that would cover the payment, were it not held for another."""
    account = story.account
    ledger = account.ledgers[0]
    booking = purchase(account, account.price(ledger, 100, 200), ledger)
    top_up(account, ledger, booking.cost)
    held = hold(account, booking)
    account.agenda.after(HOUR_MS, settle, account, booking, held, captured=False)
    amount = ledger.available + account.rng.randint(1, booking.amount)
    _innocent(story, purchase(account, amount, ledger), "insufficient_funds")


def limit(story: Story) -> None:
    """A payment above the owner's limit."""
    _innocent(story, _funded(story.account), "limit")


def fraud(story: Story) -> None:
    """A payment that fraud control refuses."""
    _innocent(story, _funded(story.account), "fraud")


def unknown_code(story: Story) -> None:
    """A failure code without a certain meaning."""
    _innocent(story, _funded(story.account), "unknown")


def card_funded(story: Story) -> None:
    """A card without funds: the wallet's balance was not to pay."""
    account = story.account
    ledger = account.ledgers[0]
    amount = account.price(ledger, 5, 40)
    top_up(account, ledger, amount)
    _innocent(story, purchase(account, amount, ledger, card=True), "insufficient_funds")


def merchant_initiated(story: Story) -> None:
    """A merchant's debit that fails: no attempt of the owner."""
    account = story.account
    amount = account.price(account.ledgers[0], 3, 30)
    order = merchant_debit(account, amount, account.merchants[0])
    top_up(account, order.ledger, order.cost)
    _innocent(story, order, "technical")


def _retried_after(story: Story, delay_ms: int) -> None:
    account = story.account
    order = _funded(account)
    story.keep_quiet()
    evidence = _decline(story, order, "technical")
    account.agenda.after(delay_ms, retry, account, order)
    if delay_ms <= RETRY_GRACE_MS:
        story.must_alert("info", evidence, cured_after=delay_ms)
    else:
        story.must_alert("warning", evidence, severity_after=RETRY_GRACE_MS, cured_after=delay_ms)


def _funded(account: SimulatedAccount) -> Order:
    ledger = account.ledgers[0]
    kind = account.rng.choice((purchase, transfer))
    order = kind(account, account.price(ledger, 5, 80), ledger)
    top_up(account, ledger, order.cost)
    return order


def _innocent(story: Story, order: Order, family: Family) -> None:
    story.must_stay_silent(_decline(story, order, family))


def _decline(story: Story, order: Order, family: Family) -> StoryEvidence:
    event_id, transaction_id = decline(story.account, order, family)
    return StoryEvidence((event_id,), (transaction_id,))


ANOMALIES = (
    contradicted,
    technical_uncured,
    technical_cured,
    retried_just_in_time,
    retried_just_too_late,
)
INNOCENTS = (
    insufficient_then_retry,
    held_funds,
    limit,
    fraud,
    unknown_code,
    card_funded,
    merchant_initiated,
)
