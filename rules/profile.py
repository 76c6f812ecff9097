"""What is known of one account and several rules need, updated once per event.

A late event sets a fact only if it is newer than the event the fact came from; closing a hold
always applies. Balances come from rows that carry one and from reported balances; what moves money
without reporting a balance makes what was known before it stale: forgotten.

Holds, and the memory of transactions that have ended, are updated after the rules have seen the
event: they see what was known of its transaction before.
"""

from zlib import crc32

import msgspec
from msgspec import Struct

from rules.ended import PAYOUT_MS, Ended
from rules.events import (
    CREDITS,
    DEBITS,
    TERMINAL,
    Balance,
    Event,
    Login,
    Ref,
    Transaction,
)
from rules.habits import SPENDING_TYPES, Habits, Source, learn_debit
from rules.login_habits import learn_login
from schemas.transaction import BalanceKind

MAX_HOLDS = 64
"""Open holds remembered per account; beyond that the oldest is forgotten."""
OLDEST_MS = 24 * 3_600_000
MAX_BALANCES = 16
"""Balances remembered per account, one per currency and kind; beyond that the oldest goes."""


class Known(Struct, array_like=True, gc=False):
    """A balance as last seen."""

    currency: str
    balance_kind: BalanceKind
    minor: int
    at: int
    """Milliseconds: the moment the balance speaks of."""
    ref: Ref
    """The event that reported it."""


class Hold(Struct, array_like=True, gc=False):
    """Money that a pending debit keeps from being spent."""

    mark: int
    """Of the transaction_id: see `mark_of`."""
    currency: str
    minor: int
    opened_at: int
    at: int = 0
    """Milliseconds: the newest event that changed it; 0: not known."""
    is_captured: bool = False
    """Whether a part of it has been paid."""


class Profile(Struct, array_like=True, omit_defaults=True, gc=False):
    """The projection of one account."""

    balances: tuple[Known, ...] = ()
    holds: tuple[Hold, ...] = ()
    habits: Habits = msgspec.field(default_factory=Habits)
    before: Known | None = None
    """The balance known before the event that is being handled, where that has replaced it."""
    ended: Ended = msgspec.field(default_factory=Ended)

    def known(self, currency: str) -> Known | None:
        """The newest balance known in this currency, of whatever kind."""
        newest: Known | None = None
        for known in self.balances:
            if known.currency == currency and (newest is None or known.at >= newest.at):
                newest = known
        return newest

    def has_succeeded(self, event: Transaction) -> bool:
        """Whether a debit, or a retry of it with the same key or reference, is known to have.

        None is known to have that was not seen to complete, or was forgotten.
        """
        end = self.ended.end_of(mark_of(event.transaction_id))
        return (end is not None and end.has_completed) or self.ended.has_retry_of(event)

    def hold_of(self, mark: int) -> Hold | None:
        """The open hold of a transaction; None if it has none."""
        for hold in self.holds:
            if hold.mark == mark:
                return hold
        return None

    def held(self, currency: str, since: int, but: str) -> int:
        """Minor units held by debits opened at or after `since`, but for one transaction."""
        if not self.holds:
            return 0
        own = mark_of(but)
        return sum(
            hold.minor
            for hold in self.holds
            if hold.currency == currency and hold.opened_at >= since and hold.mark != own
        )


def mark_of(transaction_id: str) -> int:
    """Return 32 bits that stand for a transaction_id among the few of one account."""
    return crc32(transaction_id.encode())


def paid_by_balance(event: Transaction) -> int | None:
    """What the wallet balance pays of a debit, fee in the row included, in minor units.

    None where a mixed funding does not state its part.
    """
    if event.funding is None or event.funding == "balance":
        fee = event.fee
        return event.amount + fee if fee and event.fee_mode != "separate" else event.amount
    if event.funding == "mixed":
        return event.funding_from_balance
    return 0


def update_profile(profile: Profile, event: Event, source: Source, late: bool) -> None:
    """Update the profile with an event before the rules see it."""
    if profile.before is not None:
        profile.before = None
    if type(event) is Transaction:
        _see_balance(profile, event, source)
        if _is_spent(event):
            learn_debit(profile.habits, event, source.marks, late)
    elif type(event) is Login:
        learn_login(profile.habits, event, source, late)
    elif type(event) is Balance:
        known = Known(event.currency, event.balance_kind, event.balance, event.as_of, source.ref)
        _set_known(profile, known)


def remember_transaction(profile: Profile, event: Transaction, late: bool) -> bool:
    """Update holds and the memory of ends with an event, after the rules have seen it.

    Returns whether another transaction had to be forgotten for it.
    """
    mark, has_ended = mark_of(event.transaction_id), event.status in TERMINAL
    if event.hold_remaining is not None:
        if _set_remaining(profile, mark, event, event.hold_remaining, late):
            return False
    elif has_ended:
        if profile.holds:
            _close_hold(profile, mark)
    elif event.status == "pending" and not late and profile.ended.end_of(mark) is None:
        _open_hold(profile, mark, event)  # of a late one the end may have been seen already
    return has_ended and profile.ended.add(mark, event, late)


def forget_outdated(profile: Profile, now: int, horizon_ms: int) -> int | None:
    """Forget what is so old that no rule may look at it, whatever its parameters.

    Balances prove nothing after a day, and failed logins count for no longer (upper bounds of
    `max_balance_age_ms` and of the windows of failures). Ends are remembered for `horizon_ms`, for
    as long as events are recognised, those of payouts for PAYOUT_MS.

    Returns until when something is left that will be outdated, in milliseconds; None: nothing is.
    """
    oldest = now - OLDEST_MS
    profile.balances = tuple(known for known in profile.balances if known.at >= oldest)
    habits = profile.habits
    habits.failures = tuple(each for each in habits.failures if each.ref.occurred_at >= oldest)
    profile.ended.forget_before(now - horizon_ms, now - PAYOUT_MS)
    newest = profile.ended.newest_payout_at
    return None if newest is None else newest + PAYOUT_MS + 1


def _see_balance(profile: Profile, event: Transaction, source: Source) -> None:
    if event.balance_after is not None:
        assert event.balance_kind is not None
        after, at = event.balance_after, event.occurred_at
        if event.balance_before is None and profile.balances:
            profile.before = profile.known(event.currency)
        _set_known(profile, Known(event.currency, event.balance_kind, after, at, source.ref))
    elif profile.balances and _moves_unreported(profile, event):
        profile.before = profile.known(event.currency)
        _forget_known(profile, event.currency, event.occurred_at)


def _is_spent(event: Transaction) -> bool:
    """Return whether it is a pending or completed debit of the owner."""
    return (
        event.type in SPENDING_TYPES
        and (event.initiator is None or event.initiator == "customer")
        and event.status in ("completed", "pending")
    )


def _set_known(profile: Profile, new: Known) -> None:
    balances = profile.balances
    for index, known in enumerate(balances):
        if known.currency == new.currency and known.balance_kind == new.balance_kind:
            if new.at >= known.at:
                profile.balances = (*balances[:index], new, *balances[index + 1 :])
            return
    balances = (*balances, new)
    if len(balances) > MAX_BALANCES:
        oldest = min(balances, key=lambda known: known.at)
        balances = tuple(known for known in balances if known is not oldest)
    profile.balances = balances


def _moves_unreported(profile: Profile, event: Transaction) -> bool:
    """Return whether the event, which reports no balance, moves money of one, or may."""
    moved = event.amount if event.type in CREDITS else paid_by_balance(event)
    if moved == 0:
        return False
    status = event.status
    if status in ("completed", "reversed", "disputed"):
        return True
    if status not in TERMINAL:
        return False
    end = profile.ended.end_of(mark_of(event.transaction_id))
    return end is not None and end.has_completed


def _forget_known(profile: Profile, currency: str, until: int) -> None:
    profile.balances = tuple(
        known for known in profile.balances if known.currency != currency or known.at > until
    )


def _open_hold(profile: Profile, mark: int, event: Transaction) -> None:
    """Hold what a pending debit will take: all of it, also of one that is pending already."""
    minor = paid_by_balance(event) if event.type in DEBITS else 0
    if minor:
        at = event.occurred_at
        _set_hold(profile, Hold(mark, event.currency, minor, at, at))


def _set_remaining(
    profile: Profile, mark: int, event: Transaction, remaining: int, late: bool
) -> bool:
    """Hold what the event says is held still; return whether that is anything.

    Of late events only one counts that is newer than what the hold is known from.
    """
    hold, at = profile.hold_of(mark), event.occurred_at
    if late and (hold is None or at <= hold.at):
        return remaining > 0
    if not remaining:
        _close_hold(profile, mark)
        return False
    is_pending = event.status == "pending"
    opened_at = at if hold is None or is_pending else hold.opened_at
    is_captured = event.status == "completed" or (hold is not None and hold.is_captured)
    _set_hold(profile, Hold(mark, event.currency, remaining, opened_at, at, is_captured))
    return True


def _set_hold(profile: Profile, hold: Hold) -> None:
    others = tuple(other for other in profile.holds if other.mark != hold.mark)
    profile.holds = (*others, hold)[-MAX_HOLDS:]


def _close_hold(profile: Profile, mark: int) -> None:
    profile.holds = tuple(hold for hold in profile.holds if hold.mark != mark)
