"""Locks that say how many failures the login service has counted: what account_lockout makes of it.

The owner has signed in before; by the policy five failures lock an account.
"""

from schemas.base import Severity
from worker.simulate.stories.lockout import OPEN_AGAIN_MS, Locked, locked_out
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS

APART_MS = 12 * MINUTE_MS
"""Failures so far apart are no five within a quarter of an hour, nor within ten minutes."""


def counter_not_reset(story: Story) -> None:
    """One failure since the owner was last in, and the service has counted five."""
    _counted(story, 1, 5, "error")


def counted_one_too_many(story: Story) -> None:
    """Five failures since the owner was last in, and the service has counted six."""
    _counted(story, 5, 6, "error")


def counted_as_many(story: Story) -> None:
    """The service has counted as many as there were, over most of an hour."""
    _counted(story, 5, 5, "info")


def counted_four(story: Story) -> None:
    """The service has counted as many as there were, and locks for fewer than the policy allows."""
    _counted(story, 4, 4, "warning")


def counted_by_telephone(story: Story) -> None:
    """The service has counted more than there were, by telephone, where they are not reported."""
    _counted(story, 1, 5, "info", channel="phone")


def _counted(
    story: Story, failures: int, counted: int, severity: Severity, channel: str = "app"
) -> None:
    def act(scene: Locked) -> None:
        for number in range(failures):
            scene.later(number * APART_MS, scene.fail, scene.owner())
        scene.later((failures - 1) * APART_MS + MINUTE_MS, lock, scene)

    def lock(scene: Locked) -> None:
        scene.lock(
            "max_retries",
            severity,
            channel=channel,
            cured_after=OPEN_AGAIN_MS,
            failures_counted=counted,
        )
        scene.later(OPEN_AGAIN_MS, scene.open)

    locked_out(story, act)


ANOMALIES = (counter_not_reset, counted_one_too_many, counted_four)
INNOCENTS = (counted_as_many, counted_by_telephone)
