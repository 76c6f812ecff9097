"""Amounts of many digits, and currencies that ISO 4217 has withdrawn: exact to the minor unit."""

from collections.abc import Callable

from worker.simulate.life.bookings import complete
from worker.simulate.life.orders import credit
from worker.simulate.stories.books import booked, major_unit, sent, severity_of
from worker.simulate.stories.refusals import refused, transfer_of
from worker.simulate.stories.story import Story
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import BGN, CHF, HRK, SimulatedCurrency

MANY = 10**35
"""Minor units: more than 64 bits, and within the 38 digits that an amount may have."""
Act = Callable[[Ledger], None]


def many_digits_jump(story: Story) -> None:
    """A balance of 36 digits changed by one minor unit between two rows."""
    _in_currency(story, CHF, MANY, lambda ledger: _go_on(story, ledger, 1))


def many_digits(story: Story) -> None:
    """A balance of 36 digits, and a row that starts where the one before ended."""
    _in_currency(story, CHF, MANY, lambda ledger: _go_on(story, ledger, 0))


def many_digits_covered(story: Story) -> None:
    """A transfer of 36 digits is refused; with its fee it is all that is available."""
    _in_currency(story, CHF, MANY, lambda ledger: refused(story, transfer_of(story, ledger, 0)))


def many_digits_short(story: Story) -> None:
    """A transfer of 36 digits is refused; one minor unit is missing."""

    def act(ledger: Ledger) -> None:
        refused(story, transfer_of(story, ledger, 1), severity=None)

    _in_currency(story, CHF, MANY, act)


def withdrawn_currency_jump(story: Story) -> None:
    """A balance changed by a major unit, in a currency that is no more."""
    _in_currency(story, HRK, 0, lambda ledger: _go_on(story, ledger, major_unit(ledger)))


def withdrawn_currency(story: Story) -> None:
    """Books that add up, in a currency that is no more."""
    _in_currency(story, BGN, 0, lambda ledger: _go_on(story, ledger, 0))


def _in_currency(story: Story, money: SimulatedCurrency, more: int, act: Act) -> None:
    """Let money come in, in a book that the account uses for nothing else, then act."""

    def begin(_: Ledger) -> None:
        ledger = Ledger(money, balance=0, sequence=0)
        amount = more + 300 * money.unit
        complete(story.account, credit(story.account, "transfer_in", amount, ledger))
        story.account.soon(20, 200, act, ledger)

    story.undisturbed(begin)


def _go_on(story: Story, ledger: Ledger, drift: int) -> None:
    ledger.balance += drift
    evidence = sent(story.account, booked(story.account, ledger))
    if drift:
        story.must_alert(severity_of(ledger, drift), evidence)
    else:
        story.must_stay_silent(evidence)


ANOMALIES = (many_digits_jump, withdrawn_currency_jump)
INNOCENTS = (many_digits, withdrawn_currency)
PAYMENT_ANOMALIES = (many_digits_covered,)
PAYMENT_INNOCENTS = (many_digits_short,)
