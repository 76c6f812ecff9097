"""What A2 leaves of an account that has fallen silent, and what it makes of that again.

One timer per account does it: it is set with a row or report that finds none set, and stays a step
behind the newest row. What is left out is only what follows from the rest.
"""

from typing import Final

from rules.balance_mismatch.ledger import book as ledger
from rules.balance_mismatch.ledger.book import Book
from rules.balance_mismatch.ledger.chain import Chain
from rules.balance_mismatch.ledger.history import shorten
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import BalanceMismatchState, chain_of, kept_ms
from rules.contract import Effects
from schemas.time import DAY_MS, HOUR_MS

IDLE_MS: Final = DAY_MS - HOUR_MS
"""Milliseconds without a row; under a day, so that accounts used daily are left alone mostly."""
IDLE: Final = "idle"
"""Name of the timer."""


def wake(state: BalanceMismatchState, kept: int) -> None:
    """Write the books again that `on_timer` has left out."""
    for chain in state.chains:
        if chain.rests:
            chain.rests = False
            end = chain.end
            if kept and end.kind is not None:
                history = [end.ref.occurred_at, end.balances[0]]
                state.books.append(Book(chain.currency, end.kind, history))


def watch(state: BalanceMismatchState, params: BalanceMismatchParams, fx: Effects) -> None:
    """Come back when the account may have fallen silent."""
    state.watched = True
    fx.set_timer(IDLE, fx.now + _after(params))


def on_timer(
    state: BalanceMismatchState, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Leave an account without new rows with what is needed; wait for one that has some."""
    newest = max((_newest(state, book) for book in state.books), default=due)
    again = newest + _after(params)
    if again > due and state.books:
        fx.set_timer(IDLE, again)
        return
    state.watched = False
    for book in list(state.books):
        ledger.rest_if_over(book, due, params.chain_slack_ms)
        if book.history:
            shorten(book.history, due - kept_ms(params))
        chain = chain_of(state, book.currency)
        if chain is not None and _is_told_by(chain, book):
            state.books.remove(book)
            chain.rests = True


def _after(params: BalanceMismatchParams) -> int:
    return max(IDLE_MS, kept_ms(params), params.chain_slack_ms)


def _newest(state: BalanceMismatchState, book: Book) -> int:
    """Return the time of the newest row of a book, as far as it is known."""
    chain, times = chain_of(state, book.currency), book.history[-2:-1]
    if chain is not None:
        times.append(chain.end.ref.occurred_at)
    if book.group is not None:
        times.append(book.group.last_at)
    if book.known is not None:
        times.append(book.known.ref.occurred_at)
    return max(times, default=0)


def _is_told_by(chain: Chain, book: Book) -> bool:
    """Say whether the end of a chain tells all that the book does."""
    end = chain.end
    return (
        len(book.history) == 2
        and (end.kind, end.balances) == (book.kind, (book.history[1],))
        and end.ref.occurred_at >= book.history[0]
        and book.known is None
        and book.group is None
    )
