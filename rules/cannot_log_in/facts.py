"""A5 decided: from the facts that an alert quotes, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from rules.contract import Otherwise, Value, Values, Verdict
from schemas.base import RootCause
from schemas.time import format_span

if TYPE_CHECKING:
    from rules.cannot_log_in.rule import CannotLogInParams

CREDENTIAL: Final = frozenset({"bad_credentials", "otp_failed", "mfa_failed"})
SERVICE: Final = frozenset({"service_error", "otp_not_delivered", "timeout", "network"})
NETWORK: Final = frozenset({"timeout", "network"})
LOCKED: Final = "account_locked"
BY_REASON: Final = "failures_"
"""Begins the names of the facts that count failures by reason."""


class Case(Struct, kw_only=True):
    """The facts of one alert."""

    failures: int
    """All of them; those by reason are the remembered ones."""
    service_failures: int
    first_at_ms: int
    anchor_at_ms: int
    no_success_until_ms: int
    """Until when it is proven that no login succeeded after the anchor."""
    reasons: dict[str, int] = {}

    @property
    def remembered(self) -> int:
        """How many failures are known by reason."""
        return sum(self.reasons.values())

    def is_service(self, percent: int) -> bool:
        """Say whether at least so many of the failures are the service's."""
        return self.service_failures * 100 >= percent * self.remembered


def number(value: Value) -> int:
    """Return the value of a fact that is a number."""
    assert isinstance(value, int)
    return value


def _case(facts: Values) -> Case:
    case = msgspec.convert(facts, Case)
    case.reasons = {
        name.removeprefix(BY_REASON): number(facts[name])
        for name in sorted(facts)
        if name.startswith(BY_REASON)
    }
    return case


def verdict_of(facts: Values, params: "CannotLogInParams") -> Verdict | None:
    """Decide; None if it is no attempt to get in that failed for good."""
    case = _case(facts)
    if (
        case.failures < params.threshold
        or case.anchor_at_ms - case.first_at_ms > params.window_ms
        or case.no_success_until_ms < case.anchor_at_ms + params.absence_ms
    ):
        return None
    return Verdict(
        at=case.no_success_until_ms,
        severity="warning" if case.is_service(params.service_percent) else "info",
        title=f"{case.failures} failed logins, then no success for "
        f"{params.absence_ms // 1000} seconds",
        suspected_root_cause=_root_cause(case.reasons),
        owner_advice=_advice(case.reasons),
        details={
            "failures": case.failures,
            "service_failures": case.service_failures,
            "reasons": case.reasons,
        },
    )


def because(facts: Values, params: "CannotLogInParams") -> Sequence[str]:
    """Say what failed, how often, and for how long."""
    case = _case(facts)
    counts = ", ".join(f"{n} for {reason.replace('_', ' ')}" for reason, n in case.reasons.items())
    span = format_span(case.anchor_at_ms - case.first_at_ms)
    known = "" if case.remembered == case.failures else f"; of the {case.remembered} remembered"
    said = [
        f"{case.failures} logins failed{known}: {counts}.",
        (
            f"The first {params.threshold} came within {span}; as many within "
            f"{format_span(params.window_ms)} are one attempt to get in (threshold, window_ms)."
        ),
        (
            f"It is proven that no login succeeded in the {format_span(params.absence_ms)} "
            "after them (absence_ms)."
        ),
    ]
    if case.is_service(params.service_percent):
        said.append(
            f"{case.service_failures} of {case.remembered} failed for reasons of the service: from "
            f"{params.service_percent} percent it is a warning (service_percent)."
        )
    return said


def otherwise(facts: Values, params: "CannotLogInParams") -> Sequence[Otherwise]:
    """Say how few, how slow or how differently they would have had to fail."""
    case = _case(facts)
    found = [
        Otherwise(
            sentence=f"no alert if fewer than {params.threshold} logins had failed (threshold)",
            facts={"failures": params.threshold - 1},
        ),
        Otherwise(
            sentence=f"no alert if the first {params.threshold} had been spread over more than "
            f"{format_span(params.window_ms)} (window_ms)",
            facts={"first_at_ms": case.anchor_at_ms - params.window_ms - 1},
        ),
        Otherwise(
            sentence=f"no alert if a login had succeeded within {format_span(params.absence_ms)} "
            "after them (absence_ms)",
            facts={"no_success_until_ms": case.anchor_at_ms + params.absence_ms - 1},
        ),
    ]
    if case.is_service(params.service_percent):
        most = (params.service_percent * case.remembered - 1) // 100
        found.append(
            Otherwise(
                sentence=f"only info if at most {most} had failed for reasons of the service "
                "(service_percent)",
                facts={"service_failures": most},
            )
        )
    return found


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
