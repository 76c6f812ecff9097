"""The verdict of A2, from the facts that an alert quotes and the parameters alone."""

from typing import Any

from rules.alerts import Amount, Verdict
from rules.balance_mismatch.facts import (
    BalanceMismatchFacts,
    ChainFacts,
    ConflictFacts,
    DriftFacts,
    GapFacts,
    GroupFacts,
    RowFacts,
    SnapshotFacts,
)
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.reasons import title_of
from schemas.base import Severity


def verdict_of(facts: BalanceMismatchFacts, params: BalanceMismatchParams) -> Verdict | None:
    """Return the verdict; None if nothing is wrong or the check is off."""
    if not getattr(params, facts.switch):
        return None
    match facts:
        case SnapshotFacts() if not _is_comparable(facts, params):
            return None
        case DriftFacts():
            return _drift_verdict(facts, params)
        case GapFacts():
            return _gap_verdict(facts, params)
        case ConflictFacts():
            return _new_verdict(facts, "warning", {"ledger_sequence": facts.ledger_sequence})
    raise NotImplementedError(facts.check)


def _is_comparable(facts: SnapshotFacts, params: BalanceMismatchParams) -> bool:
    """Return whether a report is recent, and the rows never had its balance near its moment."""
    is_recent = facts.as_of_ms >= facts.reported_at_ms - params.snapshot_history_ms
    return is_recent and (facts.off_by_ms is None or facts.off_by_ms > params.snapshot_slack_ms)


def _drift_verdict(facts: DriftFacts, params: BalanceMismatchParams) -> Verdict | None:
    drift, size = facts.drift, facts.size
    if drift != facts.drift_minor or size <= params.tolerance(facts.currency):
        return None
    is_error = size >= params.error_from(facts.currency, facts.exponent)
    details = {"balance_kind": facts.balance_kind, "drift_minor": drift} | _place(facts)
    severity: Severity = "error" if is_error and not facts.is_only_warning else "warning"
    verdict = _new_verdict(facts, severity, details)
    at_stake = max(abs(drift), size)
    verdict.amount_at_stake = (Amount(facts.currency, at_stake, facts.exponent),)
    return verdict


def _place(facts: DriftFacts) -> dict[str, Any]:
    """Return the details that say where in the ledger the drift is."""
    match facts:
        case RowFacts(ledger_sequence=int(number)) | ChainFacts(ledger_sequence=number):
            return {"ledger_sequence": number}
        case GroupFacts(rows=rows):
            jumps = {"jumps": facts.jumps, "largest_jump_minor": facts.largest_jump}
            return {"rows": rows} | jumps
    return {}


def _gap_verdict(facts: GapFacts, params: BalanceMismatchParams) -> Verdict | None:
    if facts.missing_for_ms < params.gap_info_ms:
        return None
    details = {
        "first_missing": facts.sequence_before_gap + 1,
        "last_missing": facts.sequence_after_gap - 1,
        "count": facts.missing_count,
    }
    severity: Severity = "error" if facts.missing_for_ms >= params.gap_error_ms else "info"
    verdict = _new_verdict(facts, severity, details)
    verdict.at += params.gap_info_ms
    return verdict


def _new_verdict(
    facts: BalanceMismatchFacts, severity: Severity, details: dict[str, Any]
) -> Verdict:
    return Verdict(
        at=facts.at,
        severity=severity,
        title=title_of(facts),
        suspected_root_cause="technical",
        owner_advice=("contact_support",),
        details={"check": facts.check, "currency": facts.currency} | details,
    )
