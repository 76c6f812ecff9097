"""What the owner could spend at the moment of an event, and how that is known."""

from msgspec import Struct

from rules.contract import Effects
from rules.events import BALANCE, Ref, Transaction
from rules.profile import Profile


class Spendable(Struct, frozen=True):
    """Money of one account in one currency, in minor units."""

    told: int
    """The balance as it was told."""
    fact: str
    """What kind of telling: available_balance, balance_before, or of an older event
    balance_after or reported_balance."""
    at: int
    """The moment the balance speaks of, milliseconds."""
    ref: Ref
    """The event that told it."""
    holds: int = 0
    """Open holds that it does not take into account."""

    @property
    def minor(self) -> int:
        """What could be spent."""
        return self.told - self.holds


def spendable_at(
    event: Transaction, profile: Profile, fx: Effects, max_age_ms: int, hold_ttl_ms: int
) -> Spendable | None:
    """Return what could be spent just before the event; None (counted) if nothing proves it."""
    at = event.occurred_at
    if event.available_balance is not None:
        return Spendable(event.available_balance, "available_balance", at, fx.ref)
    if event.balance_before is not None:
        told, kind = event.balance_before, event.balance_kind
        fact, told_at, ref = "balance_before", at, fx.ref
    else:
        known = profile.known(event.currency)
        if known is None:
            fx.count("other_currency" if profile.balances else "balance_unknown")
            return None
        if known.at < at - max_age_ms:
            fx.count("balance_too_old")
            return None
        told, kind, told_at, ref = known.minor, known.balance_kind, known.at, known.ref
        fact = "reported_balance" if ref.kind == BALANCE else "balance_after"
    since = at - hold_ttl_ms
    if kind == "available":
        since = max(since, told_at + 1)  # older holds are taken off already
    holds = profile.held(event.currency, since, but=event.transaction_id)
    return Spendable(told, fact, told_at, ref, holds)
