"""Refusals beside other money: which of them failed_payment_sufficient_balance may hold against it.

Each alert has a twin beside it: one millisecond further, and it is an error, or none.
"""

from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import complete, hold, settle
from worker.simulate.life.orders import Order, credit, purchase
from worker.simulate.stories.books import second_ledger
from worker.simulate.stories.refusals import CONCURRENT_MS, refused
from worker.simulate.stories.story import Story
from worker.simulate.world.account import HOUR_MS, SECOND_MS
from worker.simulate.world.ledger import Ledger

WAITING = 8
"""How many refusals of an account wait at once; a further one is judged by what came before."""


def rival_5_s_after(story: Story) -> None:
    """Two debits for which the money does not suffice; the refused one is stamped earlier."""
    story.undisturbed(lambda ledger: _before_rival(story, ledger, CONCURRENT_MS, "info"))


def rival_5_s_and_1_ms_after(story: Story) -> None:
    """The other debit comes a millisecond too late to have had the money."""
    story.undisturbed(lambda ledger: _before_rival(story, ledger, CONCURRENT_MS + 1, "error"))


def rival_though_available(story: Story) -> None:
    """The refusal itself says that the money was there, whatever another debit took."""

    def act(ledger: Ledger) -> None:
        refused(story, _half(story, ledger))
        story.account.agenda.after(SECOND_MS, _take_more_than_is_left, story, ledger)

    story.undisturbed(act)


def credit_5_s_before(story: Story) -> None:
    """The money came just before; the decision to refuse may be older."""
    story.undisturbed(lambda ledger: _after_credit(story, ledger, CONCURRENT_MS, "info"))


def credit_5_s_and_1_ms_before(story: Story) -> None:
    """The money came a millisecond too early for that."""
    story.undisturbed(lambda ledger: _after_credit(story, ledger, CONCURRENT_MS + 1, "error"))


def credit_5_s_after(story: Story) -> None:
    """Money comes just after the refusal, which may have been stamped too early."""
    story.undisturbed(lambda ledger: _before_credit(story, ledger, CONCURRENT_MS, "info"))


def credit_5_s_and_1_ms_after(story: Story) -> None:
    """Money comes a millisecond too late to explain anything."""
    story.undisturbed(lambda ledger: _before_credit(story, ledger, CONCURRENT_MS + 1, "error"))


def credit_in_another_currency(story: Story) -> None:
    """Money comes at the same moment, but in another currency."""

    def act(ledger: Ledger) -> None:
        foreign = second_ledger(story.account)
        come = credit(story.account, "transfer_in", 100 * foreign.money.unit, foreign)
        complete(story.account, come)
        story.account.agenda.after(SECOND_MS, refused, story, _half(story, ledger), "before")
        story.account.agenda.after(2 * SECOND_MS, complete, story.account, _again(story, come))

    story.undisturbed(act)


def succeeds_5_s_after(story: Story) -> None:
    """A retry succeeds before the refusal is judged: there is nothing to report."""
    story.undisturbed(lambda ledger: _retried(story, ledger, CONCURRENT_MS, None))


def succeeds_5_s_and_1_ms_after(story: Story) -> None:
    """The retry succeeds a millisecond after that: an error, which it cures."""
    story.undisturbed(lambda ledger: _retried(story, ledger, CONCURRENT_MS + 1, "error"))


def own_status_beside(story: Story) -> None:
    """The refused payment was pending a second before: it is no rival of its own."""

    def act(ledger: Ledger) -> None:
        order = _half(story, ledger)
        transaction_id = hold(story.account, order)
        story.account.agenda.after(SECOND_MS, fail, order, transaction_id)

    def fail(order: Order, transaction_id: str) -> None:
        order.ledger.held -= order.cost
        refused(story, order, "before", transaction_id=transaction_id)

    story.undisturbed(act)


def nine_refusals(story: Story) -> None:
    """Nine refusals within a second, then another debit: only eight wait for what comes."""

    def act(ledger: Ledger) -> None:
        orders = [_half(story, ledger) for _ in range(WAITING + 1)]
        for number, order in enumerate(orders):
            severity: Severity = "info" if number < WAITING else "error"
            story.account.agenda.after(
                100 * number, refused, story, order, "before", severity, waits=number < WAITING
            )
        story.account.agenda.after(2 * SECOND_MS, _take_more_than_is_left, story, ledger)

    story.undisturbed(act)


def _before_rival(story: Story, ledger: Ledger, delay_ms: int, severity: Severity) -> None:
    refused(story, _half(story, ledger), "before", severity)
    story.account.agenda.after(delay_ms, _take_more_than_is_left, story, ledger)


def _take_more_than_is_left(story: Story, ledger: Ledger) -> None:
    """Pay, or reserve, more than what the refused payment would have left."""
    account = story.account
    rival = purchase(account, ledger.available - account.rng.randint(0, ledger.money.unit), ledger)
    if account.rng.randrange(2):
        complete(account, rival)
    else:
        transaction_id = hold(account, rival)
        account.agenda.after(HOUR_MS, settle, account, rival, transaction_id, captured=False)


def _after_credit(story: Story, ledger: Ledger, delay_ms: int, severity: Severity) -> None:
    """Refuse what only the money that has just come covers."""
    come = _come(story, ledger)
    order = purchase(story.account, ledger.available + come.amount, ledger)
    complete(story.account, come)
    story.account.agenda.after(delay_ms, refused, story, order, "before", severity)


def _before_credit(story: Story, ledger: Ledger, delay_ms: int, severity: Severity) -> None:
    refused(story, _half(story, ledger), "before", severity)
    story.account.agenda.after(delay_ms, complete, story.account, _come(story, ledger))


def _retried(story: Story, ledger: Ledger, delay_ms: int, severity: Severity | None) -> None:
    order = _half(story, ledger)
    cured_after = None if severity is None else delay_ms
    refused(story, order, "before", severity, cured_after=cured_after)
    story.account.agenda.after(delay_ms, complete, story.account, order)


def _half(story: Story, ledger: Ledger) -> Order:
    return purchase(story.account, ledger.available // 2, ledger)


def _come(story: Story, ledger: Ledger) -> Order:
    amount = story.account.price(ledger, 50, 200)
    if story.account.rng.randrange(2):
        return credit(story.account, "topup", amount, ledger)
    return credit(story.account, "transfer_in", amount, ledger)


def _again(story: Story, order: Order) -> Order:
    return replace(order, reference=story.account.new_id("ord"))


ANOMALIES = (
    rival_5_s_after,
    rival_5_s_and_1_ms_after,
    rival_though_available,
    credit_5_s_before,
    credit_5_s_and_1_ms_before,
    credit_5_s_after,
    credit_5_s_and_1_ms_after,
    credit_in_another_currency,
    succeeds_5_s_and_1_ms_after,
    own_status_beside,
    nine_refusals,
)
INNOCENTS = (succeeds_5_s_after,)
