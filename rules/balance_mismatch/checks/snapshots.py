"""A2 for reported balances: against what the rows told around their moment."""

from rules.balance_mismatch import alerts
from rules.balance_mismatch.checks import groups
from rules.balance_mismatch.checks.books import Snapshot
from rules.balance_mismatch.facts import Drift
from rules.balance_mismatch.ledger.book import Book
from rules.balance_mismatch.ledger.chain import MAX_BALANCES, Edge
from rules.balance_mismatch.ledger.history import begins_after, nearest_to, off_by
from rules.balance_mismatch.ledger.reports import MAX_REPORTS, Report, report_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.state import (
    BalanceMismatchState,
    book_of,
    chain_of,
    kept_ms,
    open_cases,
    past_of,
)
from rules.contract import Effects
from rules.events import TRANSACTION, Balance, Transaction


def timer_of(report: Report) -> str:
    """Return the name of the timer that judges a report."""
    return f"report:{report.ref.event_id}"


def hear(
    state: BalanceMismatchState, event: Balance, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Take a report; one that the rows confirm already is done with, others wait."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is None:
        return
    if event.as_of < event.occurred_at - params.snapshot_history_ms:
        fx.count("snapshot_too_old")
        return
    confirmed = _confirmed(state, book, event, params)
    if confirmed and not fx.open_alerts():  # nearly always
        return
    report = report_of(event, fx.ref)
    if confirmed:
        _cure(report, fx)
        return
    state.reports.append(report)
    fx.set_timer(timer_of(report), event.as_of + params.snapshot_slack_ms, (TRANSACTION,))
    if len(state.reports) > MAX_REPORTS:
        fx.cancel_timer(timer_of(state.reports.pop(0)))
        fx.count("snapshot_forgotten")


def hear_late(
    state: BalanceMismatchState, event: Balance, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Let a late report that the rows confirm close what it answers; it is not judged."""
    book = book_of(state, event.currency, event.balance_kind)
    if book is not None and _confirmed(state, book, event, params):
        _cure(report_of(event, fx.ref), fx)
    else:
        fx.count("late_snapshot")


def on_timer(
    state: BalanceMismatchState, name: str, due: int, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Judge a report: the rows around its moment are known now."""
    for report in state.reports:
        if name == timer_of(report):
            state.reports.remove(report)
            _judge(state, report, due, params, fx)
            return


def explain(
    state: BalanceMismatchState, event: Transaction, params: BalanceMismatchParams, fx: Effects
) -> None:
    """Let a late row retract the alerts about reports that it explains."""
    book = book_of(state, event.currency, event.balance_kind)
    for alert, case in open_cases(fx):
        if book is not None and isinstance(case, Snapshot) and case.explained_by(event):
            off = off_by(past_of(book, kept_ms(params)), case.reported_balance_minor, case.as_of_ms)
            slack = params.snapshot_slack_ms
            if abs(event.occurred_at - case.as_of_ms) <= slack or (
                off is not None and off <= slack
            ):
                fx.settle(alert, "missing_entry")


def _confirmed(
    state: BalanceMismatchState, book: Book, report: Report | Balance, params: BalanceMismatchParams
) -> bool:
    history = book.history
    if history and history[-1] == report.balance and history[-2] <= report.as_of:  # nearly always
        return True
    off = off_by(past_of(book, kept_ms(params)), report.balance, report.as_of)
    if off is not None and off <= params.snapshot_slack_ms:
        return True
    end = _end_of(state, book)
    return end is not None and report.balance in end.balances[1:]


def _judge(
    state: BalanceMismatchState,
    report: Report,
    due: int,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    book, chain = book_of(state, report.currency, report.kind), chain_of(state, report.currency)
    since, until = report.as_of - params.snapshot_slack_ms, report.as_of + params.snapshot_slack_ms
    if book is not None:
        groups.rest_if_over(book, params, fx, due)
    if chain is not None and chain.gaps:
        fx.count("snapshot_beside_a_gap")
    elif book is None or begins_after(past_of(book, kept_ms(params)), since):
        fx.count("snapshot_balance_unknown")
    elif _confirmed(state, book, report, params):
        _cure(report, fx)
    elif not _removes(state, book, report, params, fx):
        nearest = nearest_to(book.history, report.balance, since, until)
        if _is_told(report, report.balance - nearest, fx):
            fx.count("snapshot_still_off")
            return
        off = off_by(book.history, report.balance, report.as_of)
        end = _end_of(state, book)
        fx.alert(alerts.wrong_report(report, nearest, off, due, end.ref if end else None))


def _removes(
    state: BalanceMismatchState,
    book: Book,
    report: Report,
    params: BalanceMismatchParams,
    fx: Effects,
) -> bool:
    """Cure the oldest drift that the report shows to be gone; the book may go on without it."""
    around = report.as_of - params.snapshot_slack_ms, report.as_of + params.snapshot_slack_ms
    for alert, case in open_cases(fx):
        if not isinstance(case, Drift) or isinstance(case, Snapshot) or case.at >= report.as_of:
            continue
        if (case.currency, case.balance_kind) != (report.currency, report.kind):
            continue
        with_drift = report.balance + case.drift_minor
        if nearest_to(book.history, with_drift, *around) == with_drift:
            fx.settle(alert, "snapshot", report.ref)
            _without_drift(state, book, case.drift_minor, params, fx)
            return True
    return False


def _without_drift(
    state: BalanceMismatchState,
    book: Book,
    drift: int,
    params: BalanceMismatchParams,
    fx: Effects,
) -> None:
    chain = chain_of(state, book.currency)
    if chain is not None and chain.end.kind == book.kind and chain.end.balances:
        end = chain.end
        balances = (*end.balances, end.balances[0] - drift)[:MAX_BALANCES]
        chain.end = Edge(end.kind, balances, end.ref)
    elif book.known is not None:
        groups.also(book, book.known.balances[0] - drift, params, fx)


def _cure(report: Report, fx: Effects) -> None:
    """Close the alerts about earlier reports: this one is right."""
    for alert, case in open_cases(fx):
        if (
            isinstance(case, Snapshot)
            and (case.currency, case.balance_kind) == (report.currency, report.kind)
            and report.as_of > case.as_of_ms
        ):
            fx.settle(alert, "snapshot", report.ref)


def _is_told(report: Report, drift: int, fx: Effects) -> bool:
    return any(
        isinstance(case, Snapshot)
        and (case.currency, case.balance_kind, case.drift_minor)
        == (report.currency, report.kind, drift)
        for _, case in open_cases(fx)
    )


def _end_of(state: BalanceMismatchState, book: Book) -> Edge | None:
    chain = chain_of(state, book.currency)
    if chain is not None:
        return chain.end if chain.end.kind == book.kind else None
    return book.known
