"""The rhythm of an account: visits by the hour, salary, merchants' debits, balance reports."""

from datetime import UTC, datetime

from schemas.time import format_time
from worker.simulate.account import HOUR_MS, MINUTE_MS, Account
from worker.simulate.bookings import complete, decline
from worker.simulate.config import DAY_MS
from worker.simulate.ledger import Ledger
from worker.simulate.orders import credit, merchant_debit
from worker.simulate.visits import visit
from worker.simulate.world import HOUR_WEIGHTS


def begin_day(account: Account, day: int) -> None:
    """Plan the next 24 hours, and the day after them."""
    rng = account.rng
    for _ in range(rng.choice((1, 2, 3, 3, 4, 5))):
        hour = rng.choices(range(24), HOUR_WEIGHTS)[0]
        account.agenda.after(local_delay(account, hour), visit, account)
    _plan_money(account, day)
    if rng.randrange(2):
        account.agenda.after(local_delay(account, rng.randint(8, 20)), _show_balance, account)
    account.agenda.after(DAY_MS - rng.randint(1, 10 * MINUTE_MS), _send_statement, account)
    account.agenda.after(DAY_MS, begin_day, account, day + 1)


def local_delay(account: Account, hour: int) -> int:
    """Return the ms from the day's begin to some moment of that hour of the local day."""
    utc_hour = (hour - account.country.utc_offset_hours) % 24
    return utc_hour * HOUR_MS + account.rng.randrange(HOUR_MS)


def _plan_money(account: Account, day: int) -> None:
    date = datetime.fromtimestamp(account.agenda.now // 1000, UTC)
    if date.day == account.salary_day:
        account.agenda.after(local_delay(account, 6), _pay_salary, account)
    for number, subscription in enumerate(account.subscriptions):
        if (day + account.index + number) % subscription.every_days == 0:
            delay = local_delay(account, 4)
            account.agenda.after(delay, _debit, account, subscription.merchant, subscription.amount)


def _pay_salary(account: Account) -> None:
    complete(account, credit(account, "transfer_in", account.salary, account.ledgers[0]))


def _debit(account: Account, merchant: str, amount: int) -> None:
    order = merchant_debit(account, amount, merchant)
    if order.cost > order.ledger.available:
        decline(account, order, "insufficient_funds")
    else:
        complete(account, order)


def _show_balance(account: Account) -> None:
    """Report what the app showed: read now, reported a moment later."""
    ledger = account.any_ledger()
    as_of = account.agenda.now
    delay = account.rng.randint(50, 1_500)
    account.agenda.after(delay, _report, account, ledger, ledger.balance, as_of, "app")


def _send_statement(account: Account) -> None:
    for ledger in account.ledgers:
        _report(account, ledger, ledger.balance, account.agenda.now, "ledger")


def _report(account: Account, ledger: Ledger, balance: int, as_of: int, source: str) -> None:
    account.emit(
        "balance",
        {
            "currency": ledger.money.code,
            "balance": ledger.text(balance),
            "balance_kind": "posted",
            "as_of": format_time(as_of),
            "source": source,
        },
    )
