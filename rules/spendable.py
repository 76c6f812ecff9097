"""What the owner could spend at the moment of an event, and how that is known."""

from msgspec import Struct

from rules.contract import Effects
from rules.events import Ref, Transaction
from rules.profile import Facts


class Spendable(Struct, frozen=True):
    """Money of one account in one currency, in minor units."""

    minor: int
    """What could be spent, open holds taken off."""
    holds: int
    balance_from: str
    """`available_balance` or `balance_before` of the event itself, or `known`: an older report."""
    ref: Ref
    """The event that told the balance."""


def spendable_at(
    event: Transaction, facts: Facts, fx: Effects, max_age_ms: int, hold_ttl_ms: int
) -> Spendable | None:
    """Return what could be spent just before the event; None (counted) if nothing proves it."""
    if event.available_balance is not None:
        return Spendable(event.available_balance, 0, "available_balance", fx.ref)
    if event.balance_before is not None:
        minor, kind, told_at = event.balance_before, event.balance_kind, event.occurred_at
        source, ref = "balance_before", fx.ref
    else:
        known = facts.known(event.currency)
        if known is None:
            fx.count("other_currency" if facts.balances else "balance_unknown")
            return None
        if known.at < event.occurred_at - max_age_ms:
            fx.count("balance_too_old")
            return None
        minor, kind, told_at = known.minor, known.balance_kind, known.at
        source, ref = "known", known.ref()
    since = event.occurred_at - hold_ttl_ms
    if kind == "available":
        since = max(since, told_at + 1)  # older holds are taken off already
    holds = facts.held(event.currency, since, but=event.transaction_id)
    return Spendable(minor - holds, holds, source, ref)
