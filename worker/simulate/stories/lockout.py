"""What stories of locked accounts are made of: failures, the lock, refusals, the way back in."""

from collections.abc import Callable

from schemas.base import Severity
from schemas.time import format_time
from worker.simulate.stories.scene import Scene, seclude
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS, Event

GRACE_MS = MINUTE_MS
"""For so long after its end a lock may still refuse."""
LASTS_MS = 5 * MINUTE_MS
"""How long a lock with an end lasts."""
OPEN_AGAIN_MS = 2 * MINUTE_MS
"""When support unlocks: soon enough for the owner's failures to raise no alert of their own."""
SCENE_MS = 90 * MINUTE_MS
"""Longer than any story of one day."""


class Locked(Scene):
    """An account that is about to be locked. Delays are in ms from now."""

    def lock(
        self,
        reason: str | None,
        severity: Severity,
        *,
        cured_after: int,
        channel: str = "app",
        lasts_ms: int | None = None,
        severity_after: int = 0,
        failures_counted: int | None = None,
    ) -> None:
        """Lock the account, and record the severity that its alert must reach."""
        fields: Event = {"action": "lock", "outcome": "success", "channel": channel}
        if reason is not None:
            fields["reason"] = reason
        if lasts_ms is not None:
            fields["lock_until"] = format_time(self.account.agenda.now + lasts_ms)
        if failures_counted is not None:
            fields["failures_counted"] = failures_counted
        evidence = StoryEvidence((self.account.emit("login", fields),))
        self.story.must_alert(
            severity, evidence, severity_after=severity_after, cured_after=cured_after
        )

    def lock_for_a_while(self, severity: Severity = "warning", severity_after: int = 0) -> None:
        """Lock a distrusted account for LASTS_MS; the end of the lock cures the alert."""
        self.lock(
            "suspicious",
            severity,
            lasts_ms=LASTS_MS,
            severity_after=severity_after,
            cured_after=LASTS_MS + GRACE_MS,
        )

    def refuse(self) -> str:
        """Refuse a sign-in because of the lock; return the event_id."""
        return self.fail(self.owner(), "account_locked")

    def open(self) -> None:
        """Unlock the account; the owner signs in a second later."""
        fields: Event = {"action": "unlock", "outcome": "success", "channel": "backoffice"}
        self.account.emit("login", fields)
        self.later(SECOND_MS, self.come_back)

    def come_back(self) -> None:
        """Sign in as the owner."""
        self.sign_in(self.owner())


def locked_out(story: Story, act: Callable[[Locked], None], lasts_ms: int = SCENE_MS) -> None:
    """Seclude the account, then let `act` have its turn."""
    seclude(story, lambda _: act(Locked(story)), lasts_ms)
