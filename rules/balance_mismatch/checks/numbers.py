"""Checks of rows with ledger_sequence: `chain`, `missing_entries` and `sequence_conflict`."""

from collections.abc import Sequence

from rules.alerts import OpenAlert
from rules.balance_mismatch import alerts
from rules.balance_mismatch.facts import GapFacts
from rules.balance_mismatch.ledger import chain as ledger_chain
from rules.balance_mismatch.ledger.chain import Boundary, Chain, ChainFinding
from rules.balance_mismatch.ledger.history import add_balance
from rules.balance_mismatch.ledger.row import CORRECTIONS, boundaries_of, contents_of, effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import (
    BalanceMismatchState,
    chain_of,
    only_book_of,
    without_oldest,
)
from rules.effects import Effects
from rules.events import TRANSACTION, Transaction


def append_if_right(
    state: BalanceMismatchState, event: Transaction, retention_ms: int, fx: Effects
) -> bool:
    """Append a row of the next number with which nothing is wrong; return whether it was one.

    The fast path: true for nearly every row.
    """
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
    if retention_ms and not _append_to_history(state, event, before, after, retention_ms):
        return False
    end = Boundary(event.balance_kind, (after,), fx.ref)
    ledger_chain.append_joined_row(chain, end, contents_of(event, effect))
    return True


def _append_to_history(
    state: BalanceMismatchState,
    event: Transaction,
    before: int,
    after: int,
    retention_ms: int,
) -> bool:
    """Append the balance of a row if nothing else is to be done; return whether it was."""
    book = only_book_of(state, event.currency, event.balance_kind)
    if book is None or not state.has_idle_timer:
        return False
    history, at = book.history, event.occurred_at
    if not history or history[-1] != before or history[-2] > at:
        return False
    add_balance(history, at, after, retention_ms)
    return True


def check_row(
    state: BalanceMismatchState,
    event: Transaction,
    contents: int,
    expected: int | None,
    late: bool,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Add a row to its chain and act on the findings.

    `expected`: what a wrong row should have moved, in minor units; None if its move is right.
    """
    start, end = boundaries_of(event, fx.ref, expected, late)
    assert event.ledger_sequence is not None
    row = ledger_chain.NumberedRow(event.ledger_sequence, start, end, contents)
    chain = chain_of(state, event.currency)
    if chain is not None:
        findings = ledger_chain.add_numbered_row(chain, row, params.tolerance(event.currency))
        if findings:
            _act_on(findings, event, chain, expected is not None, params, fx)
        return
    chain = ledger_chain.start_chain(event.currency, row)
    before = state.chains
    state.chains = without_oldest((*before, chain), fx)
    for gone in before[: len(before) + 1 - len(state.chains)]:
        for gap in gone.gaps:
            fx.cancel_timer(_gap_name(gone.currency, gap.anchor))
    for book in state.books:
        if book.currency == event.currency:
            book.end, book.group = None, None


def _act_on(
    findings: Sequence[ChainFinding],
    event: Transaction,
    chain: Chain,
    has_row_alert: bool,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    for found in findings:
        match found:
            case ledger_chain.ChainBreak():
                fx.alert(alerts.chain_draft(event, fx.ref, found))
            case ledger_chain.GapOpened(anchor=anchor):
                due = fx.now + params.gap_info_ms
                fx.set_timer(_gap_name(event.currency, anchor), due, (TRANSACTION,))
            case ledger_chain.GapClosed(anchor=anchor):
                _close_gap(_gap_name(event.currency, anchor), fx)
            case ledger_chain.GapForgotten(anchor=anchor):
                fx.cancel_timer(_gap_name(event.currency, anchor))
            case ledger_chain.SequenceConflict():
                if not has_row_alert:
                    first = chain.end.ref if event.ledger_sequence == chain.head else None
                    fx.alert(alerts.conflict_draft(event, fx.ref, first))
            case ledger_chain.NotJudged(reason=reason):
                fx.count(reason)


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Raise an alert for a gap that is still open; the second time, update it to an error."""
    _, currency, number = name.split(":")
    chain = chain_of(state, currency)
    missing = ledger_chain.parts_of_gap(chain, int(number)) if chain else []
    if not missing:
        return
    alert = _open_alert(name, fx)
    if alert is not None:
        shown_at = GapFacts.of_quotes(alert.facts).shown_at_ms
        draft = alerts.gap_draft(name, currency, missing, shown_at, due - shown_at)
        fx.update(alert, draft.facts, draft.evidence)
        return
    info_ms, error_ms = params.gap_info_ms, params.gap_error_ms
    fx.alert(alerts.gap_draft(name, currency, missing, due - info_ms, info_ms))
    fx.set_timer(name, due + error_ms - info_ms, (TRANSACTION,), alert=name)


def _close_gap(name: str, fx: Effects) -> None:
    fx.cancel_timer(name)
    alert = _open_alert(name, fx)
    if alert is not None:
        fx.settle(alert, "last_missing")


def _open_alert(anchor: str, fx: Effects) -> OpenAlert | None:
    return next((alert for alert in fx.open_alerts(anchor) if alert.anchor == anchor), None)


def _gap_name(currency: str, anchor: int) -> str:
    """Return the name of the timer of a gap, which is also the anchor of its alert."""
    return f"gap:{currency}:{anchor}"
