"""Thefts as events: what the tests of A3 share."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rules.testing import Scenario
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from rules.unauthorized_transaction.scenes import NEW_PAYEE, POOR

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
_RANK = {None: 0, "info": 1, "warning": 2, "error": 3}
REFUSED = {"authorization": {"method": "otp", "result": "failed"}}
SUSPECT = {"type": "transfer_out", **NEW_PAYEE, **POOR}
"""40 points of the money."""


def when(time: datetime) -> dict[str, str]:
    """Return the field that moves an event to any moment."""
    return {"occurred_at": time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def steps(*events: dict[str, Any], **params: Any) -> list[str]:
    """Return what is published about these events."""
    return Scenario(UnauthorizedTransaction, **params).run(events).steps


def points(*events: dict[str, Any]) -> dict[str, int]:
    """Return the points of the one alert that these events give."""
    (raised,) = Scenario(UnauthorizedTransaction, warning_points=1).run(events).raised
    return {**raised.details["points_who"], **raised.details["points_money"]}


AT = 10**12


HOUR = 3_600_000


BASE: dict[str, Any] = {
    "transaction_id": "t1",
    "type": "payment",
    "status": "completed",
    "amount_minor": 10_000,
    "currency": "EUR",
    "exponent": 2,
    "occurred_at_ms": AT,
    "authorization_method": None,
    "authorization_result": None,
    "history_ms": 7 * 24 * HOUR,
    "history_logins": 5,
    "history_debits": 0,
}


TRAVEL = {"travel_m": 1_000_000, "travel_ms": HOUR}
