"""Visits of an owner to the app: signing in now and then, and what is done there."""

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

from worker.simulate.life.bookings import (
    Unused,
    complete,
    decline,
    hold,
    retry,
    settle,
    top_up,
    undo,
)
from worker.simulate.life.orders import (
    Order,
    credit,
    purchase,
    refund,
    reversal,
    transfer,
    withdrawal,
)
from worker.simulate.world.account import (
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Event,
    SimulatedAccount,
    new_payee,
)
from worker.simulate.world.config import DAY_MS
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import FIRST_DOCUMENTATION_ASN, HIDING_NETWORKS

SMALL_MAJOR_UNITS = 20
"""A payment up to so much, of the currency, may pass without asking the owner."""


def visit(account: SimulatedAccount) -> None:
    """Open the app, sign in where no session lasts, and do a few things."""
    if account.busy:
        return
    device = _device_at_hand(account)
    account.visits += 1
    connection = _connection(account, device)
    session_id, ends = account.sessions.get(str(device["device_id"]), ("", 0))
    if account.agenda.now < ends:
        account.session = connection | {"session_id": session_id, "channel": "app"}
        _stay(account)
    elif account.rng.randrange(6) == 0:
        fail_login(account, "bad_credentials", connection)
        account.soon(8, 40, _enter, account, connection)
    else:
        _enter(account, connection)


def sign_in(account: SimulatedAccount, device: Event | None = None) -> str:
    """Let the owner sign in, by default on one of his devices; return the event_id."""
    device = device or account.rng.choice(account.devices)
    session_id = account.new_id("ses")
    ends = account.agenda.now + account.rng.randint(4, 40) * DAY_MS
    account.sessions[str(device["device_id"])] = session_id, ends
    account.session = device | {"session_id": session_id, "channel": "app"}
    return account.emit("login", {"action": "login", "outcome": "success", **account.session})


def fail_login(account: SimulatedAccount, reason: str, device: Event | None = None) -> str:
    """Let a sign-in fail, by default on one of his devices; return the event_id."""
    device = device or account.rng.choice(account.devices)
    fields: Event = {"action": "login", "outcome": "failure", "reason": reason, "channel": "app"}
    return account.emit("login", fields | device)


def _device_at_hand(account: SimulatedAccount) -> Event:
    """Take each device in turn at first, so that it is known early; then mostly the first."""
    if account.visits < len(account.devices):
        return account.devices[account.visits]
    return account.devices[0 if account.rng.randrange(4) else -1]


def _connection(account: SimulatedAccount, device: Event) -> Event:
    """Return the fields of the device; some networks hide where it is."""
    if account.rng.randrange(40):
        return device
    hidden = {name: device[name] for name in device if name not in ("latitude", "longitude")}
    number = account.rng.randrange(65_536)
    return hidden | {
        "network": account.rng.choice(HIDING_NETWORKS),
        "ip": f"2001:db8:fffe:{number:x}::1",
        "asn": FIRST_DOCUMENTATION_ASN + number % 16,
    }


def _enter(account: SimulatedAccount, connection: Event) -> None:
    if not account.busy:
        sign_in(account, connection)
        _stay(account)


def _stay(account: SimulatedAccount) -> None:
    at_s = 0
    for _ in range(account.rng.choice((1, 2, 2, 3, 3, 4))):
        at_s += account.rng.randint(2, 120)
        account.soon(at_s, at_s + 1, _do_something, account)
    if account.rng.randrange(40) == 0:
        account.soon(at_s + 2, at_s + 30, _sign_out, account)


def _sign_out(account: SimulatedAccount) -> None:
    if not account.busy:
        account.emit("login", {"action": "logout", "outcome": "success", **account.session})
        account.sessions.pop(str(account.session["device_id"]), None)


def _do_something(account: SimulatedAccount) -> None:
    if account.busy:
        return
    if account.abroad:
        _shop_abroad(account)
    else:
        action = account.rng.choices(_ACTIONS, cum_weights=_WEIGHTS)[0]
        action(account, account.any_ledger())


def _shop_abroad(account: SimulatedAccount) -> None:
    """Spend a little of a large balance: in a new country more would be suspicious."""
    ledger = account.ledgers[0]
    order = purchase(account, account.price(ledger, 1, 20), ledger)
    top_up(account, ledger, 2 * order.cost)
    complete(account, order)


def _shop(account: SimulatedAccount, ledger: Ledger) -> None:
    order = purchase(account, account.price(ledger, 1, 60), ledger)
    small = SMALL_MAJOR_UNITS * 10**ledger.money.exponent
    if order.amount <= small and account.rng.randrange(10) == 0:
        skipped = {"authorization": {"method": "none", "result": "skipped"}}
        order = replace(order, details=order.details | skipped)
    _buy(account, order)


def _send_money(account: SimulatedAccount, ledger: Ledger) -> None:
    if account.rng.randrange(15) == 0:
        account.payees += (new_payee(account.rng),)
        payee = account.payees[-1]
    else:
        payee = account.rng.choice(account.payees)
    order = transfer(account, account.price(ledger, 5, 250), ledger, payee)
    if order.cost <= ledger.available and account.rng.randrange(4) == 0:
        _reserve_for(account, order, (5 * SECOND_MS, 2 * HOUR_MS))
    else:
        _buy(account, order)


def _take_cash(account: SimulatedAccount, ledger: Ledger) -> None:
    amount = account.rng.randint(1, 10) * 20 * ledger.money.unit
    _buy(account, withdrawal(account, amount, ledger))


def _shop_by_card(account: SimulatedAccount, ledger: Ledger) -> None:
    complete(account, purchase(account, account.price(ledger, 2, 120), ledger, card=True))


def _shop_with_both(account: SimulatedAccount, ledger: Ledger) -> None:
    """Let the balance pay what it can of a larger purchase, and a card the rest."""
    part = account.rng.randint(0, max(0, ledger.available))
    rest = account.price(ledger, 2, 60)
    complete(account, purchase(account, part + rest, ledger, from_balance=part))


def _shop_twice_at_once(account: SimulatedAccount, ledger: Ledger) -> None:
    """Pay two merchants with one basket: two entries of the same moment."""
    for _ in range(2):
        order = purchase(account, account.price(ledger, 1, 30), ledger)
        if order.cost <= ledger.available:
            complete(account, order)


def _add_money(account: SimulatedAccount, ledger: Ledger) -> None:
    amount = account.rng.randint(1, 12) * 25 * ledger.money.unit
    complete(account, credit(account, "topup", amount, ledger))


def _reserve(account: SimulatedAccount, ledger: Ledger) -> None:
    order = purchase(account, account.price(ledger, 10, 90), ledger)
    top_up(account, ledger, order.cost)
    _reserve_for(account, order, (10 * MINUTE_MS, 6 * HOUR_MS))


def _reserve_for(account: SimulatedAccount, order: Order, span_ms: tuple[int, int]) -> None:
    """Hold the money for some time: most of it is taken, some not, now and then only a part."""
    transaction_id = hold(account, order)
    ending = account.rng.randrange(20)
    amount = account.rng.randint(1, order.amount) if ending in (4, 5, 6) else None
    unused: Unused = "expired" if ending in (2, 3) else "cancelled"

    def end() -> None:
        captured = ending >= 4
        settle(account, order, transaction_id, captured=captured, amount=amount, unused=unused)

    account.agenda.after(account.rng.randint(*span_ms), account.when_free, end)


_CHOICES: tuple[tuple[Callable[[SimulatedAccount, Ledger], None], int], ...] = (
    (_shop, 46),
    (_send_money, 15),
    (_take_cash, 5),
    (_shop_by_card, 8),
    (_shop_with_both, 2),
    (_shop_twice_at_once, 2),
    (_add_money, 14),
    (_reserve, 8),
)
_ACTIONS = tuple(action for action, _ in _CHOICES)
_WEIGHTS = tuple(accumulate(weight for _, weight in _CHOICES))


def _buy(account: SimulatedAccount, order: Order) -> None:
    if order.cost > order.ledger.available:
        decline(account, order, "insufficient_funds")
        account.soon(20, 60, _unless_busy, account, top_up, order.ledger, order.cost)
        account.soon(61, 100, _unless_busy, account, retry, order)
        return
    if account.rng.randrange(100) == 0:
        decline(account, order, "limit")
        return
    transaction_id = account.new_id("txn")
    complete(account, order, transaction_id)
    if order.type == "payment" and account.rng.randrange(20) == 0:
        delay = account.rng.randint(1, 20) * HOUR_MS
        account.agenda.after(delay, account.when_free, _give_back, account, order, transaction_id)


def _unless_busy(account: SimulatedAccount, step: Callable[..., object], *args: object) -> None:
    if not account.busy:
        step(account, *args)


def _give_back(account: SimulatedAccount, order: Order, transaction_id: str) -> None:
    """Refund a payment, all or a part of it, or reverse it, in one of two ways."""
    way = account.rng.randrange(10)
    if way < 2 and not account.has_story:
        complete(account, reversal(account, order, transaction_id))
    elif way < 4 and not account.has_story:
        undo(account, order, transaction_id)
    else:
        part = account.rng.randint(1, order.amount) if way == 4 else order.amount
        complete(account, refund(account, order, transaction_id, part))
