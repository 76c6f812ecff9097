"""What A1 remembers of one account: what may have had, or brought, the money of a failing debit."""

from typing import Final

from msgspec import Struct

from rules.alerts import Draft
from rules.contract import State
from rules.events import CREDITS, Transaction
from rules.profile import mark_of

MAX_WAITING: Final = 8
"""Failures that wait at the same time; one more is judged at once."""
MAX_CURRENCIES: Final = 4


class Credit(Struct, array_like=True, frozen=True, gc=False):
    """The newest credit of one currency."""

    currency: str
    at: int


class Waiting(Struct, array_like=True):
    """A refusal that is judged when what happened just after it is known."""

    draft: Draft
    transaction: int
    """Mark of its transaction_id."""
    currency: str
    at: int
    """Milliseconds: when it failed."""
    is_contested: bool
    """Whether another debit or a credit at the same moment may explain it."""


class FailedPaymentState(State):
    """The newest debits and credits, and the refusals that wait."""

    recent: tuple[int, ...] = ()
    """Mark and time of the newest debit, then of the newest other one: two suffice to find one
    that is not the failing transaction itself. A mark is the CRC-32 of a transaction_id."""
    credits: tuple[Credit, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def raises_balance(event: Transaction) -> bool:
    """Return whether the event is a credit that has arrived."""
    if event.status != "completed":
        return False
    return event.type in CREDITS or (event.type == "adjustment" and event.amount > 0)


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


def remember_credit(state: FailedPaymentState, event: Transaction) -> None:
    """Keep the time of a credit if it is the newest of its currency."""
    new, others = Credit(event.currency, event.occurred_at), []
    for credit in state.credits:
        if credit.currency != new.currency:
            others.append(credit)
        elif new.at <= credit.at:
            return
    state.credits = (*others, new)[-MAX_CURRENCIES:]


def is_contested(state: FailedPaymentState, event: Transaction, within_ms: int) -> bool:
    """Return whether what came at most `within_ms` before a refusal may explain it."""
    recent, mark = state.recent, mark_of(event.transaction_id)
    since = event.occurred_at - within_ms
    pairs = zip(recent[::2], recent[1::2], strict=True)
    return any(other != mark and at >= since for other, at in pairs) or any(
        credit.currency == event.currency and credit.at >= since for credit in state.credits
    )


def contest_waiting(state: FailedPaymentState, event: Transaction, within_ms: int) -> None:
    """Note with each refusal that waits whether a debit or a credit may explain it."""
    mark = mark_of(event.transaction_id)
    for waiting in state.waiting:
        if may_explain(event, mark, waiting.transaction, waiting.currency, waiting.at, within_ms):
            waiting.is_contested = True


def may_explain(
    event: Transaction, mark: int, failed: int, currency: str, failed_at: int, within_ms: int
) -> bool:
    """Return whether a debit or credit happened at most `within_ms` from another's refusal.

    Args:
        mark: of the event's transaction_id.
        failed: mark of the transaction that was refused.
        currency: of the refusal; a credit of another does not explain it.
        failed_at: when it was refused, milliseconds.
    """
    if mark == failed or abs(event.occurred_at - failed_at) > within_ms:
        return False
    return not raises_balance(event) or event.currency == currency
