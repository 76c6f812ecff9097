"""The book of one account in one currency: balance, holds, and the number of its last entry."""

from dataclasses import dataclass

from schemas.money import from_minor
from worker.simulate.world.world import SimulatedCurrency


@dataclass(slots=True)
class Ledger:
    """Amounts are in minor units of `money`."""

    money: SimulatedCurrency
    balance: int
    sequence: int
    held: int = 0
    numbered: bool = True
    """Entries carry their ledger_sequence."""
    shows_unmoved: bool = False
    """Without numbers: rows that move nothing show the balance too."""

    @property
    def available(self) -> int:
        """Return what the owner can spend: the balance less the holds."""
        return self.balance - self.held

    def text(self, minor: int) -> str:
        """Return the amount as the wire's text."""
        return from_minor(minor, self.money.exponent)

    def book(self, effect: int) -> dict[str, object]:
        """Make the next entry, which moves the balance by `effect`; return its wire fields."""
        before = self.balance
        self.balance += effect
        fields: dict[str, object] = {
            "balance_before": self.text(before),
            "balance_after": self.text(self.balance),
            "balance_kind": "posted",
        }
        if self.numbered:
            self.sequence += 1
            fields["ledger_sequence"] = self.sequence
        return fields

    def unmoved(self) -> dict[str, object]:
        """Return the balance fields of a row that moves nothing."""
        return self.book(0) if self.shows_unmoved and not self.numbered else {}
