"""A5: an owner fails to log in again and again, and does not get in.

Finds: `threshold` failed logins within a sliding `window_ms`, and no success within `absence_ms`
after the failure that completed them (the anchor). One alert until a success.

Why it matters: who cannot log in cannot pay; one account is a support case, many are an outage.

What makes it wrong, and what is done about it:
- the owner mistypes, then gets in: absence is judged by proof, so a success that is merely held
  back is waited for, and one that comes late retracts the alert;
- two layers log one attempt: same session and same second counts once;
- a fixed grid of windows misses bursts across its borders: the window slides;
- someone tries names that do not exist: `unknown_account` never creates state;
- an app that retries by itself looks like a service failure only where the reason says so.

A late failure is sent to triage and counted, but never judged: it would be judged against newer
facts.

Details of an alert: `failures`, `service_failures`, `reasons` (reason -> count). At most
64 failures are remembered; of more, the first ones (up to the anchor) and the newest.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from rules.alerts import Draft, Verdict
from rules.cannot_log_in import reasons
from rules.cannot_log_in.examples import EXAMPLES
from rules.cannot_log_in.facts import LOCKED, CannotLogInFacts, verdict_of
from rules.cannot_log_in.params import CannotLogInParams
from rules.cannot_log_in.state import (
    CannotLogInState,
    FailedLogin,
    cited,
    forget_anchor,
    forget_before,
    is_logged,
    keep,
    quotes_of,
)
from rules.contract import Otherwise, Rule
from rules.effects import Effects
from rules.events import LOGIN, Event, Login, Ref
from rules.profile import Profile


class CannotLogIn(Rule[CannotLogInParams, CannotLogInState, CannotLogInFacts]):
    """See the module."""

    id = "cannot_log_in"
    code = "A5"
    version = 2
    category = "access"
    Params = CannotLogInParams
    State = CannotLogInState
    Facts = CannotLogInFacts
    reads = {LOGIN: {"action": ("login", "unlock")}}
    EXAMPLES = EXAMPLES

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: CannotLogInFacts) -> Verdict | None:
        """Decide from the failures, their reasons, and how long no success followed."""
        return verdict_of(facts, self.params)

    def answers(self, facts: CannotLogInFacts, event: Event) -> bool:
        """Return whether the owner got in, or may again, at the anchor or after it."""
        return (
            isinstance(event, Login)
            and _opens_account(event)
            and event.occurred_at >= facts.anchor_at_ms
        )

    def because(self, facts: CannotLogInFacts) -> Sequence[str]:
        """Return what failed, how often, and for how long."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: CannotLogInFacts) -> Sequence[Otherwise]:
        """Return how few, how slow or how differently they would have had to fail."""
        return reasons.otherwise(facts, self.params)

    @classmethod
    def upgrade(cls, version: int, saved: Sequence[Any]) -> CannotLogInState | None:
        """Return the state of version 1, which differs in the words of its alerts only."""
        return msgspec.convert(saved, CannotLogInState) if version == 1 else None

    # -- noticing -------------------------------------------------------------------------

    def on_login(
        self, state: CannotLogInState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Count a failure; a success or an unlock ends everything."""
        if _opens_account(event):
            self._handle_success(state, event, fx)
        elif _is_failure(event):
            self._handle_failure(state, event, fx)

    def late_login(
        self, state: CannotLogInState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Let a late success correct what was found without it."""
        if _opens_account(event):
            self._handle_success(state, event, fx)
        elif _is_failure(event):
            fx.signal("failed_login", event)
            fx.count("late_failure")

    def on_timer(
        self, state: CannotLogInState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Judge the absence, expire a quiet alert, or forget what left the window."""
        answer = state.answer
        if name == "absence" and answer is not None:
            self._raise_answered(state, answer, due, fx)
        elif name == "absence":
            self._raise(state, due, fx)
        elif name == "quiet":
            for alert in fx.open_alerts():
                fx.expire(alert)
        elif not state.anchor:
            state.failures = []

    def _handle_failure(self, state: CannotLogInState, event: Login, fx: Effects) -> None:
        session = int.from_bytes(fx.marks.of(event.session_id)) if event.session_id else 0
        if self.params.collapse_double_logging and is_logged(state, event, session):
            fx.count("double_logged")
            return
        fx.signal("failed_login", event)
        if not state.anchor:
            forget_before(state, event.occurred_at - self.params.window_ms)
        keep(state, FailedLogin(fx.ref, event.reason or "other", session), self.params.threshold)
        fx.set_timer("forget", event.occurred_at + self.params.window_ms)
        if fx.open_alerts():
            fx.set_timer("quiet", event.occurred_at + self.params.quiet_ms, (LOGIN,))
        elif not state.anchor:
            self._find_anchor(state, fx)

    def _handle_success(self, state: CannotLogInState, event: Login, fx: Effects) -> None:
        """Forget the failures up to a success, and close what it answers."""
        alerts, still_open = fx.open_alerts(), False
        if not state.failures and not alerts:
            return  # nearly always
        for alert in alerts:
            if self.answers(CannotLogInFacts.of_quotes(alert.facts), event):
                fx.settle(alert, "success")
                fx.cancel_timer("quiet")
            else:
                still_open = True
        if state.anchor and event.occurred_at > state.anchor_at + self.params.absence_ms:
            # Too late to prevent the alert, which only waits for its proof; but it will cure it.
            if state.answer is None or event.occurred_at < state.answer.occurred_at:
                state.answer = fx.ref
            return
        since = [failure for failure in state.failures if failure.at > event.occurred_at]
        if state.anchor and len(since) < len(state.failures):
            forget_anchor(state)
            fx.cancel_timer("absence")
        state.failures = since
        if not since:
            fx.cancel_timer("forget")
        elif not state.anchor and not still_open:
            self._find_anchor(state, fx)

    def _raise_answered(self, state: CannotLogInState, answer: Ref, due: int, fx: Effects) -> None:
        """Raise what was true until the success that has been seen already, and cure it."""
        anchor = state.anchor
        since = [failure for failure in state.failures if failure.at > answer.occurred_at]
        del state.failures[len(state.failures) - len(since) :]
        self._raise(state, due, fx)
        fx.settle(anchor, "success", answer)
        fx.cancel_timer("quiet")
        state.failures = since
        self._find_anchor(state, fx)

    def _find_anchor(self, state: CannotLogInState, fx: Effects) -> None:
        """Set the first failure that completes the threshold within the window, if any does."""
        reach = self.params.threshold - 1
        ends = zip(state.failures, state.failures[reach:], strict=False)
        for index, (first, last) in enumerate(ends):
            if last.at - first.at <= self.params.window_ms:
                del state.failures[:index]
                state.anchor, state.anchor_at = last.ref.event_id, last.at
                fx.set_timer("absence", last.at + self.params.absence_ms, (LOGIN,))
                return

    def _raise(self, state: CannotLogInState, due: int, fx: Effects) -> None:
        failures, anchor = state.failures, state.anchor
        locked = any(failure.reason == LOCKED for failure in failures)
        fx.alert(
            Draft(
                anchor=anchor,
                cause="auth",
                evidence=[
                    (ref, "anchor" if ref.event_id == anchor else "failure")
                    for ref in cited(failures, self.params.threshold)
                ],
                facts=quotes_of(state, due),
                dedup_rule="account_lockout" if locked else None,
            )
        )
        quiet = max(failures[-1].at + self.params.quiet_ms, due + 1)  # it may be over already
        fx.set_timer("quiet", quiet, (LOGIN,))
        forget_anchor(state)
        forget_before(state, due - self.params.window_ms)


def _opens_account(event: Login) -> bool:
    return event.outcome == "success" and event.action in ("login", "unlock")


def _is_failure(event: Login) -> bool:
    return (
        event.outcome == "failure" and event.action == "login" and event.reason != "unknown_account"
    )
