"""The rhythm of an account: visits, salary, rent, merchants' debits, trips, balance reports."""

from collections.abc import Callable
from datetime import UTC, datetime

from schemas.time import format_time
from worker.simulate.life.bookings import complete, decline
from worker.simulate.life.orders import Order, credit, merchant_debit, rent
from worker.simulate.life.travel import depart
from worker.simulate.life.visits import visit
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SimulatedAccount
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import HOUR_WEIGHTS, WEEKEND_HOUR_WEIGHTS

SATURDAY = 5
_HOURS = range(24)


def begin_day(account: SimulatedAccount, day: int) -> None:
    """Plan the next 24 hours, and the day after them."""
    rng = account.rng
    date = datetime.fromtimestamp(account.agenda.now // 1000, UTC)
    weekend = date.weekday() >= SATURDAY
    weights = WEEKEND_HOUR_WEIGHTS if weekend else HOUR_WEIGHTS
    for _ in range(rng.choice((1, 1, 2, 3, 4, 6) if weekend else (1, 2, 3, 3, 4, 5))):
        hour = rng.choices(_HOURS, cum_weights=weights)[0]
        account.agenda.after(local_delay(account, hour), visit, account)
    _plan_money(account, day, date)
    if day and not account.has_story and rng.randrange(60) == 0:
        account.agenda.after(local_delay(account, rng.randint(5, 12)), depart, account)
    if rng.randrange(2):
        account.agenda.after(local_delay(account, rng.randint(8, 20)), _show_balance, account)
    account.agenda.after(DAY_MS - rng.randint(1, 10 * MINUTE_MS), _send_statement, account)
    account.agenda.after(DAY_MS, begin_day, account, day + 1)


def local_delay(account: SimulatedAccount, hour: int) -> int:
    """Return the ms from the day's begin to some moment of that hour of the local day."""
    utc_hour = (hour - account.country.utc_offset_hours) % 24
    return int((utc_hour + account.rng.random()) * HOUR_MS)


def _plan_money(account: SimulatedAccount, day: int, date: datetime) -> None:
    if date.day == account.salary_day:
        _plan(account, 6, _pay_salary, account)
    if date.day == account.rent_day and account.rent:
        _plan(account, 9, _take, account, rent(account))
    if date.day == 1:
        _plan(account, 2, _pay_interest, account)
    for number, subscription in enumerate(account.subscriptions):
        if (day + account.index + number) % subscription.every_days == 0:
            order = merchant_debit(account, subscription.amount, subscription.merchant)
            _plan(account, 4, _take, account, order)


def _plan(account: SimulatedAccount, hour: int, step: Callable[..., None], *args: object) -> None:
    account.agenda.after(local_delay(account, hour), account.when_free, step, *args)


def _pay_salary(account: SimulatedAccount) -> None:
    complete(account, credit(account, "transfer_in", account.salary, account.ledgers[0]))


def _pay_interest(account: SimulatedAccount) -> None:
    ledger = account.ledgers[0]
    earned = max(0, ledger.balance) // 1_000
    if earned:
        complete(account, credit(account, "interest", earned, ledger))


def _take(account: SimulatedAccount, order: Order) -> None:
    if order.cost > order.ledger.available:
        decline(account, order, "insufficient_funds")
    else:
        complete(account, order)


def _show_balance(account: SimulatedAccount) -> None:
    """Report what the app showed: read now, reported a moment later."""
    if not _may_report(account):
        return
    ledger = account.any_ledger()
    as_of = account.agenda.now
    delay = account.rng.randint(50, 1_500)
    account.agenda.after(delay, report, account, ledger, ledger.balance, as_of, "app")


def _may_report(account: SimulatedAccount) -> bool:
    return not account.busy and account.agenda.now >= account.row_straggles_until


def _send_statement(account: SimulatedAccount) -> None:
    if not _may_report(account):
        return
    for ledger in account.ledgers:
        report(account, ledger, ledger.balance, account.agenda.now, "ledger")


def report(account: SimulatedAccount, ledger: Ledger, balance: int, as_of: int, source: str) -> str:
    """Report the balance that the ledger is said to have had at `as_of`; return the event_id."""
    return account.emit(
        "balance",
        {
            "currency": ledger.money.code,
            "balance": ledger.text(balance),
            "balance_kind": "posted",
            "as_of": format_time(as_of),
            "source": source,
        },
    )
