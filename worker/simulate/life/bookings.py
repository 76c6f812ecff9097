"""How an order shows on the wire: completed, pending, cancelled, failed, reversed."""

from dataclasses import replace
from typing import Literal

from worker.simulate.life.orders import CREDITS, Order, credit
from worker.simulate.world.account import Event, SimulatedAccount
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import Family

Shown = Literal["available", "before", "nothing"]
"""What a failed row shows of the money: what could be spent, the balance, or nothing."""
Unused = Literal["cancelled", "expired"]


def completed_row(order: Order, transaction_id: str) -> Event:
    """Book the order in the ledger; return the fields of its event, which is not sent yet."""
    row = plain_row(order, transaction_id, "completed")
    row |= order.ledger.book(order.effect)
    return row


def complete(account: SimulatedAccount, order: Order, transaction_id: str | None = None) -> str:
    """Book the order, and its fee if that is booked separately; return the event_id."""
    transaction_id = transaction_id or account.new_id("txn")
    event_id = account.emit("transaction", completed_row(order, transaction_id))
    if order.fee and order.fee_mode == "separate":
        _book_fee(account, order, transaction_id)
    return event_id


def hold(account: SimulatedAccount, order: Order) -> str:
    """Reserve the order's money until it is settled; return the transaction_id."""
    transaction_id = account.new_id("txn")
    row = plain_row(order, transaction_id, "pending")
    account.emit("transaction", row | order.ledger.unmoved())
    order.ledger.held += order.cost
    return transaction_id


def change_hold(account: SimulatedAccount, held: Order, order: Order, transaction_id: str) -> None:
    """Reserve the money of `order` in place of that of `held`, for the same transaction."""
    order.ledger.held += order.cost - held.cost
    row = plain_row(order, transaction_id, "pending")
    account.emit("transaction", row | order.ledger.unmoved())


def capture_part(
    account: SimulatedAccount, held: Order, transaction_id: str, amount: int, remaining: int
) -> None:
    """Book `amount` of what is held; the event states that `remaining` of it stays held."""
    held.ledger.held += remaining - held.cost
    complete(account, with_remaining(replace(held, amount=amount), remaining), transaction_id)


def with_remaining(order: Order, minor: int) -> Order:
    """Return the order with what stays held for it, in minor units."""
    return replace(order, details=order.details | {"hold_remaining": order.ledger.text(minor)})


def settle(
    account: SimulatedAccount,
    order: Order,
    transaction_id: str,
    *,
    captured: bool,
    amount: int | None = None,
    unused: Unused = "cancelled",
) -> None:
    """End a hold: book it, or less (`amount`), or give the money back."""
    order.ledger.held -= order.cost
    if captured:
        taken = order if amount is None else replace(order, amount=amount)
        complete(account, taken, transaction_id)
    else:
        row = plain_row(order, transaction_id, unused)
        account.emit("transaction", row | order.ledger.unmoved())


def undo(account: SimulatedAccount, order: Order, transaction_id: str) -> str:
    """Reverse a completed transaction under its own id; return the event_id."""
    return account.emit("transaction", undone_row(order, transaction_id))


def undone_row(order: Order, transaction_id: str) -> Event:
    """Book back what the order has moved; return the fields of its event, not sent yet."""
    row = plain_row(order, transaction_id, "reversed")
    return row | order.ledger.book(-order.effect)


def decline(
    account: SimulatedAccount,
    order: Order,
    family: Family,
    *,
    shown: Shown = "available",
    transaction_id: str | None = None,
) -> tuple[str, str]:
    """Let an attempt fail; return its event_id and its transaction_id, by default a new one."""
    transaction_id = transaction_id or account.new_id("txn")
    row = failed_row(order, transaction_id, family)
    if shown != "available":
        row.pop("available_balance", None)
    row |= order.ledger.book(0) if shown == "before" else {}
    row |= order.ledger.unmoved() if shown == "available" else {}
    return account.emit("transaction", row), transaction_id


def failed_row(order: Order, transaction_id: str, family: Family) -> Event:
    """Return the fields of a failure, without the ledger's balance."""
    row = plain_row(order, transaction_id, "failed")
    row["failure_code"] = order.provider.codes[family]
    row["failure_code_system"] = order.provider.code_system
    return row


def top_up(account: SimulatedAccount, ledger: Ledger, cost: int) -> None:
    """Top the ledger up if less than `cost` is available."""
    missing = cost - ledger.available
    if missing > 0:
        step = 50 * ledger.money.unit
        amount = (missing // step + account.rng.randint(1, 6)) * step
        complete(account, credit(account, "topup", amount, ledger))


def retry(account: SimulatedAccount, order: Order) -> str:
    """Try the order again, and succeed; return the event_id."""
    top_up(account, order.ledger, order.cost)
    return complete(account, order)


def plain_row(order: Order, transaction_id: str, status: str) -> Event:
    """Return the fields of an event without the ledger's balance."""
    text = order.ledger.text
    row: Event = {
        "transaction_id": transaction_id,
        "type": order.type,
        "status": status,
        "amount": text(order.amount),
        "currency": order.ledger.money.code,
        "funding": order.funding,
        "initiator": order.initiator,
        "provider": order.provider.name,
        "rail": order.provider.rail,
        "external_reference": order.reference,
        "idempotency_key": f"key-{transaction_id[4:]}",
    }
    if order.fee:
        row["fee"] = text(order.fee)
        row["fee_mode"] = order.fee_mode
    if order.funding == "mixed":
        row["funding_from_balance"] = text(order.from_balance)
    if order.type not in CREDITS:
        row["available_balance"] = text(order.ledger.available)
    row |= order.details
    return row


def _book_fee(account: SimulatedAccount, order: Order, transaction_id: str) -> None:
    ledger = order.ledger
    fee_id = account.new_id("txn")
    row: Event = {
        "transaction_id": fee_id,
        "type": "fee",
        "status": "completed",
        "amount": ledger.text(order.fee),
        "currency": ledger.money.code,
        "funding": "balance",
        "initiator": "platform",
        "provider": order.provider.name,
        "original_transaction_id": transaction_id,
        "available_balance": ledger.text(ledger.available),
    }
    account.emit("transaction", row | ledger.book(-order.fee))
