"""A1 decided: from the facts that an alert quotes, and nothing else."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from rules.contract import Amount, Otherwise, Verdict
from rules.facts import Facts, quoted
from rules.failed_payment.failure_codes import NOT_THE_WALLET, Family, family
from schemas.base import RootCause, Severity
from schemas.money import from_minor
from schemas.time import format_span

if TYPE_CHECKING:
    from rules.failed_payment.rule import FailedPaymentParams

KEYS: Final = ("transaction_id", "idempotency_key", "external_reference")
"""A completed debit that shares one of them is the payment, or a retry of it."""


def needed_of(
    amount: int,
    fee: int | None,
    funding: str | None,
    part: int | None,
    code_system: str | None,
    assume_balance_funded: bool,
) -> int | str:
    """Return what the balance was to pay (minor units, fee included), or why it was not to.

    `part` is what the balance pays of a mixed funding.
    """
    if funding is None and assume_balance_funded:
        funding = "card" if code_system in NOT_THE_WALLET else "balance"
    if funding == "balance":
        return amount + (fee or 0)
    if funding != "mixed":
        return "not_balance_funded"
    return "mixed_part_unknown" if part is None else part


class FailedDebitFacts(Facts, kw_only=True):
    """Facts that are read from the failed payment."""

    type: Annotated[str, quoted("type")]
    amount_minor: Annotated[int, quoted("amount")]
    fee_minor: Annotated[int | None, quoted("fee")]
    currency: Annotated[str, quoted("currency")]
    exponent: Annotated[int, quoted("exponent")]
    funding: Annotated[str | None, quoted("funding", compared_with="assume_balance_funded")]
    funding_from_balance_minor: Annotated[int | None, quoted("funding_from_balance")]
    failure_code: Annotated[str | None, quoted("failure_code", compared_with="silent_families")]
    failure_code_system: Annotated[str | None, quoted("failure_code_system")]
    provider: Annotated[str | None, quoted("provider")]
    failed_at_ms: Annotated[int, quoted("occurred_at")]
    transaction_id: Annotated[str | None, quoted("transaction_id")] = None
    idempotency_key: Annotated[str | None, quoted("idempotency_key")] = None
    external_reference: Annotated[str | None, quoted("external_reference")] = None


class FailedPaymentFacts(FailedDebitFacts, kw_only=True):
    """The facts of one alert. One of the balances is given."""

    available_balance_minor: Annotated[int | None, quoted("available_balance")] = None
    balance_before_minor: Annotated[int | None, quoted("balance_before")] = None
    balance_after_minor: Annotated[int | None, quoted("balance_after")] = None
    reported_balance_minor: Annotated[int | None, quoted("balance")] = None
    balance_at_ms: Annotated[
        int,
        quoted(
            lambda event: getattr(event, "as_of", event.occurred_at),
            compared_with="max_balance_age_ms",
        ),
    ]
    holds_minor: Annotated[int, quoted(compared_with="hold_ttl_ms")]
    """Held by other debits, and not taken off the balance yet."""
    concurrent_debit: Annotated[bool, quoted(compared_with="concurrent_debit_ms")]
    """Whether another debit was under way within concurrent_debit_ms before."""
    no_retry_until_ms: Annotated[int | None, quoted(compared_with="retry_grace_ms")] = None
    """Until when it is proven that no retry succeeded."""

    @property
    def family(self) -> Family:
        """Why it failed, by the table of codes."""
        return family(self.failure_code_system, self.failure_code)

    @property
    def told(self) -> tuple[str, int]:
        """The fact that tells the balance, and its value."""
        return next((n, value) for n in BALANCES if (value := getattr(self, n)) is not None)

    @property
    def available(self) -> int:
        """What the owner could spend, in minor units."""
        return self.told[1] - self.holds_minor

    @property
    def given(self) -> bool:
        """Whether the event itself tells what the owner could spend."""
        return self.available_balance_minor is not None

    def needed(self, params: "FailedPaymentParams") -> int | str:
        """As `needed_of`."""
        return needed_of(
            self.amount_minor,
            self.fee_minor,
            self.funding,
            self.funding_from_balance_minor,
            self.failure_code_system,
            params.assume_balance_funded,
        )

    def money(self, minor: int) -> str:
        """Return an amount for people."""
        return f"{from_minor(minor, self.exponent)} {self.currency}"


FAILURE: Final = FailedDebitFacts.__struct_fields__
_BALANCES: Final = {
    "available_balance_minor": "what could be spent, as the event says",
    "balance_before_minor": "the balance before it, as the event says",
    "balance_after_minor": "what an earlier transaction left",
    "reported_balance_minor": "a reported balance",
}
"""Facts that are a balance, in words: an alert quotes one of them."""
BALANCES: Final = tuple(_BALANCES)
OWN_BALANCES: Final = BALANCES[:2]
"""Those that are read from the failed payment itself."""


def verdict_of(facts: FailedPaymentFacts, params: "FailedPaymentParams") -> Verdict | None:
    """Decide; None if the failure is no contradiction."""
    why, needed = facts.family, facts.needed(params)
    too_old = facts.balance_at_ms < facts.failed_at_ms - params.max_balance_age_ms
    silent = why == "unknown" or why in params.silent_families
    if silent or too_old or isinstance(needed, str) or facts.available < needed:
        return None
    severity: Severity = "info"
    if why == "insufficient_funds":
        if facts.given or not facts.concurrent_debit:
            severity = "error"
    elif (facts.no_retry_until_ms or 0) >= facts.failed_at_ms + params.retry_grace_ms:
        severity = "warning"
    return Verdict(
        at=facts.failed_at_ms,
        severity=severity,
        title=_title(facts),
        amount_at_stake=(Amount(facts.currency, facts.amount_minor, facts.exponent),),
        suspected_root_cause=_root_cause(facts),
        owner_advice=("retry", "contact_support"),
        details={
            "family": why,
            "failure_code": facts.failure_code,
            "failure_code_system": facts.failure_code_system,
            "balance_from": facts.told[0].removesuffix("_minor"),
            "concurrent_debit": facts.concurrent_debit,
        },
    )


def because(facts: FailedPaymentFacts, params: "FailedPaymentParams") -> Sequence[str]:
    """Say what was needed and what was there."""
    needed = facts.needed(params)
    assert isinstance(needed, int), "there would be no alert"
    name, told = facts.told
    held = f", less {facts.money(facts.holds_minor)} held for others" if facts.holds_minor else ""
    age = facts.failed_at_ms - facts.balance_at_ms
    when = f" {format_span(age)} before" if age else ""
    system = facts.failure_code_system or "internal"
    said = [
        f"The balance was to pay {facts.money(needed)}, fee included.",
        f"It could: {facts.money(told)} were there{when} ({_BALANCES[name]}){held}.",
        f"Code {facts.failure_code} ({system}) means {facts.family.replace('_', ' ')}.",
    ]
    if facts.concurrent_debit and not facts.given:
        said.append("Another debit shortly before may have had the money: so it is only info.")
    if facts.no_retry_until_ms is not None:
        said.append("It is proven that no retry succeeded in time.")
    return said


def otherwise(facts: FailedPaymentFacts, params: "FailedPaymentParams") -> Sequence[Otherwise]:
    """Say how little, how old or how contested the balance would have had to be."""
    needed, (name, _) = facts.needed(params), facts.told
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
    if facts.family == "insufficient_funds" and not facts.given and not facts.concurrent_debit:
        found.append(
            Otherwise(
                sentence="only info if another debit had been under way within "
                f"{format_span(params.concurrent_debit_ms)} before (concurrent_debit_ms)",
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


def _title(facts: FailedPaymentFacts) -> str:
    what = f"{facts.type.replace('_', ' ').capitalize()} of {facts.money(facts.amount_minor)}"
    if facts.family == "insufficient_funds":
        return f"{what} refused for insufficient funds although the balance covers it"
    return f"{what} failed ({facts.family.replace('_', ' ')}) although the balance covers it"


def _root_cause(facts: FailedPaymentFacts) -> RootCause:
    return "third_party" if facts.family == "technical" and facts.provider else "technical"
