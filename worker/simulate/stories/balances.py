"""Books whose rows do not add up: what balance_mismatch must find in rows and numbered chains.

Each alert at a threshold has a twin beside it: one minor unit or one millisecond further.
"""

from schemas.money import to_minor
from worker.simulate.life.bookings import complete, completed_row, plain_row, undone_row
from worker.simulate.life.orders import Order, adjustment, purchase, transfer
from worker.simulate.stories.books import (
    booked,
    go_on,
    major_unit,
    open_and,
    second_ledger,
    sent,
    severity_of,
    with_decimals,
)
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS, Event
from worker.simulate.world.ledger import Ledger


def row(story: Story) -> None:
    """One row with one figure wrong by one minor unit; the ledger itself is right."""
    story.undisturbed(lambda ledger: _wrong_row(story, ledger, 1))


def row_major_unit(story: Story) -> None:
    """One row wrong by exactly one major unit: an error."""
    story.undisturbed(lambda ledger: _wrong_row(story, ledger, major_unit(ledger)))


def row_below_major_unit(story: Story) -> None:
    """One row wrong by one minor unit less than a major one: a warning."""
    with_decimals(story, lambda ledger: _wrong_row(story, ledger, major_unit(ledger) - 1))


def row_corrected(story: Story) -> None:
    """A row that ends too high or too low, and an adjustment that moves as much back."""

    def act(ledger: Ledger) -> None:
        fields = booked(story.account, ledger)
        drift = story.account.rng.choice((1, -1)) * major_unit(ledger)
        fields["balance_after"] = ledger.text(ledger.balance + drift)
        _correct_after(story, ledger, fields, drift)

    story.undisturbed(act)


def undone_short(story: Story) -> None:
    """A payment is reversed, and one minor unit less comes back."""

    def act(ledger: Ledger) -> None:
        order = purchase(story.account, story.account.price(ledger, 2, 60), ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(60, 600, undo, order, transaction_id)

    def undo(order: Order, transaction_id: str) -> None:
        fields = undone_row(order, transaction_id)
        order.ledger.balance -= 1
        fields["balance_after"] = order.ledger.text(order.ledger.balance)
        _send_wrong(story, order.ledger, fields, 1)

    story.undisturbed(act)


def hold_row_wrong(story: Story) -> None:
    """A hold lowers the available balance by one minor unit too much."""

    def act(ledger: Ledger) -> None:
        account = story.account
        order = purchase(account, account.price(ledger, 10, 60), ledger)
        moves = -order.cost - 1
        fields = hold_row(order, account.new_id("txn"), "pending", ledger.available, moves)
        _send_wrong(story, ledger, fields, 1)

    story.undisturbed(act)


def chain(story: Story) -> None:
    """A balance that changed between two rows; the rows after go on from there."""
    story.undisturbed(lambda ledger: _jump(story, ledger, story.account.rng.choice((1, -1))))


def chain_major_unit(story: Story) -> None:
    """A balance that changed by exactly one major unit between two rows: an error."""
    story.undisturbed(lambda ledger: _jump(story, ledger, major_unit(ledger)))


def chain_below_major_unit(story: Story) -> None:
    """A balance that changed by one minor unit less than a major one: a warning."""
    with_decimals(story, lambda ledger: _jump(story, ledger, 1 - major_unit(ledger)))


def chain_corrected(story: Story) -> None:
    """A balance that changed between two rows, and an adjustment that takes it back."""

    def act(ledger: Ledger) -> None:
        drift = story.account.rng.choice((1, -1)) * story.account.rng.randint(1, 5_000)
        ledger.balance += drift
        _correct_after(story, ledger, booked(story.account, ledger), drift)

    story.undisturbed(act)


def available_hold(story: Story) -> None:
    """A hold, and its end, as rows of the available balance between those of the posted one."""

    def act(ledger: Ledger) -> None:
        account = story.account
        order = purchase(account, account.price(ledger, 10, 60), ledger)
        transaction_id = account.new_id("txn")
        fields = hold_row(order, transaction_id, "pending", ledger.available, -order.cost)
        story.must_stay_silent(sent(account, fields))
        account.soon(30, 600, expire, order, transaction_id)

    def expire(order: Order, transaction_id: str) -> None:
        before = order.ledger.available - order.cost
        fields = hold_row(order, transaction_id, "expired", before, order.cost)
        story.account.emit("transaction", fields)
        story.account.soon(5, 60, go_on, story.account, order.ledger)

    story.undisturbed(act)


def given_back(story: Story) -> None:
    """A completed payment is undone under its own id: the row moves the whole effect back."""

    def act(ledger: Ledger) -> None:
        kind = story.account.rng.choice((purchase, transfer))
        order = kind(story.account, story.account.price(ledger, 2, 60), ledger)
        transaction_id = story.account.new_id("txn")
        complete(story.account, order, transaction_id)
        story.account.soon(60, 600, undo, order, transaction_id)

    def undo(order: Order, transaction_id: str) -> None:
        fields = undone_row(order, transaction_id)
        fields["status"] = story.account.rng.choice(("reversed", "cancelled", "expired"))
        story.must_stay_silent(sent(story.account, fields))

    story.undisturbed(act)


def foreign_payment(story: Story) -> None:
    """Money comes and goes in another currency, which has a chain of its own."""

    def act(ledger: Ledger) -> None:
        order = purchase(story.account, story.account.price(ledger, 2, 60), ledger)
        fields = completed_row(order, story.account.new_id("txn"))
        story.must_stay_silent(sent(story.account, fields))

    second = second_ledger(story.account)
    story.undisturbed(lambda _: open_and(story, second, act))


def mixed_payment(story: Story) -> None:
    """Only the balance's part of a payment moves the balance."""

    def act(ledger: Ledger) -> None:
        part, rest = (story.account.price(ledger, 2, 60) for _ in range(2))
        order = purchase(story.account, part + rest, ledger, from_balance=part)
        fields = completed_row(order, story.account.new_id("txn"))
        story.must_stay_silent(sent(story.account, fields))

    story.undisturbed(act)


def _wrong_row(story: Story, ledger: Ledger, drift: int) -> None:
    account = story.account
    fields = booked(account, ledger)
    name = account.rng.choice(("amount", "balance_before", "balance_after"))
    right = to_minor(str(fields[name]), ledger.money.exponent)
    sign = account.rng.choice((1, -1)) if right > drift else 1
    fields[name] = ledger.text(right + sign * drift)
    _send_wrong(story, ledger, fields, drift)


def _send_wrong(story: Story, ledger: Ledger, fields: Event, drift: int) -> None:
    story.must_alert(severity_of(ledger, drift), sent(story.account, fields))
    story.account.soon(5, 60, go_on, story.account, ledger)


def _jump(story: Story, ledger: Ledger, drift: int) -> None:
    ledger.balance += drift
    _send_wrong(story, ledger, booked(story.account, ledger), drift)


def _correct_after(story: Story, ledger: Ledger, fields: Event, drift: int) -> None:
    """Send the row, and some minutes later an adjustment that moves the drift back."""
    account = story.account
    delay = account.rng.randint(2 * MINUTE_MS, 10 * MINUTE_MS)
    evidence = sent(account, fields)
    story.must_alert(severity_of(ledger, drift), evidence, cured_after=delay)
    account.agenda.after(delay, lambda: complete(account, adjustment(account, ledger, -drift)))


def hold_row(order: Order, transaction_id: str, status: str, before: int, moves: int) -> Event:
    """Return an entry of the available balance."""
    row = plain_row(order, transaction_id, status) | order.ledger.book(0)
    text = order.ledger.text
    available: Event = {
        "balance_before": text(before),
        "balance_after": text(before + moves),
        "balance_kind": "available",
    }
    return row | available


ANOMALIES = (
    row,
    chain,
    row_major_unit,
    row_below_major_unit,
    row_corrected,
    undone_short,
    hold_row_wrong,
    chain_major_unit,
    chain_below_major_unit,
    chain_corrected,
)
INNOCENTS = (
    available_hold,
    given_back,
    foreign_payment,
    mixed_payment,
)
NUMBERED = (
    chain,
    hold_row_wrong,
    chain_major_unit,
    chain_below_major_unit,
    chain_corrected,
    available_hold,
)
"""They need entries that carry their ledger_sequence."""
