"""The balances that rows report, kept in books for the check of reported balances."""

from rules.balance_mismatch.ledger.book import forget_balance, record_balances, record_row
from rules.balance_mismatch.ledger.row import unreported_kinds
from rules.balance_mismatch.state import BalanceMismatchState, book_of, chain_of, get_or_add_book
from rules.effects import Effects
from rules.events import Transaction


def record(
    state: BalanceMismatchState,
    event: Transaction,
    effect: int | None,
    expected: int | None,
    retention_ms: int,
    fx: Effects,
) -> None:
    """Record the balances of a row that belongs to no group.

    `expected`: what a wrong row should have moved, in minor units; None if its move is right.
    """
    _forget_unreported(state, event, effect)
    if event.balance_after is None:
        return
    book = get_or_add_book(state, event, fx)
    record_row(book, event, expected, retention_ms)
    chain = chain_of(state, event.currency)
    if chain is not None and chain.end.kind == book.kind:
        record_balances(book, event.occurred_at, chain.end.balances[::-1], retention_ms)


def _forget_unreported(state: BalanceMismatchState, event: Transaction, effect: int | None) -> None:
    for kind in unreported_kinds(event, effect):
        book = book_of(state, event.currency, kind)
        if book is not None:
            forget_balance(book)
