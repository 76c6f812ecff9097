"""Rows that report only the balance after them: what balance_mismatch must find in them."""

from worker.simulate.life.bookings import completed_row, failed_row
from worker.simulate.life.orders import Order, purchase
from worker.simulate.stories.book_stories import SLACK_MS
from worker.simulate.stories.books import booked, go_on, major_unit, sent, severity_of
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import Event
from worker.simulate.world.ledger import Ledger


def after_alone(story: Story) -> None:
    """What the row moves leads from the balance before it to the one that it reports."""
    story.undisturbed(lambda ledger: story.must_stay_silent(_moved(story, ledger, 0)))


def after_alone_jump(story: Story) -> None:
    """The balance changed by a minor unit before the row: it does not follow."""
    story.undisturbed(lambda ledger: _jumped(story, ledger, 1, numbered=True))


def after_alone_jump_major_unit(story: Story) -> None:
    """The balance changed by a major unit: an error."""
    story.undisturbed(lambda ledger: _jumped(story, ledger, -major_unit(ledger), numbered=True))


def after_alone_unnumbered_jump(story: Story) -> None:
    """The same without numbers: known when no other row can come before it."""
    story.undisturbed(lambda ledger: _jumped(story, ledger, 1, numbered=False))


def after_alone_of_a_failure(story: Story) -> None:
    """A failed payment reports the balance: it sets it, whatever it was before."""

    def act(ledger: Ledger) -> None:
        ledger.balance += major_unit(ledger)
        story.must_stay_silent(sent(story.account, _after_alone(_failure(story, ledger))))
        _go_on(story, ledger)

    story.undisturbed(act)


def both_of_a_failure(story: Story) -> None:
    """A failed payment reports the balance before it too, which is not the one that was left."""

    def act(ledger: Ledger) -> None:
        ledger.balance += major_unit(ledger)
        evidence = sent(story.account, _failure(story, ledger))
        story.must_alert("error", evidence)
        _go_on(story, ledger)

    story.undisturbed(act)


def after_alone_of_a_mixed_payment(story: Story) -> None:
    """What the balance pays of the payment is not reported: the row sets the balance."""

    def act(ledger: Ledger) -> None:
        account = story.account
        part, rest = (account.price(ledger, 2, 60) for _ in range(2))
        order = purchase(account, part + rest, ledger, from_balance=part)
        fields = _after_alone(completed_row(order, account.new_id("txn")))
        del fields["funding_from_balance"]
        story.must_stay_silent(sent(account, fields))
        _go_on(story, ledger)

    story.undisturbed(act)


def _jumped(story: Story, ledger: Ledger, drift: int, *, numbered: bool) -> None:
    evidence = _moved(story, ledger, drift)
    known_after = 0 if numbered else SLACK_MS
    story.must_alert(severity_of(ledger, drift), evidence, earliest_after=known_after)


def _moved(story: Story, ledger: Ledger, drift: int) -> StoryEvidence:
    """Send a row that does not report the balance before it, which is off by the drift."""
    ledger.balance += drift
    evidence = sent(story.account, _after_alone(booked(story.account, ledger)))
    _go_on(story, ledger)
    return evidence


def _failure(story: Story, ledger: Ledger) -> Event:
    order: Order = purchase(story.account, story.account.price(ledger, 2, 60), ledger)
    return failed_row(order, story.account.new_id("txn"), "limit") | ledger.book(0)


def _after_alone(fields: Event) -> Event:
    return {name: value for name, value in fields.items() if name != "balance_before"}


def _go_on(story: Story, ledger: Ledger) -> None:
    story.account.soon(5, 60, go_on, story.account, ledger)


ANOMALIES = (
    after_alone_jump,
    after_alone_jump_major_unit,
    after_alone_unnumbered_jump,
    both_of_a_failure,
)
INNOCENTS = (after_alone, after_alone_of_a_failure, after_alone_of_a_mixed_payment)
NUMBERED = (after_alone_jump, after_alone_jump_major_unit, both_of_a_failure)
UNNUMBERED = (after_alone_unnumbered_jump,)
