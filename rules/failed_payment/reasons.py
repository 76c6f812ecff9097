"""Why an alert of A1 was raised, and what would have made it milder, in sentences."""

from collections.abc import Sequence
from typing import Final

from rules.contract import Otherwise
from rules.failed_payment.facts import OWN_BALANCES, FailedPaymentFacts
from rules.failed_payment.params import FailedPaymentParams
from schemas.time import format_span

_BALANCES: Final = {
    "available_balance_minor": "what could be spent, as the event says",
    "balance_before_minor": "the balance before it, as the event says",
    "balance_after_minor": "what an earlier transaction left",
    "reported_balance_minor": "a reported balance",
}
"""Facts that are a balance, in words."""


def because(facts: FailedPaymentFacts, params: FailedPaymentParams) -> Sequence[str]:
    """Return what was needed and what was there."""
    needed = facts.needed(params)
    assert isinstance(needed, int), "there would be no alert"
    name, balance = facts.balance
    held = f", less {facts.money(facts.holds_minor)} held for others" if facts.holds_minor else ""
    age = facts.failed_at_ms - facts.balance_at_ms
    when = f" {format_span(age)} before" if age else ""
    system = facts.failure_code_system or "internal"
    sentences = [
        f"The balance was to pay {facts.money(needed)}, fee included.",
        f"It could: {facts.money(balance)} were there{when} ({_BALANCES[name]}){held}.",
        f"Code {facts.failure_code} ({system}) means {facts.family.replace('_', ' ')}.",
    ]
    if facts.concurrent_debit and not facts.is_certain:
        sentences.append(
            "Another debit or a credit at the same moment may explain it: so it is only info."
        )
    if facts.no_retry_until_ms is not None:
        sentences.append("It is proven that no retry succeeded in time.")
    return sentences


def otherwise(facts: FailedPaymentFacts, params: FailedPaymentParams) -> Sequence[Otherwise]:
    """Return how little, how old or how contested the balance would have had to be."""
    needed, (name, _) = facts.needed(params), facts.balance
    assert isinstance(needed, int), "there would be no alert"
    less = needed - 1 + facts.holds_minor
    found = [
        Otherwise(
            sentence=f"no alert if the balance had been {facts.money(less)} or less",
            facts={name: less},
        )
    ]
    if name not in OWN_BALANCES:
        age = params.max_balance_age_ms
        found.append(
            Otherwise(
                sentence="no alert if the balance had been known for more than "
                f"{format_span(age)} (max_balance_age_ms)",
                facts={"balance_at_ms": facts.failed_at_ms - age - 1},
            )
        )
    if facts.family == "insufficient_funds" and not facts.is_certain and not facts.concurrent_debit:
        found.append(
            Otherwise(
                sentence="only info if another debit or a credit had come within "
                f"{format_span(params.concurrent_debit_ms)} (concurrent_debit_ms)",
                facts={"concurrent_debit": True},
            )
        )
    if facts.no_retry_until_ms is not None:
        found.append(
            Otherwise(
                sentence="only info if a retry had succeeded within "
                f"{format_span(params.retry_grace_ms)} (retry_grace_ms)",
                facts={"no_retry_until_ms": None},
            )
        )
    return found
