"""What money is to do: payments, transfers, cash, and money that comes in or back."""

from dataclasses import dataclass
from typing import Literal

from worker.simulate.world.account import Event, SimulatedAccount
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import PROVIDERS, Provider

OrderType = Literal[
    "payment",
    "transfer_out",
    "withdrawal",
    "topup",
    "transfer_in",
    "interest",
    "refund",
    "reversal",
    "adjustment",
]
CREDITS: tuple[OrderType, ...] = (
    "topup",
    "transfer_in",
    "interest",
    "refund",
    "reversal",
    "adjustment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Money that is to move once; amounts in minor units. Retries share the reference."""

    ledger: Ledger
    type: OrderType
    amount: int
    fee: int
    fee_mode: Literal["in_row", "separate"]
    funding: Literal["balance", "card", "bank", "mixed"]
    from_balance: int = 0
    """What the balance pays where the funding is mixed; there is no fee then."""
    initiator: Literal["customer", "merchant", "platform", "support"]
    provider: Provider
    reference: str
    details: Event
    """Fields that each of its events carries: counterparty, device, session, authorization."""

    @property
    def cost(self) -> int:
        """Return what the owner needs to have available for it."""
        if self.funding == "mixed":
            return self.from_balance
        return self.amount + self.fee if self.funding == "balance" else 0

    @property
    def effect(self) -> int:
        """Return what its own entry moves of the balance (a separate fee is another entry)."""
        if self.type in CREDITS:
            return self.amount
        return -(self.cost - (self.fee if self.fee_mode == "separate" else 0))


def purchase(
    account: SimulatedAccount,
    amount: int,
    ledger: Ledger,
    *,
    card: bool = False,
    from_balance: int | None = None,
) -> Order:
    """Return an order of the owner at one of his merchants; from_balance makes it mixed."""
    mixed = from_balance is not None
    return Order(
        ledger=ledger,
        type="payment",
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="mixed" if mixed else "card" if card else "balance",
        from_balance=from_balance or 0,
        initiator="customer",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={"merchant_id": account.rng.choice(account.merchants)} | _by_owner(account),
    )


def transfer(
    account: SimulatedAccount, amount: int, ledger: Ledger, payee: str | None = None
) -> Order:
    """Return an order to somebody, by default to a known payee; the fee is part of the entry."""
    payee = payee or account.rng.choice(account.payees)
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
        details={"counterparty_id": payee} | _by_owner(account),
    )


def withdrawal(account: SimulatedAccount, amount: int, ledger: Ledger) -> Order:
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
        details=_by_owner(account),
    )


def merchant_debit(account: SimulatedAccount, amount: int, merchant: str) -> Order:
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


def rent(account: SimulatedAccount) -> Order:
    """Return the month's rent, which the platform sends by standing order."""
    return Order(
        ledger=account.ledgers[0],
        type="transfer_out",
        amount=account.rent,
        fee=0,
        fee_mode="in_row",
        funding="balance",
        initiator="platform",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={"counterparty_id": account.payees[0]},
    )


def credit(
    account: SimulatedAccount,
    kind: Literal["topup", "transfer_in", "interest"],
    amount: int,
    ledger: Ledger,
) -> Order:
    """Return money that comes in: the owner's topup by card, a transfer such as a salary."""
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


def refund(
    account: SimulatedAccount, order: Order, transaction_id: str, amount: int | None = None
) -> Order:
    """Return the order that gives a completed payment back, or a part of it."""
    amount = order.amount if amount is None else amount
    return _back(account, order, transaction_id, "refund", amount)


def reversal(account: SimulatedAccount, order: Order, transaction_id: str) -> Order:
    """Return the order that undoes all that a completed payment has moved."""
    return _back(account, order, transaction_id, "reversal", -order.effect)


def adjustment(account: SimulatedAccount, ledger: Ledger, amount: int) -> Order:
    """Return a correction by support; the amount is signed."""
    return Order(
        ledger=ledger,
        type="adjustment",
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="balance",
        initiator="support",
        provider=account.rng.choice(PROVIDERS),
        reference=account.new_id("ord"),
        details={},
    )


def _back(
    account: SimulatedAccount,
    order: Order,
    transaction_id: str,
    kind: Literal["refund", "reversal"],
    amount: int,
) -> Order:
    return Order(
        ledger=order.ledger,
        type=kind,
        amount=amount,
        fee=0,
        fee_mode="in_row",
        funding="balance",
        initiator="merchant" if kind == "refund" else "platform",
        provider=order.provider,
        reference=account.new_id("ord"),
        details={"original_transaction_id": transaction_id},
    )


def _by_owner(account: SimulatedAccount) -> Event:
    passed = {"method": account.method, "result": "passed"}
    return account.session | {"authorization": passed}
