"""How an order shows on the wire: completed, pending, cancelled, failed."""

from worker.simulate.account import Account, Event
from worker.simulate.ledger import Ledger
from worker.simulate.orders import CREDITS, Order, credit
from worker.simulate.world import Family


def completed_row(order: Order, transaction_id: str) -> Event:
    """Book the order in the ledger; return the fields of its event, which is not sent yet."""
    row = _row(order, transaction_id, "completed")
    row |= order.ledger.book(order.effect)
    return row


def complete(account: Account, order: Order, transaction_id: str | None = None) -> str:
    """Book the order, and its fee if that is booked separately; return the event_id."""
    transaction_id = transaction_id or account.new_id("txn")
    event_id = account.emit("transaction", completed_row(order, transaction_id))
    if order.fee and order.fee_mode == "separate":
        _book_fee(account, order, transaction_id)
    return event_id


def hold(account: Account, order: Order) -> str:
    """Reserve the order's money until it is settled; return the transaction_id."""
    transaction_id = account.new_id("txn")
    account.emit("transaction", _row(order, transaction_id, "pending"))
    order.ledger.held += order.cost
    return transaction_id


def settle(account: Account, order: Order, transaction_id: str, *, captured: bool) -> None:
    """End a hold: book it, or give the money back."""
    order.ledger.held -= order.cost
    if captured:
        complete(account, order, transaction_id)
    else:
        account.emit("transaction", _row(order, transaction_id, "cancelled"))


def decline(account: Account, order: Order, family: Family) -> tuple[str, str]:
    """Let an attempt fail; return its event_id and its transaction_id."""
    transaction_id = account.new_id("txn")
    row = _row(order, transaction_id, "failed")
    row["failure_code"] = order.provider.codes[family]
    row["failure_code_system"] = order.provider.code_system
    return account.emit("transaction", row), transaction_id


def top_up(account: Account, ledger: Ledger, cost: int) -> None:
    """See to it that the money for `cost` is there."""
    missing = cost - ledger.available
    if missing > 0:
        step = 50 * ledger.money.unit
        amount = (missing // step + account.rng.randint(1, 6)) * step
        complete(account, credit(account, "topup", amount, ledger))


def retry(account: Account, order: Order) -> str:
    """Try the order again, and succeed; return the event_id."""
    top_up(account, order.ledger, order.cost)
    return complete(account, order)


def _row(order: Order, transaction_id: str, status: str) -> Event:
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
    if order.type not in CREDITS:
        row["available_balance"] = text(order.ledger.available)
    row |= order.details
    return row


def _book_fee(account: Account, order: Order, transaction_id: str) -> None:
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
