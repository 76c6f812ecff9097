"""What is found beyond the open alerts that a rule may have on one account. Pure.

One *overflow* alert counts it. It is published when it opens, and when its count has changed by a
timer, at most once a minute. It lapses, by the same timer, when fewer than half of the limit are
open, and expires as others do. What it counts has no life of its own.
"""

from typing import Final

from rules.alerts import ACCOUNT_CAUSE, Amount, Draft, OpenAlert, Verdict
from rules.contract import AnyRule
from schemas.base import SEVERITIES
from worker.detect.account import Account
from worker.detect.alerts import Change, Publisher
from worker.detect.kept_alerts import KeptAlerts, Overflow
from worker.engine.context import Context
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import AlertCounted

ENGINE: Final = ""
"""Owner of the engine's own timers."""
OVERFLOW: Final = "overflow:"
"""Begins the anchors of overflow alerts, and the names of their timers."""
PAUSE_MS: Final = 60_000
MAX_CURRENCIES: Final = 16
"""Currencies whose amounts are added up; those of further ones are not."""


class Overflows:
    """Counts what is found beyond the limit.

    Args:
        most: open alerts of one rule on one account.
    """

    def __init__(self, publisher: Publisher, most: int) -> None:
        self._publisher = publisher
        self._most = most

    def is_full(self, kept: KeptAlerts | None) -> bool:
        """Return whether a rule has as many open alerts as it may."""
        return kept is not None and len(kept) >= self._most

    def count(
        self,
        rule: AnyRule,
        draft: Draft,
        verdict: Verdict,
        late: bool,
        live: Account,
        context: Context,
    ) -> None:
        """Count what the rule has found; the first that is counted opens the overflow alert."""
        context.outbox.counts[AlertCounted(rule.id)] += 1
        kept = live.alerts[rule.state_code]
        overflow = kept.overflow
        if overflow is not None:
            if overflow.total == overflow.published:
                _await(live, rule.state_code, overflow, context)
            _add(overflow, draft, verdict)
            return
        alert = self._opened(rule, draft, verdict, context)
        overflow = kept.overflow = Overflow(alert, {verdict.severity: 1})
        self._publish(rule, overflow, Change("raised", draft.evidence, late), context)

    def note_closing(self, live: Account, code: str, context: Context) -> None:
        """Let the overflow alert of a rule lapse soon if few of its alerts are open still."""
        kept = live.alerts.get(code)
        if kept is not None and kept.overflow is not None and self._lapses(kept):
            _await(live, code, kept.overflow, context)

    def on_timer(self, rule: AnyRule, live: Account, context: Context) -> None:
        """Publish what has changed since the last record."""
        kept = live.alerts.get(rule.state_code)
        if kept is None or kept.overflow is None:
            return
        if self._lapses(kept):
            self.close(rule, live, Change("cured"), context)
        elif kept.overflow.total > kept.overflow.published:
            self._publish(rule, kept.overflow, Change("updated"), context)

    def close(self, rule: AnyRule, live: Account, change: Change, context: Context) -> None:
        """Publish the end of the overflow alert, and forget it."""
        code = rule.state_code
        kept = live.alerts[code]
        assert kept.overflow is not None
        self._publish(rule, kept.overflow, change, context)
        kept.overflow = None
        context.cancel_timer(live, ENGINE, f"{OVERFLOW}{code}")
        live.drop_if_empty(code)

    def _lapses(self, kept: KeptAlerts) -> bool:
        return 2 * len(kept) < self._most

    def _opened(self, rule: AnyRule, first: Draft, verdict: Verdict, context: Context) -> OpenAlert:
        """Return an overflow alert; it is true since now, whenever what it counts was."""
        draft = Draft(
            anchor=f"{OVERFLOW}{context.now}",
            cause=ACCOUNT_CAUSE,
            facts=(),
            evidence=first.evidence,
        )
        own = Verdict(
            at=context.now,
            severity=verdict.severity,
            title=f"Over {self._most} open alerts of {rule.id}: further ones are only counted",
            amount_at_stake=verdict.amount_at_stake,
        )
        key = self._publisher.overflow_key(rule, context)
        return self._publisher.opened(rule, draft, own, key, context)

    def _publish(self, rule: AnyRule, overflow: Overflow, change: Change, context: Context) -> None:
        alert = overflow.alert
        change.counted = overflow.total
        change.verdict = Verdict(
            at=alert.at,
            severity=alert.severity,
            title=alert.title,
            details={"max_open_alerts": self._most, "by_severity": overflow.counted},
        )
        overflow.published, overflow.published_at = overflow.total, context.now
        self._publisher.publish(rule, alert, change, context)


def _add(overflow: Overflow, draft: Draft, verdict: Verdict) -> None:
    alert, severity = overflow.alert, verdict.severity
    overflow.counted[severity] = overflow.counted.get(severity, 0) + 1
    alert.severity = min(alert.severity, severity, key=SEVERITIES.index)
    for ref, _ in draft.evidence:
        alert.first_event_at = min(alert.first_event_at, ref.occurred_at)
        alert.last_event_at = max(alert.last_event_at, ref.occurred_at)
    for amount in verdict.amount_at_stake:
        _add_amount(alert.amount_at_stake, amount)


def _add_amount(amounts: list[Amount], more: Amount) -> None:
    for index, amount in enumerate(amounts):
        if amount.currency == more.currency:
            amounts[index] = Amount(amount.currency, amount.minor + more.minor, amount.exponent)
            return
    if len(amounts) < MAX_CURRENCIES:
        amounts.append(more)


def _await(live: Account, code: str, overflow: Overflow, context: Context) -> None:
    """Look at the overflow alert again a minute after its newest record."""
    due = overflow.published_at + PAUSE_MS
    context.set_timer(live, Timer(due, ENGINE, f"{OVERFLOW}{code}"))
