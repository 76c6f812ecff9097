"""The handler of detect: one account's recent ids, facts, rule states and open alerts. Pure.

For each event, in this order: recognise a redelivery, or an event too old to recognise; publish
what is late; update the profile; call the rules. What a rule asks for is applied only after it has
returned, so that one that raises leaves nothing behind.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from rules.contract import AnyRule
from rules.effects import Effects
from rules.events import Event, Transaction
from rules.marks import Marks
from rules.profile import forget_outdated, remember_transaction, update_profile
from worker.codec.bad_record import bad
from worker.detect.account import Account, SavedAccounts
from worker.detect.alerts import Publisher
from worker.detect.cause_counts import CauseCounter, KeptBuckets, cause_counter_of
from worker.detect.dispatch import Bound, Calls, Dispatch
from worker.detect.effects import Applier, address_of
from worker.detect.guard import GuardedCalls
from worker.detect.id_segments import KeptSegments
from worker.detect.kept_buckets import PREFIX, renewed
from worker.detect.overflow import ENGINE, OVERFLOW, Overflows
from worker.detect.rare_events import RareEvents
from worker.detect.remembered_ids import RememberedIds
from worker.engine.context import Context, Family, Place, RuleFailed
from worker.engine.keyed_state import Timer, payload_of
from worker.engine.outcomes import (
    EndForgotten,
    Redelivered,
    TimerOfNoRule,
    TooOld,
    UnknownAccount,
)
from worker.engine.packing import packed
from worker.engine.records import TopicPartition
from worker.engine.reorder import EVENT, IDENTITY, OCCURRED, ORDER, RECORD, SOURCE, Entry
from worker.engine.segments import SEGMENT

_FORGET_IDS: Final = "ids"


class Horizons(Struct, frozen=True):
    """How long, and how much, the engine remembers; spans in milliseconds."""

    dedup: int = 24 * 3_600_000
    max_open: int | None = 7 * 24 * 3_600_000
    """None: alerts do not expire."""
    max_open_alerts: int = 100
    """Open alerts of one rule on one account; what is found beyond is counted."""


class AccountHandler:
    """Applies the rules to accounts.

    Args:
        rules: those that run, live or in shadow, in the order in which they are called.
        known: all rules there are; alerts of one that was switched off still expire.
    """

    def __init__(
        self,
        rules: Sequence[AnyRule],
        known: Sequence[AnyRule],
        addresses: Sequence[TopicPartition],
        publisher: Publisher,
        rare_events: RareEvents,
        marks: Marks,
        horizons: Horizons,
    ) -> None:
        self._rules = [Bound(rule) for rule in rules]
        self._by_code = {bound.code: bound for bound in self._rules}
        self._idle = [rule.state_code for rule in known if rule.state_code not in self._by_code]
        self._saved = SavedAccounts(known)
        self._addresses = addresses
        self._horizons = horizons
        self._on = Dispatch(self._rules, "on")
        self._late = Dispatch(self._rules, "late")
        self._rare_events = rare_events
        self._ids = RememberedIds(addresses, horizons.dedup)
        self.families: Mapping[bytes, Family] = {
            b"": self,
            PREFIX: KeptBuckets(),
            SEGMENT: KeptSegments(),
        }
        self._fx = Effects(marks, address_of)
        self._overflows = Overflows(publisher, horizons.max_open_alerts)
        self._known = {rule.state_code: rule for rule in known}
        self.applier = Applier(
            self._fx, self._known, publisher, rare_events, self._overflows, horizons.max_open
        )
        self._guarded = GuardedCalls(self._fx, self.applier, addresses)

    # -- state ----------------------------------------------------------------------------

    def renewed(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return what replaces states that are not kept like that any more."""
        return renewed(states)

    def load(self, stored: bytes | None) -> Account:
        """Decode an account.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        return self._saved.new() if stored is None else self._saved.read(payload_of(stored))

    def dump(self, live: Account) -> bytes:
        """Encode an account; empty when nothing is left to know of it."""
        for code in self._idle:
            if getattr(live, code) is not None:  # it would be stale when the rule comes back
                setattr(live, code, None)
                live.timers = [timer for timer in live.timers if timer.owner != code]
        kept = False
        for bound in self._rules:
            state = getattr(live, bound.code)
            if state is not None:
                if state == bound.empty:
                    setattr(live, bound.code, None)
                else:
                    kept = True
        if not (kept or live.ids or live.alerts or live.timers) and live == self._saved.new():
            return b""
        return packed(live)

    def _count_dropped_states(self, context: Context) -> None:
        """Count states of older rules that could not be used."""
        context.outbox.counts.update(self._saved.afresh)
        self._saved.afresh.clear()

    # -- events ---------------------------------------------------------------------------

    def on_keyless(self, entry: Entry, context: Context) -> None:
        """Count a login under an unknown name: it belongs to its source, and to no account."""
        self._rare_events.publish("failed_login", entry[EVENT], context)
        context.outbox.counts[UnknownAccount(self._addresses[entry[SOURCE]].topic)] += 1
        if entry[ORDER] > entry[OCCURRED]:
            self._publish_late(entry, context)

    def on_event(self, live: Account, entry: Entry, context: Context) -> None:
        """Handle one event of the account."""
        if self._saved.afresh:
            self._count_dropped_states(context)
        if not self._is_new(live, entry, context):
            return
        event: Event = entry[EVENT]
        late = entry[ORDER] > entry[OCCURRED]
        if late:
            self._publish_late(entry, context)
        profile, fx = live.profile, self._fx
        fx.begin(context.now, live, entry, None)
        update_profile(profile, event, fx, late)
        calls = (self._late if late else self._on).calls(entry[SOURCE], event)
        if context.careful:
            for bound, _, handle in calls:
                self._guarded.call(bound, handle, live, (event, profile, fx), context)
        elif calls:
            self._call(calls, live, event, context)
        if type(event) is Transaction and remember_transaction(profile, event, late):
            context.outbox.counts[EndForgotten()] += 1
        if fx.tallies:
            self._count(entry[OCCURRED], (context.now, 0, entry), context)

    def _call(self, calls: Calls, live: Account, event: Event, context: Context) -> None:
        """Call the rules one after the other; the first that raises ends the whole unit."""
        profile, fx = live.profile, self._fx
        try:
            for bound, code, handle in calls:
                fx.code = code
                state = getattr(live, code)
                if state is None:
                    handle(bound.blank, event, profile, fx)
                    if bound.blank != bound.empty:
                        bound.keep_blank(live)
                else:
                    handle(state, event, profile, fx)
                if fx.asked:
                    self.applier.apply(bound.rule, live, context)
        except Exception as error:
            bound.blank = bound.new()
            fx.asked.clear()
            fx.tallies.clear()
            raise RuleFailed from error

    def _is_new(self, live: Account, entry: Entry, context: Context) -> bool:
        """Recognise redeliveries and events too old to know; remember the others."""
        horizon, occurred = self._horizons.dedup, entry[OCCURRED]
        oldest = entry[ORDER] - horizon
        known = self._ids.known_as(live, entry, oldest, context)
        if known is not None:
            at = self._addresses[entry[SOURCE]]
            if known:
                context.outbox.counts[Redelivered(at.topic)] += 1
            else:
                error = bad("event_id_conflict", "event_id", "used_again").error
                context.outbox.dead_letter(at, entry[RECORD], "event_id_conflict", error)
            return False
        if occurred < oldest:
            context.outbox.counts[TooOld(self._addresses[entry[SOURCE]].topic)] += 1
            self._publish_late(entry, context)
            return False
        if self._ids.remember(live, entry[IDENTITY], context):
            context.set_timer(live, Timer(occurred + horizon + 1, ENGINE, _FORGET_IDS))
        return True

    def _publish_late(self, entry: Entry, context: Context) -> None:
        at = self._addresses[entry[SOURCE]]
        context.outbox.late(at, entry[RECORD], entry[OCCURRED], entry[ORDER])

    # -- timers ---------------------------------------------------------------------------

    def on_timer(self, live: Account, timer: Timer, context: Context) -> None:
        """Handle a timer of a rule or of the engine."""
        if timer.owner == ENGINE:
            self._on_engine_timer(live, timer, context)
            return
        if self._saved.afresh:
            self._count_dropped_states(context)
        bound = self._by_code.get(timer.owner)
        if bound is None:
            context.outbox.counts[TimerOfNoRule(timer.owner)] += 1
            return
        fx = self._fx
        fx.begin(context.now, live, None, timer.due)
        args = (timer.name, timer.due, live.profile, fx)
        if context.careful:
            self._guarded.call(bound, bound.rule.on_timer, live, args, context)
        else:
            self._call_timer(bound, live, args, context)
        if fx.tallies:
            self._count(timer.due, context.place, context)

    def _call_timer(self, bound: Bound, live: Account, args: Any, context: Context) -> None:
        """Call the rule; if it raises, that ends the whole unit."""
        fx = self._fx
        fx.code = bound.code
        try:
            bound.rule.on_timer(bound.state_of(live), *args)
            self.applier.apply(bound.rule, live, context)
        except Exception as error:
            fx.asked.clear()
            fx.tallies.clear()
            raise RuleFailed from error

    def _count(self, at: int, place: Place, context: Context) -> None:
        """Count what the rules have counted for causes."""
        counter = cause_counter_of(context)
        for tally in self._fx.tallies:
            counter.add(tally, at, place, context)
        self._fx.tallies.clear()

    def _on_engine_timer(self, live: Account, timer: Timer, context: Context) -> None:
        if timer.name == _FORGET_IDS:
            self._forget_ids(live, timer.due, context)
        elif timer.name.startswith(OVERFLOW):
            rule = self._known[timer.name.removeprefix(OVERFLOW)]
            self._overflows.on_timer(rule, live, context)
        else:
            self.applier.expire_old(live, timer.due, context)

    def finish(self, watermark: int, context: Context) -> Place | None:
        """Publish the counts of the buckets that have ended, where the unit counted first."""
        counter: CauseCounter | None = context.unit
        return None if counter is None else counter.finish(watermark, context)

    def _forget_ids(self, live: Account, due: int, context: Context) -> None:
        """Drop what is outdated in the profile, and the ids whose horizon has passed."""
        again = forget_outdated(live.profile, due, self._horizons.dedup)
        next_ids = self._ids.forget_old(live, due, context)
        if next_ids is not None:
            again = next_ids
        if again is not None:
            context.set_timer(live, Timer(again, ENGINE, _FORGET_IDS))
