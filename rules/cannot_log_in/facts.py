"""What an alert of A5 quotes, and its verdict: it follows from these facts and nothing else."""

from collections.abc import Mapping
from typing import Annotated, Final, Self

import msgspec

from rules.alerts import Verdict
from rules.cannot_log_in.params import CannotLogInParams
from rules.counts import counted
from rules.facts import Facts, Values, quoted
from schemas.base import RootCause
from schemas.time import format_span

CREDENTIAL: Final = frozenset({"bad_credentials", "otp_failed", "mfa_failed"})
SERVICE: Final = frozenset({"service_error", "otp_not_delivered", "timeout", "network"})
NETWORK: Final = frozenset({"timeout", "network"})
LOCKED: Final = "account_locked"
BY_REASON: Final = "failures_"
"""Begins the names of the facts that count failures by reason."""


class CannotLogInFacts(Facts, kw_only=True):
    """The facts of one alert."""

    failures: Annotated[int, quoted(compared_with=("threshold", "collapse_double_logging"))]
    """All of them; those by reason are the remembered ones."""
    service_failures: Annotated[int, quoted(compared_with="service_percent")]
    reasons: dict[str, int]
    """Failures by reason. An alert quotes each as a fact of its own: `failures_<reason>`."""
    first_at_ms: Annotated[int, quoted("occurred_at", compared_with="window_ms")]
    anchor_at_ms: Annotated[int, quoted("occurred_at")]
    no_success_until_ms: Annotated[int, quoted(compared_with="absence_ms")]
    """Until when it is proven that no login succeeded after the anchor."""

    @classmethod
    def of(cls, values: Values) -> Self:
        """As for every rule, the counts by reason in order of reasons."""
        reasons = {
            name.removeprefix(BY_REASON): values[name]
            for name in sorted(values)
            if name.startswith(BY_REASON)
        }
        return msgspec.convert({**values, "reasons": reasons}, cls)

    @property
    def remembered(self) -> int:
        """How many failures are known by reason."""
        return sum(self.reasons.values())

    def is_service(self, percent: int) -> bool:
        """Return whether at least so many of the failures are the service's."""
        return self.service_failures * 100 >= percent * self.remembered


def verdict_of(facts: CannotLogInFacts, params: CannotLogInParams) -> Verdict | None:
    """Decide; None if it is no attempt to get in that failed for good."""
    if (
        facts.failures < params.threshold
        or facts.anchor_at_ms - facts.first_at_ms > params.window_ms
        or facts.no_success_until_ms < facts.anchor_at_ms + params.absence_ms
    ):
        return None
    return Verdict(
        at=facts.no_success_until_ms,
        severity="warning" if facts.is_service(params.service_percent) else "info",
        title=f"{counted(facts.failures, 'failed login')}, then no success for "
        f"{format_span(params.absence_ms)}",
        suspected_root_cause=_root_cause(facts.reasons),
        owner_advice=_advice(facts.reasons),
        details={
            "failures": facts.failures,
            "service_failures": facts.service_failures,
            "reasons": facts.reasons,
        },
    )


def _root_cause(reasons: Mapping[str, int]) -> RootCause:
    total = sum(reasons.values())
    if reasons.keys() <= CREDENTIAL:
        return "user_error"
    if 2 * _count(reasons, NETWORK) > total:
        return "network"
    if 2 * _count(reasons, SERVICE) >= total:
        return "technical"
    return "unknown"


def _count(reasons: Mapping[str, int], among: frozenset[str]) -> int:
    return sum(n for reason, n in reasons.items() if reason in among)


def _advice(reasons: Mapping[str, int]) -> list[str]:
    advice = []
    if reasons.keys() & CREDENTIAL:
        advice.append("reset_password")
    if reasons.keys() & SERVICE:
        advice.append("retry")
    if LOCKED in reasons or not advice:
        advice.append("contact_support")
    return advice
