"""A2 for rows with ledger_sequence: each against its neighbours by number, and missing numbers."""

from collections.abc import Sequence

from rules.balance_mismatch import alerts
from rules.balance_mismatch.facts import CORRECTIONS
from rules.balance_mismatch.ledger import chain as ledger
from rules.balance_mismatch.ledger.history import go_on, note
from rules.balance_mismatch.ledger.row import contents_of, edges_of, effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import BalanceMismatchState, chain_of, forget_oldest, only_book
from rules.contract import Effects, OpenAlert
from rules.events import TRANSACTION, Transaction


def joins(state: BalanceMismatchState, event: Transaction, kept: int, fx: Effects) -> bool:
    """Put in a row with which nothing at all is wrong; say whether it was one: nearly always."""
    chain = chain_of(state, event.currency)
    if chain is None or event.ledger_sequence != chain.head + 1:
        return False
    before, after = event.balance_before, event.balance_after
    if before is None or after is None or event.status != "completed":
        return False
    if before not in chain.end.balances or event.balance_kind != chain.end.kind:
        return False
    effect = effect_of(event)
    if after - before != effect or (event.type in CORRECTIONS and fx.open_alerts()):
        return False
    if kept and not _goes_on(state, event, before, after, kept):
        return False
    end = ledger.Edge(event.balance_kind, (after,), fx.ref)
    ledger.go_on(chain, end, contents_of(event, effect))
    return True


def _goes_on(
    state: BalanceMismatchState,
    event: Transaction,
    before: int,
    after: int,
    kept: int,
) -> bool:
    """Remember the balance of a row if that is all there is to do."""
    book = only_book(state, event.currency, event.balance_kind)
    if book is None or not state.watched:
        return False
    history, at = book.history, event.occurred_at
    if not history or history[-1] != before or history[-2] > at:
        return False
    if after == before:
        note(history, at, after, kept)
    else:
        go_on(history, at, after, kept)
    return True


def enter(
    state: BalanceMismatchState,
    event: Transaction,
    contents: int,
    blamed: int | None,
    late: bool,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Put a row into its chain and tell what that shows; `blamed`: what it should have moved."""
    start, end = edges_of(event, fx.ref, blamed, late)
    assert event.ledger_sequence is not None
    row = ledger.Row(event.ledger_sequence, start, end, contents)
    chain = chain_of(state, event.currency)
    if chain is not None:
        found = ledger.enter(chain, row, params.tolerance(event.currency))
        if found:
            _report(event, chain, found, blamed is not None, params, fx)
        return
    state.chains.append(ledger.begin(event.currency, row))
    forget_oldest(state.chains, fx)
    for book in state.books:
        if book.currency == event.currency:
            book.known, book.group = None, None


def _report(
    event: Transaction,
    chain: ledger.Chain,
    findings: Sequence[ledger.Finding],
    blamed: bool,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    for found in findings:
        match found:
            case ledger.Break():
                fx.alert(alerts.broken_chain(event, fx.ref, found))
            case ledger.Opened(anchor=anchor):
                due = fx.now + params.gap_info_ms
                fx.set_timer(_gap_name(event.currency, anchor), due, (TRANSACTION,))
            case ledger.Closed(anchor=anchor):
                _close(fx, _gap_name(event.currency, anchor))
            case ledger.Conflict():
                if not blamed:
                    first = chain.end.ref if event.ledger_sequence == chain.head else None
                    fx.alert(alerts.one_number_twice(event, fx.ref, first))
            case ledger.Ignored(reason=reason):
                fx.count(reason)


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Tell a gap that is still open, first as info, then as error."""
    _, currency, number = name.split(":")
    chain = chain_of(state, currency)
    missing = ledger.pieces(chain, int(number)) if chain else []
    if not missing:
        return
    told = _open(fx, name)
    if told is not None:
        shown_at = told.fact("shown_at_ms")
        assert isinstance(shown_at, int)
        draft = alerts.missing_entries(name, currency, missing, shown_at, due - shown_at)
        fx.update(told, draft.facts, draft.evidence)
        return
    info_ms, error_ms = params.gap_info_ms, params.gap_error_ms
    fx.alert(alerts.missing_entries(name, currency, missing, due - info_ms, info_ms))
    fx.set_timer(name, due + error_ms - info_ms, (TRANSACTION,))


def _close(fx: Effects, gap: str) -> None:
    fx.cancel_timer(gap)
    told = _open(fx, gap)
    if told is not None:
        fx.settle(told, "last_missing")


def _open(fx: Effects, anchor: str) -> OpenAlert | None:
    return next((alert for alert in fx.open_alerts() if alert.anchor == anchor), None)


def _gap_name(currency: str, anchor: int) -> str:
    return f"gap:{currency}:{anchor}"
