"""The failed logins before a lock, as far as they are known."""

from rules.account_lockout.params import AccountLockoutParams
from rules.alerts import OpenAlert
from rules.events import Login, Ref
from rules.facts import Quote
from rules.habits import MAX_FAILED, MAX_FAILURES, NOT_COUNTED, Habits

Evidence = list[tuple[Ref, str]]


def failures_of(
    at: int, habits: Habits, params: AccountLockoutParams
) -> tuple[list[Quote], Evidence]:
    """Return what is known of the failures that may have led to a lock at that time.

    It is what the profile knows now: of the events up to the moment of the lock.
    """
    failures = _counted(at, params.policy_window_ms, habits)
    enough = len(failures) >= params.policy_limit
    known = enough or _knows_all(at, params.policy_window_ms, habits)
    observed = None if habits.logins_since is None else at - habits.logins_since
    since_success = None if habits.reset_at is None else habits.failed
    quotes: list[Quote] = [
        ("failures_since_success", since_success, None),
        ("failures_in_window", len(failures) if known else None, None),
        ("observed_ms", observed, None),
    ]
    return quotes, [(failure, "failure") for failure in failures]


def derived_of(
    ref: Ref, last_lock: int | None, habits: Habits, params: AccountLockoutParams
) -> list[Ref]:
    """Return the failures since the last lock that make this one a lock; none if it is not."""
    failures = [
        failure
        for failure in _counted(ref.occurred_at, params.derive_window_ms, habits)
        if last_lock is None or failure.occurred_at > last_lock
    ]
    return failures if len(failures) >= params.derive_limit and failures[-1] == ref else []


def quotes_of_late(event: Login, alert: OpenAlert, habits: Habits, window_ms: int) -> list[Quote]:
    """Return what an alert of a lock must quote after a failure that came late; nothing if it may
    not have led to the lock."""
    since, locked_at = alert.fact("failures_since_success"), alert.fact("locked_at_ms")
    if not isinstance(since, int) or not isinstance(locked_at, int) or habits.reset_at is None:
        return []
    at = event.occurred_at
    if event.reason in NOT_COUNTED or not habits.reset_at < at <= locked_at:
        return []
    quotes: list[Quote] = [("failures_since_success", min(since + 1, MAX_FAILED), None)]
    in_window = alert.fact("failures_in_window")
    if isinstance(in_window, int) and at >= locked_at - window_ms:
        quotes.append(("failures_in_window", in_window + 1, None))
    return quotes


def _counted(at: int, window_ms: int, habits: Habits) -> list[Ref]:
    since = _counted_since(at, window_ms, habits)
    return [
        failure.ref
        for failure in habits.failures
        if failure.ref.occurred_at >= since and failure.reason not in NOT_COUNTED
    ]


def _knows_all(at: int, window_ms: int, habits: Habits) -> bool:
    """Return whether no failure that counts can have been forgotten."""
    failures = habits.failures
    since = _counted_since(at, window_ms, habits)
    return len(failures) < MAX_FAILURES or failures[0].ref.occurred_at < since


def _counted_since(at: int, window_ms: int, habits: Habits) -> int:
    since, reset = at - window_ms, habits.reset_at
    return since if reset is None else max(since, reset + 1)
