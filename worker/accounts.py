"""The handler of detect: one account's recent ids, facts, rule states and open alerts. Pure.

For each event, in this order: recognise a redelivery, or an event too old to tell from one; publish
what is late; update the facts; call the rules. What a rule asks for is applied only after it has
returned, so that one that raises leaves nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from rules.contract import Draft, Effects, OpenAlert, Rule
from rules.events import BALANCE, LOGIN, TRANSACTION, Balance, Event, Kind, Ref, Transaction
from rules.profile import Facts, see_balance, see_transaction
from schemas.alert import AlertKind
from schemas.base import Severity
from worker.alerts import Change, Cited, Publisher
from worker.errors import LogError
from worker.identity import known_as, without_old
from worker.logs.port import TopicPartition
from worker.merge import EVENT, IDENTITY, OCCURRED, OFFSET, ORDER, RECORD, SOURCE, Entry
from worker.packing import Unpacker, packed
from worker.state import Timer, payload_of
from worker.task import RuleFailed, Turn

_ENGINE: Final = ""
"""Owner of the engine's own timers."""
_FORGET_IDS: Final = "ids"
_EXPIRE: Final = "alerts"

_MANY_IDS: Final = 64


class Horizons(Struct, frozen=True):
    """How long the engine remembers, in milliseconds."""

    dedup: int = 24 * 3_600_000
    max_open: int = 7 * 24 * 3_600_000


class Account(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One account, decoded: layout 1 of its record is this as a map, absent where empty.

    Each handler adds one field per rule to it: the rule's code, saved as "code.version", its state
    or None. So another version of one rule leaves the rest of the record as it is.
    """

    ids: bytearray = msgspec.field(default_factory=bytearray, name="i")
    facts: Facts = msgspec.field(default_factory=Facts, name="f")
    alerts: list[OpenAlert] = msgspec.field(default_factory=list, name="a")
    timers: list[Timer] = msgspec.field(default_factory=list, name="t")


def _layout(rules: Sequence[Rule[Any, Any]]) -> type[Account]:
    """Return the record of an account with the states of these rules."""
    fields: list[Any] = [
        (rule.code, rule.State | None, msgspec.field(default=None, name=_saved_name(rule)))
        for rule in rules
    ]
    layout = msgspec.defstruct(
        "Account",
        fields,
        bases=(Account,),
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    return cast(type[Account], layout)


def _saved_name(rule: Rule[Any, Any]) -> str:
    return f"{rule.code}.{rule.version}"


class _Bound:
    """A rule with what the handler needs of it at every call."""

    __slots__ = ("code", "empty", "new", "rule", "unpack")

    def __init__(self, rule: Rule[Any, Any]) -> None:
        self.rule = rule
        self.code = rule.code
        self.new = rule.State
        self.empty = rule.State()
        self.unpack = Unpacker(rule.State)


class _Collector(Effects):
    """The effects of one call; finds address and open alerts only when a rule asks for them."""

    __slots__ = ("_account", "_own_due", "code", "entry")

    def __init__(self) -> None:
        self.actions = []
        self.code = ""

    def begin(self, now: int, account: Account, entry: Entry | None, own_due: int | None) -> None:
        self.now = now
        self._account = account
        self.entry = entry
        self._own_due = own_due

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


_HANDLERS: Final[Mapping[Kind, tuple[str, str]]] = {
    TRANSACTION: ("on_transaction", "late_transaction"),
    LOGIN: ("on_login", "late_login"),
    BALANCE: ("on_balance", "late_balance"),
}

Handle = Callable[[Any, Any, Facts, Effects], None]


class Accounts:
    """Applies the rules to accounts.

    Args:
        rules: those that are live, in the order in which they are called.
        known: all rules there are; alerts of one that was switched off still expire.
    """

    def __init__(
        self,
        rules: Sequence[Rule[Any, Any]],
        known: Sequence[Rule[Any, Any]],
        addresses: Sequence[TopicPartition],
        publisher: Publisher,
        horizons: Horizons,
    ) -> None:
        self._rules = [_Bound(rule) for rule in rules]
        self._by_code = {bound.code: bound for bound in self._rules}
        self._known = {rule.code: rule for rule in known}
        self._new = _layout(known)
        self._unpack = Unpacker(self._new)
        self._addresses = addresses
        self._publisher = publisher
        self._horizons = horizons
        self._on = {kind: self._overriding(names[0]) for kind, names in _HANDLERS.items()}
        self._late = {kind: self._overriding(names[1]) for kind, names in _HANDLERS.items()}
        self._fx = _Collector()
        self._do: dict[str, Callable[..., None]] = {
            "alert": self._do_alert,
            "update": self._do_update,
            "settle": self._do_settle,
            "expire": self._do_expire,
            "set_timer": self._do_set_timer,
            "cancel_timer": self._do_cancel_timer,
            "count": self._do_count,
        }

    def _overriding(self, name: str) -> list[tuple[_Bound, Handle]]:
        """The rules that handle this kind of event: the others are not even called."""
        return [
            (bound, getattr(bound.rule, name))
            for bound in self._rules
            if getattr(type(bound.rule), name) is not getattr(Rule, name)
        ]

    # -- state ----------------------------------------------------------------------------

    def load(self, key: bytes, stored: bytes | None) -> Account:
        """Decode an account.

        Raises:
            LogError: another release has written it.
        """
        if stored is None:
            return self._new()
        try:
            return self._unpack(payload_of(stored))
        except msgspec.MsgspecError as error:
            raise LogError(
                "The saved state of an account cannot be read: another release of walletwatch "
                "has written it. Run that release on this log."
            ) from error

    def dump(self, live: Account) -> bytes:
        """Encode an account; empty when nothing is left to know of it."""
        kept = False
        for bound in self._rules:
            state = getattr(live, bound.code)
            if state is not None:
                if state == bound.empty:
                    setattr(live, bound.code, None)
                else:
                    kept = True
        if not (kept or live.ids or live.alerts or live.timers) and live == self._new():
            return b""
        return packed(live)

    def _state(self, live: Account, bound: _Bound) -> Any:
        state = getattr(live, bound.code)
        if state is None:
            state = bound.new()
            setattr(live, bound.code, state)
        return state

    # -- events ---------------------------------------------------------------------------

    def on_keyless(self, entry: Entry, turn: Turn) -> None:
        """Count a login under an unknown name: it belongs to no account."""
        turn.outbox.counts["unknown_account", self._addresses[entry[SOURCE]].topic] += 1
        if entry[ORDER] > entry[OCCURRED]:
            self._publish_late(entry, turn)

    def on_event(self, live: Account, entry: Entry, turn: Turn) -> None:
        """Handle one event of the account."""
        if not self._is_new(live, entry, turn):
            return
        event: Event = entry[EVENT]
        late = entry[ORDER] > entry[OCCURRED]
        if late:
            self._publish_late(entry, turn)
        facts = live.facts
        if type(event) is Transaction:
            see_transaction(facts, event, entry[OFFSET], late)
        elif type(event) is Balance:
            see_balance(facts, event, entry[OFFSET])
        fx = self._fx
        fx.begin(turn.now, live, entry, None)
        for bound, handle in (self._late if late else self._on)[entry[SOURCE]]:
            if turn.careful:
                self._call_guarded(bound, handle, live, (event, facts, fx), turn)
                continue
            fx.code = bound.code
            try:
                handle(self._state(live, bound), event, facts, fx)
                if fx.actions:
                    self._apply(bound, live, turn)
            except Exception as error:
                fx.actions.clear()
                raise RuleFailed from error

    def _is_new(self, live: Account, entry: Entry, turn: Turn) -> bool:
        """Recognise redeliveries and what is too old to tell from one; remember the others."""
        order, occurred, identity = entry[ORDER], entry[OCCURRED], entry[IDENTITY]
        ids, horizon = live.ids, self._horizons.dedup
        known = known_as(ids, identity, order - horizon) if ids else None
        if known is not None:
            at = self._addresses[entry[SOURCE]]
            if known:
                turn.outbox.counts["redelivered", at.topic] += 1
            else:
                error = "event_id: known, with other content"
                turn.outbox.dead_letter(at, entry[RECORD], "event_id_conflict", error)
            return False
        if occurred < order - horizon:
            turn.outbox.counts["too_old", self._addresses[entry[SOURCE]].topic] += 1
            self._publish_late(entry, turn)
            return False
        if not ids:
            turn.set_timer(live, Timer(occurred + horizon + 1, _ENGINE, _FORGET_IDS))
        ids += identity
        return True

    def _publish_late(self, entry: Entry, turn: Turn) -> None:
        at = self._addresses[entry[SOURCE]]
        turn.outbox.late(at, entry[RECORD], entry[OCCURRED], entry[ORDER])

    def _call_guarded(
        self, bound: _Bound, handle: Callable[..., None], live: Account, args: Any, turn: Turn
    ) -> None:
        """Call a rule so that, if it raises, nothing of the call is left but a report of it."""
        state = self._state(live, bound)
        before = packed((state, live.alerts, live.timers))
        written, signals = len(turn.outbox.records), turn.signals
        counts = turn.outbox.counts.copy()
        self._fx.code = bound.code
        try:
            handle(state, *args)
            self._apply(bound, live, turn)
        except Exception as error:  # noqa: BLE001 - the one place where the errors of rules end
            self._fx.actions.clear()
            saved = _GUARD(before)
            setattr(live, bound.code, bound.unpack(saved.state))
            live.alerts, live.timers = saved.alerts, saved.timers
            del turn.outbox.records[written:]
            turn.signals, turn.outbox.counts = signals, counts
            self._report(bound, error, turn)

    def _report(self, bound: _Bound, error: Exception, turn: Turn) -> None:
        turn.outbox.counts["rule_error", bound.rule.id] += 1
        entry = self._fx.entry
        if entry is not None:
            at = self._addresses[entry[SOURCE]]
            what = f"rule {bound.rule.id}: {type(error).__name__}"
            turn.outbox.dead_letter(at, entry[RECORD], "rule_error", what)

    # -- timers ---------------------------------------------------------------------------

    def on_timer(self, live: Account, timer: Timer, turn: Turn) -> None:
        """Handle a timer of a rule or of the engine."""
        if timer.owner == _ENGINE:
            self._on_engine_timer(live, timer, turn)
            return
        bound = self._by_code.get(timer.owner)
        if bound is None:
            turn.outbox.counts["timer_of_no_rule", timer.owner] += 1
            return
        fx = self._fx
        fx.begin(turn.now, live, None, timer.due)
        args = (timer.name, timer.due, live.facts, fx)
        if turn.careful:
            self._call_guarded(bound, bound.rule.on_timer, live, args, turn)
            return
        fx.code = bound.code
        try:
            bound.rule.on_timer(self._state(live, bound), *args)
            self._apply(bound, live, turn)
        except Exception as error:
            fx.actions.clear()
            raise RuleFailed from error

    def _on_engine_timer(self, live: Account, timer: Timer, turn: Turn) -> None:
        if timer.name == _FORGET_IDS:
            self._forget_ids(live, timer.due, turn)
        else:
            limit = timer.due - self._horizons.max_open
            for alert in [alert for alert in live.alerts if alert.raised_at <= limit]:
                self._close(live, alert, Change("expired", (), False), turn)
            self._set_expiry(live, turn)

    def _forget_ids(self, live: Account, due: int, turn: Turn) -> None:
        """Drop the ids whose horizon has passed; come back once for the rest.

        Few ids wait until the newest may go, many leave by the hour: so memory stays bounded by
        about the horizon and an account costs one or two timers a day.
        """
        live.ids, times = without_old(live.ids, due - self._horizons.dedup)
        if times:
            newest = max(times) + self._horizons.dedup + 1
            hourly = due + self._horizons.dedup // 24
            again = min(newest, hourly) if len(times) > _MANY_IDS else newest
            turn.set_timer(live, Timer(again, _ENGINE, _FORGET_IDS))

    def _set_expiry(self, live: Account, turn: Turn) -> None:
        turn.cancel_timer(live, _ENGINE, _EXPIRE)
        if live.alerts:
            due = min(alert.raised_at for alert in live.alerts) + self._horizons.max_open
            turn.set_timer(live, Timer(due, _ENGINE, _EXPIRE))

    # -- effects --------------------------------------------------------------------------

    def _apply(self, bound: _Bound, live: Account, turn: Turn) -> None:
        actions = self._fx.actions
        for action in actions:
            self._do[action[0]](bound, live, turn, *action[1:])
        actions.clear()

    def _is_late(self) -> bool:
        entry = self._fx.entry
        return entry is not None and entry[ORDER] > entry[OCCURRED]

    def _do_alert(self, bound: _Bound, live: Account, turn: Turn, draft: Draft) -> None:
        if any(a.anchor == draft.anchor and a.rule == bound.code for a in live.alerts):
            return
        alert = self._publisher.opened(bound.rule, turn.key.decode(), draft, turn)
        live.alerts.append(alert)
        change = Change(
            "raised",
            draft.evidence,
            self._is_late(),
            draft.facts,
            draft.details,
            draft.suspected_root_cause,
            draft.owner_advice,
        )
        self._publisher.publish(bound.rule, turn.key.decode(), alert, change, turn)
        self._set_expiry(live, turn)

    def _do_update(
        self,
        bound: _Bound,
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
        change = Change("updated", evidence, self._is_late(), details=details)
        self._publisher.publish(bound.rule, turn.key.decode(), alert, change, turn)

    def _do_settle(
        self, bound: _Bound, live: Account, turn: Turn, alert: OpenAlert, ref: Ref, role: str
    ) -> None:
        kind: AlertKind = "cured" if ref.occurred_at > alert.at else "retracted"
        self._close(live, alert, Change(kind, [(ref, role)], self._is_late()), turn)

    def _do_expire(self, bound: _Bound, live: Account, turn: Turn, alert: OpenAlert) -> None:
        self._close(live, alert, Change("expired", (), False), turn)

    def _close(self, live: Account, alert: OpenAlert, change: Change, turn: Turn) -> None:
        if alert in live.alerts:
            live.alerts.remove(alert)
            rule = self._known[alert.rule]
            self._publisher.publish(rule, turn.key.decode(), alert, change, turn)

    def _do_set_timer(
        self,
        bound: _Bound,
        live: Account,
        turn: Turn,
        name: str,
        due: int,
        awaits: Sequence[Kind],
    ) -> None:
        bits = sum(1 << kind for kind in awaits)
        turn.set_timer(live, Timer(due, bound.code, name, bits))

    def _do_cancel_timer(self, bound: _Bound, live: Account, turn: Turn, name: str) -> None:
        turn.cancel_timer(live, bound.code, name)

    def _do_count(self, bound: _Bound, live: Account, turn: Turn, reason: str) -> None:
        turn.outbox.counts["rule", bound.rule.id, reason] += 1


class _Guard(Struct, array_like=True):
    """What a guarded call may have changed."""

    state: Raw
    alerts: list[OpenAlert]
    timers: list[Timer]


_GUARD = Unpacker(_Guard)
