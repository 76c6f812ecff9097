"""Calls of rules of which, if they raise, nothing is left but a report. Pure.

A unit of work in which a rule has raised is done again with such calls; they cost more.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from rules.effects import Effects
from worker.detect.account import Account
from worker.detect.dispatch import Bound
from worker.detect.effects import Applier
from worker.detect.kept_alerts import KeptAlerts
from worker.engine.context import Context
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import RuleFailure
from worker.engine.packing import Unpacker, packed
from worker.engine.records import TopicPartition
from worker.engine.reorder import RECORD, SOURCE


class GuardedCalls:
    """Calls rules and applies what they ask for."""

    def __init__(self, fx: Effects, applier: Applier, addresses: Sequence[TopicPartition]) -> None:
        self._fx = fx
        self._applier = applier
        self._addresses = addresses

    def call(
        self, bound: Bound, handle: Callable[..., None], live: Account, args: Any, context: Context
    ) -> None:
        """Call a rule; if it raises, restore what was before the call, and report it."""
        state = bound.state_of(live)
        before = packed((state, live.alerts, live.timers))
        outbox, tallies = context.outbox, len(self._fx.tallies)
        published, counts = len(outbox.outputs), outbox.counts.copy()
        self._fx.code = bound.code
        try:
            handle(state, *args)
            self._applier.apply(bound.rule, live, context)
        except Exception as error:  # noqa: BLE001 - the one place where the errors of rules end
            self._fx.asked.clear()
            del self._fx.tallies[tallies:]
            saved = _unpack(before)
            setattr(live, bound.code, bound.unpack(saved.state))
            live.alerts, live.timers = saved.alerts, saved.timers
            del outbox.outputs[published:]
            outbox.counts = counts
            self._report(bound, error, context)

    def _report(self, bound: Bound, error: Exception, context: Context) -> None:
        context.outbox.counts[RuleFailure(bound.rule.id)] += 1
        entry = self._fx.entry
        if entry is not None:
            at = self._addresses[entry[SOURCE]]
            what = f"rule {bound.rule.id}: {type(error).__name__}"
            context.outbox.dead_letter(at, entry[RECORD], "rule_error", what)


class _Saved(Struct, array_like=True):
    """What a guarded call may have changed."""

    state: Raw
    alerts: dict[str, KeptAlerts]
    timers: list[Timer]


_unpack: Final = Unpacker(_Saved)
