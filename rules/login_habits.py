"""What logins teach of an account: sessions, failures, places, changes of credentials. Pure."""

from rules.events import Login, Ref
from rules.habits import (
    CHANGES,
    MAX_FAILED,
    MAX_FAILURES,
    MAX_SESSIONS,
    MISPLACING,
    NOT_COUNTED,
    SESSION_BYTES,
    UNCOUNTED,
    Change,
    FailedLogin,
    Habits,
    Place,
    Source,
    forget_place_before,
    place_of,
    see_owner,
    session_at,
)
from rules.marks import Marks


def learn_login(habits: Habits, event: Login, source: Source, late: bool) -> None:
    """Update the habits with an event of the logins input."""
    at = event.occurred_at
    if habits.logins_since is None or at < habits.logins_since:
        habits.logins_since = at
    if habits.since is None or at < habits.since:
        habits.since = at
    if len(habits.places) > 1:
        forget_place_before(habits)
    habits.session_known = False
    if event.outcome == "failure":
        if event.action == "login":
            _see_failure(habits, event, source, late)
    elif event.action == "login":
        _see_success(habits, event, source, late)
    elif event.action == "lock":
        habits.failed_session = 0
    elif event.action in CHANGES:
        _see_change(habits, CHANGES[event.action], source.ref)


def _see_failure(habits: Habits, event: Login, source: Source, late: bool) -> None:
    if event.reason not in UNCOUNTED and not late:
        failure = FailedLogin(source.ref, event.reason or "other")
        habits.failures = (*habits.failures, failure)[-MAX_FAILURES:]
    since = habits.reset_at
    if event.reason not in NOT_COUNTED and (since is None or event.occurred_at > since):
        habits.failed = min(habits.failed + 1, MAX_FAILED)
        if event.session_id is not None:
            habits.failed_session = _session_mark(source.marks.of(event.session_id))


def _see_success(habits: Habits, event: Login, source: Source, late: bool) -> None:
    at, marks = event.occurred_at, source.marks
    habits.logins += 1
    see_owner(habits, event, marks)
    if event.session_id is not None:
        habits.session_known = _see_session(habits, event.session_id, at, marks)
    if late and habits.success_at is not None and at <= habits.success_at:
        return
    if not _is_refresh(habits, event, marks):
        _count_anew(habits, at)
    elif habits.login_at is None:
        habits.login_at = habits.success_at
    habits.success_before, habits.success_at = habits.success_at, at
    if habits.failures:
        since = habits.success_before
        if since is not None and habits.login_at is not None:
            since = min(since, habits.login_at)
        habits.failures = tuple(
            f for f in habits.failures if since is None or f.ref.occurred_at > since
        )
    place = place_of(event)
    if place is not None:
        _see_place(habits, Place(at, *place, event.network in MISPLACING, source.ref))


def _is_refresh(habits: Habits, event: Login, marks: Marks) -> bool:
    """Return whether a success shows only that a session has stayed open."""
    if not habits.session_known or not habits.failed or event.session_id is None:
        return False
    return habits.failed_session != _session_mark(marks.of(event.session_id))


def _count_anew(habits: Habits, at: int) -> None:
    """Count failures since this login."""
    habits.login_at, habits.failed_session = None, 0
    if habits.failed:
        # Of a late success some may have come after it: those that are still remembered.
        habits.failed = sum(
            each.ref.occurred_at > at and each.reason not in NOT_COUNTED for each in habits.failures
        )


def _see_place(habits: Habits, new: Place) -> None:
    """Keep the last place, and the one before it if that was another."""
    last = habits.places[-1:]
    if last and (last[0].latitude, last[0].longitude) == (new.latitude, new.longitude):
        last = ()
    habits.places = (*last, new)


def _session_mark(mark: bytes) -> int:
    return int.from_bytes(mark[:SESSION_BYTES])


def _see_session(habits: Habits, session_id: str, at: int, marks: Marks) -> bool:
    """Note that a session has logged in, and say whether it had before."""
    known = habits.knows_session(session_id, marks)
    sessions, mark = habits.book.sessions, marks.of(session_id)
    found = session_at(sessions, mark) if known else -1
    if found >= 0:
        del sessions[found : found + SESSION_BYTES]
    elif len(sessions) >= MAX_SESSIONS * SESSION_BYTES:
        del sessions[:SESSION_BYTES]
        habits.sessions_since = at
    sessions += mark[:SESSION_BYTES]
    return known


def _see_change(habits: Habits, what: str, ref: Ref) -> None:
    for change in habits.changes:
        if change.what == what:
            if ref.occurred_at > change.ref.occurred_at:
                change.ref = ref
            return
    habits.changes = (*habits.changes, Change(what, ref))
