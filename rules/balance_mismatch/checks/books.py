"""The balances that rows report, kept in books for the check of reported balances."""

from collections.abc import Sequence

from rules.balance_mismatch.ledger.book import forget_balance, record_balances, record_row
from rules.balance_mismatch.state import BalanceMismatchState, book_of, chain_of, get_or_add_book
from rules.effects import Effects
from rules.events import Transaction


def record(
    state: BalanceMismatchState,
    event: Transaction,
    unreported: Sequence[str],
    expected: int | None,
    retention_ms: int,
    fx: Effects,
) -> None:
    """Record the balances of a row that belongs to no group.

    Args:
        unreported: kinds of balance that it moves without reporting them.
        expected: what a wrong row should have moved, in minor units; None if its move is right.
    """
    for kind in unreported:
        other = book_of(state, event.currency, kind)
        if other is not None:
            forget_balance(other)
    if event.balance_after is None:
        return
    book = get_or_add_book(state, event, fx)
    record_row(book, event, expected, retention_ms)
    chain = chain_of(state, event.currency)
    if chain is not None and chain.end.kind == book.kind:
        record_balances(book, event.occurred_at, chain.end.balances[::-1], retention_ms)
