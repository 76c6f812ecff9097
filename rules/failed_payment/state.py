"""What A1 remembers of one account: the newest debits."""

from rules.contract import State
from rules.events import Transaction
from rules.profile import mark_of


class FailedPaymentState(State):
    """The newest debits that may have had the money of a failing one."""

    recent: tuple[int, ...] = ()
    """Mark and time of the newest debit, then of the newest other one: two suffice to find one
    that is not the failing transaction itself. A mark is the CRC-32 of a transaction_id."""


def remember_debit(state: FailedPaymentState, event: Transaction, within_ms: int) -> None:
    """Keep a debit, and of those at most `within_ms` before it the newest other one."""
    mark, at, recent = mark_of(event.transaction_id), event.occurred_at, state.recent
    since = at - within_ms
    if not recent or recent[1] < since:
        state.recent = mark, at
    elif at < recent[1]:  # late
        if mark != recent[0] and (len(recent) == 2 or at > recent[3]):
            state.recent = *recent[:2], mark, at
    elif mark == recent[0]:
        state.recent = mark, at, *recent[2:]
    else:
        state.recent = mark, at, recent[0], recent[1]


def has_concurrent_debit(state: FailedPaymentState, event: Transaction, within_ms: int) -> bool:
    """Return whether another debit at most `within_ms` before the event may have had the money."""
    recent, mark = state.recent, mark_of(event.transaction_id)
    since = event.occurred_at - within_ms
    pairs = zip(recent[::2], recent[1::2], strict=True)
    return any(other != mark and at >= since for other, at in pairs)
