"""One rule in the real engine, on lists: for the tests of rules. Pure.

    scenario = Scenario(CannotLogIn, threshold=3)
    for time in ("10:00:00", "10:01:00", "10:02:00"):
        scenario.give(login(time, "failure"))
    scenario.give(login("10:01:30"), late=True).give(clock("10:30:00"))
    assert (scenario.steps, scenario.state()) == ([], CannotLogInState())

What runs is one task of detect with one rule: its codec, its order of events, its timers, its saved
states. Time alone is the scenario's: all inputs stand at `now`, and only the scenario moves them.
As in a worker, an event is handled when time has passed it, and events of one time are handled by
input, ledger sequence and event_id. So reading a result lets one millisecond pass first, and an
event of the same time that is given after that is late.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from rules.alerts import Draft, OpenAlert, Verdict
from rules.builders import wire_of
from rules.contract import AnyRule
from rules.effects import CountReason, Effect, RaiseAlert, SendSignal
from rules.events import Event, Kind, Ref
from rules.facts import Quote, Values
from schemas.alert import AlertKind
from schemas.topics import ALERTS, DETECT_INPUTS, INPUTS, SIGNALS
from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Control, Limits
from worker.detect.account import Account
from worker.detect.alerts import derived_id
from worker.detect.effects import address_of
from worker.detect.handler import AccountHandler, Horizons
from worker.detect.stage import INPUT_POLICIES, Policy, detect
from worker.engine.context import Context, Family, Handler, RuleFailed
from worker.engine.event_time import BEGINNING
from worker.engine.keyed_state import Timer
from worker.engine.outbox import numbered
from worker.engine.outcomes import DeadLettered, Redelivered, TooOld
from worker.engine.records import Record, Snapshot
from worker.engine.reorder import EVENT, OFFSET, SOURCE, Entry
from worker.tokens import PUBLIC

_KINDS: Final[Mapping[str, Kind]] = {each.kind: kind for kind, each in enumerate(INPUTS)}
_LATENESS: Final = 400 * 24 * 3_600_000
"""So large that no event proves anything of its input: `Scenario.pass_time` does."""
_DROPPED: Final = (DeadLettered, Redelivered, TooOld)
"""Counts of events that never reached the rule."""
_DEFAULT_HORIZONS: Final = Horizons()


class AlertRecord(Struct, frozen=True, kw_only=True):
    """One published record of an alert."""

    kind: AlertKind
    draft: Draft
    """With which the rule has raised the alert."""
    facts: Sequence[Quote]
    """Those that the alert quotes since it was judged last."""
    verdict: Verdict
    """What `judge` makes of these facts."""
    evidence: Sequence[tuple[Ref, str]]
    """(address, role) of what this record cites."""

    @property
    def step(self) -> str:
        """Kind and severity, as an example expects them: "raised error"."""
        return f"{self.kind} {self.verdict.severity}"

    @property
    def anchor(self) -> str:
        """Distinguishes the alert from others of the rule on its account."""
        return self.draft.anchor

    @property
    def title(self) -> str:
        """As published."""
        return self.verdict.title

    @property
    def details(self) -> Mapping[str, Any]:
        """As published."""
        return self.verdict.details

    @property
    def values(self) -> Values:
        """The facts by name."""
        return {name: value for name, value, _ in self.facts}


class Scenario:
    """Gives events of one or more accounts to one rule, and reads what comes out.

    Attributes:
        rule: the rule with its parameters.
        now: milliseconds; everything before it has been handled.
    """

    def __init__(
        self,
        rule: type[AnyRule],
        horizons: Horizons = _DEFAULT_HORIZONS,
        /,
        **params: Any,
    ) -> None:
        self.rule = rule(rule.Params(**params))
        self.now = BEGINNING
        self._waiting = False
        self._unproven: Sequence[Kind] = ()
        self._offset = 0
        self._volumes: dict[tuple[str, str], dict[str, int]] = {}
        """By cause and beginning of the bucket; the newest revision."""
        inputs = [msgspec.structs.replace(each, lateness=_LATENESS) for each in INPUT_POLICIES]
        policy = Policy([self.rule], [self.rule], inputs, horizons=horizons, dead_letter_limit=None)
        self._task = detect(policy, wrap=self._observed).make(0, Snapshot(None, ()))

    def _observed(self, handler: Handler) -> Handler:
        assert isinstance(handler, AccountHandler)
        self._seen = _Observed(handler, self.rule)
        return self._seen

    # -- what comes in --------------------------------------------------------------------

    def run(self, events: Iterable[Mapping[str, Any]]) -> "Scenario":
        """Give wire records in order of time, and let the millisecond of the last one pass."""
        for event in sorted(events, key=lambda wire: str(wire["occurred_at"])):
            self.give(event)
        return self._settled()

    def give(self, event: Mapping[str, Any] | Event, late: bool = False) -> "Scenario":
        """Give an event, as a wire record with its `kind` or as rules see it.

        Time passes a late one first, if it has not yet.

        Raises:
            ValueError: the event is not valid, or late without being given as late.
        """
        wire = event if isinstance(event, Mapping) else wire_of(event)
        event = event_of(wire)
        if late:
            self._settled().pass_time(event.occurred_at + 1)
        elif event.occurred_at < self.now:
            raise ValueError(f"{event.event_id} is late by {self.now - event.occurred_at} ms")
        self.pass_time(event.occurred_at)
        value = msgspec.json.encode(wire)
        record = Record(self._offset, None, event.account_id.encode(), value)
        self._task.read(self._task.addresses[_KINDS[wire["kind"]]], [record])
        self._offset += 1
        self._waiting = True
        return self

    def pass_time(self, until: int) -> "Scenario":
        """Handle what lies before a time (milliseconds); let timers that are due before it fire."""
        if until > self.now:
            self.now = until
            for source in self._task.sources:
                source.advance(0, until, proves=source.index not in self._unproven)
            self._work()
        return self

    def leave_unproven(self, *kinds: Kind) -> "Scenario":
        """From now on let time pass on these inputs by the clock alone: absence is not proven."""
        self._settled()._unproven = kinds
        return self

    def prove(self) -> "Scenario":
        """Prove every input up to `now`: timers that awaited it fire, one millisecond later."""
        self._settled()._unproven = ()
        return self.pass_time(self.now + 1)

    def _settled(self) -> "Scenario":
        """Let what was given last be handled."""
        return self.pass_time(self.now + 1) if self._waiting else self

    def _work(self) -> None:
        self._waiting = False
        outbox = self._task.work(0)
        self._task.save()
        dropped = [" ".join(each.words) for each in outbox.counts if isinstance(each, _DROPPED)]
        if dropped:
            raise ValueError(f"events that the rule never sees: {', '.join(dropped)}")
        for record in self._task.numbered(outbox):
            if record.topic == SIGNALS:
                self._take_volumes(msgspec.json.decode(record.value or b""))

    def _take_volumes(self, signal: dict[str, Any]) -> None:
        if signal["kind"] == "count":
            body = signal["body"]
            for volume in body["volumes"]:
                self._volumes[body["cause"], volume["at"]] = volume["counts"]

    # -- what came out --------------------------------------------------------------------

    @property
    def alerts(self) -> list[AlertRecord]:
        """Every alert record, in the order of publication."""
        return self._settled()._seen.alerts

    @property
    def raised(self) -> list[AlertRecord]:
        """The records that raise an alert."""
        return [alert for alert in self.alerts if alert.kind == "raised"]

    @property
    def steps(self) -> list[str]:
        """Kind and severity of every alert record: "raised error", ..."""
        return [alert.step for alert in self.alerts]

    @property
    def judged(self) -> list[Values]:
        """The facts of every record that was judged: raised or updated."""
        return [alert.values for alert in self.alerts if alert.kind in ("raised", "updated")]

    @property
    def counts(self) -> Counter[str]:
        """How often the rule has counted something, by reason."""
        return self._settled()._seen.counts

    @property
    def signals(self) -> list[tuple[str, Event]]:
        """The rare events that the rule has signalled: (measure, event)."""
        return self._settled()._seen.signals

    @property
    def tallies(self) -> Counter[tuple[str, str]]:
        """By (cause, measure) the volumes published: of buckets of ten seconds that have ended."""
        total: Counter[tuple[str, str]] = Counter()
        for (cause, _), counts in self._settled()._volumes.items():
            total.update({(cause, measure): count for measure, count in counts.items()})
        return total

    def state(self, account: str = "acc-1") -> Any:
        """Return the rule's state of an account, as it was saved."""
        state = getattr(self._account(account), self.rule.state_code)
        return self.rule.State() if state is None else state

    def saved_state(self, account: str = "acc-1") -> bytes:
        """Return the rule's state of an account as it is saved by itself."""
        return msgspec.msgpack.encode(self.state(account))

    def timers(self, account: str = "acc-1") -> dict[str, tuple[int, tuple[Kind, ...]]]:
        """Return the rule's timers of an account by name: (due, kinds of inputs awaited)."""
        return {
            timer.name: (timer.due, tuple(k for k in _KINDS.values() if timer.awaits >> k & 1))
            for timer in self._account(account).timers
            if timer.owner == self.rule.state_code
        }

    def open_alerts(self, account: str = "acc-1") -> list[OpenAlert]:
        """Return the open alerts of an account, oldest first."""
        return list(self._account(account).open_alerts(self.rule.state_code))

    def saved(self, account: str = "acc-1") -> bytes:
        """Return what the engine saves of an account; empty if nothing."""
        return self._settled()._task.states.get(account.encode(), b"")

    def event_at(self, ref: Ref) -> Event:
        """Return the event at an address that an alert quotes or cites."""
        return self._seen.events[DETECT_INPUTS[ref.kind], ref.offset][1]

    def _account(self, name: str) -> Account:
        return self._seen.load(self.saved(name) or None)


def event_of(wire: Mapping[str, Any]) -> Event:
    """Return a wire record, with its `kind`, as rules see it.

    Raises:
        ValueError: it is not valid, or a worker would not take one of its fields as it is.
    """
    codec = Codec(_KINDS[wire["kind"]], Limits())
    event = codec.decode(msgspec.json.encode(wire))
    if isinstance(event, BadRecord | Control):
        raise ValueError(f"not a valid event: {event}")
    if codec.mended:
        fields = ", ".join(sorted(each.field for each in codec.mended))
        raise ValueError(f"not a valid event: wrong values of {fields}")
    return event


class _Observed:
    """Passes every call on to the handler; notes what the rule has asked for, and its alerts.

    What the rule raises is raised here too, where a worker would go on without the event.
    """

    def __init__(self, handler: AccountHandler, rule: AnyRule) -> None:
        self._handler = handler
        self._rule = rule
        self.families: Mapping[bytes, Family] = {**handler.families, b"": self}
        self.renewed = handler.renewed
        self.load = handler.load
        self.dump = handler.dump
        self.on_keyless = handler.on_keyless
        self.finish = handler.finish
        handler.applier.watch = self._note
        self.alerts: list[AlertRecord] = []
        self.counts: Counter[str] = Counter()
        self.signals: list[tuple[str, Event]] = []
        self.events: dict[tuple[str, int], tuple[Ref, Event]] = {}
        """By topic and offset."""
        self._account, self._open = "", frozenset[str]()
        """Of the present call: the account, and the anchors of its open alerts."""
        self._drafts: dict[str, Draft] = {}
        """By alert_id, as asked for last."""
        self._newest: dict[str, AlertRecord] = {}
        """By alert_id."""

    def on_event(self, live: Account, entry: Entry, context: Context) -> None:
        """Pass on an event."""
        at = DETECT_INPUTS[entry[SOURCE]], entry[OFFSET]
        self.events[at] = address_of(entry), entry[EVENT]
        self._call(lambda: self._handler.on_event(live, entry, context), live, context)

    def on_timer(self, live: Account, timer: Timer, context: Context) -> None:
        """Pass on a timer of an account."""
        self._call(lambda: self._handler.on_timer(live, timer, context), live, context)

    def _call(self, call: Callable[[], None], live: Account, context: Context) -> None:
        self._account = context.key.decode()
        self._open = frozenset(alert.anchor for alert in live.open_alerts(self._rule.state_code))
        before = len(context.outbox.outputs)
        try:
            call()
        except RuleFailed as failed:
            raise failed.__cause__ or failed from None
        for record in numbered(context.outbox.outputs[before:], lambda: 0):
            if record.topic == ALERTS:
                alert = msgspec.json.decode(record.value or b"")
                if "counted" not in alert:  # an overflow alert is the engine's
                    self._publish(alert)

    def _note(self, _: AnyRule, asked: Sequence[Effect]) -> None:
        for effect in asked:
            match effect:
                case RaiseAlert(draft):
                    assert draft.anchor not in self._open, "the engine would ignore it"
                    cited = {ref for ref, _ in draft.evidence}
                    names = [name for name, _, _ in draft.facts]
                    assert len(names) == len(set(names)), "each fact is quoted once"
                    assert all(ref is None or ref in cited for _, _, ref in draft.facts)
                    alert_id = derived_id(PUBLIC.id_key, self._rule.id, self._account, draft.anchor)
                    self._drafts[alert_id] = draft
                case CountReason(reason):
                    self.counts[reason] += 1
                case SendSignal(measure, event):
                    self.signals.append((measure, event))

    def _publish(self, record: dict[str, Any]) -> None:
        alert_id, kind = record["alert_id"], record["kind"]
        facts = [
            (fact["name"], fact.get("value"), self._address(fact) if "topic" in fact else None)
            for fact in record.get("facts", ())
        ]
        if kind not in ("raised", "updated"):
            facts = list(self._newest[alert_id].facts)
        verdict = self._rule.judge(self._rule.Facts.of_quotes(facts))
        assert verdict is not None
        self._newest[alert_id] = AlertRecord(
            kind=kind,
            draft=self._drafts[alert_id] if kind == "raised" else self._newest[alert_id].draft,
            facts=facts,
            verdict=verdict,
            evidence=[(self._address(cited), cited["role"]) for cited in record["evidence"]],
        )
        self.alerts.append(self._newest[alert_id])

    def _address(self, cited: dict[str, Any]) -> Ref:
        return self.events[cited["topic"], cited["offset"]][0]
