"""The parameters of A1."""

from typing import Annotated

from pydantic import Field

from rules.contract import Params
from rules.failed_payment.failure_codes import Family
from schemas.time import DAY_MS, MINUTE_MS, SECOND_MS


class FailedPaymentParams(Params):
    """Thresholds and switches of A1."""

    max_balance_age_ms: int = Field(
        5 * MINUTE_MS,
        ge=0,
        le=DAY_MS,
        description="milliseconds; an older balance does not prove that the money was there; our "
        "own guess",
    )
    hold_ttl_ms: int = Field(
        7 * DAY_MS,
        ge=MINUTE_MS,
        le=31 * DAY_MS,
        description="milliseconds a hold counts if nothing ends it; as long as most "
        "authorisations live",
    )
    concurrent_debit_ms: int = Field(
        5 * SECOND_MS,
        ge=0,
        le=10 * MINUTE_MS,
        description="milliseconds before and after a refusal in which another debit may have had "
        "the money, or a credit have brought it; a refusal is judged when they are over; our own "
        "guess",
    )
    retry_grace_ms: int = Field(
        2 * MINUTE_MS,
        ge=SECOND_MS,
        le=DAY_MS,
        description="milliseconds for a retry to succeed after a technical failure; our own guess",
    )
    assume_balance_funded: bool = Field(
        True,
        description="switch; without a funding the balance pays, unless the failure code is a "
        "card's or bank's; off: such payments are not judged",
    )
    silent_families: Annotated[tuple[Family, ...], Field(strict=False)] = Field(
        ("limit", "fraud", "account_state", "customer", "duplicate"),
        description="families of failure codes that never alert: refusals with a reason that a "
        "balance cannot contradict; `unknown` is counted only, in any case",
    )
