"""What rules ask for, and doing it: alerts, timers, counts. Pure.

A rule only collects; what it collected is applied when it has returned. So one that raises leaves
nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from rules.contract import SHADOW, AnyRule, Draft, Effects, OpenAlert
from rules.events import Event, Kind, Ref
from rules.facts import Quote
from rules.marks import Marks
from schemas.alert import AlertKind
from worker.detect.account import Account
from worker.detect.alerts import Change, Cited, Publisher
from worker.detect.rare_events import RareEvents
from worker.engine.context import Turn
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import NotJudged
from worker.engine.reorder import EVENT, OCCURRED, OFFSET, ORDER, RECORD, SOURCE, Entry

ENGINE: Final = ""
"""Owner of the engine's own timers."""
EXPIRE: Final = "alerts"


class Collector(Effects):
    """The effects of one call; finds address and open alerts only when a rule asks for them."""

    __slots__ = ("_account", "_address", "_own_due", "code", "entry", "tallies")

    def __init__(self, marks: Marks) -> None:
        self.actions = []
        self.code = ""
        self.marks = marks
        self.tallies: list[tuple[str, str]] = []
        """(cause, measure) of what the rules for this event want counted."""

    def begin(self, now: int, account: Account, entry: Entry | None, own_due: int | None) -> None:
        """Begin with an event (entry) or a timer (own_due)."""
        self.now = now
        self._account = account
        self.entry = entry
        self._own_due = own_due
        self._address: Ref | None = None

    @property
    def is_late(self) -> bool:
        """Whether the call is about an event that came late."""
        entry = self.entry
        return entry is not None and entry[ORDER] > entry[OCCURRED]

    @property
    def ref(self) -> Ref:
        address, entry = self._address, self.entry
        if address is None:
            assert entry is not None, "a timer has no event"
            checksum = crc32(entry[RECORD].value or b"")
            event_id = entry[EVENT].event_id
            address = Ref(entry[SOURCE], entry[OFFSET], event_id, entry[OCCURRED], checksum)
            self._address = address
        return address

    def open_alerts(self) -> Sequence[OpenAlert]:
        if not self._account.alerts:
            return ()
        # One that an older release raised without facts cannot be judged again: it expires.
        return [a for a in self._account.alerts if a.rule == self.code and a.facts]

    def tally(self, cause: str, measure: str) -> None:
        if not self.code.endswith(SHADOW):
            self.tallies.append((cause, measure))

    def set_timer(self, name: str, due: int, awaits: Sequence[Kind] = ()) -> None:
        if self._own_due is not None and due <= self._own_due:
            raise ValueError("a timer may not set itself at or before its own due")
        super().set_timer(name, due, awaits)


class Applier:
    """Applies what a collector holds to an account.

    Args:
        known: all rules by state code; alerts of one that was switched off still expire.
        max_open: milliseconds after which an open alert expires.
    """

    def __init__(
        self,
        fx: Collector,
        known: Mapping[str, AnyRule],
        publisher: Publisher,
        rare_events: RareEvents,
        max_open: int,
    ) -> None:
        self._fx = fx
        self._known = known
        self._publisher = publisher
        self._rare_events = rare_events
        self._max_open = max_open
        self.watch: Callable[[AnyRule, Sequence[tuple[Any, ...]]], None] | None = None
        """Is shown what each call asked for, before it is done."""
        self._do: dict[str, Callable[..., None]] = {
            "alert": self._do_alert,
            "update": self._do_update,
            "settle": self._do_settle,
            "lapse": self._do_lapse,
            "expire": self._do_expire,
            "set_timer": self._do_set_timer,
            "cancel_timer": self._do_cancel_timer,
            "count": self._do_count,
            "signal": self._do_signal,
        }

    def apply(self, rule: AnyRule, live: Account, turn: Turn) -> None:
        """Do what the rule asked for in its last call."""
        actions = self._fx.actions
        if self.watch is not None:
            self.watch(rule, actions)
        for action in actions:
            self._do[action[0]](rule, live, turn, *action[1:])
        actions.clear()

    def expire_old(self, live: Account, now: int, turn: Turn) -> None:
        """Close the alerts that have been open for too long."""
        for alert in [alert for alert in live.alerts if alert.raised_at <= now - self._max_open]:
            self._close(live, alert, Change("expired"), turn)
        self.set_expiry(live, turn)

    def set_expiry(self, live: Account, turn: Turn) -> None:
        """Let the engine come back when the oldest open alert has been open for too long."""
        turn.cancel_timer(live, ENGINE, EXPIRE)
        if live.alerts:
            due = min(alert.raised_at for alert in live.alerts) + self._max_open
            turn.set_timer(live, Timer(due, ENGINE, EXPIRE))

    def _do_alert(self, rule: AnyRule, live: Account, turn: Turn, draft: Draft) -> None:
        if _open(rule, live, draft.anchor) is not None:
            return
        verdict = rule.judge(rule.Facts.of_quotes(draft.facts))
        if verdict is None:
            return
        alert = self._publisher.opened(rule, draft, verdict, live.alerts, turn)
        live.alerts.append(alert)
        change = Change("raised", draft.evidence, self._fx.is_late, verdict)
        self._publisher.publish(rule, alert, change, turn)
        self.set_expiry(live, turn)

    def _do_update(
        self,
        rule: AnyRule,
        live: Account,
        turn: Turn,
        which: OpenAlert | str,
        facts: Sequence[Quote],
        evidence: Cited,
    ) -> None:
        alert = _open(rule, live, which)
        if alert is None:
            return
        added = {name for name, _, _ in facts}
        together = [fact for fact in alert.facts if fact[0] not in added] + list(facts)
        before = rule.judge(rule.Facts.of_quotes(alert.facts))
        verdict = rule.judge(rule.Facts.of_quotes(together))
        if verdict is None or verdict == before:
            return
        alert.facts, alert.severity, alert.title = together, verdict.severity, verdict.title
        alert.amount_at_stake = list(verdict.amount_at_stake)
        change = Change("updated", evidence, self._fx.is_late, verdict)
        self._publisher.publish(rule, alert, change, turn)

    def _do_settle(
        self,
        rule: AnyRule,
        live: Account,
        turn: Turn,
        which: OpenAlert | str,
        ref: Ref,
        role: str,
    ) -> None:
        alert = _open(rule, live, which)
        if alert is not None:
            kind: AlertKind = "cured" if ref.occurred_at > alert.at else "retracted"
            self._close(live, alert, Change(kind, [(ref, role)], self._fx.is_late), turn)

    def _do_lapse(self, rule: AnyRule, live: Account, turn: Turn, alert: OpenAlert) -> None:
        self._close(live, alert, Change("cured"), turn)

    def _do_expire(self, rule: AnyRule, live: Account, turn: Turn, alert: OpenAlert) -> None:
        self._close(live, alert, Change("expired"), turn)

    def _close(self, live: Account, alert: OpenAlert, change: Change, turn: Turn) -> None:
        if alert in live.alerts:
            live.alerts.remove(alert)
            self._publisher.publish(self._known[alert.rule], alert, change, turn)

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
        turn.set_timer(live, Timer(due, rule.state_code, name, bits))

    def _do_cancel_timer(self, rule: AnyRule, live: Account, turn: Turn, name: str) -> None:
        turn.cancel_timer(live, rule.state_code, name)

    def _do_count(self, rule: AnyRule, live: Account, turn: Turn, reason: str) -> None:
        if rule.mode == "live":
            turn.outbox.counts[NotJudged(rule.id, reason)] += 1

    def _do_signal(
        self, rule: AnyRule, live: Account, turn: Turn, measure: str, event: Event
    ) -> None:
        if rule.mode == "live":
            self._rare_events.publish(measure, event, turn)


def _open(rule: AnyRule, live: Account, which: OpenAlert | str) -> OpenAlert | None:
    for alert in live.alerts:
        if alert == which or (alert.anchor == which and alert.rule == rule.state_code):
            return alert
    return None
