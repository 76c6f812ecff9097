"""What rules ask for, and doing it: alerts, timers, counts. Pure.

A rule only collects; what it collected is applied when it has returned. So one that raises leaves
nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rules.contract import Draft, Effects, OpenAlert, Rule
from rules.events import Kind, Ref
from schemas.alert import AlertKind
from schemas.base import Severity
from worker.account import Account
from worker.alerts import Change, Cited, Publisher
from worker.merge import EVENT, OCCURRED, OFFSET, ORDER, SOURCE, Entry
from worker.state import Timer
from worker.turn import Turn

ENGINE: Final = ""
"""Owner of the engine's own timers."""
EXPIRE: Final = "alerts"

AnyRule = Rule[Any, Any]


class Collector(Effects):
    """The effects of one call; finds address and open alerts only when a rule asks for them."""

    __slots__ = ("_account", "_own_due", "code", "entry")

    def __init__(self) -> None:
        self.actions = []
        self.code = ""

    def begin(self, now: int, account: Account, entry: Entry | None, own_due: int | None) -> None:
        """Begin with an event (entry) or a timer (own_due)."""
        self.now = now
        self._account = account
        self.entry = entry
        self._own_due = own_due

    @property
    def is_late(self) -> bool:
        """Whether the call is about an event that came late."""
        entry = self.entry
        return entry is not None and entry[ORDER] > entry[OCCURRED]

    @property
    def ref(self) -> Ref:
        entry = self.entry
        assert entry is not None, "a timer has no event"
        return Ref(entry[SOURCE], entry[OFFSET], entry[EVENT].event_id, entry[OCCURRED])

    def open_alerts(self) -> Sequence[OpenAlert]:
        if not self._account.alerts:
            return ()
        return [alert for alert in self._account.alerts if alert.rule == self.code]

    def set_timer(self, name: str, due: int, awaits: Sequence[Kind] = ()) -> None:
        if self._own_due is not None and due <= self._own_due:
            raise ValueError("a timer may not set itself at or before its own due")
        super().set_timer(name, due, awaits)


class Applier:
    """Applies what a collector holds to an account.

    Args:
        known: all rules by code; alerts of one that was switched off still expire.
        max_open: milliseconds after which an open alert expires.
    """

    def __init__(
        self, fx: Collector, known: Mapping[str, AnyRule], publisher: Publisher, max_open: int
    ) -> None:
        self._fx = fx
        self._known = known
        self._publisher = publisher
        self._max_open = max_open
        self._do: dict[str, Callable[..., None]] = {
            "alert": self._do_alert,
            "update": self._do_update,
            "settle": self._do_settle,
            "expire": self._do_expire,
            "set_timer": self._do_set_timer,
            "cancel_timer": self._do_cancel_timer,
            "count": self._do_count,
        }

    def apply(self, rule: AnyRule, live: Account, turn: Turn) -> None:
        """Do what the rule asked for in its last call."""
        actions = self._fx.actions
        for action in actions:
            self._do[action[0]](rule, live, turn, *action[1:])
        actions.clear()

    def expire_old(self, live: Account, now: int, turn: Turn) -> None:
        """Close the alerts that have been open for too long."""
        for alert in [alert for alert in live.alerts if alert.raised_at <= now - self._max_open]:
            self._close(live, alert, Change("expired", (), False), turn)
        self.set_expiry(live, turn)

    def set_expiry(self, live: Account, turn: Turn) -> None:
        """Let the engine come back when the oldest open alert has been open for too long."""
        turn.cancel_timer(live, ENGINE, EXPIRE)
        if live.alerts:
            due = min(alert.raised_at for alert in live.alerts) + self._max_open
            turn.set_timer(live, Timer(due, ENGINE, EXPIRE))

    def _do_alert(self, rule: AnyRule, live: Account, turn: Turn, draft: Draft) -> None:
        if any(a.anchor == draft.anchor and a.rule == rule.code for a in live.alerts):
            return
        alert = self._publisher.opened(rule, turn.key.decode(), draft, turn)
        live.alerts.append(alert)
        change = Change(
            "raised",
            draft.evidence,
            self._fx.is_late,
            draft.facts,
            draft.details,
            draft.suspected_root_cause,
            draft.owner_advice,
        )
        self._publisher.publish(rule, turn.key.decode(), alert, change, turn)
        self.set_expiry(live, turn)

    def _do_update(
        self,
        rule: AnyRule,
        live: Account,
        turn: Turn,
        alert: OpenAlert,
        severity: Severity | None,
        title: str | None,
        evidence: Cited,
        details: dict[str, Any],
    ) -> None:
        if alert not in live.alerts:
            return
        alert.severity = severity or alert.severity
        alert.title = title or alert.title
        change = Change("updated", evidence, self._fx.is_late, details=details)
        self._publisher.publish(rule, turn.key.decode(), alert, change, turn)

    def _do_settle(
        self,
        rule: AnyRule,
        live: Account,
        turn: Turn,
        which: OpenAlert | str,
        ref: Ref,
        role: str,
    ) -> None:
        for alert in live.alerts:
            if alert == which or (alert.anchor == which and alert.rule == rule.code):
                kind: AlertKind = "cured" if ref.occurred_at > alert.at else "retracted"
                self._close(live, alert, Change(kind, [(ref, role)], self._fx.is_late), turn)
                return

    def _do_expire(self, rule: AnyRule, live: Account, turn: Turn, alert: OpenAlert) -> None:
        self._close(live, alert, Change("expired", (), False), turn)

    def _close(self, live: Account, alert: OpenAlert, change: Change, turn: Turn) -> None:
        if alert in live.alerts:
            live.alerts.remove(alert)
            self._publisher.publish(self._known[alert.rule], turn.key.decode(), alert, change, turn)

    def _do_set_timer(
        self,
        rule: AnyRule,
        live: Account,
        turn: Turn,
        name: str,
        due: int,
        awaits: Sequence[Kind],
    ) -> None:
        bits = sum(1 << kind for kind in awaits)
        turn.set_timer(live, Timer(due, rule.code, name, bits))

    def _do_cancel_timer(self, rule: AnyRule, live: Account, turn: Turn, name: str) -> None:
        turn.cancel_timer(live, rule.code, name)

    def _do_count(self, rule: AnyRule, live: Account, turn: Turn, reason: str) -> None:
        turn.outbox.counts["rule", rule.id, reason] += 1
