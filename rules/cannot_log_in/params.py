"""The parameters of A5."""

from pydantic import Field

from rules.contract import Params
from schemas.time import MINUTE_MS


class CannotLogInParams(Params):
    """Thresholds of A5."""

    threshold: int = Field(
        5, ge=2, le=50, description="failures; fewer are usual typing errors; our own guess"
    )
    window_ms: int = Field(
        10 * MINUTE_MS,
        ge=1_000,
        le=24 * 60 * MINUTE_MS,
        description="milliseconds, sliding, both ends included; within it the failures are one "
        "attempt to get in; our own guess",
    )
    absence_ms: int = Field(
        10 * MINUTE_MS,
        ge=1_000,
        le=24 * 60 * MINUTE_MS,
        description="milliseconds after the anchor without a success; time for a reset of the "
        "password; our own guess",
    )
    quiet_ms: int = Field(
        30 * MINUTE_MS,
        ge=1_000,
        le=7 * 24 * 60 * MINUTE_MS,
        description="milliseconds without a failure after which an alert expires: the owner has "
        "given up; our own guess",
    )
    service_percent: int = Field(
        50,
        ge=1,
        le=100,
        description="percent of the failures with a service's reason from which it is a warning; "
        "from then on the owner is not the likely cause; our own guess",
    )
    collapse_double_logging: bool = Field(
        True,
        description="switch; failures of one session in one second count once, because two layers "
        "may log one attempt; seen in the field (separate buckets per log type)",
    )
