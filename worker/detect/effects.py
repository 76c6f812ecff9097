"""Doing what rules have asked for: alerts, timers, counts. Pure.

A rule only asks; what it asked for is applied when it has returned. So one that raises leaves
nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never
from zlib import crc32

from rules.alerts import Draft, OpenAlert
from rules.contract import AnyRule
from rules.effects import (
    CancelTimer,
    CountReason,
    Effect,
    Effects,
    ExpireAlert,
    LapseAlert,
    RaiseAlert,
    SendSignal,
    SetTimer,
    SettleAlert,
    UpdateAlert,
)
from rules.events import Ref
from schemas.alert import AlertKind
from worker.detect.account import Account
from worker.detect.alerts import Change, Publisher
from worker.detect.kept_alerts import KeptAlerts
from worker.detect.overflow import ENGINE, Overflows
from worker.detect.rare_events import RareEvents
from worker.engine.context import Context
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import NotJudged
from worker.engine.reorder import EVENT, OCCURRED, OFFSET, ORDER, RECORD, SOURCE, Entry

EXPIRE: Final = "alerts"
MAX_TIMERS: Final = 4_096
"""Timers of an account: far more than rules set that bound what they wait for."""


def address_of(entry: Entry) -> Ref:
    """Return the address of an event, with the checksum of its record's bytes."""
    checksum = crc32(entry[RECORD].value or b"")
    return Ref(entry[SOURCE], entry[OFFSET], entry[EVENT].event_id, entry[OCCURRED], checksum)


class Applier:
    """Applies what a rule has asked for to an account.

    Args:
        fx: what the rules of the task ask with.
        known: all rules by state code; alerts of one that was switched off still expire.
        max_open: milliseconds after which an open alert expires; None: none does.
    """

    def __init__(
        self,
        fx: Effects,
        known: Mapping[str, AnyRule],
        publisher: Publisher,
        rare_events: RareEvents,
        overflows: Overflows,
        max_open: int | None,
    ) -> None:
        self._fx = fx
        self._known = known
        self._publisher = publisher
        self._rare_events = rare_events
        self._overflows = overflows
        self._max_open = max_open
        self.watch: Callable[[AnyRule, Sequence[Effect]], None] | None = None
        """Is shown what each call asked for, before it is done."""

    def apply(self, rule: AnyRule, live: Account, context: Context) -> None:
        """Do what the rule asked for in its last call."""
        asked = self._fx.asked
        if self.watch is not None:
            self.watch(rule, asked)
        for effect in asked:
            self._do(effect, rule, live, context)
        asked.clear()

    def _do(self, effect: Effect, rule: AnyRule, live: Account, context: Context) -> None:
        match effect:  # the frequent ones first
            case SetTimer():
                self._set_timer(effect, rule, live, context)
            case CancelTimer(name):
                context.cancel_timer(live, rule.state_code, name)
            case CountReason(reason):
                if rule.mode == "live":
                    context.outbox.counts[NotJudged(rule.id, reason)] += 1
            case SendSignal(measure, event):
                if rule.mode == "live":
                    self._rare_events.publish(measure, event, context)
            case RaiseAlert(draft):
                self._raise(draft, rule, live, context)
            case UpdateAlert():
                self._update(effect, rule, live, context)
            case SettleAlert():
                self._settle(effect, rule, live, context)
            case LapseAlert(alert):
                self._end(rule, live, alert, "cured", context)
            case ExpireAlert(alert):
                self._end(rule, live, alert, "expired", context)
            case _:
                assert_never(effect)

    def _set_timer(self, effect: SetTimer, rule: AnyRule, live: Account, context: Context) -> None:
        if effect.alert is not None and _open(rule, live, effect.alert) is None:
            return
        bits = sum(1 << kind for kind in effect.awaits)
        context.set_timer(live, Timer(effect.due, rule.state_code, effect.name, bits))
        if len(live.timers) > MAX_TIMERS:
            raise ValueError("an account has more timers than it may have")

    def expire_old(self, live: Account, now: int, context: Context) -> None:
        """Close the alerts that have been open for too long."""
        if self._max_open is not None:
            until = now - self._max_open
            for code, kept in sorted(live.alerts.items()):
                for alert in kept.raised_until(until):
                    self._close(live, alert, Change("expired"), context)
                if kept.overflow is not None and kept.overflow.alert.raised_at <= until:
                    self._overflows.close(self._known[code], live, Change("expired"), context)
        self.set_expiry(live, context)

    def set_expiry(self, live: Account, context: Context) -> None:
        """Let the engine come back when the oldest open alert has been open for too long."""
        context.cancel_timer(live, ENGINE, EXPIRE)
        raised = [kept.oldest for kept in live.alerts.values()]
        if raised and self._max_open is not None:
            context.set_timer(live, Timer(min(raised) + self._max_open, ENGINE, EXPIRE))

    def _raise(self, draft: Draft, rule: AnyRule, live: Account, context: Context) -> None:
        kept = live.alerts.get(rule.state_code)
        if kept is not None and kept.find(draft.anchor) is not None:
            return
        verdict = rule.judge(rule.Facts.of_quotes(draft.facts))
        if verdict is None:
            return
        late = _is_late(self._fx.entry)
        if self._overflows.is_full(kept):
            self._overflows.count(rule, draft, verdict, late, live, context)
            return
        key = self._publisher.dedup_key(rule, draft, live.alerts, context)
        alert = self._publisher.opened(rule, draft, verdict, key, context)
        change = Change("raised", draft.evidence, late, verdict)
        self._publisher.publish(rule, alert, change, context)
        live.alerts.setdefault(rule.state_code, KeptAlerts()).add(alert)
        self.set_expiry(live, context)

    def _update(self, effect: UpdateAlert, rule: AnyRule, live: Account, context: Context) -> None:
        alert = _open(rule, live, effect.alert)
        if alert is None:
            return
        added = {name for name, _, _ in effect.facts}
        together = [fact for fact in alert.facts if fact[0] not in added] + list(effect.facts)
        before = rule.judge(rule.Facts.of_quotes(alert.facts))
        verdict = rule.judge(rule.Facts.of_quotes(together))
        if verdict is None or verdict == before:
            return
        alert.facts, alert.severity, alert.title = together, verdict.severity, verdict.title
        alert.amount_at_stake = list(verdict.amount_at_stake)
        change = Change("updated", effect.evidence, _is_late(self._fx.entry), verdict)
        self._publisher.publish(rule, alert, change, context)
        live.alerts[rule.state_code].replace(alert)

    def _settle(self, effect: SettleAlert, rule: AnyRule, live: Account, context: Context) -> None:
        found = _open(rule, live, effect.alert)
        if found is not None:
            ref = effect.ref
            kind: AlertKind = "cured" if ref.occurred_at > found.at else "retracted"
            change = Change(kind, [(ref, effect.role)], _is_late(self._fx.entry))
            self._close(live, found, change, context)

    def _end(
        self, rule: AnyRule, live: Account, alert: OpenAlert, kind: AlertKind, context: Context
    ) -> None:
        found = _open(rule, live, alert)
        if found is not None:
            self._close(live, found, Change(kind), context)

    def _close(self, live: Account, alert: OpenAlert, change: Change, context: Context) -> None:
        code = alert.rule
        live.alerts[code].remove(alert)
        live.drop_if_empty(code)
        self._publisher.publish(self._known[code], alert, change, context)
        self._overflows.note_closing(live, code, context)


def _is_late(entry: Entry | None) -> bool:
    """Say whether the call is about an event that came late."""
    return entry is not None and entry[ORDER] > entry[OCCURRED]


def _open(rule: AnyRule, live: Account, which: OpenAlert | str) -> OpenAlert | None:
    """Return an open alert of the rule, by its anchor; None if it is not open."""
    kept = live.alerts.get(rule.state_code)
    anchor = which if isinstance(which, str) else which.anchor
    return None if kept is None else kept.find(anchor)
