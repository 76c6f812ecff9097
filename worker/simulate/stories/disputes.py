"""Disputes that move money when they open: which of them balance_mismatch must find."""

from collections.abc import Callable

from worker.simulate.life.bookings import complete, plain_row
from worker.simulate.life.orders import Order, adjustment, credit, merchant_debit
from worker.simulate.stories.books import sent, severity_of
from worker.simulate.stories.story import Story
from worker.simulate.world.account import Event
from worker.simulate.world.ledger import Ledger

MakeOrder = Callable[[Story, Ledger], Order]


def topup_taken_back(story: Story) -> None:
    """A card scheme takes a topup back when its holder disputes it, and returns it later."""
    _disputed(story, _topup, _take_back)


def provisional_credit(story: Story) -> None:
    """The owner gets the money of a disputed payment back at once."""
    _disputed(story, _debit, _take_back)


def dispute_without_money(story: Story) -> None:
    """A dispute opens, and no money moves."""
    _disputed(story, _debit, lambda order: order.ledger.book(0))


def dispute_one_unit_short(story: Story) -> None:
    """The owner gets one minor unit less back than the payment was."""
    _disputed(story, _debit, lambda order: order.ledger.book(-order.effect - 1), drift=1)


def dispute_taken_twice(story: Story) -> None:
    """A dispute takes the money of a topup twice."""
    _disputed(story, _topup, lambda order: order.ledger.book(-2 * order.effect), drift=None)


def _disputed(
    story: Story,
    make: MakeOrder,
    move: Callable[[Order], Event],
    drift: int | None = 0,
) -> None:
    """Complete an order, and dispute it minutes later; a drift of None is all that it moved."""

    def act(ledger: Ledger) -> None:
        order = make(story, ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(60, 600, dispute, order, transaction_id)

    def dispute(order: Order, transaction_id: str) -> None:
        before = order.ledger.balance
        evidence = sent(story.account, plain_row(order, transaction_id, "disputed") | move(order))
        wrong = order.effect if drift is None else drift
        if wrong:
            story.must_alert(severity_of(order.ledger, wrong), evidence)
        else:
            story.must_stay_silent(evidence)
        story.account.soon(60, 600, decide, order.ledger, before - order.ledger.balance)

    def decide(ledger: Ledger, taken: int) -> None:
        """Give back what a dispute has taken; what it has given stays."""
        if taken > 0 and not drift:
            complete(story.account, adjustment(story.account, ledger, taken))

    story.undisturbed(act)


def _take_back(order: Order) -> Event:
    return order.ledger.book(-order.effect)


def _topup(story: Story, ledger: Ledger) -> Order:
    return credit(story.account, "topup", story.account.price(ledger, 20, 80), ledger)


def _debit(story: Story, ledger: Ledger) -> Order:
    """Return a merchant's debit: the owner's own would be unauthorized if he disputes it."""
    account = story.account
    return merchant_debit(account, account.price(ledger, 20, 80), account.merchants[0])


ANOMALIES = (dispute_one_unit_short, dispute_taken_twice)
INNOCENTS = (topup_taken_back, provisional_credit, dispute_without_money)
