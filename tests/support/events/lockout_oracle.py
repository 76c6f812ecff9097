"""A second opinion on every lock of an account, worked out from its past and its future."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.time import parse_time
from tests.support.events.theft_oracle import DAY, MINUTE, Event, at, in_order, is_debit

GRACE = MINUTE
UNCOUNTED = {
    "service_error",
    "otp_not_delivered",
    "timeout",
    "network",
    "unknown_account",
    "account_locked",
}
ORDER = ("info", "warning", "error")


class ExpectedAlert(NamedTuple):
    """The event, severity and times that an alert must have in the end."""

    event_id: str
    severity: str
    severity_at: int
    cured_at: int | None


def findings(events: Iterable[Event]) -> Iterator[ExpectedAlert]:
    """Yield the alerts of each lock, and of refusals after its alert was closed."""
    past = in_order(events)
    logins = [event for event in past if event["kind"] == "login"]
    for lock in logins:
        if lock["action"] == "lock" and lock["outcome"] == "success":
            yield from _of_lock(lock, logins, past)


def _of_lock(lock: Event, logins: list[Event], past: list[Event]) -> Iterator[ExpectedAlert]:
    until = parse_time(str(lock["lock_until"])) if "lock_until" in lock else None
    after = [event for event in logins if at(event) > at(lock)]
    opened = next((at(event) for event in after if _opens(event)), None)
    superseded = next((at(event) for event in after if event["action"] == "lock"), None)
    refused = [
        at(event)
        for event in after
        if event.get("reason") == "account_locked" and (opened is None or at(event) < opened)
    ]
    closed = opened
    if until is not None and (opened is None or until + GRACE < opened):
        kept_open = any(until < moment <= until + GRACE for moment in refused)
        closed = opened if kept_open else until + GRACE
    raised = [(_first_severity(lock), at(lock)), *_at_once(lock, logins)]
    raised += [("error", moment) for moment in _money_moves(lock, past, until, opened)]
    overdue = [
        event
        for event in after
        if until is not None
        and at(event) in refused
        and at(event) > until + GRACE
        and (superseded is None or at(event) < superseded)
    ]
    if overdue and (closed is None or at(overdue[0]) < closed):
        raised.append(("error", at(overdue[0])))
    elif overdue:
        yield ExpectedAlert(str(overdue[0]["event_id"]), "error", at(overdue[0]), opened)
    severity = max((name for name, _ in raised), key=ORDER.index)
    reached = min(moment for name, moment in raised if name == severity)
    yield ExpectedAlert(str(lock["event_id"]), severity, reached, closed)


def _opens(event: Event) -> bool:
    return event["action"] in ("login", "unlock") and event["outcome"] == "success"


def _first_severity(lock: Event) -> str:
    return "info" if lock.get("reason") in ("customer", "max_retries") else "warning"


def _at_once(lock: Event, logins: list[Event]) -> Iterator[tuple[str, int]]:
    """Yield what is known with the lock: that it is the third, or that there was no failure."""
    before = [event for event in logins if at(event) <= at(lock)]
    locks = [e for e in before if e["action"] == "lock" and e.get("reason") != "customer"]
    day = [event for event in locks if at(lock) - at(event) <= DAY]
    if lock in day and len(day) >= 3:
        yield "warning", at(lock)
    ins = [at(e) for e in before if e["action"] == "login" and e["outcome"] == "success"]
    failures = [
        event
        for event in before
        if event["action"] == "login"
        and event["outcome"] == "failure"
        and event.get("reason") not in UNCOUNTED
        and at(event) > max(ins, default=0)
    ]
    observed = at(lock) - at(logins[0]) > 15 * MINUTE
    streams = lock.get("channel") in ("app", "web")
    judged = lock.get("reason") == "max_retries" and streams and observed and ins
    if judged and len(failures) < 5:
        yield "error", at(lock)


def _money_moves(
    lock: Event, past: list[Event], until: int | None, opened: int | None
) -> Iterator[int]:
    begun = {event.get("transaction_id") for event in past if at(event) <= at(lock)}
    for event in past:
        if not is_debit(event) or event["status"] not in ("pending", "completed"):
            continue
        ends = min(moment for moment in (until, opened, at(event)) if moment is not None)
        if at(lock) < at(event) <= ends and event["transaction_id"] not in begun:
            yield at(event)
