"""From what a rule asked for to the alert records that are published. Pure.

An alert keeps the cause and dedup_key of its raising for life. Its id is a hash of rule, account
and anchor: the same history gives the same ids everywhere.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from rules.contract import Amount, Draft, OpenAlert, Rule
from rules.events import Ref
from schemas.alert import MAX_EVIDENCE, MAX_TRANSACTIONS, Alert, AlertKind, Evidence, Fact, Money
from schemas.base import RootCause
from schemas.signal import Signal
from schemas.topics import ALERTS, SIGNALS
from worker.logs.port import NewRecord
from worker.tokens import Tokens
from worker.turn import Turn

_ID_DIGITS: Final = 32
Cited = Sequence[tuple[Ref, str]]


def derived_id(*parts: str) -> str:
    """Return 32 hex digits that depend on the parts alone."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_ID_DIGITS]


class Change(Struct):
    """One step in an alert's life, before it becomes a record."""

    kind: AlertKind
    evidence: Cited
    late: bool
    facts: Sequence[tuple[str, str | int | bool | None, Ref | None]] = ()
    details: dict[str, Any] = {}
    root_cause: RootCause = "unknown"
    advice: Sequence[str] = ()


class Publisher:
    """Makes alert records of one stage."""

    def __init__(self, topics: Sequence[str], tokens: Tokens) -> None:
        self._topics = topics
        self._tokens = tokens
        self._parameters: dict[str, dict[str, Any]] = {}

    def opened(self, rule: Rule[Any, Any], account: str, draft: Draft, turn: Turn) -> OpenAlert:
        """Return what the engine has to remember of a new alert."""
        kind, subject = (
            ("account", account) if draft.subject is None else ("transaction", draft.subject)
        )
        owner = draft.dedup_rule or rule.id
        times = [ref.occurred_at for ref, _ in draft.evidence] or [draft.at]
        return OpenAlert(
            rule=rule.code,
            anchor=draft.anchor,
            at=draft.at,
            severity=draft.severity,
            sequence=0,
            alert_id=derived_id(rule.id, account, draft.anchor),
            cause=draft.cause,
            dedup_key=f"{owner}:{kind}:{self._tokens.of(subject)}",
            title=draft.title,
            raised_at=turn.now,
            first_event_at=min(times),
            last_event_at=max(times),
            match=list(draft.match),
            transaction_ids=list(draft.transaction_ids[:MAX_TRANSACTIONS]),
            provider=draft.provider,
            amount_at_stake=list(draft.amount_at_stake),
            rule_version=rule.version,
        )

    def publish(
        self, rule: Rule[Any, Any], account: str, alert: OpenAlert, change: Change, turn: Turn
    ) -> None:
        """Write one more record of an alert, for the world and for triage."""
        alert.sequence += 1
        for ref, _ in change.evidence:
            alert.first_event_at = min(alert.first_event_at, ref.occurred_at)
            alert.last_event_at = max(alert.last_event_at, ref.occurred_at)
        origin, sequence = f"detect-{turn.task}", turn.next_signal()
        record = Alert(
            alert_id=alert.alert_id,
            kind=change.kind,
            sequence=alert.sequence,
            rule=rule.id,
            rule_version=rule.version,
            mode="live",
            category=rule.category,
            severity=alert.severity,
            title=alert.title,
            cause=alert.cause,
            dedup_key=alert.dedup_key,
            account_id=account,
            transaction_ids=tuple(alert.transaction_ids),
            provider=alert.provider,
            amount_at_stake=tuple(map(_money, alert.amount_at_stake)),
            at=alert.at,
            first_event_at=alert.first_event_at,
            last_event_at=alert.last_event_at,
            detected_at=turn.now,
            published_at=turn.published_at,
            late=change.late,
            evidence=tuple(self._evidence(change.evidence, turn.task)),
            evidence_total=len(change.evidence),
            facts=tuple(self._fact(fact, turn.task) for fact in change.facts),
            parameters=self._parameters_of(rule),
            details=change.details,
            suspected_root_cause=change.root_cause,
            owner_advice=tuple(change.advice),
            origin=origin,
            origin_sequence=sequence,
        )
        send(record, turn)

    def _parameters_of(self, rule: Rule[Any, Any]) -> dict[str, Any]:
        if rule.id not in self._parameters:
            self._parameters[rule.id] = rule.params.model_dump(mode="json")
        return self._parameters[rule.id]

    def _evidence(self, cited: Cited, partition: int) -> list[Evidence]:
        if len(cited) > MAX_EVIDENCE:
            cited = [cited[0], *cited[1 - MAX_EVIDENCE :]]
        return [
            Evidence(
                topic=self._topics[ref.kind],
                partition=partition,
                offset=ref.offset,
                event_id=ref.event_id,
                role=role,
            )
            for ref, role in cited
        ]

    def _fact(self, fact: tuple[str, Any, Ref | None], partition: int) -> Fact:
        name, value, ref = fact
        if ref is None:
            return Fact(name=name, value=value)
        return Fact(
            name=name,
            value=value,
            topic=self._topics[ref.kind],
            partition=partition,
            offset=ref.offset,
            event_id=ref.event_id,
        )


def send(alert: Alert, turn: Turn) -> None:
    """Publish an alert and the signal that carries it to triage."""
    signal = Signal(
        kind="alert",
        detected_at=alert.detected_at,
        origin=alert.origin,
        origin_sequence=alert.origin_sequence,
        body=alert,
    )
    key = alert.cause.encode()
    turn.outbox.counts["alert", alert.rule, alert.kind, alert.severity] += 1
    turn.outbox.records.append(
        NewRecord(ALERTS, key, alert.model_dump_json(exclude_none=True).encode())
    )
    turn.outbox.records.append(
        NewRecord(SIGNALS, key, signal.model_dump_json(exclude_none=True).encode())
    )


def _money(amount: Amount) -> Money:
    return Money(currency=amount.currency, minor_units=amount.minor, exponent=amount.exponent)
