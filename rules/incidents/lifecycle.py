"""The state machine of an incident: how alert records of one dedup_key change it. Pure.

| state | alert record | next state |
|---|---|---|
| none | raised | open |
| open | raised, updated; cured, retracted or expired, not the last member | open |
| open | cured, retracted or expired, the last member | resolved |
| resolved | raised | a new incident, open, linked to the resolved one |

Beside these, `end_forgotten` resolves an incident whose account is forgotten.

A *member* is an alert that is neither cured, retracted nor expired. Every change is published as
one full record (`rules.incidents.record`); `state_revision` rises only when status or severity
change, so that an update from ticketing can refer to the state that its author saw.
"""

import hashlib
from typing import Final

from msgspec import Struct

from rules.alerts import Amount
from schemas.alert import MAX_EVIDENCE, Alert, Money
from schemas.base import PAGING, SEVERITIES, Category, RootCause, Severity
from schemas.incident import MAX_ALERT_IDS, IncidentStatus, Resolution

MAX_TRANSACTIONS: Final = 1000
"""Distinct transactions kept per incident; beyond that it is truncated."""


class CitedRecord(Struct, array_like=True, frozen=True, gc=False):
    """The address of a record that is evidence of an alert of the incident."""

    topic: str
    partition: int
    offset: int
    event_id: str
    role: str


class IncidentState(Struct, array_like=True):
    """The newest incident of one dedup_key; times are event times in milliseconds."""

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
    """The alert_ids of its members."""
    total: int = 0
    cured: int = 0
    retracted: int = 0
    expired: int = 0
    transactions: set[str] = set()
    amounts: list[Amount] = []
    evidence: list[CitedRecord] = []
    evidence_total: int = 0
    suspected_root_cause: RootCause = "unknown"
    resolved_at: int | None = None
    resolution: Resolution | None = None
    previous_incident_id: str | None = None
    last_change: str = "opened"
    alert_ids: list[str] = []
    """The alerts that ever joined, at most MAX_ALERT_IDS: the first and the newest."""
    truncated: bool = False
    """Whether transactions or amounts are not all that its alerts are about."""
    counted: int = 0
    """How many findings an overflow alert among its alerts counts."""


def renewed(state: IncidentState) -> IncidentState:
    """Return a saved state with `alert_ids`, which releases before did not keep.

    Of the alerts that joined before, the members are still known. Changes the state in place.
    """
    if not state.alert_ids:
        _list_alerts(state, state.members)
    return state


def apply(
    state: IncidentState | None, alert: Alert, now: int, account_token: str | None
) -> IncidentState | None:
    """Return the state after an alert record; None if the record changes nothing.

    Args:
        state: the newest incident of the alert's dedup_key, changed in place; None if none.
        alert: the record as detect published it.
        now: the order time of triage, in milliseconds.
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
        _change_member(state, alert, now)
    state.revision += 1
    state.updated_at = now
    state.first_event_at = min(state.first_event_at, alert.first_event_at)
    state.last_event_at = max(state.last_event_at, alert.last_event_at)
    if alert.counted is not None:
        _take_counts(state, alert, alert.counted)
    _add_evidence(state, alert)
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
    """Return the id of the incident that this alert opens: 32 hex digits.

    It needs no key: the alert_id is made with one, and the record has both.
    """
    return hashlib.sha256(f"{dedup_key}\0{alert_id}".encode()).hexdigest()[:32]


def _join(state: IncidentState, alert: Alert) -> None:
    state.members.append(alert.alert_id)
    state.total += 1
    _list_alerts(state, [alert.alert_id])
    if alert.rule not in state.rules:
        state.rules.append(alert.rule)
    for transaction in alert.transaction_ids:
        if len(state.transactions) < MAX_TRANSACTIONS or transaction in state.transactions:
            state.transactions.add(transaction)
        else:
            state.truncated = True
    for money in alert.amount_at_stake:
        _add_amount(state.amounts, money)
    _raise_severity(state, alert.severity)


def _take_counts(state: IncidentState, alert: Alert, counted: int) -> None:
    """Take over what an overflow alert counts: it alone is in its incident.

    Its amounts are sums over findings of which one transaction may have several.
    """
    state.counted, state.truncated = counted, True
    state.amounts = [
        Amount(money.currency, money.minor_units, money.exponent) for money in alert.amount_at_stake
    ]
    _raise_severity(state, alert.severity)


def _list_alerts(state: IncidentState, alert_ids: list[str]) -> None:
    state.alert_ids += alert_ids
    if len(state.alert_ids) > MAX_ALERT_IDS:
        del state.alert_ids[1 : len(state.alert_ids) - MAX_ALERT_IDS + 1]


def _add_amount(amounts: list[Amount], money: Money) -> None:
    for index, amount in enumerate(amounts):
        if amount.currency == money.currency:
            total = amount.minor + money.minor_units
            amounts[index] = Amount(amount.currency, total, amount.exponent)
            return
    amounts.append(Amount(money.currency, money.minor_units, money.exponent))


def _change_member(state: IncidentState, alert: Alert, now: int) -> None:
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


def end_forgotten(state: IncidentState, now: int) -> IncidentState:
    """Return an unresolved incident as it ends when its account is forgotten: its alerts expire.

    It cites no records any more. Changes the state in place.
    """
    state.expired += len(state.members)
    state.members, state.evidence = [], []
    state.last_change = "alert_expired"
    state.revision += 1
    state.updated_at = now
    _resolve(state, now)
    return state


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


def _add_evidence(state: IncidentState, alert: Alert) -> None:
    """Cite what the alert rests on, each record once as far as it is still kept."""
    known = {(each.topic, each.partition, each.offset) for each in state.evidence}
    new = [
        CitedRecord(item.topic, item.partition, item.offset, item.event_id, item.role)
        for item in alert.evidence
        if (item.topic, item.partition, item.offset) not in known
    ]
    state.evidence += new
    state.evidence_total += alert.evidence_total - (len(alert.evidence) - len(new))
    if len(state.evidence) > MAX_EVIDENCE:
        del state.evidence[1 : len(state.evidence) - MAX_EVIDENCE + 1]
