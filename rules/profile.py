"""What is known of one account and several rules need, updated once per event before the rules run.

A late event sets a fact only if it is newer than the event the fact came from; closing a hold
always applies. Balances come from rows that carry one and from reported balances; a
completed debit or adjustment without a balance makes what was known before it stale: forgotten.
"""

from zlib import crc32

import msgspec
from msgspec import Struct

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
from rules.habits import SPENDING_TYPES, Habits, Source, learn_debit, learn_login
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


class Profile(Struct, array_like=True, omit_defaults=True, gc=False):
    """The projection of one account."""

    balances: tuple[Known, ...] = ()
    holds: tuple[Hold, ...] = ()
    habits: Habits = msgspec.field(default_factory=Habits)
    before: Known | None = None
    """The balance known before the event that is being handled, where that has replaced it."""

    def known(self, currency: str) -> Known | None:
        """The newest balance known in this currency, of whatever kind."""
        newest: Known | None = None
        for known in self.balances:
            if known.currency == currency and (newest is None or known.at >= newest.at):
                newest = known
        return newest

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
    """Update the profile with an event."""
    if profile.before is not None:
        profile.before = None
    if type(event) is Transaction:
        _see_transaction(profile, event, source, late)
    elif type(event) is Login:
        learn_login(profile.habits, event, source, late)
    elif type(event) is Balance:
        known = Known(event.currency, event.balance_kind, event.balance, event.as_of, source.ref)
        _set_known(profile, known)


def forget_outdated(profile: Profile, now: int) -> None:
    """Forget what is so old that no rule may look at it, whatever its parameters.

    Balances prove nothing after a day, and failed logins count for no longer (upper bounds of
    `max_balance_age_ms` and of the windows of failures).
    """
    oldest = now - OLDEST_MS
    profile.balances = tuple(known for known in profile.balances if known.at >= oldest)
    habits = profile.habits
    habits.failures = tuple(each for each in habits.failures if each.ref.occurred_at >= oldest)


def _see_transaction(profile: Profile, event: Transaction, source: Source, late: bool) -> None:
    if event.balance_after is not None:
        assert event.balance_kind is not None
        after, at = event.balance_after, event.occurred_at
        if event.balance_before is None and profile.balances:
            profile.before = profile.known(event.currency)
        _set_known(profile, Known(event.currency, event.balance_kind, after, at, source.ref))
    elif profile.balances and _lowers_untold(event):
        profile.before = profile.known(event.currency)
        _forget_known(profile, event.currency, event.occurred_at)
    if event.type not in DEBITS:
        return
    status = event.status
    if status in TERMINAL:
        if profile.holds:
            _close_hold(profile, mark_of(event.transaction_id))
    elif status == "pending" and not late:  # its end may have been seen already
        _open_hold(profile, event)
    if (
        status in ("completed", "pending")
        and (event.initiator is None or event.initiator == "customer")
        and event.type in SPENDING_TYPES
    ):
        learn_debit(profile.habits, event, source.marks, late)


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


def _lowers_untold(event: Transaction) -> bool:
    """Return whether the balance has gone down, or may have, to an unknown amount."""
    return event.status == "completed" and event.type not in CREDITS and paid_by_balance(event) != 0


def _forget_known(profile: Profile, currency: str, until: int) -> None:
    profile.balances = tuple(
        known for known in profile.balances if known.currency != currency or known.at > until
    )


def _open_hold(profile: Profile, event: Transaction) -> None:
    minor = paid_by_balance(event)
    if not minor:
        return
    mark = mark_of(event.transaction_id)
    _close_hold(profile, mark)
    hold = Hold(mark, event.currency, minor, event.occurred_at)
    profile.holds = (*profile.holds, hold)[-MAX_HOLDS:]


def _close_hold(profile: Profile, mark: int) -> None:
    profile.holds = tuple(hold for hold in profile.holds if hold.mark != mark)
