"""Rows that give money back: what balance_mismatch must find if nothing is left to give back.

A row that undoes a transaction may move nothing or all of it back. It must move nothing only if it
is known that the transaction was undone already, or that its money was held and never taken.
"""

from collections.abc import Callable
from dataclasses import replace

from worker.simulate.life.bookings import (
    Unused,
    capture_part,
    complete,
    failed_row,
    hold,
    plain_row,
    undo,
    undone_row,
)
from worker.simulate.life.orders import Order, purchase, transfer
from worker.simulate.stories.balances import hold_row
from worker.simulate.stories.books import booked, go_on, sent, severity_of
from worker.simulate.stories.ended import REMEMBERED
from worker.simulate.stories.story import Story
from worker.simulate.world.account import SECOND_MS, Event
from worker.simulate.world.ledger import Ledger

Row = Callable[[Order, str], Event]
ENDS: tuple[Unused, ...] = ("cancelled", "expired")


def reversed_twice(story: Story) -> None:
    """A payment is reversed, and reversed again: the money comes back twice."""
    _reversed_and(story, undone_row, wrong=True)


def reversal_told_again(story: Story) -> None:
    """A payment is reversed, and that is sent once more: the second row moves nothing."""
    _reversed_and(story, _told_again, wrong=False)


def reversed_twice_of_32(story: Story) -> None:
    """The same with so many payments between that the first reversal is just remembered."""
    _reversed_and(story, undone_row, wrong=True, others=REMEMBERED - 1)


def reversed_twice_of_33(story: Story) -> None:
    """One payment more: the first reversal is forgotten, and the second one may be the only one."""
    _reversed_and(story, undone_row, wrong=False, others=REMEMBERED)


def never_taken_and_back(story: Story) -> None:
    """A hold ends that never lowered the posted balance, and raises it all the same."""
    _hold_ended(story, lambda order, held: _ended(story, order, held, order.cost), wrong=True)


def hold_ended(story: Story) -> None:
    """A hold ends; its row shows that the posted balance did not move."""
    _hold_ended(story, lambda order, held: _ended(story, order, held, 0), wrong=False)


def captured_and_back(story: Story) -> None:
    """A hold was taken, and the money comes back under its own id."""

    def row(order: Order, transaction_id: str) -> Event:
        complete(story.account, order, transaction_id)
        return _ended(story, order, transaction_id, order.cost)

    _hold_ended(story, row, wrong=False)


def part_captured_and_back(story: Story) -> None:
    """A part of a hold was taken while the rest stays held, and that part comes back."""

    def row(order: Order, transaction_id: str) -> Event:
        order.ledger.held += order.cost
        amount = story.account.rng.randint(1, order.amount - 1)
        capture_part(story.account, order, transaction_id, amount, order.amount - amount)
        order.ledger.held -= order.amount - amount
        return _ended(story, replace(order, amount=amount), transaction_id, amount)

    _hold_ended(story, row, wrong=False)


def released_twice(story: Story) -> None:
    """A hold ends twice by rows of the available balance, which rises twice."""
    _released_again(story, wrong=True)


def release_told_again(story: Story) -> None:
    """A hold ends, and that is sent once more: the second row moves nothing."""
    _released_again(story, wrong=False)


def payout_returned_unreported(story: Story) -> None:
    """A transfer fails that had completed: the money is back without a balance that shows it."""

    def act(ledger: Ledger) -> None:
        order = transfer(story.account, story.account.price(ledger, 5, 60), ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(60, 600, fail, order, transaction_id)

    def fail(order: Order, transaction_id: str) -> None:
        story.account.emit("transaction", failed_row(order, transaction_id, "technical"))
        order.ledger.balance += order.cost
        story.account.soon(5, 60, find, order.ledger)

    def find(ledger: Ledger) -> None:
        story.must_stay_silent(sent(story.account, booked(story.account, ledger)))

    story.undisturbed(act)


def _reversed_and(story: Story, row: Row, *, wrong: bool, others: int = 0) -> None:
    """Pay and reverse, let so many others be paid, then send a row that undoes it again."""

    def act(ledger: Ledger) -> None:
        order = purchase(story.account, story.account.price(ledger, 2, 60), ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(60, 300, reverse, order, transaction_id)

    def reverse(order: Order, transaction_id: str) -> None:
        undo(story.account, order, transaction_id)
        for number in range(others):
            story.account.agenda.after((number + 1) * SECOND_MS, pay, order.ledger)
        wait = (others + 10) * SECOND_MS
        story.account.agenda.after(wait, _undo_again, story, row, order, transaction_id, wrong)

    def pay(ledger: Ledger) -> None:
        complete(story.account, purchase(story.account, 1, ledger))

    story.undisturbed(act)


def _hold_ended(story: Story, row: Row, *, wrong: bool) -> None:
    def act(ledger: Ledger) -> None:
        order = purchase(story.account, story.account.price(ledger, 10, 60), ledger)
        transaction_id = hold(story.account, order)
        story.account.soon(60, 600, end, order, transaction_id)

    def end(order: Order, transaction_id: str) -> None:
        order.ledger.held -= order.cost
        _undo_again(story, row, order, transaction_id, wrong)

    story.undisturbed(act)


def _released_again(story: Story, *, wrong: bool) -> None:
    def act(ledger: Ledger) -> None:
        order = purchase(story.account, story.account.price(ledger, 10, 60), ledger)
        transaction_id = story.account.new_id("txn")
        status = story.account.rng.choice(ENDS)
        available = ledger.available
        for minute, (name, before, moves) in enumerate(
            (
                ("pending", available, -order.cost),
                (status, available - order.cost, order.cost),
            )
        ):
            story.account.agenda.after(
                minute * 60 * SECOND_MS, send, order, transaction_id, name, before, moves
            )
        story.account.agenda.after(120 * SECOND_MS, again, order, transaction_id, status)

    def send(order: Order, transaction_id: str, status: str, before: int, moves: int) -> None:
        row = hold_row(order, transaction_id, status, before, moves)
        story.account.emit("transaction", row)

    def again(order: Order, transaction_id: str, status: str) -> None:
        def row(order: Order, transaction_id: str) -> Event:
            moves = order.cost if wrong else 0
            return hold_row(order, transaction_id, status, order.ledger.available, moves)

        _undo_again(story, row, order, transaction_id, wrong)

    story.undisturbed(act)


def _undo_again(story: Story, row: Row, order: Order, transaction_id: str, wrong: bool) -> None:
    evidence = sent(story.account, row(order, transaction_id))
    if wrong:
        story.must_alert(severity_of(order.ledger, order.cost), evidence)
    else:
        story.must_stay_silent(evidence)
    story.account.soon(5, 60, go_on, story.account, order.ledger)


def _told_again(order: Order, transaction_id: str) -> Event:
    return plain_row(order, transaction_id, "reversed") | order.ledger.book(0)


def _ended(story: Story, order: Order, transaction_id: str, moves: int) -> Event:
    status = story.account.rng.choice(ENDS)
    return plain_row(order, transaction_id, status) | order.ledger.book(moves)


ANOMALIES = (reversed_twice, reversed_twice_of_32, never_taken_and_back, released_twice)
INNOCENTS = (
    reversal_told_again,
    reversed_twice_of_33,
    hold_ended,
    captured_and_back,
    part_captured_and_back,
    release_told_again,
    payout_returned_unreported,
)
NUMBERED = (released_twice, release_told_again)
UNNUMBERED = (payout_returned_unreported,)
