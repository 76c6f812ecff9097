"""The book of one account, currency and kind of balance: its history and its rows without number.

Rows without ledger_sequence that are close in time have no order that can be trusted. They form a
*pending group*, which is judged as a whole, once (`ledger.trail`). Between groups the book ends at
one balance, or at one of a few candidates; if that is unknown, the next group sets it.

While each row of a group starts where the one before ended, the group is *in order*: it is a trail
already, with one end, and needs neither a timer nor a search when it is over. So is the first group
of a book, whose start nothing contradicts.

Pure: functions change the book and return what they found.
"""

from collections.abc import Sequence

from msgspec import Struct

from rules.balance_mismatch.ledger.chain import MAX_CANDIDATES, Boundary
from rules.balance_mismatch.ledger.group import (
    MAX_ROWS,
    PendingGroup,
    add_to_group,
    rows_with_refs,
)
from rules.balance_mismatch.ledger.history import add_balance, expire
from rules.balance_mismatch.ledger.trail import MAX_WRONG_ROWS, NoTrail, find_trail
from rules.events import Ref, Transaction
from schemas.transaction import BalanceKind


class BalanceBook(Struct, array_like=True, omit_defaults=True, gc=False):
    """The state of one balance."""

    currency: str
    kind: BalanceKind
    history: list[int] = []
    """See `ledger.history`; empty if unknown, or if no report is judged."""
    end: Boundary | None = None
    """Where the last group ended; None if unknown, or if the rows have numbers."""
    is_end_reported: bool = False
    """Whether the row of `end` reports the first of its candidates."""
    group: PendingGroup | None = None


class BrokenGroup(Struct):
    """A group whose rows join in no order."""

    start: Boundary
    """The end of the book before the group."""
    is_start_reported: bool
    group: PendingGroup
    result: NoTrail


# -- history ------------------------------------------------------------------------------


def record_balances(book: BalanceBook, at: int, balances: Sequence[int], retention_ms: int) -> None:
    """Add balances that held at one moment to the history, the last of them from then on."""
    if retention_ms:
        for balance in balances:
            add_balance(book.history, at, balance, retention_ms)


def record_row(
    book: BalanceBook, event: Transaction, expected: int | None, retention_ms: int
) -> None:
    """Add every balance that may have held at a row to the history.

    `expected`: what a wrong row should have moved, in minor units; None if its move is right.
    """
    before, after = event.balance_before, event.balance_after
    assert after is not None
    history, at = book.history, event.occurred_at
    if before is None:
        record_balances(book, at, (after,), retention_ms)
        return
    continues = expected is None and after != before and history and history[-1] == before
    if retention_ms and continues and history[-2] <= at:  # nearly always
        add_balance(history, at, after, retention_ms)
        return
    candidates = () if expected is None else (after - expected, before + expected)
    record_balances(book, at, (before, *candidates, after), retention_ms)


def retained_history(book: BalanceBook, retention_ms: int) -> list[int]:
    """Return the history, expired to the retention period."""
    history = book.history
    if history:
        expire(history, history[-2] - retention_ms)
    return history


# -- groups -------------------------------------------------------------------------------


def start_group(book: BalanceBook, event: Transaction) -> PendingGroup:
    """Return a new group at the time of the event, which is not added yet."""
    at = event.occurred_at
    book.group = PendingGroup(event.exponent, at, at)
    return book.group


def continues_in_order(book: BalanceBook, event: Transaction) -> bool:
    """Return whether a row keeps the book's group in order, or starts one that is.

    Where the end of the book is unknown, any row that is right by itself starts one.
    """
    group = book.group
    if group is None:
        return book.end is None or book.end.balances == (event.balance_before,)
    if not group.in_order or group.steps[-1] != event.balance_before:
        return False
    return event.occurred_at >= group.last_at


def append_in_order(book: BalanceBook, event: Transaction, ref: Ref, slack_ms: int) -> None:
    """Add a row for which `continues_in_order` is true."""
    group, at = book.group, event.occurred_at
    if group is not None and at < group.last_at + slack_ms:
        add_to_group(group, event, ref, None)
        if len(group.steps) >= 2 * MAX_ROWS:
            close_in_order(book)
        return
    if group is not None:
        close_in_order(book)
    assert event.balance_before is not None
    assert event.balance_after is not None
    steps = [event.balance_before, event.balance_after]
    book.group = PendingGroup(event.exponent, at, at, steps, (ref,), in_order=True)


def close_in_order(book: BalanceBook) -> None:
    """Close the book's group, which is in order."""
    group = book.group
    assert group is not None
    if book.end is None and group.steps[0] == group.steps[-1] and len(group.steps) > 2:
        close_group(book, 0)  # a circuit, which may have begun at any of its balances
        return
    book.end = Boundary(book.kind, (group.steps[-1],), group.refs[-1])
    book.is_end_reported, book.group = True, None


def close_expired(book: BalanceBook, until: int, slack_ms: int) -> None:
    """Close the book's group if it is in order and no row after `until` can belong to it."""
    group = book.group
    if group is not None and group.in_order and group.last_at + slack_ms <= until:
        close_in_order(book)


def close_group(book: BalanceBook, tolerance: int) -> BrokenGroup | str | None:
    """Close the book's group; return a break, or the reason why it is not judged, or None.

    `tolerance`: what may lie between two rows that join, in minor units.
    """
    group, start, is_start_reported = book.group, book.end, book.is_end_reported
    assert group is not None
    book.group, book.end = None, None
    if group.has_unreported_move or not group.steps:
        book.history.clear()
        return "group_unknown" if group.steps else None
    if len(group.wrong_rows) > 2 * MAX_WRONG_ROWS:
        book.history.clear()
        return "group_with_many_wrong_rows"
    starts = start.balances if start else ()
    found = find_trail(starts, group.steps, group.wrong_rows, group.open_starts, tolerance)
    if found.ends:
        _set_end(book, group, found.ends)
    if isinstance(found, NoTrail):
        assert start is not None
        return BrokenGroup(start, is_start_reported, group, found)
    return None


def _set_end(book: BalanceBook, group: PendingGroup, ends: tuple[int, ...]) -> None:
    """Set the end of the book to that of the group, with a row that reports it if one is kept."""
    known = rows_with_refs(group)
    reporting = [ref for row, ref in known if group.steps[2 * row + 1] == ends[0]]
    book.is_end_reported = bool(reporting)
    book.end = Boundary(book.kind, ends, reporting[-1] if reporting else group.refs[-1])


# -- end ----------------------------------------------------------------------------------


def add_candidate(book: BalanceBook, balance: int) -> None:
    """Add a balance to the candidates for the end of the book, if there is one."""
    end = book.end
    if end is not None and balance not in end.balances:
        balances = (*end.balances, balance)[:MAX_CANDIDATES]
        book.end = Boundary(end.kind, balances, end.ref)


def remove_candidate(book: BalanceBook, balance: int | None) -> None:
    """Remove a balance from the candidates for the end of the book, if it is one of several."""
    end = book.end
    if end is not None and len(end.balances) > 1 and balance in end.balances:
        others = tuple(each for each in end.balances if each != balance)
        book.is_end_reported = book.is_end_reported and end.balances[0] == others[0]
        book.end = Boundary(end.kind, others, end.ref)


def forget_balance(book: BalanceBook) -> None:
    """Forget end and history: money was moved and the resulting balance is unknown."""
    book.end = None
    book.history.clear()
