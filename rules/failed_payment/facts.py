"""A1 decided: from the facts that an alert quotes, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from rules.contract import Amount, Otherwise, Value, Values, Verdict
from rules.failed_payment.failure_codes import NOT_THE_WALLET, Family, family
from schemas.base import RootCause, Severity
from schemas.money import from_minor
from schemas.time import format_span

if TYPE_CHECKING:
    from rules.failed_payment.rule import FailedPaymentParams

KEYS: Final = ("transaction_id", "idempotency_key", "external_reference")
"""A completed debit that shares one of them is the payment, or a retry of it."""

_FAILURE: Final = {
    "type": attrgetter("type"),
    "amount_minor": attrgetter("amount"),
    "fee_minor": attrgetter("fee"),
    "currency": attrgetter("currency"),
    "exponent": attrgetter("exponent"),
    "funding": attrgetter("funding"),
    "funding_from_balance_minor": attrgetter("funding_from_balance"),
    "failure_code": attrgetter("failure_code"),
    "failure_code_system": attrgetter("failure_code_system"),
    "provider": attrgetter("provider"),
    "failed_at_ms": attrgetter("occurred_at"),
    **{key: attrgetter(key) for key in KEYS},
}
FAILURE: Final = tuple(_FAILURE)
"""Facts that are read from the failed payment."""
_TOLD: Final = {
    "available_balance_minor": "what could be spent, as the event says",
    "balance_before_minor": "the balance before it, as the event says",
    "balance_after_minor": "what an earlier transaction left",
    "reported_balance_minor": "a reported balance",
}
"""Facts that tell a balance: an alert quotes one of them."""
BALANCES: Final = tuple(_TOLD)
OWN_BALANCES: Final = BALANCES[:2]
"""Those that the failed payment tells itself."""
QUOTED: Final[Mapping[str, Callable[[Any], Value]]] = {
    **_FAILURE,
    "available_balance_minor": attrgetter("available_balance"),
    "balance_before_minor": attrgetter("balance_before"),
    "balance_after_minor": attrgetter("balance_after"),
    "reported_balance_minor": attrgetter("balance"),
    "balance_at_ms": lambda event: getattr(event, "as_of", event.occurred_at),
}


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


class Case(Struct, kw_only=True):
    """The facts of one alert."""

    type: str
    amount_minor: int
    fee_minor: int | None
    currency: str
    exponent: int
    funding: str | None
    funding_from_balance_minor: int | None
    failure_code: str | None
    failure_code_system: str | None
    provider: str | None
    failed_at_ms: int
    available_balance_minor: int | None = None
    balance_before_minor: int | None = None
    balance_after_minor: int | None = None
    reported_balance_minor: int | None = None
    balance_at_ms: int
    holds_minor: int
    """Held by other debits, and not taken off the balance yet."""
    concurrent_debit: bool
    """Whether another debit was under way within concurrent_debit_ms before."""
    no_retry_until_ms: int | None = None
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


def verdict_of(facts: Values, params: "FailedPaymentParams") -> Verdict | None:
    """Decide; None if the failure is no contradiction."""
    case = msgspec.convert(facts, Case)
    why, needed = case.family, case.needed(params)
    too_old = case.balance_at_ms < case.failed_at_ms - params.max_balance_age_ms
    silent = why == "unknown" or why in params.silent_families
    if silent or too_old or isinstance(needed, str) or case.available < needed:
        return None
    severity: Severity = "info"
    if why == "insufficient_funds":
        if case.given or not case.concurrent_debit:
            severity = "error"
    elif (case.no_retry_until_ms or 0) >= case.failed_at_ms + params.retry_grace_ms:
        severity = "warning"
    return Verdict(
        at=case.failed_at_ms,
        severity=severity,
        title=_title(case),
        amount_at_stake=(Amount(case.currency, case.amount_minor, case.exponent),),
        suspected_root_cause=_root_cause(case),
        owner_advice=("retry", "contact_support"),
        details={
            "family": why,
            "failure_code": case.failure_code,
            "failure_code_system": case.failure_code_system,
            "balance_from": case.told[0].removesuffix("_minor"),
            "concurrent_debit": case.concurrent_debit,
        },
    )


def because(facts: Values, params: "FailedPaymentParams") -> Sequence[str]:
    """Say what was needed and what was there."""
    case = msgspec.convert(facts, Case)
    needed = case.needed(params)
    assert isinstance(needed, int), "there would be no alert"
    name, told = case.told
    held = f", less {case.money(case.holds_minor)} held for others" if case.holds_minor else ""
    age = case.failed_at_ms - case.balance_at_ms
    when = f" {format_span(age)} before" if age else ""
    system = case.failure_code_system or "internal"
    said = [
        f"The balance was to pay {case.money(needed)}, fee included.",
        f"It could: {case.money(told)} were there{when} ({_TOLD[name]}){held}.",
        f"Code {case.failure_code} ({system}) means {case.family.replace('_', ' ')}.",
    ]
    if case.concurrent_debit and not case.given:
        said.append("Another debit shortly before may have had the money: so it is only info.")
    if case.no_retry_until_ms is not None:
        said.append("It is proven that no retry succeeded in time.")
    return said


def otherwise(facts: Values, params: "FailedPaymentParams") -> Sequence[Otherwise]:
    """Say how little, how old or how contested the balance would have had to be."""
    case = msgspec.convert(facts, Case)
    needed, (name, _) = case.needed(params), case.told
    assert isinstance(needed, int), "there would be no alert"
    less = needed - 1 + case.holds_minor
    found = [
        Otherwise(
            sentence=f"no alert if the balance had been {case.money(less)} or less",
            facts={name: less},
        )
    ]
    if name not in OWN_BALANCES:
        age = params.max_balance_age_ms
        found.append(
            Otherwise(
                sentence="no alert if the balance had been known for more than "
                f"{format_span(age)} (max_balance_age_ms)",
                facts={"balance_at_ms": case.failed_at_ms - age - 1},
            )
        )
    if case.family == "insufficient_funds" and not case.given and not case.concurrent_debit:
        found.append(
            Otherwise(
                sentence="only info if another debit had been under way within "
                f"{format_span(params.concurrent_debit_ms)} before (concurrent_debit_ms)",
                facts={"concurrent_debit": True},
            )
        )
    if case.no_retry_until_ms is not None:
        found.append(
            Otherwise(
                sentence="only info if a retry had succeeded within "
                f"{format_span(params.retry_grace_ms)} (retry_grace_ms)",
                facts={"no_retry_until_ms": None},
            )
        )
    return found


def _title(case: Case) -> str:
    what = f"{case.type.replace('_', ' ').capitalize()} of {case.money(case.amount_minor)}"
    if case.family == "insufficient_funds":
        return f"{what} refused for insufficient funds although the balance covers it"
    return f"{what} failed ({case.family.replace('_', ' ')}) although the balance covers it"


def _root_cause(case: Case) -> RootCause:
    return "third_party" if case.family == "technical" and case.provider else "technical"
