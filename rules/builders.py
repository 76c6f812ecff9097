"""Builders of wire events for the EXAMPLES of rules: short, on one fixed day, account `acc-1`.

Times are "10:00:00" or "10:00:00.000" of that day in UTC. Any field of the record can be given.
"""

from typing import Any, Final

import msgspec

from rules.events import Balance, Event, Login, Transaction
from schemas.money import from_minor
from schemas.time import format_time

DAY: Final = "2026-03-02"
ACCOUNT: Final = "acc-1"

_NAMES: Final = {Transaction: "transaction", Login: "login", Balance: "balance"}
_TIMES: Final = ("occurred_at", "posted_at", "expected_by", "lock_until", "as_of")
_AMOUNTS: Final = (
    "amount",
    "fee",
    "balance",
    "balance_before",
    "balance_after",
    "available_balance",
    "funding_from_balance",
    "hold_remaining",
)


def at(time: str) -> str:
    """Return the RFC 3339 text of a time of the day."""
    return f"{DAY}T{time}Z" if "." in time else f"{DAY}T{time}.000Z"


def txn(
    transaction_id: str, time: str, status: str = "completed", amount: str = "10.00", **fields: Any
) -> dict[str, Any]:
    """Return a transaction event: a payment in EUR; its event_id is `<transaction>-<status>`."""
    return {
        "kind": "transaction",
        "event_id": f"{transaction_id}-{status}",
        "transaction_id": transaction_id,
        "account_id": ACCOUNT,
        "type": "payment",
        "status": status,
        "amount": amount,
        "currency": "EUR",
        "occurred_at": at(time),
    } | fields


def row(
    sequence: int, time: str, amount: str, before: str, after: str, **fields: Any
) -> dict[str, Any]:
    """Return a ledger row: a completed payment `r<sequence>` with its posted balances."""
    balances = {"balance_before": before, "balance_after": after, "balance_kind": "posted"}
    entry = txn(f"r{sequence}", time, amount=amount, ledger_sequence=sequence)
    return entry | balances | fields


def login(time: str, outcome: str = "success", **fields: Any) -> dict[str, Any]:
    """Return a login event; its event_id is `login-<time>`, a failure's reason bad credentials."""
    event = {
        "kind": "login",
        "event_id": f"login-{time}",
        "account_id": ACCOUNT,
        "action": "login",
        "outcome": outcome,
        "occurred_at": at(time),
    }
    reason = {"reason": "bad_credentials"} if outcome == "failure" else {}
    return event | reason | fields


def balance(time: str, amount: str, **fields: Any) -> dict[str, Any]:
    """Return a reported posted balance in EUR, as of the moment of the report."""
    return {
        "kind": "balance",
        "event_id": f"balance-{time}",
        "account_id": ACCOUNT,
        "currency": "EUR",
        "balance": amount,
        "balance_kind": "posted",
        "occurred_at": at(time),
        "as_of": at(time),
        "source": "ledger",
    } | fields


def clock(time: str) -> dict[str, Any]:
    """Return a harmless event of another account: event time passes, nothing else happens."""
    return login(time, account_id="acc-clock", event_id=f"clock-{time}", action="logout")


def wire_of(event: Event) -> dict[str, Any]:
    """Return the wire record of an event, with its `kind`."""
    wire: dict[str, Any] = {"kind": _NAMES[type(event)], **msgspec.to_builtins(event)}
    exponent = wire.pop("exponent", 2)
    wire |= {name: format_time(wire[name]) for name in _TIMES if name in wire}
    return wire | {name: from_minor(wire[name], exponent) for name in _AMOUNTS if name in wire}
