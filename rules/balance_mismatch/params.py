"""Thresholds and switches of A2."""

from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator

from rules.contract import Params
from schemas.money import MAX_DIGITS
from schemas.time import DAY_MS, MINUTE_MS, SECOND_MS

MAX_MINOR: Final = 10**MAX_DIGITS
"""More is surely a mistake."""

Minor = Annotated[int, Field(ge=0, le=MAX_MINOR)]


class BalanceMismatchParams(Params):
    """Thresholds and switches of A2."""

    row_check: bool = Field(
        True, description="switch; judge each row by itself; off for books without row balances"
    )
    chain_check: bool = Field(
        True, description="switch; judge rows with ledger_sequence against their neighbours"
    )
    tolerance_minor: Minor = Field(
        0, description="minor units; drifts up to it are none; ledgers are exact, so 0"
    )
    tolerance_minor_by_currency: dict[str, Minor] = Field(
        {}, description="minor units; instead of tolerance_minor for the currencies named"
    )
    drift_error_minor_by_currency: dict[str, Minor] = Field(
        {},
        description="minor units; drift from which it is an error; one major unit for currencies "
        "not named; our own guess",
    )
    gap_info_ms: int = Field(
        60 * SECOND_MS,
        ge=1,
        le=DAY_MS,
        description="milliseconds a gap is held before it is reported; rows are seldom more than a "
        "minute apart on their way; our own guess",
    )
    gap_error_ms: int = Field(
        15 * MINUTE_MS,
        ge=2,
        le=7 * DAY_MS,
        description="milliseconds after which a gap is an error; more than gap_info_ms; our own "
        "guess",
    )
    group_check: bool = Field(
        True, description="switch; judge rows without ledger_sequence, those close in time together"
    )
    chain_slack_ms: int = Field(
        SECOND_MS,
        ge=1,
        le=7 * DAY_MS,
        description="milliseconds; rows without ledger_sequence less than that apart have no order "
        "that can be trusted; a day (86400000) for books that only know dates; our own guess",
    )
    snapshot_check: bool = Field(
        True, description="switch; judge reported balances against those of the rows"
    )
    snapshot_slack_ms: int = Field(
        5 * SECOND_MS,
        ge=0,
        le=DAY_MS,
        description="milliseconds before and after the moment of a reported balance within which "
        "the rows must have had it; clocks of two systems differ; our own guess",
    )
    snapshot_history_ms: int = Field(
        10 * MINUTE_MS,
        ge=0,
        le=DAY_MS,
        description="milliseconds; a balance reported longer after its moment is not judged; so "
        "long a past is kept, of at most 64 balances; our own guess",
    )

    @field_validator("gap_error_ms")
    @classmethod
    def _after_the_info(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("gap_info_ms", 0):
            raise ValueError("must be more than gap_info_ms")
        return value

    @property
    def retention_ms(self) -> int:
        """How many milliseconds of past balances are kept; 0 if reports are not judged."""
        if not self.snapshot_check:
            return 0
        return self.snapshot_history_ms + self.snapshot_slack_ms + 1

    def tolerance(self, currency: str) -> int:
        """Return the largest drift that is tolerated, in minor units."""
        return self.tolerance_minor_by_currency.get(currency, self.tolerance_minor)

    def error_from(self, currency: str, exponent: int) -> int:
        """Return the drift from which an alert is an error, in minor units."""
        major_unit: int = 10**exponent
        return self.drift_error_minor_by_currency.get(currency, major_unit)
