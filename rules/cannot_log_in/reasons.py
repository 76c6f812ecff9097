"""Why an alert of A5 was raised, and what would have made it milder, in sentences."""

from collections.abc import Sequence

from rules.cannot_log_in.facts import CannotLogInFacts
from rules.cannot_log_in.params import CannotLogInParams
from rules.contract import Otherwise
from rules.counts import counted
from schemas.time import format_span


def because(facts: CannotLogInFacts, params: CannotLogInParams) -> Sequence[str]:
    """Return what failed, how often, and for how long."""
    counts = ", ".join(f"{n} for {reason.replace('_', ' ')}" for reason, n in facts.reasons.items())
    span = format_span(facts.anchor_at_ms - facts.first_at_ms)
    known = "" if facts.remembered == facts.failures else f"; of the {facts.remembered} remembered"
    sentences = [
        f"{counted(facts.failures, 'login')} failed{known}: {counts}.",
        (
            f"The first {params.threshold} came within {span}; as many within "
            f"{format_span(params.window_ms)} are one attempt to get in (threshold, window_ms)."
        ),
        (
            f"It is proven that no login succeeded in the {format_span(params.absence_ms)} "
            "after them (absence_ms)."
        ),
    ]
    if facts.is_service(params.service_percent):
        sentences.append(
            f"{facts.service_failures} of {facts.remembered} failed for reasons of the service: "
            f"from {params.service_percent} percent it is a warning (service_percent)."
        )
    return sentences


def otherwise(facts: CannotLogInFacts, params: CannotLogInParams) -> Sequence[Otherwise]:
    """Return how few, how slow or how differently they would have had to fail."""
    found = [
        Otherwise(
            sentence=f"no alert if fewer than {params.threshold} logins had failed (threshold)",
            facts={"failures": params.threshold - 1},
        ),
        Otherwise(
            sentence=f"no alert if the first {params.threshold} had been spread over more than "
            f"{format_span(params.window_ms)} (window_ms)",
            facts={"first_at_ms": facts.anchor_at_ms - params.window_ms - 1},
        ),
        Otherwise(
            sentence=f"no alert if a login had succeeded within {format_span(params.absence_ms)} "
            "after them (absence_ms)",
            facts={"no_success_until_ms": facts.anchor_at_ms + params.absence_ms - 1},
        ),
    ]
    if facts.is_service(params.service_percent):
        most = (params.service_percent * facts.remembered - 1) // 100
        few = f"at most {most}" if most else "none"
        found.append(
            Otherwise(
                sentence=f"only info if {few} had failed for reasons of the service "
                "(service_percent)",
                facts={"service_failures": most},
            )
        )
    return found
