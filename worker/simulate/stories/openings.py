"""What seems to open a locked account: which of it account_lockout must believe."""

from worker.simulate.stories.lockout import GRACE_MS, LASTS_MS, Locked, locked_out
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS, Event

OPENED_MS, REFUSED_MS, PAID_MS = MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS
"""How long after the lock."""
CLOSED_MS = LASTS_MS + GRACE_MS
"""When a lock is over at which no login was refused after its end."""


def paid_after_a_refresh(story: Story) -> None:
    """The app refreshes a session of before the lock, which opens nothing; then money leaves."""

    def act(scene: Locked) -> None:
        scene.lock_for_a_while("error", PAID_MS)
        scene.later(OPENED_MS, refresh, scene)
        scene.later(PAID_MS, _shop, scene)
        scene.later(CLOSED_MS + SECOND_MS, scene.come_back)

    def refresh(scene: Locked) -> None:
        fields: Event = {"action": "login", "outcome": "success"}
        scene.account.emit("login", fields | scene.account.session)

    locked_out(story, act)


def paid_after_a_sign_in(story: Story) -> None:
    """The owner signs in anew, which opens the account; then he pays."""

    def act(scene: Locked) -> None:
        _lock_until_opened(scene)
        scene.later(PAID_MS, _shop, scene)

    locked_out(story, act)


def refused_after_an_opening(story: Story) -> None:
    """A sign-in is refused though another succeeded before: the account is locked still."""
    _refused_after(story, REFUSED_MS)


def refused_at_the_end_after_an_opening(story: Story) -> None:
    """The same at the last moment of the lock."""
    _refused_after(story, LASTS_MS)


def refused_1_ms_after_the_end_after_an_opening(story: Story) -> None:
    """A millisecond later the refusal is no longer that lock's."""

    def act(scene: Locked) -> None:
        _lock_until_opened(scene)
        scene.later(LASTS_MS + 1, scene.refuse)
        scene.later(CLOSED_MS + SECOND_MS, scene.come_back)

    locked_out(story, act)


def paid_after_a_refusal(story: Story) -> None:
    """A sign-in is refused though another succeeded before, and then money leaves."""
    _refused_after(story, REFUSED_MS, pays=True)


def _refused_after(story: Story, refused_ms: int, *, pays: bool = False) -> None:
    def act(scene: Locked) -> None:
        _lock_until_opened(scene)
        scene.later(refused_ms, refuse, scene)
        if pays:
            scene.later(PAID_MS, _shop, scene)
        scene.later(CLOSED_MS + SECOND_MS, scene.come_back)

    def refuse(scene: Locked) -> None:
        story.must_alert(
            "error" if pays else "warning",
            StoryEvidence((scene.refuse(),)),
            severity_after=PAID_MS - refused_ms if pays else 0,
            cured_after=CLOSED_MS - refused_ms,
        )

    locked_out(story, act)


def _lock_until_opened(scene: Locked) -> None:
    scene.lock("suspicious", "warning", lasts_ms=LASTS_MS, cured_after=OPENED_MS)
    scene.later(OPENED_MS, scene.come_back)


def _shop(scene: Locked) -> None:
    scene.complete(scene.shop())


ANOMALIES = (
    paid_after_a_refresh,
    refused_after_an_opening,
    refused_at_the_end_after_an_opening,
    paid_after_a_refusal,
)
INNOCENTS = (paid_after_a_sign_in, refused_1_ms_after_the_end_after_an_opening)
