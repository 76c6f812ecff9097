"""Locked accounts: what account_lockout must find.

A lock always alerts; the look-alikes are the stories in which it stays at its first severity.
"""

from schemas.base import Severity
from worker.simulate.life.bookings import complete, hold, settle
from worker.simulate.life.orders import Order, merchant_debit
from worker.simulate.stories.lockout import GRACE_MS, LASTS_MS, OPEN_AGAIN_MS, Locked, locked_out
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import HOUR_MS, MINUTE_MS, SECOND_MS
from worker.simulate.world.config import DAY_MS

AFTER_END_MS = LASTS_MS + GRACE_MS
"""From now on a refusal is overdue."""


def suspicious_lock(story: Story) -> None:
    """The platform suspects the account; support unlocks."""
    _unlocked(story, "suspicious", "warning")


def admin_lock(story: Story) -> None:
    """An administrator locks, and unlocks."""
    _unlocked(story, "admin", "warning", channel="backoffice")


def lock_without_reason(story: Story) -> None:
    """The lock has no reason; support unlocks."""
    _unlocked(story, None, "warning")


def requested_lock(story: Story) -> None:
    """The owner has mislaid his phone for an hour."""
    _unlocked(story, "customer", "info", after_ms=HOUR_MS)


def timed_lock_ends(story: Story) -> None:
    """The lock ends and no sign-in is refused afterwards: that cures it."""

    def act(scene: Locked) -> None:
        scene.lock_for_a_while()
        scene.later(AFTER_END_MS + MINUTE_MS, scene.come_back)

    locked_out(story, act)


def sign_in_cures(story: Story) -> None:
    """No unlock is reported, but the owner gets in."""

    def act(scene: Locked) -> None:
        scene.lock("suspicious", "warning", cured_after=10 * MINUTE_MS)
        scene.later(10 * MINUTE_MS, scene.come_back)

    locked_out(story, act)


def third_lock_in_24_hours(story: Story) -> None:
    """The third lock comes just soon enough after the first."""
    _three_locks(story, DAY_MS, "warning")


def third_lock_in_24_hours_and_1_ms(story: Story) -> None:
    """The third lock comes just too late."""
    _three_locks(story, DAY_MS + 1, "info")


def requested_locks_do_not_add_up(story: Story) -> None:
    """Two locks that the owner has asked for, then another one."""

    def act(scene: Locked) -> None:
        for hours, reason in ((0, "customer"), (0.4, "customer"), (0.8, "max_retries")):
            scene.later(round(hours * HOUR_MS), _lock_briefly, scene, reason, "info")

    locked_out(story, act)


def refused_after_the_end(story: Story) -> None:
    """A millisecond too late for a lock that has ended; its own alert is closed already."""

    def act(scene: Locked) -> None:
        scene.lock_for_a_while()
        scene.later(AFTER_END_MS + 1, refuse, scene)

    def refuse(scene: Locked) -> None:
        evidence = StoryEvidence((scene.refuse(),))
        story.must_alert("error", evidence, cured_after=OPEN_AGAIN_MS)
        scene.later(OPEN_AGAIN_MS, scene.open)

    locked_out(story, act)


def refused_again_and_again(story: Story) -> None:
    """Refused when the lock has ended, and still a millisecond after the grace."""
    overdue = AFTER_END_MS + 1
    opened = overdue + OPEN_AGAIN_MS

    def act(scene: Locked) -> None:
        scene.lock(
            "suspicious",
            "error",
            lasts_ms=LASTS_MS,
            severity_after=overdue,
            cured_after=opened,
        )
        scene.later(AFTER_END_MS - GRACE_MS // 2, scene.refuse)
        scene.later(overdue, scene.refuse)
        scene.later(opened, scene.open)

    locked_out(story, act)


def refused_within_the_grace(story: Story) -> None:
    """Refused at its last millisecond: not overdue, but the end of the lock cures nothing then."""
    opened = AFTER_END_MS + OPEN_AGAIN_MS

    def act(scene: Locked) -> None:
        scene.lock("suspicious", "warning", lasts_ms=LASTS_MS, cured_after=opened)
        scene.later(AFTER_END_MS, scene.refuse)
        scene.later(opened, scene.open)

    locked_out(story, act)


def refused_while_locked(story: Story) -> None:
    """Refused twice within the lock, the second time at its very end."""

    def act(scene: Locked) -> None:
        scene.lock_for_a_while()
        scene.later(LASTS_MS // 2, scene.refuse)
        scene.later(LASTS_MS, scene.refuse)
        scene.later(AFTER_END_MS + MINUTE_MS, scene.come_back)

    locked_out(story, act)


def payment_while_locked(story: Story) -> None:
    """Money leaves an account that is locked until further notice."""
    paid, opened = 3 * MINUTE_MS, 8 * MINUTE_MS

    def act(scene: Locked) -> None:
        scene.lock("suspicious", "error", severity_after=paid, cured_after=opened)
        scene.later(paid, _shop, scene)
        scene.later(opened, scene.open)

    locked_out(story, act)


def payment_1_ms_after_the_lock(story: Story) -> None:
    """Money leaves as soon as it can be said to be after the lock."""
    _locked_and_paid(story, 1, "error")


def payment_with_the_lock(story: Story) -> None:
    """Money leaves at the moment of the lock."""
    _locked_and_paid(story, 0, "warning")


def payment_at_the_end(story: Story) -> None:
    """Money leaves at the last moment of the lock."""
    _locked_and_paid(story, LASTS_MS, "error")


def payment_1_ms_after_the_end(story: Story) -> None:
    """Money leaves when the lock has ended."""
    _locked_and_paid(story, LASTS_MS + 1, "warning")


def reserved_before_the_lock(story: Story) -> None:
    """Money that was reserved before the lock is taken after it."""

    def act(scene: Locked) -> None:
        order = scene.shop()
        transaction_id = hold(scene.account, order)
        scene.later(MINUTE_MS, scene.lock_for_a_while)
        scene.later(2 * MINUTE_MS, capture, scene, order, transaction_id)
        scene.later(AFTER_END_MS + 3 * MINUTE_MS, scene.come_back)

    def capture(scene: Locked, order: Order, transaction_id: str) -> None:
        settle(scene.account, order, transaction_id, captured=True)

    locked_out(story, act)


def merchant_while_locked(story: Story) -> None:
    """A merchant takes what was agreed; the owner does nothing."""

    def act(scene: Locked) -> None:
        scene.lock_for_a_while()
        scene.later(MINUTE_MS, debit, scene)
        scene.later(AFTER_END_MS + MINUTE_MS, scene.come_back)

    def debit(scene: Locked) -> None:
        account = scene.account
        complete(account, merchant_debit(account, scene.little(), account.merchants[0]))

    locked_out(story, act)


def _unlocked(
    story: Story,
    reason: str | None,
    severity: Severity,
    *,
    channel: str = "app",
    after_ms: int = 20 * MINUTE_MS,
) -> None:
    def act(scene: Locked) -> None:
        scene.lock(reason, severity, channel=channel, cured_after=after_ms)
        scene.later(after_ms, scene.open)

    locked_out(story, act)


def _three_locks(story: Story, third_ms: int, severity: Severity) -> None:
    """Lock three times; by telephone, where failures are not seen."""

    def act(scene: Locked) -> None:
        _lock_briefly(scene, "max_retries", "info")
        scene.later(9 * HOUR_MS, _lock_briefly, scene, "max_retries", "info")
        scene.later(third_ms, _lock_briefly, scene, "max_retries", severity)

    locked_out(story, act, lasts_ms=third_ms + HOUR_MS)


def _lock_briefly(scene: Locked, reason: str, severity: Severity) -> None:
    after_ms = 10 * MINUTE_MS
    scene.lock(reason, severity, channel="phone", cured_after=after_ms)
    scene.later(after_ms, scene.open)


def _locked_and_paid(story: Story, after_ms: int, severity: Severity) -> None:
    def act(scene: Locked) -> None:
        raised_after = after_ms if severity == "error" else 0
        scene.lock_for_a_while(severity, raised_after)
        scene.later(after_ms, _shop, scene)
        scene.later(AFTER_END_MS + SECOND_MS, scene.come_back)

    locked_out(story, act)


def _shop(scene: Locked) -> None:
    scene.complete(scene.shop())
