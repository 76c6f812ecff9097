"""The book of one account in one currency: balance, holds, and the number of its last entry."""

from dataclasses import dataclass

from schemas.money import from_minor
from worker.simulate.world import Money


@dataclass(slots=True)
class Ledger:
    """Amounts are in minor units of `money`."""

    money: Money
    balance: int
    sequence: int
    held: int = 0

    @property
    def available(self) -> int:
        """Return what the owner can spend: the balance less the holds."""
        return self.balance - self.held

    def text(self, minor: int) -> str:
        """Return the amount as it goes over the wire."""
        return from_minor(minor, self.money.exponent)

    def book(self, effect: int) -> dict[str, object]:
        """Make the next entry, which moves the balance by `effect`; return its wire fields."""
        before = self.balance
        self.balance += effect
        self.sequence += 1
        return {
            "balance_before": self.text(before),
            "balance_after": self.text(self.balance),
            "balance_kind": "posted",
            "ledger_sequence": self.sequence,
        }
