"""Check `group`: rows without ledger_sequence, which are judged in pending groups."""

from collections.abc import Sequence

from rules.alerts import OpenAlert
from rules.balance_mismatch import alerts
from rules.balance_mismatch.closing import is_completed_by
from rules.balance_mismatch.facts import GroupFacts, alerts_with_facts
from rules.balance_mismatch.ledger import book as ledger_book
from rules.balance_mismatch.ledger.book import BalanceBook
from rules.balance_mismatch.ledger.group import (
    MAX_ROWS,
    PendingGroup,
    add_late_to_group,
    add_to_group,
    belongs_to,
)
from rules.balance_mismatch.ledger.row import CORRECTIONS, effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import (
    BalanceMismatchState,
    book_of,
    chain_of,
    get_or_add_book,
    only_book_of,
)
from rules.effects import Effects
from rules.events import TRANSACTION, Transaction


def append_if_right(
    state: BalanceMismatchState, event: Transaction, slack_ms: int, retention_ms: int, fx: Effects
) -> bool:
    """Append a row in order with which nothing is wrong; return whether it was one.

    The fast path: true for nearly every row.
    """
    before, after = event.balance_before, event.balance_after
    if before is None or after is None or event.status != "completed" or not state.has_idle_timer:
        return False
    book = only_book_of(state, event.currency, event.balance_kind)
    if book is None or not ledger_book.continues_in_order(book, event):
        return False
    if chain_of(state, event.currency) or after - before != effect_of(event):
        return False
    if event.type in CORRECTIONS and fx.open_alerts():
        return False
    ledger_book.append_in_order(book, event, fx.ref, slack_ms)
    ledger_book.record_row(book, event, None, retention_ms)
    return True


def check_row(
    state: BalanceMismatchState,
    event: Transaction,
    unreported: Sequence[str],
    expected: int | None,
    late: bool,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Add a row to a group of its book, and account for what it moves without reporting it.

    Args:
        unreported: kinds of balance that it moves without reporting them.
        expected: what a wrong row should have moved, in minor units; None if its move is right.
    """
    for kind in unreported:
        book = book_of(state, event.currency, kind)
        if book is not None:
            _add_unreported_move(book, event, params, fx)
    if event.balance_after is not None:
        add = _add_late_row if late else _add_row
        add(state, event, expected, params, fx)


def _add_unreported_move(
    book: BalanceBook, event: Transaction, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Exclude the rows close to this one from judgement: it moved their balance unreported."""
    group = _group_for(book, event, params, fx)
    group.has_unreported_move = True
    group.last_at = max(group.last_at, event.occurred_at)
    ledger_book.forget_balance(book)


def _add_row(
    state: BalanceMismatchState,
    event: Transaction,
    expected: int | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    book = get_or_add_book(state, event, fx)
    is_right = expected is None and event.balance_before is not None
    if is_right and ledger_book.continues_in_order(book, event):
        ledger_book.append_in_order(book, event, fx.ref, params.chain_slack_ms)
        ledger_book.record_row(book, event, expected, params.retention_ms)
        return
    group = _group_for(book, event, params, fx)
    add_to_group(group, event, fx.ref, expected)
    ledger_book.record_row(book, event, expected, params.retention_ms)
    if len(group.steps) >= 2 * MAX_ROWS:
        _judge_group(book, params, fx)


def _add_late_row(
    state: BalanceMismatchState,
    event: Transaction,
    expected: int | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Let a late row close an alert or join a pending group; else it may be the last row."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        return
    close_expired(book, params, fx)
    _end_order(book, params, fx)
    ledger_book.record_row(book, event, expected, params.retention_ms)
    alert = _alert_completed_by(event, params, fx)
    is_pending = book.group is not None and belongs_to(
        book.group, event.occurred_at, params.chain_slack_ms
    )
    if alert is not None and (event.occurred_at <= alert.at or not is_pending):
        fx.settle(alert, "missing_entry")
        ledger_book.remove_candidate(book, event.balance_before)
    elif is_pending:
        assert book.group is not None
        add_late_to_group(book.group, event, fx.ref, expected)
    elif book.end is not None and event.balance_before in book.end.balances:
        assert event.balance_after is not None
        ledger_book.add_candidate(book, event.balance_after)
    else:
        fx.count("late_row_unplaced")


def close_expired(
    book: BalanceBook, params: BalanceMismatchParams, fx: Effects, due: int = 0
) -> None:
    """Close a group in order that is over by the order time, or by the `due` of a fired timer."""
    ledger_book.close_expired(book, max(fx.now - 1, due), params.chain_slack_ms)


def add_candidate(
    book: BalanceBook, balance: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Let the next row start at this balance too; a pending group must be judged then."""
    _end_order(book, params, fx)
    ledger_book.add_candidate(book, balance)


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Judge a group to which no further row can belong; set the timer again if one can."""
    for book in state.books:
        if book.group is not None and not book.group.in_order and name == _timer_name(book):
            end = book.group.last_at + params.chain_slack_ms
            if end > due:
                fx.set_timer(name, end, (TRANSACTION,))
            else:
                _judge_group(book, params, fx)


def _judge_group(book: BalanceBook, params: BalanceMismatchParams, fx: Effects) -> None:
    """Judge and close the book's group; the book continues at its end."""
    group = book.group
    assert group is not None
    if group.in_order:
        ledger_book.close_in_order(book)
        return
    found = ledger_book.close_group(book, params.tolerance(book.currency))
    if isinstance(found, str):
        fx.count(found)
    elif found is not None:
        fx.alert(alerts.group_draft(book.currency, found))
    if book.end is None:
        ledger_book.forget_balance(book)
    else:
        balances = book.end.balances[::-1]
        ledger_book.record_balances(book, group.last_at, balances, params.retention_ms)


def _group_for(
    book: BalanceBook, event: Transaction, params: BalanceMismatchParams, fx: Effects
) -> PendingGroup:
    """Return the group to which the row belongs, with a timer; a new one if there is none."""
    group, at = book.group, event.occurred_at
    if group is not None:
        if belongs_to(group, at, params.chain_slack_ms):
            _end_order(book, params, fx)
            return group
        _judge_group(book, params, fx)
    fx.set_timer(_timer_name(book), at + params.chain_slack_ms, (TRANSACTION,))
    return ledger_book.start_group(book, event)


def _end_order(book: BalanceBook, params: BalanceMismatchParams, fx: Effects) -> None:
    """Let the timer judge a group that was in order so far."""
    group = book.group
    if group is not None and group.in_order:
        group.in_order = False
        fx.set_timer(_timer_name(book), group.last_at + params.chain_slack_ms, (TRANSACTION,))


def _alert_completed_by(
    event: Transaction, params: BalanceMismatchParams, fx: Effects
) -> OpenAlert | None:
    tolerance = params.tolerance(event.currency)
    for alert, facts in alerts_with_facts(fx):
        if isinstance(facts, GroupFacts) and is_completed_by(facts, event, tolerance):
            return alert
    return None


def _timer_name(book: BalanceBook) -> str:
    return f"group:{book.currency}:{book.kind}"
