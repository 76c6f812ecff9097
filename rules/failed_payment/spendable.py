"""What the owner could spend at the moment of an event, and how that is known."""

from msgspec import Struct

from rules.effects import Effects
from rules.events import BALANCE, Ref, Transaction
from rules.profile import Profile


class Spendable(Struct, frozen=True):
    """Money of one account in one currency, in minor units."""

    balance: int
    """The balance as the event has it."""
    fact: str
    """Where it is from: available_balance, balance_before, or of an older event balance_after or
    reported_balance."""
    at: int
    """The moment at which it was the balance, milliseconds."""
    ref: Ref
    """The event that has it."""
    holds: int = 0
    """Open holds that it does not take into account."""

    @property
    def minor(self) -> int:
        """What could be spent."""
        return self.balance - self.holds


def spendable_at(
    event: Transaction, profile: Profile, fx: Effects, max_age_ms: int, hold_ttl_ms: int
) -> Spendable | None:
    """Return what could be spent just before the event; None (counted) if nothing proves it."""
    at = event.occurred_at
    if event.available_balance is not None:
        return Spendable(event.available_balance, "available_balance", at, fx.ref)
    if event.balance_before is not None:
        balance, kind = event.balance_before, event.balance_kind
        fact, known_at, ref = "balance_before", at, fx.ref
    else:
        known = profile.known(event.currency)
        if known is None:
            fx.count("other_currency" if profile.balances else "balance_unknown")
            return None
        if known.at < at - max_age_ms:
            fx.count("balance_too_old")
            return None
        balance, kind, known_at, ref = known.minor, known.balance_kind, known.at, known.ref
        fact = "reported_balance" if ref.kind == BALANCE else "balance_after"
    since = at - hold_ttl_ms
    if kind == "available":
        since = max(since, known_at + 1)  # older holds are taken off already
    holds = profile.held(event.currency, since, but=event.transaction_id)
    return Spendable(balance, fact, known_at, ref, holds)
