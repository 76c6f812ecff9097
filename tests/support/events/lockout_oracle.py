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
    superseded = next((at(e) for e in logins if e["action"] == "lock" and at(e) > at(lock)), None)
    raised = [(_first_severity(lock), at(lock)), *_at_once(lock, logins)]
    begun, anchor = at(lock), str(lock["event_id"])
    while True:
        opened = next((at(e) for e in logins if at(e) > begun and _opens(e, logins)), None)
        refused = [
            event
            for event in logins
            if event.get("reason") == "account_locked"
            and begun < at(event) <= (at(event) if opened is None else opened)
        ]
        closed = _closed_at(until, opened, [at(event) for event in refused])
        raised += [("error", moment) for moment in _money_moves(lock, past, begun, until, opened)]
        overdue = _overdue(refused, until, superseded)
        if overdue and (closed is None or at(overdue[0]) < closed):
            raised.append(("error", at(overdue[0])))
        elif overdue:
            yield ExpectedAlert(str(overdue[0]["event_id"]), "error", at(overdue[0]), opened)
        severity = max((name for name, _ in raised), key=ORDER.index)
        reached = min(moment for name, moment in raised if name == severity)
        yield ExpectedAlert(anchor, severity, reached, closed)
        again = _refused_again(logins, opened, until)
        if again is None:
            return
        begun, anchor = at(again), str(again["event_id"])
        raised = [(_first_severity(lock), begun)]


def _closed_at(until: int | None, opened: int | None, refused: list[int]) -> int | None:
    if until is None or (opened is not None and opened <= until + GRACE):
        return opened
    kept_open = any(until < moment <= until + GRACE for moment in refused)
    return opened if kept_open else until + GRACE


def _overdue(refused: list[Event], until: int | None, superseded: int | None) -> list[Event]:
    return [
        event
        for event in refused
        if until is not None
        and at(event) > until + GRACE
        and (superseded is None or at(event) < superseded)
    ]


def _refused_again(logins: list[Event], opened: int | None, until: int | None) -> Event | None:
    """Return the first refusal, by the end of the lock, after what seemed to open the account."""
    if opened is None or until is None:
        return None
    return next(
        (
            event
            for event in logins
            if event.get("reason") == "account_locked" and opened < at(event) <= until
        ),
        None,
    )


def _opens(event: Event, logins: list[Event]) -> bool:
    """Whether it opens an account; a session that has logged in before is only refreshed."""
    if event["outcome"] != "success" or event["action"] not in ("login", "unlock"):
        return False
    return event["action"] == "unlock" or not any(
        other["action"] == "login"
        and other["outcome"] == "success"
        and other.get("session_id") == event.get("session_id")
        and at(other) < at(event)
        for other in logins
    )


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
    if lock.get("reason") != "max_retries" or not streams or not ins:
        return
    counted = lock.get("failures_counted")
    if len(failures) < 5 if counted is None else len(failures) < int(str(counted)):
        if counted is not None or observed:
            yield "error", at(lock)
    elif counted is not None and int(str(counted)) < 5:
        yield "warning", at(lock)


def _money_moves(
    lock: Event, past: list[Event], since: int, until: int | None, opened: int | None
) -> Iterator[int]:
    begun = {event.get("transaction_id") for event in past if at(event) <= since}
    for event in past:
        if not is_debit(event) or event["status"] not in ("pending", "completed"):
            continue
        ends = min(moment for moment in (until, opened, at(event)) if moment is not None)
        if since < at(event) <= ends and event["transaction_id"] not in begun:
            yield at(event)
