"""The failed logins before a lock, as far as they are known."""

from typing import Final

from rules.account_lockout.params import AccountLockoutParams
from rules.events import Ref
from rules.facts import Quote
from rules.habits import MAX_FAILURES, Habits

Evidence = list[tuple[Ref, str]]

NOT_COUNTED: Final = frozenset(
    {
        "service_error",
        "otp_not_delivered",
        "timeout",
        "network",
        "unknown_account",
        "account_locked",
    }
)
"""Reasons of failures that no policy counts: the owner has not been wrong."""


def failures_of(
    at: int, habits: Habits, params: AccountLockoutParams
) -> tuple[list[Quote], Evidence]:
    """Return what is known of the failures that may have led to a lock at that time."""
    failures = _counted(at, params.policy_window_ms, habits)
    enough = len(failures) >= params.policy_limit
    known = enough or _knows_all(at, params.policy_window_ms, habits)
    observed = None if habits.logins_since is None else at - habits.logins_since
    quotes: list[Quote] = [
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
    since, success = at - window_ms, habits.success_at
    return since if success is None else max(since, success + 1)
