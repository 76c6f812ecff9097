"""What A2 remembers of one account."""

from typing import Final, TypeVar

from rules.balance_mismatch.ledger.book import BalanceBook
from rules.balance_mismatch.ledger.chain import Chain
from rules.balance_mismatch.ledger.reports import PendingReport
from rules.contract import State
from rules.effects import Effects
from rules.events import Transaction

T = TypeVar("T", BalanceBook, Chain)

MAX_BOOKS: Final = 16
"""Chains, and books, kept per account; beyond that the oldest is dropped."""


class BalanceMismatchState(State):
    """One chain per currency whose rows have numbers, one book per currency and kind."""

    chains: tuple[Chain, ...] = ()
    books: tuple[BalanceBook, ...] = ()
    reports: tuple[PendingReport, ...] = ()
    has_idle_timer: bool = False
    """Whether the timer that compacts an idle account is set."""


def chain_of(state: BalanceMismatchState, currency: str) -> Chain | None:
    """Return the chain of a currency; None if its rows have had no numbers."""
    for chain in state.chains:
        if chain.currency == currency:
            return chain
    return None


def book_of(state: BalanceMismatchState, currency: str, kind: str | None) -> BalanceBook | None:
    """Return the book of one balance; None if there is none."""
    for book in state.books:
        if book.currency == currency and book.kind == kind:
            return book
    return None


def only_book_of(
    state: BalanceMismatchState, currency: str, kind: str | None
) -> BalanceBook | None:
    """Return the book of one balance; None if there is none, or one of another kind too."""
    found: BalanceBook | None = None
    for book in state.books:
        if book.currency == currency:
            if book.kind != kind:
                return None
            found = book
    return found


def get_or_add_book(state: BalanceMismatchState, event: Transaction, fx: Effects) -> BalanceBook:
    """Return the book of a row that reports balances; a new one if there is none."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        assert event.balance_kind is not None
        book = BalanceBook(event.currency, event.balance_kind)
        state.books = without_oldest((*state.books, book), fx)
    return book


def without_oldest(kept: tuple[T, ...], fx: Effects) -> tuple[T, ...]:
    """Return the newest MAX_BOOKS items, and count what is beyond that."""
    if len(kept) > MAX_BOOKS:
        fx.count("book_forgotten")
    return kept[-MAX_BOOKS:]
