"""Accounts locked after failures: which of these locks account_lockout must call unjustified.

By the policy five failures within a quarter of an hour lock an account.
"""

from collections.abc import Sequence

from schemas.base import Severity
from worker.simulate.stories.lockout import GRACE_MS, OPEN_AGAIN_MS, Locked, locked_out
from worker.simulate.stories.scene import ACTS_AFTER_MS
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS

CANNOT_LOG_IN = "cannot_log_in"
ABSENCE_MS = 10 * MINUTE_MS
POLICY_WINDOW_MS = 15 * MINUTE_MS
FIVE_MS = tuple(seconds * SECOND_MS for seconds in (101, 76, 51, 26, 1))
"""How long before the lock attempts fail."""
SPREAD_MS = tuple(minutes * MINUTE_MS for minutes in (12, 8, 4, 1))
"""With an older failure these are not five within ten minutes."""


def max_retries_lock(story: Story) -> None:
    """Five failures lock the owner out; he comes back when the lock has ended."""
    lasts = 15 * MINUTE_MS
    back = lasts + 2 * GRACE_MS
    event_ids: list[str] = []

    def act(scene: Locked) -> None:
        for before_ms in FIVE_MS:
            scene.later(FIVE_MS[0] - before_ms, fail, scene)
        scene.later(FIVE_MS[0], lock, scene)
        scene.later(FIVE_MS[0] + back, scene.come_back)

    def fail(scene: Locked) -> None:
        event_ids.append(scene.fail(scene.owner()))
        if len(event_ids) == len(FIVE_MS):
            story.must_alert(
                "info",
                StoryEvidence(tuple(event_ids)),
                rule=CANNOT_LOG_IN,
                earliest_after=ABSENCE_MS,
                cured_after=FIVE_MS[-1] + back,
            )

    def lock(scene: Locked) -> None:
        scene.lock("max_retries", "info", lasts_ms=lasts, cured_after=lasts + GRACE_MS)

    locked_out(story, act)


def locked_after_five(story: Story) -> None:
    """Just as many failures as the policy allows before it locks."""
    _locked_after(story, FIVE_MS, "info")


def locked_after_four(story: Story) -> None:
    """One failure fewer: the lock is not the owner's doing."""
    _locked_after(story, FIVE_MS[1:], "error")


def locked_after_none(story: Story) -> None:
    """There is no failure at all."""
    _locked_after(story, (), "error")


def failed_15_minutes_before(story: Story) -> None:
    """The first of five failures is just recent enough."""
    _locked_after(story, (POLICY_WINDOW_MS, *SPREAD_MS), "info")


def failed_15_minutes_and_1_ms_before(story: Story) -> None:
    """The first of five failures is older; all of them came since the owner was last in."""
    _locked_after(story, (POLICY_WINDOW_MS + 1, *SPREAD_MS), "info")


def service_failures_do_not_lock(story: Story) -> None:
    """One of the five failures was the service's own."""
    _locked_after(story, FIVE_MS, "error", first_reason="service_error")


def success_forgives(story: Story) -> None:
    """Three failures, then the owner is in; three more do not make it six."""

    def act(scene: Locked) -> None:
        for minute in (0, 1, 2, 5, 6, 7):
            scene.later(minute * MINUTE_MS, scene.fail, scene.owner())
        scene.later(3 * MINUTE_MS, scene.come_back)
        scene.later(8 * MINUTE_MS, _lock, scene, "error")

    locked_out(story, act)


def locked_elsewhere(story: Story) -> None:
    """Four failures by telephone: others may not have been reported."""
    _locked_after(story, FIVE_MS[1:], "info", channel="phone")


def observed_for_15_minutes(story: Story) -> None:
    """Failures before the account's first event may not have been reported."""
    _observed(story, POLICY_WINDOW_MS, "info")


def observed_for_15_minutes_and_1_ms(story: Story) -> None:
    """The account has been observed for long enough: there was no failure."""
    _observed(story, POLICY_WINDOW_MS + 1, "error")


def _locked_after(
    story: Story,
    before_ms: Sequence[int],
    severity: Severity,
    *,
    channel: str = "app",
    first_reason: str = "bad_credentials",
) -> None:
    """Let attempts fail so long before the lock, the first one for another reason."""
    lock_ms = max(before_ms, default=MINUTE_MS)

    def act(scene: Locked) -> None:
        reason = first_reason
        for before in before_ms:
            scene.later(lock_ms - before, scene.fail, scene.owner(), reason)
            reason = "bad_credentials"
        scene.later(lock_ms, _lock, scene, severity, channel)

    locked_out(story, act)


def _observed(story: Story, observed_ms: int, severity: Severity) -> None:
    """Lock so long after the owner's first sign-in, which was ACTS_AFTER_MS ago."""

    def act(scene: Locked) -> None:
        scene.later(observed_ms - ACTS_AFTER_MS, _lock, scene, severity)

    locked_out(story, act)


def _lock(scene: Locked, severity: Severity, channel: str = "app") -> None:
    scene.lock("max_retries", severity, channel=channel, cured_after=OPEN_AGAIN_MS)
    scene.later(OPEN_AGAIN_MS, scene.open)
