"""What money does: orders that are completed, held, declined, retried, refunded."""

from dataclasses import dataclass
from typing import Literal

from worker.simulate.account import Account, Event
from worker.simulate.ledger import Ledger
from worker.simulate.world import PROVIDERS, Provider

OrderType = Literal["payment", "transfer_out", "withdrawal", "topup", "transfer_in", "refund"]
CREDITS: tuple[OrderType, ...] = ("topup", "transfer_in", "refund")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Money that is to move once; amounts in minor units. Retries share the reference."""

    ledger: Ledger
    type: OrderType
    amount: int
    fee: int
    fee_mode: Literal["in_row", "separate"]
    funding: Literal["balance", "card", "bank"]
    initiator: Literal["customer", "merchant", "platform"]
    provider: Provider
    reference: str
    details: Event
    """Fields that each of its events carries: counterparty, device, session."""

    @property
    def cost(self) -> int:
        """Return what the owner needs to have available for it."""
        return self.amount + self.fee if self.funding == "balance" else 0

    @property
    def effect(self) -> int:
        """Return what its own entry moves of the balance (a separate fee is another entry)."""
        if self.type in CREDITS:
            return self.amount
        if self.funding != "balance":
            return 0
        return -(self.amount + (self.fee if self.fee_mode == "in_row" else 0))


def purchase(account: Account, amount: int, ledger: Ledger, *, card: bool = False) -> Order:
    """Return an order of the owner at one of his merchants."""
    return Order(
        ledger=ledger,
        type="payment",
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="card" if card else "balance",
        initiator="customer",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={"merchant_id": account.rng.choice(account.merchants)} | account.session,
    )


def transfer(account: Account, amount: int, ledger: Ledger) -> Order:
    """Return an order to one of the owner's payees; the fee is part of the entry."""
    return Order(
        ledger=ledger,
        type="transfer_out",
        amount=amount,
        fee=max(1, amount // 200),
        fee_mode="in_row",
        funding="balance",
        initiator="customer",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={"counterparty_id": account.rng.choice(account.payees)} | account.session,
    )


def withdrawal(account: Account, amount: int, ledger: Ledger) -> Order:
    """Return an order of cash; the fee is booked as its own entry."""
    return Order(
        ledger=ledger,
        type="withdrawal",
        amount=amount,
        fee=ledger.money.unit,
        fee_mode="separate",
        funding="balance",
        initiator="customer",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details=dict(account.session),
    )


def merchant_debit(account: Account, amount: int, merchant: str) -> Order:
    """Return what a merchant takes by a standing agreement."""
    return Order(
        ledger=account.ledgers[0],
        type="payment",
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="balance",
        initiator="merchant",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={"merchant_id": merchant, "channel": "recurring"},
    )


def credit(
    account: Account, kind: Literal["topup", "transfer_in"], amount: int, ledger: Ledger
) -> Order:
    """Return money that comes in: the owner's topup by card, or a transfer such as a salary."""
    topup = kind == "topup"
    return Order(
        ledger=ledger,
        type=kind,
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="card" if topup else "bank",
        initiator="customer" if topup else "platform",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details=dict(account.session) if topup else {},
    )


def refund(account: Account, order: Order, transaction_id: str) -> Order:
    """Return the order that gives a completed payment back."""
    return Order(
        ledger=order.ledger,
        type="refund",
        amount=order.amount,
        fee=0,
        fee_mode="in_row",
        funding="balance",
        initiator="merchant",
        provider=order.provider,
        reference=account.new_id("ord"),
        details={"original_transaction_id": transaction_id},
    )
