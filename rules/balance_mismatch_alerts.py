"""What an alert of A2 says: one function per check, each returns a draft."""

from collections.abc import Sequence
from typing import Any

from rules.contract import Amount, Draft
from rules.events import Ref, Transaction
from rules.ledger_chain import Break, Gap
from schemas.base import Severity
from schemas.money import from_minor


def wrong_row(event: Transaction, ref: Ref, drift: int, due: int, error_from: int) -> Draft:
    """The row's balance moved by `due` + `drift` (minor units) instead of `due`."""
    draft = _drifted(event, drift, ref, {"check": "row", "balance_kind": event.balance_kind})
    draft.severity = "error" if abs(drift) >= error_from else "warning"
    draft.title = (
        f"Balance moved by {_money(due + drift, event)} where {_money(due, event)} was due"
    )
    draft.evidence = ((ref, "entry"),)
    draft.facts = (
        ("balance_before_minor", event.balance_before, ref),
        ("balance_after_minor", event.balance_after, ref),
        ("due_minor", due, ref),
    )
    draft.transaction_ids = (event.transaction_id,)
    if event.ledger_sequence is not None:
        draft.details["ledger_sequence"] = event.ledger_sequence
    return draft


def broken_chain(event: Transaction, ref: Ref, found: Break, error_from: int) -> Draft:
    """Two neighbours do not join; the event is the later known of the two."""
    left, right = found.left, found.right
    draft = _drifted(event, found.drift, right.ref, {"check": "chain", "balance_kind": right.kind})
    draft.severity = "error" if abs(found.drift) >= error_from else "warning"
    draft.title = f"Balance jumped by {_money(found.drift, event)} between two ledger entries"
    draft.evidence = ((left.ref, "entry_before"), (right.ref, "entry"))
    draft.facts = (
        ("previous_balance_after_minor", left.balances[0], left.ref),
        ("balance_before_minor", right.balances[0], right.ref),
    )
    if right.ref == ref:
        draft.transaction_ids = (event.transaction_id,)
    draft.details["ledger_sequence"] = found.sequence
    return draft


def one_number_twice(event: Transaction, ref: Ref, first: Ref | None) -> Draft:
    """Another entry has the event's sequence number; `first` is it, where still known."""
    number = event.ledger_sequence
    details = {"check": "sequence_conflict", "currency": event.currency, "ledger_sequence": number}
    draft = _draft(event.event_id, event.occurred_at, "warning", details)
    draft.title = f"Two different ledger entries have one sequence number ({event.currency})"
    draft.evidence = [*([(first, "first_entry")] if first else []), (ref, "entry")]
    draft.transaction_ids = (event.transaction_id,)
    return draft


def missing_entries(anchor: str, at: int, currency: str, missing: Sequence[Gap]) -> Draft:
    """Numbers of the sequence have not come; `missing` is what is left of one gap."""
    details = missing_details(currency, missing)
    draft = _draft(anchor, at, "info", details)
    draft.title = f"Missing ledger entries: {details['count']} ({currency})"
    draft.evidence = ((missing[0].left.ref, "before_gap"), (missing[-1].right.ref, "after_gap"))
    return draft


def missing_details(currency: str, missing: Sequence[Gap]) -> dict[str, Any]:
    """Return the details of an alert about missing entries."""
    return {
        "check": "missing_entries",
        "currency": currency,
        "first_missing": missing[0].first,
        "last_missing": missing[-1].last,
        "count": sum(gap.last - gap.first + 1 for gap in missing),
    }


def _drifted(event: Transaction, drift: int, ref: Ref, details: dict[str, Any]) -> Draft:
    currency = event.currency
    draft = _draft(ref.event_id, ref.occurred_at, "warning", details)
    draft.details |= {"currency": currency, "drift_minor": drift}
    draft.amount_at_stake = (Amount(currency, abs(drift), event.exponent),)
    draft.match = (currency, details["balance_kind"] or "", drift)
    return draft


def _draft(anchor: str, at: int, severity: Severity, details: dict[str, Any]) -> Draft:
    return Draft(
        anchor=anchor,
        at=at,
        severity=severity,
        title="",
        cause="ledger",
        suspected_root_cause="technical",
        owner_advice=("contact_support",),
        details=details,
    )


def _money(minor: int, event: Transaction) -> str:
    return f"{from_minor(minor, event.exponent)} {event.currency}"
