"""Check `snapshot`: reported balances against those of the rows around their moment."""

from typing import Final

from rules.balance_mismatch import alerts
from rules.balance_mismatch.checks import groups
from rules.balance_mismatch.closing import is_explained_by
from rules.balance_mismatch.facts import DriftFacts, SnapshotFacts, alerts_with_facts
from rules.balance_mismatch.ledger.book import BalanceBook, retained_history
from rules.balance_mismatch.ledger.chain import MAX_CANDIDATES, Boundary
from rules.balance_mismatch.ledger.history import distance_ms, nearest_balance, starts_after
from rules.balance_mismatch.ledger.reports import MAX_REPORTS, PendingReport, pending_report
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import BalanceMismatchState, book_of, chain_of
from rules.effects import Effects
from rules.events import TRANSACTION, Balance, Transaction

SNAPSHOT: Final = "snapshot"
"""The fact `check` of the alerts of this one."""


def on_balance(
    state: BalanceMismatchState, event: Balance, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Compare a report with the rows; one that they do not confirm yet is kept pending."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        return
    if event.as_of < event.occurred_at - params.snapshot_history_ms:
        fx.count("snapshot_too_old")
        return
    is_confirmed = _is_confirmed(state, book, event, params)
    if is_confirmed and not fx.open_alerts(SNAPSHOT):  # nearly always
        return
    report = pending_report(event, fx.ref)
    if is_confirmed:
        _cure_earlier_reports(report, fx)
        return
    state.reports = (*state.reports, report)
    fx.set_timer(_timer_name(report), event.as_of + params.snapshot_slack_ms, (TRANSACTION,))
    if len(state.reports) > MAX_REPORTS:
        fx.cancel_timer(_timer_name(state.reports[0]))
        state.reports = state.reports[1:]
        fx.count("snapshot_forgotten")


def late_balance(
    state: BalanceMismatchState, event: Balance, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Cure by a late report that the rows confirm; count others, which are not judged."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is not None and _is_confirmed(state, book, event, params):
        _cure_earlier_reports(pending_report(event, fx.ref), fx)
    else:
        fx.count("late_snapshot")


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Judge a pending report: the rows around its moment have arrived."""
    for report in state.reports:
        if name == _timer_name(report):
            state.reports = tuple(other for other in state.reports if other is not report)
            _judge(state, report, due, params, fx)
            return


def retract_explained(
    state: BalanceMismatchState, event: Transaction, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Close the alerts about reports that a late row explains."""
    book = book_of(state, event.currency, event.balance_kind)
    for alert, facts in alerts_with_facts(fx, SNAPSHOT):
        if book is not None and isinstance(facts, SnapshotFacts) and is_explained_by(facts, event):
            history = retained_history(book, params.retention_ms)
            off = distance_ms(history, facts.reported_balance_minor, facts.as_of_ms)
            slack = params.snapshot_slack_ms
            if abs(event.occurred_at - facts.as_of_ms) <= slack or (
                off is not None and off <= slack
            ):
                fx.settle(alert, "missing_entry")


def _is_confirmed(
    state: BalanceMismatchState,
    book: BalanceBook,
    report: PendingReport | Balance,
    params: BalanceMismatchParams,
) -> bool:
    """Return whether the rows had the reported balance within the slack around its moment."""
    history = book.history
    if history and history[-1] == report.balance and history[-2] <= report.as_of:  # nearly always
        return True
    history = retained_history(book, params.retention_ms)
    off = distance_ms(history, report.balance, report.as_of)
    if off is not None and off <= params.snapshot_slack_ms:
        return True
    end = _newest_end(state, book)
    return end is not None and report.balance in end.balances[1:]


def _judge(
    state: BalanceMismatchState,
    report: PendingReport,
    due: int,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    book, chain = book_of(state, report.currency, report.kind), chain_of(state, report.currency)
    since, until = _moment(report, params)
    if book is not None:
        groups.close_expired(book, params, fx, due)
    if chain is not None and chain.gaps:
        fx.count("snapshot_beside_a_gap")
    elif book is None or starts_after(retained_history(book, params.retention_ms), since):
        fx.count("snapshot_balance_unknown")
    elif _is_confirmed(state, book, report, params):
        _cure_earlier_reports(report, fx)
    elif not _cure_drift(state, book, report, params, fx):
        nearest = nearest_balance(book.history, report.balance, since, until)
        if _has_alert(report, report.balance - nearest, fx):
            fx.count("snapshot_still_off")
            return
        off = distance_ms(book.history, report.balance, report.as_of)
        end = _newest_end(state, book)
        fx.alert(alerts.snapshot_draft(report, nearest, off, due, end.ref if end else None))


def _moment(report: PendingReport, params: BalanceMismatchParams) -> tuple[int, int]:
    """Return (since, until) of the moment of a report with its slack, in milliseconds."""
    return report.as_of - params.snapshot_slack_ms, report.as_of + params.snapshot_slack_ms


def _cure_drift(
    state: BalanceMismatchState,
    book: BalanceBook,
    report: PendingReport,
    params: BalanceMismatchParams,
    fx: Effects,
) -> bool:
    """Cure the oldest alert whose drift the report lacks; return whether there was one.

    The next row may start without the drift then.
    """
    for alert, facts in alerts_with_facts(fx):
        if not isinstance(facts, DriftFacts) or isinstance(facts, SnapshotFacts):
            continue
        if facts.at >= report.as_of or not _is_same_balance(facts, report):
            continue
        with_drift = report.balance + facts.drift_minor
        if nearest_balance(book.history, with_drift, *_moment(report, params)) == with_drift:
            fx.settle(alert, "snapshot", report.ref)
            _add_end_without(facts.drift_minor, state, book, params, fx)
            return True
    return False


def _add_end_without(
    drift: int,
    state: BalanceMismatchState,
    book: BalanceBook,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    """Add the newest balance minus the drift to the candidates for the end."""
    chain = chain_of(state, book.currency)
    if chain is not None and chain.end.kind == book.kind and chain.end.balances:
        end = chain.end
        balances = (*end.balances, end.balances[0] - drift)[:MAX_CANDIDATES]
        chain.end = Boundary(end.kind, balances, end.ref)
    elif book.end is not None:
        groups.add_candidate(book, book.end.balances[0] - drift, params, fx)


def _cure_earlier_reports(report: PendingReport, fx: Effects) -> None:
    """Close the alerts about earlier reports of the balance: this one is right."""
    for alert, facts in alerts_with_facts(fx, SNAPSHOT):
        if (
            isinstance(facts, SnapshotFacts)
            and _is_same_balance(facts, report)
            and report.as_of > facts.as_of_ms
        ):
            fx.settle(alert, "snapshot", report.ref)


def _has_alert(report: PendingReport, drift: int, fx: Effects) -> bool:
    """Return whether an open alert is about the same drift of the same reported balance."""
    return any(
        isinstance(facts, SnapshotFacts)
        and _is_same_balance(facts, report)
        and facts.drift_minor == drift
        for _, facts in alerts_with_facts(fx, SNAPSHOT)
    )


def _is_same_balance(facts: DriftFacts, report: PendingReport) -> bool:
    return (facts.currency, facts.balance_kind) == (report.currency, report.kind)


def _newest_end(state: BalanceMismatchState, book: BalanceBook) -> Boundary | None:
    """Return the end of the newest row of a book; None if it is unknown."""
    chain = chain_of(state, book.currency)
    if chain is not None:
        return chain.end if chain.end.kind == book.kind else None
    return book.end


def _timer_name(report: PendingReport) -> str:
    return f"report:{report.ref.event_id}"
