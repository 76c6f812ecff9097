"""The published record of an incident, from its state. Pure."""

from typing import Final

from rules.counts import counted
from rules.incidents.lifecycle import IncidentState
from schemas.alert import Evidence, Money
from schemas.base import Severity
from schemas.incident import AlertCounts, Incident, LastChange, Priority

PRIORITIES: Final[dict[Severity, Priority]] = {
    "critical": "P1",
    "error": "P2",
    "warning": "P3",
    "info": "P4",
}


def record_of(state: IncidentState, published_at: int) -> Incident:
    """Return the full record of an incident; `published_at` is wall time in milliseconds."""
    return Incident(
        incident_id=state.incident_id,
        dedup_key=state.dedup_key,
        cause=state.cause,
        category=state.category,
        status=state.status,
        previous_incident_id=state.previous_incident_id,
        revision=state.revision,
        state_revision=state.state_revision,
        severity=state.severity,
        priority=PRIORITIES[state.severity],
        page=state.page,
        title=state.title,
        summary=_summary(state),
        provider=state.provider,
        rules=tuple(state.rules),
        account_token=state.account_token,
        transactions=len(state.transactions),
        alerts=_counts(state),
        alert_ids=tuple(state.alert_ids),
        amount_at_stake=_amounts(state),
        truncated=state.truncated or None,
        evidence=_evidence(state),
        evidence_total=state.evidence_total,
        suspected_root_cause=state.suspected_root_cause,
        first_event_at=state.first_event_at,
        last_event_at=state.last_event_at,
        opened_at=state.opened_at,
        resolved_at=state.resolved_at,
        updated_at=state.updated_at,
        published_at=published_at,
        resolution=state.resolution,
        last_change=LastChange(what=state.last_change, by="walletwatch", at=state.updated_at),
    )


def _counts(state: IncidentState) -> AlertCounts:
    return AlertCounts(
        total=state.total,
        active=len(state.members),
        cured=state.cured,
        retracted=state.retracted,
        expired=state.expired,
    )


def _amounts(state: IncidentState) -> tuple[Money, ...]:
    return tuple(
        Money(currency=each.currency, minor_units=each.minor, exponent=each.exponent)
        for each in state.amounts
    )


def _evidence(state: IncidentState) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            topic=each.topic,
            partition=each.partition,
            offset=each.offset,
            event_id=each.event_id,
            role=each.role,
        )
        for each in state.evidence
    )


def _summary(state: IncidentState) -> str:
    counts = (
        (len(state.members), "open"),
        (state.cured, "cured"),
        (state.retracted, "retracted"),
        (state.expired, "expired"),
    )
    listed = ", ".join(f"{count} {word}" for count, word in counts if count)
    text = f"{counted(state.total, 'alert')}: {listed}."
    return f"{text} It counts {counted(state.counted, 'finding')}." if state.counted else text
