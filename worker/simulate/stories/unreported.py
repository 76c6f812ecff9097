"""Money that comes back, or is taken back, by an event without balances.

It makes the balance unknown: balance_mismatch must accept the next row as it is, and
failed_payment_sufficient_balance must not rely on what was known before. Both must not be misled by
transactions that never moved anything.
"""

from collections.abc import Callable

from worker.simulate.life.bookings import complete, decline, hold, plain_row, settle
from worker.simulate.life.orders import Order, credit, purchase, transfer
from worker.simulate.stories.books import booked, sent, severity_of
from worker.simulate.stories.refusals import refused
from worker.simulate.stories.story import Story
from worker.simulate.world.account import SECOND_MS, SimulatedAccount
from worker.simulate.world.ledger import Ledger

Then = Callable[[Ledger], None]


def reversed_unreported(story: Story) -> None:
    """A payment is reversed without balances; the next row starts where that has led."""
    _undone(story, _paid, "reversed", lambda ledger: _next(story, ledger))


def topup_reversed_unreported(story: Story) -> None:
    """A topup is reversed without balances: money that is gone."""
    _undone(story, _topped_up, "reversed", lambda ledger: _next(story, ledger))


def topup_disputed_unreported(story: Story) -> None:
    """A card scheme takes the money of a topup at its dispute; no balance is reported."""
    _undone(story, _topped_up, "disputed", lambda ledger: _next(story, ledger))


def never_paid_and_back(story: Story) -> None:
    """A transfer fails that never completed, and the balance rises by it all the same."""

    def act(ledger: Ledger) -> None:
        order = transfer(story.account, story.account.price(ledger, 5, 60), ledger)
        decline(story.account, order, "limit", shown="nothing")
        ledger.balance += order.cost
        story.account.soon(5, 60, find, ledger, order.cost)

    def find(ledger: Ledger, drift: int) -> None:
        evidence = sent(story.account, booked(story.account, ledger))
        story.must_alert(severity_of(ledger, drift), evidence)

    story.undisturbed(act)


def refused_after_unreported(story: Story) -> None:
    """A payment is refused when the balance is unknown, since one was reversed unreported."""
    _undone(story, _paid, "reversed", lambda ledger: _refuse(story, ledger, alerts=False))


def refused_after_told(story: Story) -> None:
    """A payment is refused after a row that has reported the balance again."""

    def send(ledger: Ledger) -> None:
        complete(story.account, purchase(story.account, ledger.money.unit, ledger))
        story.account.agenda.after(10 * SECOND_MS, lambda: _refuse(story, ledger, alerts=True))

    _undone(story, _paid, "reversed", send)


def refused_after_cancelled(story: Story) -> None:
    """A payment is refused after another was cancelled that had moved nothing."""

    def act(ledger: Ledger) -> None:
        complete(story.account, purchase(story.account, ledger.money.unit, ledger))
        order = purchase(story.account, story.account.price(ledger, 5, 60), ledger)
        transaction_id = hold(story.account, order)
        story.account.agenda.after(10 * SECOND_MS, cancel, order, transaction_id)

    def cancel(order: Order, transaction_id: str) -> None:
        settle(story.account, order, transaction_id, captured=False)
        story.account.agenda.after(
            10 * SECOND_MS, lambda: _refuse(story, order.ledger, alerts=True)
        )

    story.undisturbed(act)


def _undone(
    story: Story, make: Callable[[SimulatedAccount, Ledger], Order], status: str, then: Then
) -> None:
    """Complete an order, undo it without balances, and go on 10 seconds later."""

    def act(ledger: Ledger) -> None:
        order = make(story.account, ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(20, 90, undo, order, transaction_id)

    def undo(order: Order, transaction_id: str) -> None:
        story.account.emit("transaction", plain_row(order, transaction_id, status))
        order.ledger.balance -= order.effect
        story.account.agenda.after(10 * SECOND_MS, then, order.ledger)

    story.undisturbed(act)


def _next(story: Story, ledger: Ledger) -> None:
    story.must_stay_silent(sent(story.account, booked(story.account, ledger)))


def _refuse(story: Story, ledger: Ledger, *, alerts: bool) -> None:
    order = purchase(story.account, ledger.available // 2, ledger)
    refused(story, order, "nothing", "error" if alerts else None)


def _paid(account: SimulatedAccount, ledger: Ledger) -> Order:
    return purchase(account, account.price(ledger, 5, 60), ledger)


def _topped_up(account: SimulatedAccount, ledger: Ledger) -> Order:
    return credit(account, "topup", account.price(ledger, 5, 60), ledger)


ANOMALIES = (never_paid_and_back,)
INNOCENTS = (reversed_unreported, topup_reversed_unreported, topup_disputed_unreported)
NUMBERED = ANOMALIES
PAYMENT_ANOMALIES = (refused_after_told, refused_after_cancelled)
PAYMENT_INNOCENTS = (refused_after_unreported,)
UNNUMBERED = (*INNOCENTS, refused_after_told, refused_after_unreported)
"""Numbers without a gap prove that no entry is missing: then the next row would be a break."""
