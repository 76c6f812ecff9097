"""What A5 remembers of one account's failed logins, and how it stays small."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from rules.cannot_log_in.facts import BY_REASON, SERVICE
from rules.contract import State
from rules.events import Login, Ref
from rules.facts import Quote
from schemas.alert import MAX_EVIDENCE

MAX_KEPT: Final = 64


class FailedLogin(Struct, array_like=True, gc=False):
    """One failed login."""

    ref: Ref
    reason: str
    session: int
    """Mark of the session id (0: none): the id itself never enters the state."""

    @property
    def at(self) -> int:
        """When it happened, in milliseconds."""
        return self.ref.occurred_at


class CannotLogInState(State):
    """Failures inside the window, oldest first; while an anchor waits, all since its window."""

    failures: list[FailedLogin] = []
    anchor: str = ""
    """event_id of the failure that completed the threshold; empty: none waits."""
    anchor_at: int = 0
    dropped: int = 0
    """Failures beyond MAX_KEPT since the anchor."""
    answer: Ref | None = None
    """A success after the anchor's absence was complete but before it was proven: it cures."""


def is_logged(state: CannotLogInState, event: Login, session: int) -> bool:
    """Return whether a failure of the same session in the same second has been counted."""
    second = event.occurred_at // 1000
    return session != 0 and any(
        f.session == session and f.at // 1000 == second for f in state.failures
    )


def forget_before(state: CannotLogInState, time: int) -> None:
    """Drop failures older than a time (milliseconds)."""
    if state.failures and state.failures[0].at < time:
        state.failures = [failure for failure in state.failures if failure.at >= time]


def forget_anchor(state: CannotLogInState) -> None:
    """Leave no failure waiting for its absence of success."""
    state.anchor, state.anchor_at, state.dropped, state.answer = "", 0, 0, None


def keep(state: CannotLogInState, failure: FailedLogin, threshold: int) -> None:
    """Add a failure; beyond MAX_KEPT drop the first after the anchor's."""
    state.failures.append(failure)
    if len(state.failures) > MAX_KEPT:
        del state.failures[threshold]
        state.dropped += bool(state.anchor)


def quotes_of(state: CannotLogInState, due: int) -> list[Quote]:
    """Return the facts of an alert that is raised at `due`."""
    failures = state.failures
    reasons = Counter(failure.reason for failure in failures)
    anchor = next(f.ref for f in failures if f.ref.event_id == state.anchor)
    return [
        ("failures", len(failures) + state.dropped, None),
        ("service_failures", sum(reasons[reason] for reason in SERVICE), None),
        *((f"{BY_REASON}{reason}", n, None) for reason, n in sorted(reasons.items())),
        ("first_at_ms", failures[0].at, failures[0].ref),
        ("anchor_at_ms", anchor.occurred_at, anchor),
        ("no_success_until_ms", due, None),
    ]


def cited(failures: Sequence[FailedLogin], threshold: int) -> list[Ref]:
    """Return as many as an alert may cite: those up to the anchor, and the newest."""
    newest = max(threshold, len(failures) - MAX_EVIDENCE + threshold)
    return [failure.ref for failure in (*failures[:threshold], *failures[newest:])]
