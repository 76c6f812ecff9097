"""Compaction of idle accounts, and restoring what it dropped.

One timer per account does it: the first row or report that finds none sets it, and it is set again
as long as newer rows are found. It drops only what follows from the rest of the state.
"""

from typing import Final

from rules.balance_mismatch.ledger.book import BalanceBook, close_expired
from rules.balance_mismatch.ledger.chain import Chain
from rules.balance_mismatch.ledger.history import expire
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import BalanceMismatchState, chain_of
from rules.effects import Effects
from schemas.time import DAY_MS, HOUR_MS

IDLE_MS: Final = DAY_MS - HOUR_MS
"""Milliseconds without a row; less than a day, so that most accounts in daily use stay as is."""
IDLE: Final = "idle"
"""Name of the timer."""


def restore(state: BalanceMismatchState, params: BalanceMismatchParams, fx: Effects) -> None:
    """Restore the books that were dropped and set the timer, unless it is set."""
    if not state.has_idle_timer:
        if state.chains:
            _restore_books(state, params.retention_ms)
        if state.books:
            set_timer(state, params, fx)


def _restore_books(state: BalanceMismatchState, retention_ms: int) -> None:
    for chain in state.chains:
        if chain.is_compacted:
            chain.is_compacted = False
            end = chain.end
            if retention_ms and end.kind is not None:
                history = [end.ref.occurred_at, end.balances[0]]
                book = BalanceBook(chain.currency, end.kind, history)
                state.books = (*state.books, book)


def set_timer(state: BalanceMismatchState, params: BalanceMismatchParams, fx: Effects) -> None:
    """Set the timer to when the account may be idle."""
    state.has_idle_timer = True
    fx.set_timer(IDLE, fx.now + _idle_ms(params))


def on_timer(
    state: BalanceMismatchState, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Compact an account without new rows; set the timer again for one that has some."""
    newest = max((_newest_row_at(state, book) for book in state.books), default=due)
    again = newest + _idle_ms(params)
    if again > due and state.books:
        fx.set_timer(IDLE, again)
        return
    state.has_idle_timer = False
    for book in state.books:
        close_expired(book, due, params.chain_slack_ms)
        if book.history:
            expire(book.history, due - params.retention_ms)
        chain = chain_of(state, book.currency)
        if chain is not None and _is_redundant(book, chain):
            state.books = tuple(other for other in state.books if other is not book)
            chain.is_compacted = True


def _idle_ms(params: BalanceMismatchParams) -> int:
    return max(IDLE_MS, params.retention_ms, params.chain_slack_ms)


def _newest_row_at(state: BalanceMismatchState, book: BalanceBook) -> int:
    """Return the time of the newest row of a book, as far as it is known."""
    chain, times = chain_of(state, book.currency), book.history[-2:-1]
    if chain is not None:
        times.append(chain.end.ref.occurred_at)
    if book.group is not None:
        times.append(book.group.last_at)
    if book.end is not None:
        times.append(book.end.ref.occurred_at)
    return max(times, default=0)


def _is_redundant(book: BalanceBook, chain: Chain) -> bool:
    """Return whether the book follows from the end of the chain."""
    end = chain.end
    return (
        len(book.history) == 2
        and (end.kind, end.balances) == (book.kind, (book.history[1],))
        and end.ref.occurred_at >= book.history[0]
        and book.end is None
        and book.group is None
    )
