"""A2 for rows without ledger_sequence: groups of rows whose order is not known."""

from rules.balance_mismatch import alerts
from rules.balance_mismatch.checks.books import Grouped
from rules.balance_mismatch.facts import CORRECTIONS
from rules.balance_mismatch.ledger import book as ledger
from rules.balance_mismatch.ledger.book import Book, Group
from rules.balance_mismatch.ledger.chain import Edge
from rules.balance_mismatch.ledger.row import effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import (
    BalanceMismatchState,
    book_for,
    book_of,
    chain_of,
    kept_ms,
    only_book,
    open_cases,
    tell,
    tell_row,
)
from rules.contract import Effects, OpenAlert
from rules.events import TRANSACTION, Transaction


def timer_of(book: Book) -> str:
    """Return the name of the timer that judges the book's group."""
    return f"group:{book.currency}:{book.kind}"


def joins(
    state: BalanceMismatchState, event: Transaction, slack: int, kept: int, fx: Effects
) -> bool:
    """Put in a row with which nothing at all is wrong; say whether it was one: nearly always."""
    before, after = event.balance_before, event.balance_after
    if before is None or after is None or event.status != "completed" or not state.watched:
        return False
    book = only_book(state, event.currency, event.balance_kind)
    if book is None or not ledger.goes_on(book, event) or chain_of(state, event.currency):
        return False
    if after - before != effect_of(event) or (event.type in CORRECTIONS and fx.open_alerts()):
        return False
    ledger.go_on(book, event, fx.ref, slack)
    tell_row(book, event, None, kept)
    return True


def see(
    state: BalanceMismatchState,
    event: Transaction,
    due: int | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Take a row with both balances into a group; `due`: what it should have moved, if blamed."""
    book = book_for(state, event, fx)
    if due is None and ledger.goes_on(book, event):
        ledger.go_on(book, event, fx.ref, params.chain_slack_ms)
        tell_row(book, event, due, kept_ms(params))
        return
    group = _group_for(book, event, params, fx)
    ledger.enter(group, event, fx.ref, due)
    tell_row(book, event, due, kept_ms(params))
    if len(group.steps) >= 2 * ledger.MAX_ROWS:
        judge(book, params, fx)


def _wait(book: Book, params: BalanceMismatchParams, fx: Effects) -> None:
    """Have the book's group judged when nothing has joined it for long enough."""
    group = book.group
    if group is not None and group.ordered:
        group.ordered = False
        fx.set_timer(timer_of(book), group.last_at + params.chain_slack_ms, (TRANSACTION,))


def rest_if_over(book: Book, params: BalanceMismatchParams, fx: Effects, due: int = 0) -> None:
    """End a group in order that time has ended; `due`: of the timer that fires, if one does."""
    ledger.rest_if_over(book, max(fx.now - 1, due), params.chain_slack_ms)


def also(book: Book, balance: int, params: BalanceMismatchParams, fx: Effects) -> None:
    """Let the book stand at this balance too; a group that goes on from it must be judged."""
    _wait(book, params, fx)
    ledger.also(book, balance)


def see_late(
    state: BalanceMismatchState,
    event: Transaction,
    due: int | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Let a late row close a break, or join a group that still waits; else it may be the last."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        return
    rest_if_over(book, params, fx)
    _wait(book, params, fx)
    tell_row(book, event, due, kept_ms(params))
    closed = _closed_by(event, fx)
    waits = book.group is not None and ledger.joins(
        book.group, event.occurred_at, params.chain_slack_ms
    )
    if closed is not None and (event.occurred_at <= closed.at or not waits):
        fx.settle(closed, "missing_entry")
        _without(book, event.balance_before)
    elif waits:
        assert book.group is not None
        ledger.enter(book.group, event, fx.ref, due)
    elif book.known is not None and event.balance_before in book.known.balances:
        assert event.balance_after is not None
        ledger.also(book, event.balance_after)
    else:
        fx.count("late_row_unplaced")


def blind(book: Book, event: Transaction, params: BalanceMismatchParams, fx: Effects) -> None:
    """Money was moved without a word to what: what comes close to it in time is not judged."""
    group = _group_for(book, event, params, fx)
    group.blind = True
    group.last_at = max(group.last_at, event.occurred_at)
    ledger.lose(book)


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Judge a group that nothing has joined for long enough."""
    for book in state.books:
        if book.group is not None and not book.group.ordered and name == timer_of(book):
            ends = book.group.last_at + params.chain_slack_ms
            if ends > due:
                fx.set_timer(name, ends, (TRANSACTION,))
            else:
                judge(book, params, fx)


def judge(book: Book, params: BalanceMismatchParams, fx: Effects) -> None:
    """Judge the book's group; the book goes on from where it ended."""
    group = book.group
    assert group is not None
    if group.ordered:
        ledger.rest(book)
        return
    found = ledger.close(book)
    if isinstance(found, str):
        fx.count(found)
    elif found is not None:
        fx.alert(alerts.torn_group(book.currency, found))
    if book.known is None:
        ledger.lose(book)
    else:
        tell(book, group.last_at, book.known.balances[::-1], kept_ms(params))


def _group_for(book: Book, event: Transaction, params: BalanceMismatchParams, fx: Effects) -> Group:
    group, at = book.group, event.occurred_at
    if group is not None:
        if ledger.joins(group, at, params.chain_slack_ms):
            _wait(book, params, fx)
            return group
        judge(book, params, fx)
    fx.set_timer(timer_of(book), at + params.chain_slack_ms, (TRANSACTION,))
    return ledger.begin(book, event)


def _closed_by(event: Transaction, fx: Effects) -> OpenAlert | None:
    for alert, case in open_cases(fx):
        if isinstance(case, Grouped) and case.links(event):
            return alert
    return None


def _without(book: Book, balance: int | None) -> None:
    """The row that leads on from this balance has come: the book does not stand there."""
    known = book.known
    if known is not None and len(known.balances) > 1 and balance in known.balances:
        others = tuple(each for each in known.balances if each != balance)
        book.told = book.told and known.balances[0] == others[0]
        book.known = Edge(known.kind, others, known.ref)
