"""What occurs at one millisecond: the order in which it counts is not that in which it was sent."""

from dataclasses import replace

from schemas.base import Severity
from worker.simulate.life.bookings import capture_part, plain_row, settle
from worker.simulate.life.orders import Order, purchase
from worker.simulate.stories.refusals import refused, transfer_of
from worker.simulate.stories.scene import GUESSING_MS, Scene, seclude
from worker.simulate.stories.story import Story
from worker.simulate.world.account import HOUR_MS
from worker.simulate.world.ledger import Ledger


def paid_with_the_login(story: Story) -> None:
    """A guessed password lets a stranger in and pay at the same millisecond: 35 + 15."""
    _guessed_and_paid(story, 0, "warning")


def paid_1_ms_before_the_login(story: Story) -> None:
    """A payment just before that login has nothing to do with it."""
    _guessed_and_paid(story, 1, None)


def captured_with_its_pending(story: Story) -> None:
    """A capture is sent before the pending status of its millisecond: the rest is held."""
    _captured_at_once(story, 0)


def captured_with_its_pending_short(story: Story) -> None:
    """The same, and what is not held is one minor unit too little."""
    _captured_at_once(story, 1)


def _guessed_and_paid(story: Story, before_ms: int, severity: Severity | None) -> None:
    def act(scene: Scene) -> None:
        scene.later(GUESSING_MS - before_ms, pay, scene)
        scene.guess(scene.owner(), 5)

    def pay(scene: Scene) -> None:
        scene.pay(scene.pay_person(scene.new_payee()), severity)

    seclude(story, act, lasts_ms=GUESSING_MS)


def _captured_at_once(story: Story, missing: int) -> None:
    def act(ledger: Ledger) -> None:
        account = story.account
        order = purchase(account, account.price(ledger, 30, 90), ledger)
        transaction_id = account.new_id("txn")
        rest = replace(order, amount=account.rng.randint(1, order.amount - 1))
        pending = plain_row(order, transaction_id, "pending")
        ledger.held += order.cost
        capture_part(account, order, transaction_id, order.amount - rest.amount, rest.amount)
        account.emit("transaction", pending)
        account.soon(6, 600, refuse, rest, transaction_id)

    def refuse(rest: Order, transaction_id: str) -> None:
        severity: Severity | None = None if missing else "error"
        refused(story, transfer_of(story, rest.ledger, missing), "before", severity)
        story.account.agenda.after(
            HOUR_MS, settle, story.account, rest, transaction_id, captured=False
        )

    story.undisturbed(act)


UNNUMBERED = (captured_with_its_pending, captured_with_its_pending_short)
"""They need entries that carry no ledger_sequence: what is numbered has its order."""
