"""Builders of histories with locks, for the tests of A4."""

from typing import Any

from rules.account_lockout.rule import AccountLockout
from rules.builders import at, login
from rules.testing import Scenario
from worker.detect.handler import Horizons

_HORIZONS = Horizons()
DERIVED: dict[str, Any] = {"derive_locks": True}
SEEN = login("09:00:00")
FIVE = ("09:50:00", "09:52:00", "09:54:00", "09:56:00", "09:58:00")


def lock(time: str = "10:00:00", reason: str | None = "max_retries", **fields: Any) -> Any:
    """Return a lock in the app."""
    fields = {"channel": "app", "event_id": f"lock-{time}", "reason": reason} | fields
    event = login(time, action="lock", **fields)
    return {name: value for name, value in event.items() if value is not None}


def failed(*times: str, **fields: Any) -> list[Any]:
    """Return failed logins."""
    return [login(time, "failure", **fields) for time in times]


def refused(time: str) -> Any:
    """Return a login that is refused as locked."""
    return login(time, "failure", reason="account_locked")


def unlock(time: str, **fields: Any) -> Any:
    """Return an unlock."""
    return login(time, action="unlock", **fields)


def run(*events: Any, horizons: Horizons = _HORIZONS, **params: Any) -> Scenario:
    """Give events in the order of the list."""
    scenario = Scenario(AccountLockout, horizons, **params)
    for event in events:
        scenario.give(event)
    return scenario


def earned(*events: Any, **params: Any) -> Scenario:
    """Give a justified history first."""
    return run(SEEN, *failed(*FIVE), *events, **params)


def timed(*events: Any, **params: Any) -> Scenario:
    """Give a justified lock until 10:15 first."""
    return earned(lock(lock_until=at("10:15:00")), *events, **params)


def kinds(scenario: Scenario) -> Any:
    """Return what the facts of the last verdict show."""
    verdict = scenario.rule.judge(scenario.rule.Facts.of(scenario.judged[-1]))
    assert verdict is not None
    return verdict.details["kinds"]


def thrice(third: str, first_reason: str = "max_retries", **params: Any) -> Scenario:
    """Give three locks in a branch, each unlocked but the last: the first at 10:00."""
    elsewhere = {"channel": "branch"}
    return run(
        SEEN,
        lock("10:00:00", first_reason, **elsewhere),
        unlock("10:10:00"),
        lock("11:00:00", **elsewhere),
        unlock("11:10:00"),
        lock("third", **elsewhere, occurred_at=third),
        **params,
    )


def on(day: int, time: str) -> dict[str, str]:
    """Return the field that moves an event to a day of March 2026; that of the builders is 2."""
    return {"occurred_at": f"2026-03-{day:02}T{time}Z"}
