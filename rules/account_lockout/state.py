"""What A4 remembers of one account: the newest lock, earlier ones, debits under way."""

from typing import Final

from msgspec import Struct

from rules.contract import State
from rules.events import TERMINAL, Ref, Transaction
from rules.facts import Quote
from rules.habits import SPENDING_TYPES
from rules.profile import MAX_HOLDS, Profile, mark_of, paid_by_balance

MAX_UNDER_WAY: Final = 32
MAX_LOCKS: Final = 10


class Lock(Struct, array_like=True, gc=False):
    """The newest lock, until the account opens."""

    ref: Ref
    anchor: str
    """Of the alert that may be open; empty: the lock has come to its end."""
    quotes: list[Quote]
    """What is quoted of the lock itself."""
    until: int | None = None
    """Milliseconds: when it should end."""
    ends_at: int = 0
    """When a timer takes it to have ended, or forgets it after an opening (milliseconds); 0: none
    does."""
    under_way: list[int] = []
    """Marks of the transactions that were under way when it began."""
    crowded: bool = False
    """Whether there were more of them than are known."""
    opened: Ref | None = None
    """What opened the account before `until`: a refusal by then shows that it did not."""
    refused_at: int = 0
    """The newest refusal up to `until` (milliseconds); 0: there was none."""
    restored_at: int = 0
    """When a refusal restored it (milliseconds); 0: none did."""

    @property
    def at(self) -> int:
        """When it was locked, in milliseconds."""
        return self.ref.occurred_at

    @property
    def since(self) -> int:
        """Since when it is in force, in milliseconds."""
        return max(self.at, self.restored_at)

    @property
    def is_derived(self) -> bool:
        """Whether failures count as this lock."""
        return any(name == "derived_failures" for name, _, _ in self.quotes)


class AccountLockoutState(State):
    """Empty while the account is open, has not been locked lately, and no card is being charged."""

    lock: Lock | None = None
    locks: list[Ref] = []
    """Those of the last repeated_window_ms that the owner did not ask for, oldest first."""
    under_way: list[int] = []
    """Marks of pending debits that hold no balance: the profile has those that do."""


def _is_spending(event: Transaction) -> bool:
    """Return whether it is a debit of the owner."""
    return event.type in SPENDING_TYPES and (
        event.initiator is None or event.initiator == "customer"
    )


def track_debit(state: AccountLockoutState, event: Transaction, late: bool = False) -> None:
    """Remember that a debit is under way, or no longer; the profile has no hold of a late one."""
    if event.status == "pending":
        if _is_spending(event) and (late or not paid_by_balance(event)):
            _add(state.under_way, mark_of(event.transaction_id))
    elif state.under_way and event.status in TERMINAL:
        mark = mark_of(event.transaction_id)
        state.under_way = [other for other in state.under_way if other != mark]


def _add(marks: list[int], mark: int) -> None:
    if mark not in marks:
        marks.append(mark)
        if len(marks) > MAX_UNDER_WAY:
            del marks[0]


def remember_lock(
    state: AccountLockoutState, ref: Ref, quotes: list[Quote], until: int | None, profile: Profile
) -> Lock:
    """Remember a new lock in the place of the one before."""
    lock = Lock(ref, ref.event_id, quotes, until)
    note_under_way(lock, state, profile)
    state.lock = lock
    return lock


def note_under_way(lock: Lock, state: AccountLockoutState, profile: Profile) -> None:
    """Add the debits that are under way now to those that the lock does not forbid."""
    marks = dict.fromkeys([*lock.under_way, *(h.mark for h in profile.holds), *state.under_way])
    lock.crowded |= (
        len(profile.holds) >= MAX_HOLDS
        or len(state.under_way) >= MAX_UNDER_WAY
        or len(marks) > MAX_HOLDS + MAX_UNDER_WAY
    )
    lock.under_way = list(marks)[-MAX_HOLDS - MAX_UNDER_WAY :]


def is_new_in(lock: Lock, event: Transaction) -> bool:
    """Return whether a debit of the owner begins while the lock lasts, as far as is known."""
    at = event.occurred_at
    return (
        lock.opened is None
        and event.status in ("pending", "completed")
        and _is_spending(event)
        and at > lock.since
        and (lock.until is None or at <= lock.until)
        and mark_of(event.transaction_id) not in lock.under_way
    )


def add_under_way(lock: Lock, event: Transaction, profile: Profile) -> None:
    """Add a debit that was under way when the lock began, or had ended before it.

    What comes of it later, another capture or a status that is sent again, is no new debit.
    """
    mark = mark_of(event.transaction_id)
    if not _is_spending(event) or mark in lock.under_way:
        return
    if event.status != "pending" or event.occurred_at > lock.since:
        end = profile.ended.end_of(mark)
        if end is None or end.at > lock.since:
            return
    if len(lock.under_way) < MAX_HOLDS + MAX_UNDER_WAY:
        lock.under_way.append(mark)
    else:
        lock.crowded = True


def earlier_locks(state: AccountLockoutState, ref: Ref, window_ms: int) -> list[Ref]:
    """Return the locks within the window before this one, which is remembered."""
    earlier = [lock for lock in state.locks if lock.occurred_at >= ref.occurred_at - window_ms]
    state.locks = [*earlier[1 - MAX_LOCKS :], ref]
    return state.locks[:-1]
