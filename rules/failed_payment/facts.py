"""What an alert of A1 quotes, and its verdict: it follows from these facts and nothing else."""

from operator import attrgetter
from typing import Annotated, Final

from rules.alerts import Amount, Verdict
from rules.facts import Facts, quoted
from rules.failed_payment.failure_codes import NOT_THE_WALLET, Family, family
from rules.failed_payment.params import FailedPaymentParams
from schemas.base import RootCause, Severity
from schemas.money import from_minor

KEYS: Final = ("transaction_id", "idempotency_key", "external_reference")
"""A completed debit that shares one of them is the payment, or a retry of it."""
keys_of: Final = attrgetter(*KEYS)


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
    concurrent_debit: Annotated[bool, quoted(compared_with="concurrent_debit_ms")] = False
    """Whether another debit or a credit came within concurrent_debit_ms before or after."""
    no_retry_until_ms: Annotated[int | None, quoted(compared_with="retry_grace_ms")] = None
    """Until when it is proven that no retry succeeded."""

    @property
    def family(self) -> Family:
        """Why it failed, by the table of codes."""
        return family(self.failure_code_system, self.failure_code)

    @property
    def balance(self) -> tuple[str, int]:
        """The fact that is the balance, and its value."""
        return next((n, value) for n in BALANCES if (value := getattr(self, n)) is not None)

    @property
    def available(self) -> int:
        """What the owner could spend, in minor units."""
        return self.balance[1] - self.holds_minor

    @property
    def is_certain(self) -> bool:
        """Whether the failed payment itself has what the owner could spend."""
        return self.available_balance_minor is not None

    def needed(self, params: FailedPaymentParams) -> int | str:
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
BALANCES: Final = (
    "available_balance_minor",
    "balance_before_minor",
    "balance_after_minor",
    "reported_balance_minor",
)
"""Facts that are a balance, the surest first: an alert quotes one of them."""
OWN_BALANCES: Final = BALANCES[:2]
"""Those that are read from the failed payment itself."""


def verdict_of(facts: FailedPaymentFacts, params: FailedPaymentParams) -> Verdict | None:
    """Decide; None if the failure is no contradiction."""
    why, needed = facts.family, facts.needed(params)
    too_old = facts.balance_at_ms < facts.failed_at_ms - params.max_balance_age_ms
    silent = why == "unknown" or why in params.silent_families
    if silent or too_old or isinstance(needed, str) or facts.available < needed:
        return None
    severity: Severity = "info"
    if why == "insufficient_funds":
        if facts.is_certain or not facts.concurrent_debit:
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
            "balance_from": facts.balance[0].removesuffix("_minor"),
            "concurrent_debit": facts.concurrent_debit,
        },
    )


def _title(facts: FailedPaymentFacts) -> str:
    what = f"{facts.type.replace('_', ' ').capitalize()} of {facts.money(facts.amount_minor)}"
    if facts.family == "insufficient_funds":
        return f"{what} refused for insufficient funds although the balance covers it"
    return f"{what} failed ({facts.family.replace('_', ' ')}) although the balance covers it"


def _root_cause(facts: FailedPaymentFacts) -> RootCause:
    return "third_party" if facts.family == "technical" and facts.provider else "technical"
