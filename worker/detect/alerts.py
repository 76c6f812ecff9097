"""From what a rule asked for to the alert records that are published. Pure.

An alert keeps the cause and dedup_key of its raising for life. Its id is a hash of rule, account
and anchor, made with the id key of the task: the same history and key give the same ids everywhere,
and without the key an id does not show whether it is of an account.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from rules.alerts import ACCOUNT_CAUSE, SHADOW, Amount, Draft, OpenAlert, Verdict
from rules.contract import AnyRule
from rules.events import Ref
from rules.facts import Quote
from schemas.alert import MAX_EVIDENCE, MAX_TRANSACTIONS, Alert, AlertKind, Evidence, Fact, Money
from schemas.topics import ALERTS, ALERTS_SHADOW, SIGNALS
from worker.detect.kept_alerts import KeptAlerts
from worker.detect.seal import sealed
from worker.detect.signals import signal_of
from worker.engine.context import Context
from worker.engine.outcomes import AlertPublished, ShadowAlertPublished
from worker.engine.records import NewRecord
from worker.tokens import Tokens

_ID_DIGITS: Final = 32
Cited = Sequence[tuple[Ref, str]]


def derived_id(key: bytes, *parts: str) -> str:
    """Return 32 hex digits that depend on the key and the parts alone.

    An empty key gives what can be made without any, as releases before made all ids.
    """
    text = "\0".join(parts).encode()
    digest = hmac.digest(key, text, "sha256") if key else hashlib.sha256(text).digest()
    return digest.hex()[:_ID_DIGITS]


class Change(Struct):
    """One step in an alert's life, before it becomes a record."""

    kind: AlertKind
    evidence: Cited = ()
    late: bool = False
    verdict: Verdict | None = None
    """What was judged anew; None: nothing was."""
    counted: int | None = None
    """How many further ones an overflow alert counts; None: of an ordinary alert."""


class Publisher:
    """Makes alert records of one stage."""

    def __init__(self, topics: Sequence[str], tokens: Tokens) -> None:
        self._topics = topics
        self._tokens = tokens
        self._parameters: dict[str, dict[str, Any]] = {}

    def opened(
        self,
        rule: AnyRule,
        draft: Draft,
        verdict: Verdict,
        dedup_key: str,
        context: Context,
    ) -> OpenAlert:
        """Return what the engine has to remember of a new alert."""
        account = context.key.decode()
        times = [ref.occurred_at for ref, _ in draft.evidence] or [verdict.at]
        return OpenAlert(
            rule=rule.state_code,
            anchor=draft.anchor,
            at=verdict.at,
            severity=verdict.severity,
            sequence=0,
            alert_id=derived_id(context.id_key, rule.id, account, draft.anchor),
            cause=self._cause(draft.cause, account),
            dedup_key=dedup_key,
            title=verdict.title,
            raised_at=context.now,
            first_event_at=min(times),
            last_event_at=max(times),
            transaction_ids=list(draft.transaction_ids[:MAX_TRANSACTIONS]),
            provider=draft.provider,
            amount_at_stake=list(verdict.amount_at_stake),
            rule_version=rule.version,
            facts=list(draft.facts),
        )

    def _cause(self, cause: str, account: str) -> str:
        return cause + self._tokens.of(account) if cause == ACCOUNT_CAUSE else cause

    def dedup_key(
        self, rule: AnyRule, draft: Draft, others: Mapping[str, KeptAlerts], context: Context
    ) -> str:
        """Name the subject with the present key, or as an alert that is open names it still.

        A transaction is one of its account: its id may repeat in other wallets. Alerts of before
        name the transaction alone.

        Args:
            others: the open alerts of the account, by state code.
        """
        account = context.key.decode()
        what = f"{draft.dedup_rule or rule.id}:{'transaction' if draft.subject else 'account'}:"
        names = (
            [account] if draft.subject is None else [f"{account}\0{draft.subject}", draft.subject]
        )
        keys = [what + token for name in names for token in self._tokens.all_of(name)]
        shadow = rule.mode == "shadow"  # what is in shadow changes nothing that is live
        beside = [kept for code, kept in others.items() if code.endswith(SHADOW) == shadow]
        used = (key for key in keys if any(kept.has_dedup_key(key) for kept in beside))
        return next(used, keys[0])

    def overflow_key(self, rule: AnyRule, context: Context) -> str:
        """Name the incident of what a rule has found beyond the limit of an account."""
        return f"{rule.id}:overflow:{self._tokens.of(context.key.decode())}"

    def publish(self, rule: AnyRule, alert: OpenAlert, change: Change, context: Context) -> None:
        """Write one more record of an alert, for the world and, where it is live, for triage."""
        alert.sequence += 1
        for ref, _ in change.evidence:
            alert.first_event_at = min(alert.first_event_at, ref.occurred_at)
            alert.last_event_at = max(alert.last_event_at, ref.occurred_at)
        verdict = change.verdict
        record = Alert(
            alert_id=alert.alert_id,
            kind=change.kind,
            sequence=alert.sequence,
            rule=rule.id,
            rule_version=alert.rule_version,
            mode=rule.mode,
            category=rule.category,
            severity=alert.severity,
            title=alert.title,
            cause=alert.cause,
            dedup_key=alert.dedup_key,
            account_id=context.key.decode(),
            transaction_ids=tuple(alert.transaction_ids),
            provider=alert.provider,
            amount_at_stake=tuple(map(_money, alert.amount_at_stake)),
            at=alert.at,
            first_event_at=alert.first_event_at,
            last_event_at=alert.last_event_at,
            detected_at=context.now,
            published_at=context.published_at,
            late=change.late,
            evidence=tuple(self._evidence(change.evidence, context.task)),
            evidence_total=len(change.evidence),
            facts=tuple(self._fact(fact, context.task) for fact in alert.facts) if verdict else (),
            parameters=self._parameters_of(rule),
            details=verdict.details if verdict else {},
            suspected_root_cause=verdict.suspected_root_cause if verdict else "unknown",
            owner_advice=tuple(verdict.owner_advice) if verdict else (),
            counted=change.counted,
            origin=context.origin,
            origin_sequence=0,
        )
        send(record, context)

    def _parameters_of(self, rule: AnyRule) -> dict[str, Any]:
        if rule.state_code not in self._parameters:
            self._parameters[rule.state_code] = rule.params.model_dump(mode="json")
        return self._parameters[rule.state_code]

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
                crc32=ref.crc32,
            )
            for ref, role in cited
        ]

    def _fact(self, fact: Quote, partition: int) -> Fact:
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


def send(alert: Alert, context: Context) -> None:
    """Publish an alert, sealed, and the signal that carries it to triage (not of shadow rules)."""
    key, now = alert.cause.encode(), context.now
    context.outbox.counts[_COUNTED[alert.mode](alert.rule, alert.kind, alert.severity)] += 1
    if alert.mode == "shadow":
        context.outbox.outputs.append(NewRecord(ALERTS_SHADOW, key, _encoded(alert)))
        return

    def numbered(sequence: int) -> list[NewRecord]:
        value = _encoded(alert.model_copy(update={"origin_sequence": sequence}))
        signal = signal_of("alert", now, alert.origin, sequence, msgspec.Raw(value))
        return [NewRecord(ALERTS, key, value), NewRecord(SIGNALS, key, signal)]

    context.outbox.outputs.append(numbered)


def _encoded(alert: Alert) -> bytes:
    return sealed(alert.model_dump_json(exclude_none=True).encode())


_COUNTED: Final = {"live": AlertPublished, "shadow": ShadowAlertPublished}


def _money(amount: Amount) -> Money:
    return Money(currency=amount.currency, minor_units=amount.minor, exponent=amount.exponent)
