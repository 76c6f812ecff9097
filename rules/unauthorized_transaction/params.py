"""The points and thresholds of A3."""

from typing import Annotated, Any, Final

from pydantic import Field

from rules.contract import Params
from rules.habits import MAX_FAILURES
from schemas.money import MAX_DIGITS
from schemas.time import DAY_MS, MINUTE_MS, SECOND_MS

MAX_POINTS: Final = 100
MAX_MINOR: Final = 10**MAX_DIGITS

Minor = Annotated[int, Field(ge=0, le=MAX_MINOR)]


def _points(default: int, why: str) -> Any:
    return Field(
        default, ge=0, le=MAX_POINTS, description=f"points; {why}; the weight is our own guess"
    )


class UnauthorizedTransactionParams(Params):
    """Points of each sign, and the thresholds that decide whether a sign is there."""

    points_disputed: int = _points(100, "the owner says it was not his; alone enough")
    points_authorization_failed: int = _points(
        60, "the approval failed or had expired, and the money moves all the same"
    )
    points_not_authorized: int = _points(30, "nobody approved it, and it is above what needs none")
    points_unknown_session: int = _points(
        40, "the session has never logged in: a stolen token looks like that (OWASP token reuse)"
    )
    points_new_device: int = _points(
        25, "the device was first seen within new_for_ms; owners buy new phones too"
    )
    points_new_country: int = _points(
        25, "the country was first seen within new_for_ms; owners travel too"
    )
    points_travel: int = _points(40, "nobody gets from one place to the other in that time")
    points_guessed: int = _points(
        35, "a login succeeded after many failures within new_for_ms; owners mistype too"
    )
    points_changed: int = _points(
        30, "password, phone, e-mail or MFA were changed within new_for_ms; owners do that too"
    )
    points_new_counterparty: int = _points(15, "the counterparty was never paid before")
    points_large: int = _points(20, "more than large_factor times the largest debit")
    points_drained: int = _points(20, "it takes nearly all of the balance")
    points_burst: int = _points(30, "many counterparties that were never paid before, in a row")
    points_sends_out: int = _points(5, "a withdrawal or a transfer, not a payment")
    warning_points: int = Field(
        50,
        ge=1,
        le=1_000,
        description="points of both sides together from which it is a warning; of the login side "
        "alone an info; our own guess",
    )
    error_points: int = Field(
        80,
        ge=1,
        le=1_000,
        description="points of both sides together from which it is an error; our own guess",
    )
    new_for_ms: int = Field(
        DAY_MS,
        ge=MINUTE_MS,
        le=31 * DAY_MS,
        description="milliseconds for which a device, a country, a guessed password, a changed "
        "credential or an impossible journey counts; a takeover is used within a day",
    )
    session_history_ms: int = Field(
        90 * DAY_MS,
        ge=DAY_MS,
        le=400 * DAY_MS,
        description="milliseconds for which logins must have been seen before a session counts as "
        "unknown; sessions live for up to 90 days",
    )
    min_history_logins: int = Field(
        5,
        ge=0,
        le=10_000,
        description="successful logins before which nothing counts as new (or min_history_debits); "
        "our own guess",
    )
    min_history_debits: int = Field(
        10,
        ge=0,
        le=10_000,
        description="completed debits before which nothing counts as new (or min_history_logins); "
        "our own guess",
    )
    min_history_ms: int = Field(
        7 * DAY_MS,
        ge=0,
        le=400 * DAY_MS,
        description="milliseconds since the first login or debit before which nothing counts as "
        "new; our own guess",
    )
    travel_kmh: int = Field(
        900,
        ge=1,
        le=100_000,
        description="kilometres per hour; faster than an airliner; as known systems have it",
    )
    travel_km: int = Field(
        100,
        ge=0,
        le=20_000,
        description="kilometres; the place of an address is not known better than that",
    )
    guess_failures: int = Field(
        5,
        ge=1,
        le=MAX_FAILURES,
        description="failed logins before a success; fewer are usual typing errors; as known "
        "systems have it",
    )
    guess_window_ms: int = Field(
        30 * MINUTE_MS,
        ge=SECOND_MS,
        le=DAY_MS,
        description="milliseconds before a success in which failures count, both ends included; "
        "as known systems have it",
    )
    exempt_amount_major: int = Field(
        50,
        ge=0,
        le=10**9,
        description="units of the currency; up to it a transaction needs no approval; near the "
        "low-value exemptions of card payments",
    )
    exempt_amount_minor_by_currency: dict[str, Minor] = Field(
        {}, description="minor units; instead of exempt_amount_major for the currencies named"
    )
    large_factor: int = Field(
        3,
        ge=1,
        le=1_000,
        description="times the largest of the last 50 completed debits of the currency; our own "
        "guess",
    )
    drained_percent: int = Field(
        80,
        ge=1,
        le=100,
        description="percent of the balance from which a debit drains it; our own guess",
    )
    max_balance_age_ms: int = Field(
        5 * MINUTE_MS,
        ge=0,
        le=DAY_MS,
        description="milliseconds; an older balance is not known; our own guess",
    )
    burst_counterparties: int = Field(
        5,
        ge=2,
        le=64,
        description="counterparties never paid before, this one included; our own guess",
    )
    burst_window_ms: int = Field(
        30 * MINUTE_MS,
        ge=SECOND_MS,
        le=DAY_MS,
        description="milliseconds in which they were first paid, both ends included; our own guess",
    )

    def exempt(self, currency: str, exponent: int) -> int:
        """Return up to which amount (minor units) a transaction needs no approval."""
        default: int = self.exempt_amount_major * 10**exponent
        return self.exempt_amount_minor_by_currency.get(currency, default)
