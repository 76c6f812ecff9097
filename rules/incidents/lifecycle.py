"""The life of an incident: what alerts of one dedup_key make of it. Pure.

    (nothing) --raised--> open --raised, updated--> open --last member closed--> resolved
    resolved --raised--> a new incident, linked to the resolved one

A *member* is an alert that is neither cured, retracted nor expired. Every change gives one full
record; `state_revision` rises only when status or severity change, so that an update from
ticketing can refer to what its author saw.
"""

import hashlib
from typing import Final

from msgspec import Struct

from rules.contract import Amount
from schemas.alert import MAX_EVIDENCE, Alert, Evidence, Money
from schemas.base import Category, RootCause, Severity
from schemas.incident import AlertCounts, Incident, IncidentStatus, LastChange, Priority, Resolution

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "error", "warning", "info")
"""Worst first."""
PAGING: Final = frozenset({"critical", "error"})
PRIORITIES: Final[dict[Severity, Priority]] = {
    "critical": "P1",
    "error": "P2",
    "warning": "P3",
    "info": "P4",
}
MAX_TRANSACTIONS: Final = 1000
"""Distinct transactions counted exactly per incident; beyond that the count stands still."""


class Cited(Struct, array_like=True, frozen=True, gc=False):
    """A record that an alert of the incident rests on."""

    topic: str
    partition: int
    offset: int
    event_id: str
    role: str


class IncidentState(Struct, array_like=True):
    """What triage keeps of the newest incident of one dedup_key; times in milliseconds."""

    incident_id: str
    dedup_key: str
    cause: str
    category: Category
    title: str
    opened_at: int
    first_event_at: int
    last_event_at: int
    updated_at: int
    severity: Severity
    account_token: str | None = None
    provider: str | None = None
    status: IncidentStatus = "open"
    revision: int = 0
    state_revision: int = 1
    page: bool = False
    rules: list[str] = []
    members: list[str] = []
    """The alert_ids that are open."""
    total: int = 0
    cured: int = 0
    retracted: int = 0
    expired: int = 0
    transactions: list[str] = []
    amounts: list[Amount] = []
    evidence: list[Cited] = []
    evidence_total: int = 0
    suspected_root_cause: RootCause = "unknown"
    resolved_at: int | None = None
    resolution: Resolution | None = None
    previous_incident_id: str | None = None
    last_change: str = "opened"


def apply(
    state: IncidentState | None, alert: Alert, now: int, account_token: str | None
) -> IncidentState | None:
    """Return the state after an alert record, None if the record changes nothing.

    Args:
        state: the newest incident of the alert's dedup_key, which is changed; None: none yet.
        alert: the record as detect published it.
        now: event time at which triage stands, milliseconds.
        account_token: token of the alert's account.
    """
    if alert.kind == "raised":
        if state is None or state.status == "resolved":
            state = _open(state, alert, now, account_token)
        else:
            state.last_change = "alert_joined"
        _join(state, alert)
    elif state is None or alert.alert_id not in state.members:
        return None
    else:
        _change(state, alert, now)
    state.revision += 1
    state.updated_at = now
    state.first_event_at = min(state.first_event_at, alert.first_event_at)
    state.last_event_at = max(state.last_event_at, alert.last_event_at)
    _cite(state, alert)
    return state


def _open(
    before: IncidentState | None, alert: Alert, now: int, account_token: str | None
) -> IncidentState:
    return IncidentState(
        incident_id=incident_id(alert.dedup_key, alert.alert_id),
        dedup_key=alert.dedup_key,
        cause=alert.cause,
        category=alert.category,
        title=alert.title,
        opened_at=now,
        first_event_at=alert.first_event_at,
        last_event_at=alert.last_event_at,
        updated_at=now,
        severity=alert.severity,
        account_token=account_token,
        provider=alert.provider,
        page=alert.severity in PAGING,
        suspected_root_cause=alert.suspected_root_cause,
        previous_incident_id=before.incident_id if before else None,
    )


def incident_id(dedup_key: str, alert_id: str) -> str:
    """Return the id of the incident that this alert opens: 32 hex digits."""
    return hashlib.sha256(f"{dedup_key}\0{alert_id}".encode()).hexdigest()[:32]


def _join(state: IncidentState, alert: Alert) -> None:
    state.members.append(alert.alert_id)
    state.total += 1
    if alert.rule not in state.rules:
        state.rules.append(alert.rule)
    for transaction in alert.transaction_ids:
        if transaction not in state.transactions and len(state.transactions) < MAX_TRANSACTIONS:
            state.transactions.append(transaction)
    for money in alert.amount_at_stake:
        _add(state.amounts, money)
    _raise_severity(state, alert.severity)


def _add(amounts: list[Amount], money: Money) -> None:
    for index, amount in enumerate(amounts):
        if amount.currency == money.currency:
            total = amount.minor + money.minor_units
            amounts[index] = Amount(amount.currency, total, amount.exponent)
            return
    amounts.append(Amount(money.currency, money.minor_units, money.exponent))


def _change(state: IncidentState, alert: Alert, now: int) -> None:
    state.last_change = f"alert_{alert.kind}"
    if alert.kind == "updated":
        _raise_severity(state, alert.severity)
        return
    state.members.remove(alert.alert_id)
    if alert.kind == "cured":
        state.cured += 1
    elif alert.kind == "retracted":
        state.retracted += 1
    else:
        state.expired += 1
    if not state.members:
        _resolve(state, now)


def _resolve(state: IncidentState, now: int) -> None:
    state.status = "resolved"
    state.state_revision += 1
    state.resolved_at = now
    if state.cured:
        state.resolution = "cured"
    elif state.expired:
        state.resolution = "expired"
    else:
        state.resolution = "retracted"


def _raise_severity(state: IncidentState, severity: Severity) -> None:
    if SEVERITIES.index(severity) < SEVERITIES.index(state.severity):
        state.severity = severity
        state.state_revision += 1
        state.page = state.page or severity in PAGING


def _cite(state: IncidentState, alert: Alert) -> None:
    state.evidence_total += alert.evidence_total
    for item in alert.evidence:
        cited = Cited(item.topic, item.partition, item.offset, item.event_id, item.role)
        state.evidence.append(cited)
    if len(state.evidence) > MAX_EVIDENCE:
        del state.evidence[1 : len(state.evidence) - MAX_EVIDENCE + 1]


def record(state: IncidentState, published_at: int) -> Incident:
    """Return the full record of the incident as it stands."""
    active = len(state.members)
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
        alerts=AlertCounts(
            total=state.total,
            active=active,
            cured=state.cured,
            retracted=state.retracted,
            expired=state.expired,
        ),
        amount_at_stake=tuple(
            Money(currency=a.currency, minor_units=a.minor, exponent=a.exponent)
            for a in state.amounts
        ),
        evidence=tuple(
            Evidence(
                topic=c.topic,
                partition=c.partition,
                offset=c.offset,
                event_id=c.event_id,
                role=c.role,
            )
            for c in state.evidence
        ),
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


def _summary(state: IncidentState) -> str:
    counts = (
        (len(state.members), "open"),
        (state.cured, "cured"),
        (state.retracted, "retracted"),
        (state.expired, "expired"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{state.total} alert{'s' if state.total > 1 else ''}: {told}."
