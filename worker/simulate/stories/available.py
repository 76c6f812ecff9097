"""Failed payments at the very limit of what could be spent, and of the time for which it is known.

Each alert has a twin beside it: one minor unit or one millisecond further, and it is innocent.
"""

from worker.simulate.life.bookings import complete, hold, settle
from worker.simulate.life.days import report
from worker.simulate.life.orders import Order, credit, purchase, transfer
from worker.simulate.stories.refusals import CONCURRENT_MS, refused, transfer_of
from worker.simulate.stories.story import Story
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SimulatedAccount
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import BHD, EUR, JPY, USD

KNOWN_MS = 5 * MINUTE_MS
HOLD_MS = 7 * DAY_MS


def covered_exactly(story: Story) -> None:
    """Amount and fee are all that is available."""
    story.undisturbed(lambda ledger: refused(story, transfer_of(story, ledger, 0)))


def one_unit_short(story: Story) -> None:
    """Amount and fee are one minor unit more than what is available."""
    story.undisturbed(lambda ledger: refused(story, transfer_of(story, ledger, 1), severity=None))


def fee_not_covered(story: Story) -> None:
    """The amount is all that is available; the fee comes on top."""

    def act(ledger: Ledger) -> None:
        order = transfer(story.account, ledger.available, ledger)
        refused(story, order, severity=None)

    story.undisturbed(act)


def concurrent_debit(story: Story) -> None:
    """Another debit just within the time in which it may have had the money: only info."""
    story.undisturbed(lambda ledger: _after_another(story, ledger, CONCURRENT_MS, within=True))


def debit_just_before(story: Story) -> None:
    """Another debit, one millisecond too early to have mattered."""
    story.undisturbed(lambda ledger: _after_another(story, ledger, CONCURRENT_MS + 1, within=False))


def known_just_now(story: Story) -> None:
    """The row shows no balance; the one before it is just young enough to prove the money."""
    story.undisturbed(lambda ledger: _known_for(story, ledger, KNOWN_MS, alerts=True))


def known_too_long(story: Story) -> None:
    """The row shows no balance, and the one before it is one millisecond too old."""
    story.undisturbed(lambda ledger: _known_for(story, ledger, KNOWN_MS + 1, alerts=False))


def stale_snapshot(story: Story) -> None:
    """The row shows no balance, and what the app reported is minutes old."""

    def act(ledger: Ledger) -> None:
        account = story.account
        report(account, ledger, ledger.balance, account.agenda.now, "app")
        order = purchase(account, ledger.available // 2, ledger)
        account.soon(301, 600, refused, story, order, "nothing", None)

    story.undisturbed(act)


def hold_leaves_enough(story: Story) -> None:
    """The balance less an open hold is exactly what the payment needs."""
    story.undisturbed(lambda ledger: _beside_a_hold(story, ledger, 0))


def hold_leaves_too_little(story: Story) -> None:
    """The balance less an open hold is one minor unit less than what the payment needs."""
    story.undisturbed(lambda ledger: _beside_a_hold(story, ledger, 1))


def partial_capture_frees(story: Story) -> None:
    """Only a part of a hold was taken: the payment needs all that is left."""
    story.undisturbed(lambda ledger: _after_capture(story, ledger, 0))


def partial_capture_short(story: Story) -> None:
    """Only a part of a hold was taken: the payment needs one minor unit more."""
    story.undisturbed(lambda ledger: _after_capture(story, ledger, 1))


def mixed_covered(story: Story) -> None:
    """Balance and card were to pay together; the balance's part is all that is available."""
    story.undisturbed(lambda ledger: refused(story, _mixed(story, ledger, 0)))


def mixed_short(story: Story) -> None:
    """Balance and card were to pay together; the balance's part is one minor unit too much."""
    story.undisturbed(lambda ledger: refused(story, _mixed(story, ledger, 1), severity=None))


def other_currency(story: Story) -> None:
    """A payment in a currency whose balance was never reported."""

    def act(ledger: Ledger) -> None:
        account = story.account
        own = [ledger.money for ledger in account.ledgers]
        money = account.rng.choice([m for m in (EUR, USD, JPY, BHD) if m not in own])
        complete(account, purchase(account, ledger.money.unit, ledger))
        foreign = Ledger(money, balance=0, sequence=0)
        order = purchase(account, money.unit, foreign)
        account.soon(20, 200, refused, story, order, "nothing", None)

    story.undisturbed(act)


def hold_of_seven_days(story: Story) -> None:
    """A hold that nothing has ended for exactly as long as a hold counts."""
    _held_for(story, HOLD_MS, counts=True)


def hold_too_old(story: Story) -> None:
    """A hold that nothing has ended for one millisecond more."""
    _held_for(story, HOLD_MS + 1, counts=False)


def _after_another(story: Story, ledger: Ledger, delay_ms: int, *, within: bool) -> None:
    account = story.account
    first = purchase(account, account.price(ledger, 5, 40), ledger)
    if account.rng.randrange(2):
        complete(account, first)
    else:
        _hold_for_an_hour(account, first)
    order = purchase(account, account.price(ledger, 5, 100), ledger)

    def fail() -> None:
        refused(story, order, "before", "info" if within else "error")

    account.agenda.after(delay_ms, fail)


def _known_for(story: Story, ledger: Ledger, age_ms: int, *, alerts: bool) -> None:
    account = story.account
    complete(account, purchase(account, account.price(ledger, 5, 40), ledger))
    order = purchase(account, ledger.available, ledger)
    account.agenda.after(age_ms, refused, story, order, "nothing", "error" if alerts else None)


def _beside_a_hold(story: Story, ledger: Ledger, missing: int) -> None:
    account = story.account
    _hold_for_an_hour(account, purchase(account, account.price(ledger, 50, 150), ledger))
    order = transfer_of(story, ledger, missing)
    account.soon(6, 900, refused, story, order, "before", None if missing else "error")


def _after_capture(story: Story, ledger: Ledger, missing: int) -> None:
    account = story.account
    booking = purchase(account, account.price(ledger, 50, 150), ledger)
    held = hold(account, booking)
    part = account.rng.randint(1, booking.amount - 1)

    def fail() -> None:
        refused(story, transfer_of(story, ledger, missing), "before", None if missing else "error")

    def capture() -> None:
        settle(account, booking, held, captured=True, amount=part)
        account.soon(6, 600, fail)

    account.soon(60, 600, capture)


def _mixed(story: Story, ledger: Ledger, missing: int) -> Order:
    part = ledger.available + missing
    rest = story.account.price(ledger, 5, 60)
    return purchase(story.account, part + rest, ledger, from_balance=part)


def _held_for(story: Story, age_ms: int, *, counts: bool) -> None:
    """Hold money now, and later refuse a payment that only this hold leaves without cover."""
    account = story.account
    ledger = account.ledgers[0]
    booking = purchase(account, account.price(ledger, 50, 150), ledger)
    complete(account, credit(account, "transfer_in", 2 * booking.cost, ledger))
    held = hold(account, booking)

    def fail() -> None:
        order = purchase(account, ledger.available + booking.cost, ledger)
        refused(story, order, "before", None if counts else "error")
        account.agenda.after(MINUTE_MS, settle, account, booking, held, captured=False)

    account.agenda.after(age_ms - 10 * MINUTE_MS, story.keep_quiet)
    account.agenda.after(age_ms, fail)


def _hold_for_an_hour(account: SimulatedAccount, booking: Order) -> None:
    held = hold(account, booking)
    account.agenda.after(HOUR_MS, settle, account, booking, held, captured=False)


ANOMALIES = (
    covered_exactly,
    concurrent_debit,
    debit_just_before,
    known_just_now,
    hold_leaves_enough,
    partial_capture_frees,
    mixed_covered,
)
INNOCENTS = (
    one_unit_short,
    fee_not_covered,
    known_too_long,
    stale_snapshot,
    hold_leaves_too_little,
    partial_capture_short,
    mixed_short,
    other_currency,
)
OLD_HOLDS = (hold_too_old, hold_of_seven_days)
"""Only the first must alert. Both last HOLD_MS: the life before is at least as long."""
