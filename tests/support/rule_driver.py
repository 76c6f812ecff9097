"""A tiny engine for unit tests of one rule: accounts, facts, timers and alerts, in plain lists.

Times are given by the events. Events are handled in the order given; `late=True` gives one to the
late handlers. States are saved and restored as bytes around each call.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.contract import AnyRule, Draft, Effects, OpenAlert, Verdict
from rules.events import BALANCE, LOGIN, TRANSACTION, Event, Ref
from rules.facts import Quote, Values
from rules.profile import Profile, update_profile
from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Control, Limits

KINDS = {"transaction": TRANSACTION, "login": LOGIN, "balance": BALANCE}
HANDLERS = {TRANSACTION: "transaction", LOGIN: "login", BALANCE: "balance"}
_CODECS = {kind: Codec(kind, Limits()) for kind in KINDS.values()}


@dataclass
class Account:
    """What is kept of one account between two calls."""

    state: bytes
    profile: Profile = field(default_factory=Profile)
    alerts: list[OpenAlert] = field(default_factory=list)
    timers: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)


def decode(wire: dict[str, Any]) -> tuple[int, Event]:
    """Return kind and event of a wire record, which must be valid."""
    kind = KINDS[wire["kind"]]
    event = _CODECS[kind].decode(json.dumps(wire).encode())
    assert not isinstance(event, BadRecord | Control), event
    return kind, event


@dataclass
class Raised:
    """An alert as it was raised: what the rule drafted, and what it judged."""

    draft: Draft
    verdict: Verdict

    def __getattr__(self, name: str) -> Any:
        """Read a field of either."""
        return getattr(self.verdict if hasattr(self.verdict, name) else self.draft, name)


class Driver:
    """Runs one rule. `log` holds (kind and severity, what); `counts` what was counted."""

    def __init__(self, rule: type[AnyRule], **params: Any) -> None:
        self.rule = rule(rule.Params(**params))
        self.accounts: dict[str, Account] = {}
        self.log: list[tuple[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.tallies: Counter[tuple[str, str]] = Counter()
        self.signals: list[tuple[str, Event]] = []
        self.judged: list[Values] = []
        """The facts of everything raised or updated."""
        self.now = 0
        self._offset = 0

    @property
    def steps(self) -> list[str]:
        """What was published: "raised error", ..."""
        return [step for step, _ in self.log]

    @property
    def drafts(self) -> list[Raised]:
        """The alerts raised."""
        return [found for step, found in self.log if step.startswith("raised")]

    def state(self, account: str = "acc-1") -> Any:
        """Return the rule's state of an account."""
        return msgspec.msgpack.decode(self.accounts[account].state, type=self.rule.State)

    def run(self, events: Iterable[dict[str, Any]]) -> "Driver":
        """Handle wire records in order of time, then pass one millisecond more."""
        for event in sorted(events, key=lambda wire: str(wire["occurred_at"])):
            self.give(event)
        self.pass_time(self.now + 2)
        return self

    def give(self, wire: dict[str, Any], late: bool = False) -> "Driver":
        """Handle one wire record."""
        return self.handle(*decode(wire), late=late)

    def handle(self, kind: int, event: Event, late: bool = False) -> "Driver":
        """Handle one event."""
        if not late:
            self.pass_time(event.occurred_at)
            self.now = event.occurred_at
        self._offset += 1
        account = self._account(event.account_id)
        ref = Ref(kind, self._offset, event.event_id, event.occurred_at)
        update_profile(account.profile, event, Effects(self.now, ref, ()), late)
        self._call(account, ref, ("late_" if late else "on_") + HANDLERS[kind], event)
        return self

    def pass_time(self, until: int) -> None:
        """Fire what is due before `until`, in order of (due, account, name)."""
        while True:
            due = [
                (timer[0], name, timer_name)
                for name, account in self.accounts.items()
                for timer_name, timer in account.timers.items()
                if timer[0] < until
            ]
            if not due:
                return
            time, name, timer_name = min(due)
            account = self.accounts[name]
            del account.timers[timer_name]
            self.now = max(self.now, time)
            self._call(account, None, "on_timer", timer_name, time)

    def _account(self, name: str) -> Account:
        if name not in self.accounts:
            self.accounts[name] = Account(msgspec.msgpack.encode(self.rule.State()))
        return self.accounts[name]

    def _call(self, account: Account, ref: Ref | None, handler: str, *what: Any) -> None:
        state = msgspec.msgpack.decode(account.state, type=self.rule.State)
        fx = Effects(self.now, ref, list(account.alerts))
        getattr(self.rule, handler)(state, *what, account.profile, fx)
        account.state = msgspec.msgpack.encode(state)
        for action, *details in fx.actions:
            getattr(self, f"_{action}")(account, *details)

    def _alert(self, account: Account, draft: Draft) -> None:
        # The engine would ignore it; a rule that asks for it has lost count.
        assert all(alert.anchor != draft.anchor for alert in account.alerts)
        verdict = self._judge(draft.facts)
        if verdict is None:
            return
        cited = {ref for ref, _ in draft.evidence}
        assert {ref for _, _, ref in draft.facts if ref is not None} <= cited
        account.alerts.append(
            OpenAlert(
                rule=self.rule.code,
                anchor=draft.anchor,
                at=verdict.at,
                severity=verdict.severity,
                sequence=1,
                alert_id=draft.anchor,
                cause=draft.cause,
                dedup_key=draft.dedup_rule or self.rule.id,
                title=verdict.title,
                raised_at=self.now,
                first_event_at=verdict.at,
                last_event_at=verdict.at,
                facts=list(draft.facts),
                transaction_ids=list(draft.transaction_ids),
            )
        )
        self.log.append((f"raised {verdict.severity}", Raised(draft, verdict)))

    def _judge(self, facts: Sequence[Quote]) -> Verdict | None:
        values = {name: value for name, value, _ in facts}
        assert len(values) == len(facts), "each fact is quoted once"
        verdict = self.rule.judge(self.rule.Facts.of(values))
        if verdict is not None:
            assert 1 <= len(verdict.title) <= 130
            self.judged.append(values)
        return verdict

    def _update(
        self, account: Account, which: OpenAlert | str, facts: Sequence[Quote], evidence: Any
    ) -> None:
        alert = next(a for a in account.alerts if which in (a, a.anchor))
        before = self._judge(alert.facts)
        added = {name for name, _, _ in facts}
        alert.facts = [fact for fact in alert.facts if fact[0] not in added] + list(facts)
        verdict = self._judge(alert.facts)
        if verdict is not None and verdict != before:
            alert.severity, alert.title = verdict.severity, verdict.title
            self.log.append((f"updated {alert.severity}", alert))

    def _settle(self, account: Account, which: OpenAlert | str, ref: Ref, role: str) -> None:
        alert = next(a for a in account.alerts if which in (a, a.anchor))
        account.alerts.remove(alert)
        kind = "cured" if ref.occurred_at > alert.at else "retracted"
        self.log.append((f"{kind} {alert.severity}", alert))

    def _lapse(self, account: Account, alert: OpenAlert) -> None:
        account.alerts.remove(alert)
        self.log.append((f"cured {alert.severity}", alert))

    def _expire(self, account: Account, alert: OpenAlert) -> None:
        account.alerts.remove(alert)
        self.log.append((f"expired {alert.severity}", alert))

    def _set_timer(self, account: Account, name: str, due: int, awaits: tuple[int, ...]) -> None:
        account.timers[name] = (due, awaits)

    def _cancel_timer(self, account: Account, name: str) -> None:
        account.timers.pop(name, None)

    def _count(self, account: Account, reason: str) -> None:
        self.counts[reason] += 1

    def _signal(self, account: Account, measure: str, event: Event) -> None:
        self.signals.append((measure, event))

    def _tally(self, account: Account, cause: str, measure: str) -> None:
        self.tallies[cause, measure] += 1
