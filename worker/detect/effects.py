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
from worker.detect.kept_alerts import KeptAlert, kept
from worker.detect.rare_events import RareEvents
from worker.engine.context import Context
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import NotJudged
from worker.engine.reorder import EVENT, OCCURRED, OFFSET, ORDER, RECORD, SOURCE, Entry

ENGINE: Final = ""
"""Owner of the engine's own timers."""
EXPIRE: Final = "alerts"


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
        max_open: int | None,
    ) -> None:
        self._fx = fx
        self._known = known
        self._publisher = publisher
        self._rare_events = rare_events
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
            case SetTimer(name, due, awaits):
                bits = sum(1 << kind for kind in awaits)
                context.set_timer(live, Timer(due, rule.state_code, name, bits))
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

    def expire_old(self, live: Account, now: int, context: Context) -> None:
        """Close the alerts that have been open for too long."""
        if self._max_open is not None:
            oldest = now - self._max_open
            for alert in [alert for alert in live.alerts if alert.raised_at <= oldest]:
                self._close(live, alert, Change("expired"), context)
        self.set_expiry(live, context)

    def set_expiry(self, live: Account, context: Context) -> None:
        """Let the engine come back when the oldest open alert has been open for too long."""
        context.cancel_timer(live, ENGINE, EXPIRE)
        if live.alerts and self._max_open is not None:
            due = live.alerts[0].raised_at + self._max_open
            context.set_timer(live, Timer(due, ENGINE, EXPIRE))

    def _raise(self, draft: Draft, rule: AnyRule, live: Account, context: Context) -> None:
        if _kept(rule, live, draft.anchor) is not None:
            return
        verdict = rule.judge(rule.Facts.of_quotes(draft.facts))
        if verdict is None:
            return
        alert = self._publisher.opened(rule, draft, verdict, live.alerts, context)
        change = Change("raised", draft.evidence, _is_late(self._fx.entry), verdict)
        self._publisher.publish(rule, alert, change, context)
        live.alerts.append(kept(alert))
        self.set_expiry(live, context)

    def _update(self, effect: UpdateAlert, rule: AnyRule, live: Account, context: Context) -> None:
        found = _kept(rule, live, effect.alert)
        if found is None:
            return
        alert = found.decoded()
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
        live.alerts[live.alerts.index(found)] = kept(alert)

    def _settle(self, effect: SettleAlert, rule: AnyRule, live: Account, context: Context) -> None:
        found = _kept(rule, live, effect.alert)
        if found is not None:
            ref, at = effect.ref, found.decoded().at
            kind: AlertKind = "cured" if ref.occurred_at > at else "retracted"
            change = Change(kind, [(ref, effect.role)], _is_late(self._fx.entry))
            self._close(live, found, change, context)

    def _end(
        self, rule: AnyRule, live: Account, alert: OpenAlert, kind: AlertKind, context: Context
    ) -> None:
        found = _kept(rule, live, alert)
        if found is not None:
            self._close(live, found, Change(kind), context)

    def _close(self, live: Account, found: KeptAlert, change: Change, context: Context) -> None:
        live.alerts.remove(found)
        self._publisher.publish(self._known[found.rule], found.decoded(), change, context)


def _is_late(entry: Entry | None) -> bool:
    """Say whether the call is about an event that came late."""
    return entry is not None and entry[ORDER] > entry[OCCURRED]


def _kept(rule: AnyRule, live: Account, which: OpenAlert | str) -> KeptAlert | None:
    """Return an open alert of the rule, by its anchor; None if it is not open."""
    anchor = which if isinstance(which, str) else which.anchor
    for alert in live.alerts:
        if alert.anchor == anchor and alert.rule == rule.state_code:
            return alert
    return None
