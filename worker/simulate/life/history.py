"""The life of an account before the simulation begins: sparse and regular.

What an owner is known by comes from it: devices, country, payees, sessions, habits of paying.
"""

from worker.simulate.life.bookings import complete, top_up
from worker.simulate.life.orders import purchase, transfer
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SimulatedAccount
from worker.simulate.world.config import DAY_MS, SimulateConfig

EVERY_DAYS = 3
QUIET_DAYS = 3
"""The last days before the simulation: stories that take days begin in them."""
KNOWN_DAYS = 20
"""A life that is long enough to know its owner: 6 logins, 12 debits, more than 7 days."""
ANNIVERSARY_LEAD_MS = 30 * MINUTE_MS


def live_before(account: SimulatedAccount, days: int, config: SimulateConfig) -> None:
    """Plan the visits of the `days` before the simulation, every third day from the first one on.

    Every visit has a login and two completed debits; devices and payees take turns.
    """
    first = first_seen_at(account, days, config) - account.agenda.now
    for number, day in enumerate(range(0, days - QUIET_DAYS, EVERY_DAYS)):
        account.agenda.after(first + day * DAY_MS, _visit, account, number)


def first_seen_at(account: SimulatedAccount, days: int, config: SimulateConfig) -> int:
    """Return when the life before begins, with a login: soon after noon, local time (epoch ms)."""
    noon = (13 - account.country.utc_offset_hours) * HOUR_MS + account.index % 60 * MINUTE_MS
    return config.start_ms - days * DAY_MS + noon


def _visit(account: SimulatedAccount, number: int) -> None:
    device = account.devices[number % len(account.devices)]
    account.session = {**device, "session_id": account.new_id("ses"), "channel": "app"}
    account.emit("login", {"action": "login", "outcome": "success", **account.session})
    account.soon(20, 90, _shop, account)
    account.soon(100, 400, _send_money, account, account.payees[number % len(account.payees)])


def _shop(account: SimulatedAccount) -> None:
    ledger = account.ledgers[0]
    order = purchase(account, account.price(ledger, 2, 60), ledger)
    top_up(account, ledger, order.cost)
    complete(account, order)


def _send_money(account: SimulatedAccount, payee: str) -> None:
    ledger = account.ledgers[0]
    order = transfer(account, account.price(ledger, 5, 120), ledger)
    order.details["counterparty_id"] = payee
    top_up(account, ledger, order.cost)
    complete(account, order)
