"""What stays held of a payment: captures in parts, holds that are changed, statuses in disorder.

A refusal finds out how much is held: the balance less that is exactly what it needs, an alert, or
one minor unit too little.
"""

from collections.abc import Callable
from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import (
    capture_part,
    change_hold,
    complete,
    hold,
    plain_row,
    settle,
    with_remaining,
)
from worker.simulate.life.orders import Order, purchase
from worker.simulate.stories.refusals import refused, transfer_of
from worker.simulate.stories.story import Story
from worker.simulate.world.account import HOUR_MS
from worker.simulate.world.ledger import Ledger

OnHold = Callable[[Order, str], Order | None]
"""Changes a hold and returns what is held then, if anything."""


def rest_held_enough(story: Story) -> None:
    """Of two captures the first is made: the rest stays held, and what is left suffices."""
    _held(story, lambda order, held: _capture(story, order, held, _part(story, order)), 0)


def rest_held_short(story: Story) -> None:
    """Of two captures the first is made: what is left does not suffice."""
    _held(story, lambda order, held: _capture(story, order, held, _part(story, order)), 1)


def nothing_remains(story: Story) -> None:
    """A part is captured, and nothing remains to be captured."""
    _held(story, lambda order, held: _capture(story, order, held, 0), 0)


def one_unit_remains(story: Story) -> None:
    """A part is captured, and one minor unit remains: just that is missing."""
    _held(story, lambda order, held: _capture(story, order, held, 1), 1)


def all_captured(story: Story) -> None:
    """The second capture takes the rest: nothing is held any more."""

    def twice(order: Order, transaction_id: str) -> None:
        rest = _capture(story, order, transaction_id, _part(story, order))
        capture_part(story.account, rest, transaction_id, rest.amount, 0)

    _held(story, twice, 0)


def raised_hold_enough(story: Story) -> None:
    """A second pending status states a new total, which the money covers with the payment."""
    _held(story, lambda order, held: _change(story, order, held, 3 * order.amount // 2), 0)


def raised_hold_short(story: Story) -> None:
    """A second pending status states a new total: the payment is not covered beside it."""
    _held(story, lambda order, held: _change(story, order, held, 3 * order.amount // 2), 1)


def lowered_hold_enough(story: Story) -> None:
    """A second pending status states a lower total, which leaves what the payment needs."""
    _held(story, lambda order, held: _change(story, order, held, order.amount // 2), 0)


def lowered_hold_short(story: Story) -> None:
    """A second pending status states a lower total, which leaves one minor unit too little."""
    _held(story, lambda order, held: _change(story, order, held, order.amount // 2), 1)


def increment_enough(story: Story) -> None:
    """A second pending status states an increment, and what is held with it."""
    _held(story, lambda order, held: _increment(story, order, held), 0)


def increment_short(story: Story) -> None:
    """A second pending status states an increment: the payment is not covered beside the sum."""
    _held(story, lambda order, held: _increment(story, order, held), 1)


def raised_hold_captured(story: Story) -> None:
    """A hold is raised, then captured in part: that frees all of it."""

    def act(order: Order, transaction_id: str) -> None:
        raised = _change(story, order, transaction_id, 3 * order.amount // 2)
        settle(story.account, raised, transaction_id, captured=True, amount=order.amount)

    _held(story, act, 0)


def pending_after_completed(story: Story) -> None:
    """A payment is pending by a status that is stamped after its completion: nothing is held."""
    _stamped_after(story, "completed")


def pending_after_cancelled(story: Story) -> None:
    """A payment is pending by a status that is stamped after its cancellation."""
    _stamped_after(story, "cancelled")


def pending_after_another(story: Story) -> None:
    """The same for two payments: the second one holds what it needs."""

    def act(ledger: Ledger) -> None:
        complete(story.account, _booking(story, ledger))
        story.account.soon(1, 60, reserve, ledger)

    def reserve(ledger: Ledger) -> None:
        order = _booking(story, ledger)
        transaction_id = hold(story.account, order)
        story.account.soon(6, 600, refuse, order, transaction_id)

    def refuse(order: Order, transaction_id: str) -> None:
        refused(story, transfer_of(story, order.ledger, 1), "before", None)
        _give_back(story, order, transaction_id)

    story.undisturbed(act)


def rest_refused(story: Story) -> None:
    """The second capture is refused although what it needs is held for it."""

    def act(ledger: Ledger) -> None:
        order = _booking(story, ledger)
        transaction_id = hold(story.account, order)
        story.account.soon(60, 600, capture, order, transaction_id)

    def capture(order: Order, transaction_id: str) -> None:
        rest = _capture(story, order, transaction_id, _part(story, order))
        story.account.soon(6, 600, refuse, rest, transaction_id)

    def refuse(rest: Order, transaction_id: str) -> None:
        rest.ledger.held -= rest.cost
        refused(story, rest, "before", transaction_id=transaction_id)

    story.undisturbed(act)


def _held(story: Story, change: OnHold | Callable[[Order, str], None], missing: int) -> None:
    """Reserve money, let that change, and refuse what needs all that is left, or more."""

    def act(ledger: Ledger) -> None:
        order = _booking(story, ledger)
        transaction_id = hold(story.account, order)
        story.account.soon(60, 600, then, order, transaction_id)

    def then(order: Order, transaction_id: str) -> None:
        rest = change(order, transaction_id)
        story.account.soon(6, 600, refuse, order.ledger, rest, transaction_id)

    def refuse(ledger: Ledger, rest: Order | None, transaction_id: str) -> None:
        severity: Severity | None = None if missing else "error"
        refused(story, transfer_of(story, ledger, missing), "before", severity)
        if rest is not None and ledger.held:
            _give_back(story, rest, transaction_id)

    story.undisturbed(act)


def _stamped_after(story: Story, ends: str) -> None:
    def act(ledger: Ledger) -> None:
        order = _booking(story, ledger)
        transaction_id = story.account.new_id("txn")
        if ends == "completed":
            complete(story.account, order, transaction_id)
        else:
            row = plain_row(order, transaction_id, ends)
            story.account.emit("transaction", row | ledger.unmoved())
        story.account.agenda.after(150, send, order, transaction_id)

    def send(order: Order, transaction_id: str) -> None:
        story.account.emit("transaction", plain_row(order, transaction_id, "pending"))
        story.account.soon(6, 600, refuse, order.ledger)

    def refuse(ledger: Ledger) -> None:
        refused(story, transfer_of(story, ledger, 0), "before")

    story.undisturbed(act)


def _booking(story: Story, ledger: Ledger) -> Order:
    """Return an order that is covered three times over."""
    return purchase(story.account, story.account.price(ledger, 30, 90), ledger)


def _part(story: Story, order: Order) -> int:
    """Draw what remains when a part of the order is captured."""
    return story.account.rng.randint(1, order.amount - 1)


def _capture(story: Story, order: Order, transaction_id: str, remaining: int) -> Order:
    """Capture a part of the order, at most what does not remain; return the rest."""
    amount = story.account.rng.randint(1, order.amount - max(1, remaining))
    capture_part(story.account, order, transaction_id, amount, remaining)
    return replace(order, amount=remaining)


def _change(story: Story, order: Order, transaction_id: str, amount: int) -> Order:
    """State a new total; return what is held."""
    now = replace(order, amount=amount)
    change_hold(story.account, order, now, transaction_id)
    return now


def _increment(story: Story, order: Order, transaction_id: str) -> Order:
    """State an increment, and what is held with it; return what is held."""
    more = story.account.rng.randint(1, order.amount)
    now = replace(order, amount=order.amount + more)
    order.ledger.held += more
    stated = with_remaining(replace(order, amount=more), now.cost)
    row = plain_row(stated, transaction_id, "pending")
    story.account.emit("transaction", row | order.ledger.unmoved())
    return now


def _give_back(story: Story, held: Order, transaction_id: str) -> None:
    story.account.agenda.after(HOUR_MS, settle, story.account, held, transaction_id, captured=False)


ANOMALIES = (
    rest_held_enough,
    nothing_remains,
    all_captured,
    raised_hold_enough,
    lowered_hold_enough,
    increment_enough,
    raised_hold_captured,
    pending_after_completed,
    pending_after_cancelled,
    rest_refused,
)
INNOCENTS = (
    rest_held_short,
    one_unit_remains,
    raised_hold_short,
    lowered_hold_short,
    increment_short,
    pending_after_another,
)
