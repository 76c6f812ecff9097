"""What A2 remembers of one account, and what all its parts do with it."""

from collections.abc import Iterator, Sequence
from typing import Final

from rules.balance_mismatch.facts import Case
from rules.balance_mismatch.ledger.book import Book
from rules.balance_mismatch.ledger.chain import Chain
from rules.balance_mismatch.ledger.history import go_on, note, shorten
from rules.balance_mismatch.ledger.reports import Report
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Effects, OpenAlert, State
from rules.events import Transaction

MAX_BOOKS: Final = 16
"""Chains, and books, remembered per account; beyond that the oldest is forgotten."""


class BalanceMismatchState(State):
    """One chain per currency whose rows have numbers, one book per currency and kind."""

    chains: list[Chain] = []
    books: list[Book] = []
    reports: list[Report] = []
    """Reported balances that are not judged yet."""
    watched: bool = False
    """Whether the timer that leaves an idle account with the least is set."""


def chain_of(state: BalanceMismatchState, currency: str) -> Chain | None:
    """Return the chain of numbered rows, if there is one."""
    for chain in state.chains:
        if chain.currency == currency:
            return chain
    return None


def book_of(state: BalanceMismatchState, currency: str, kind: str | None) -> Book | None:
    """Return what is remembered of one balance, if anything."""
    for book in state.books:
        if book.currency == currency and book.kind == kind:
            return book
    return None


def only_book(state: BalanceMismatchState, currency: str, kind: str | None) -> Book | None:
    """Return the book of a balance if nothing is remembered of another kind of it."""
    found: Book | None = None
    for book in state.books:
        if book.currency == currency:
            if book.kind != kind:
                return None
            found = book
    return found


def book_for(state: BalanceMismatchState, event: Transaction, fx: Effects) -> Book:
    """Return the book of a row that tells balances, begun if need be."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        assert event.balance_kind is not None
        book = Book(event.currency, event.balance_kind)
        state.books.append(book)
        forget_oldest(state.books, fx)
    return book


def forget_oldest(kept: list[Book] | list[Chain], fx: Effects) -> None:
    """Keep no more than MAX_BOOKS."""
    if len(kept) > MAX_BOOKS:
        del kept[0]
        fx.count("book_forgotten")


def kept_ms(params: BalanceMismatchParams) -> int:
    """Return how long a past of the balances is kept; 0 if reports are not judged."""
    if not params.snapshot_check:
        return 0
    return params.snapshot_history_ms + params.snapshot_slack_ms + 1


def tell(book: Book, at: int, balances: Sequence[int], kept: int) -> None:
    """Remember balances that were there at one moment, the last of them from then on."""
    if kept:
        for balance in balances:
            note(book.history, at, balance, kept)


def tell_row(book: Book, event: Transaction, due: int | None, kept: int) -> None:
    """Remember every balance that a row may have had; `due`: what it should have moved."""
    before, after = event.balance_before, event.balance_after
    assert before is not None
    assert after is not None
    history, at = book.history, event.occurred_at
    joins = due is None and after != before and history and history[-1] == before
    if kept and joins and history[-2] <= at:  # nearly always
        go_on(history, at, after, kept)
        return
    maybe = () if due is None else (after - due, before + due)
    tell(book, at, (before, *maybe, after), kept)


def past_of(book: Book, kept: int) -> list[int]:
    """Return what the balance was, as long back as it is kept."""
    history = book.history
    if history:
        shorten(history, history[-2] - kept)
    return history


def open_cases(fx: Effects) -> Iterator[tuple[OpenAlert, Case]]:
    """Yield this rule's open alerts on the account with their facts, oldest first."""
    for alert in fx.open_alerts():
        yield alert, Case.of_quotes(alert.facts)
