"""Visits of an owner to the app: signing in, what is done there, signing out."""

from worker.simulate.account import HOUR_MS, MINUTE_MS, Account, Event
from worker.simulate.bookings import complete, decline, hold, retry, settle, top_up
from worker.simulate.ledger import Ledger
from worker.simulate.orders import (
    Order,
    credit,
    purchase,
    refund,
    transfer,
    withdrawal,
)


def visit(account: Account) -> None:
    """Sign in, often after a typing error, and do a few things."""
    if account.agenda.now < account.no_visits_until:
        return
    rng = account.rng
    if rng.randrange(12) == 0:
        fail_login(account, "bad_credentials")
        account.soon(8, 40, _stay, account)
    else:
        _stay(account)


def sign_in(account: Account) -> str:
    """Let the owner sign in on one of his devices; return the event_id."""
    device = account.rng.choice(account.devices)
    account.session = {**device, "session_id": account.new_id("ses"), "channel": "app"}
    return account.emit("login", {"action": "login", "outcome": "success", **account.session})


def fail_login(account: Account, reason: str) -> str:
    """Let an attempt to sign in fail; return the event_id."""
    device = account.rng.choice(account.devices)
    fields: Event = {"action": "login", "outcome": "failure", "reason": reason, "channel": "app"}
    return account.emit("login", fields | device)


def _stay(account: Account) -> None:
    sign_in(account)
    at_s = 0
    for _ in range(account.rng.choice((1, 2, 2, 3, 3, 4))):
        at_s += account.rng.randint(2, 120)
        account.soon(at_s, at_s + 1, _do_something, account)
    if account.rng.randrange(3) == 0:
        account.soon(at_s + 2, at_s + 30, _sign_out, account)


def _sign_out(account: Account) -> None:
    account.emit("login", {"action": "logout", "outcome": "success", **account.session})


def _do_something(account: Account) -> None:
    action = account.rng.choices(_ACTIONS, _WEIGHTS)[0]
    action(account, account.any_ledger())


def _shop(account: Account, ledger: Ledger) -> None:
    _buy(account, purchase(account, account.price(ledger, 1, 60), ledger))


def _send_money(account: Account, ledger: Ledger) -> None:
    _buy(account, transfer(account, account.price(ledger, 5, 250), ledger))


def _take_cash(account: Account, ledger: Ledger) -> None:
    amount = account.rng.randint(1, 10) * 20 * ledger.money.unit
    _buy(account, withdrawal(account, amount, ledger))


def _shop_by_card(account: Account, ledger: Ledger) -> None:
    complete(account, purchase(account, account.price(ledger, 2, 120), ledger, card=True))


def _add_money(account: Account, ledger: Ledger) -> None:
    amount = account.rng.randint(1, 12) * 25 * ledger.money.unit
    complete(account, credit(account, "topup", amount, ledger))


def _reserve(account: Account, ledger: Ledger) -> None:
    order = purchase(account, account.price(ledger, 10, 90), ledger)
    top_up(account, ledger, order.cost)
    transaction_id = hold(account, order)
    captured = account.rng.randrange(10) > 0
    delay = account.rng.randint(10, 360) * MINUTE_MS
    account.agenda.after(delay, settle, account, order, transaction_id, captured=captured)


_ACTIONS = (_shop, _send_money, _take_cash, _shop_by_card, _add_money, _reserve)
_WEIGHTS = (50, 15, 5, 8, 14, 8)


def _buy(account: Account, order: Order) -> None:
    if order.cost > order.ledger.available:
        decline(account, order, "insufficient_funds")
        account.soon(20, 60, top_up, account, order.ledger, order.cost)
        account.soon(61, 100, retry, account, order)
        return
    if account.rng.randrange(100) == 0:
        decline(account, order, "limit")
        return
    transaction_id = account.new_id("txn")
    complete(account, order, transaction_id)
    if order.type == "payment" and account.rng.randrange(25) == 0:
        refunded = refund(account, order, transaction_id)
        account.agenda.after(account.rng.randint(1, 20) * HOUR_MS, complete, account, refunded)
