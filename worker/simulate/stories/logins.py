"""Owners who cannot sign in: what cannot_log_in must find, and its look-alikes."""

from collections.abc import Callable, Sequence

from schemas.base import Severity
from worker.simulate.life.visits import fail_login, sign_in
from worker.simulate.stories.scene import REMEMBERED_MS
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS

FAILURES = 5
WITHIN_MS = 10 * MINUTE_MS
JUDGED_AFTER_MS = 10 * MINUTE_MS
BEGIN_MS = 15 * MINUTE_MS
"""By then a visit that was under way has got past its login."""
SERVICE_REASONS = ("service_error", "otp_not_delivered", "timeout", "network")
OnFailures = Callable[[StoryEvidence], None]


def bad_credentials(story: Story) -> None:
    """The owner has forgotten the password, and gives up."""
    times = story.account.rng.randint(5, 7)
    _fail(story, ["bad_credentials"] * times, _shut_out(story, "info"))


def service_failing(story: Story) -> None:
    """The service refuses the owner: more than half of the reasons are not his."""
    rng = story.account.rng
    reasons = [rng.choice(SERVICE_REASONS) for _ in range(3)] + ["bad_credentials"] * 2
    rng.shuffle(reasons)
    reasons += [rng.choice(SERVICE_REASONS) for _ in range(rng.randint(0, 2))]
    _fail(story, reasons, _shut_out(story, "warning"))


def half_by_service(story: Story) -> None:
    """Three of six reasons are the service's: just enough to blame it."""
    reasons = [story.account.rng.choice(SERVICE_REASONS) for _ in range(3)]
    _fail(story, ["bad_credentials"] * 3 + reasons, _shut_out(story, "warning"))


def less_than_half_by_service(story: Story) -> None:
    """Three of seven reasons are the service's."""
    reasons = [story.account.rng.choice(SERVICE_REASONS) for _ in range(3)]
    _fail(story, ["bad_credentials"] * 4 + reasons, _shut_out(story, "info"))


def five_in_10_minutes(story: Story) -> None:
    """The first of five failures is just recent enough at the fifth."""
    _fail_at(story, _spread(WITHIN_MS), _shut_out(story, "info"))


def five_in_10_minutes_and_1_ms(story: Story) -> None:
    """The first of five failures is too old at the fifth."""
    _fail_at(story, _spread(WITHIN_MS + 1), story.must_stay_silent)


def success_at_10_minutes(story: Story) -> None:
    """The owner gets in at the last moment."""
    _get_in_after(story, JUDGED_AFTER_MS, story.must_stay_silent)


def success_at_10_minutes_and_1_ms(story: Story) -> None:
    """The owner gets in a moment too late, which cures the alert."""
    late = JUDGED_AFTER_MS + 1
    _get_in_after(story, late, _shut_out(story, "info", cured_after=late))


def typing_errors(story: Story) -> None:
    """The owner mistypes often, and gets in."""
    reasons = ["bad_credentials"] * story.account.rng.randint(5, 6)
    end = _fail(story, reasons, story.must_stay_silent)
    story.account.agenda.after(end + 30 * SECOND_MS, sign_in, story.account)


def few_failures(story: Story) -> None:
    """The owner tries less often than the rule counts, and gives up."""
    _fail(story, ["bad_credentials"] * (FAILURES - 1), story.must_stay_silent)


def logged_twice(story: Story) -> None:
    """Four attempts, each logged by two layers within one second."""
    _fail_twice(story, 4, SECOND_MS - 2, story.must_stay_silent)


def logged_twice_across_seconds(story: Story) -> None:
    """Three attempts, each logged by two layers, a millisecond apart but in two seconds."""
    _fail_twice(story, 3, SECOND_MS - 1, _shut_out(story, "info"))


def _shut_out(story: Story, severity: Severity, cured_after: int | None = None) -> OnFailures:
    def on_failures(evidence: StoryEvidence) -> None:
        story.must_alert(
            severity, evidence, earliest_after=JUDGED_AFTER_MS, cured_after=cured_after
        )

    return on_failures


def _spread(span_ms: int) -> list[int]:
    return [0, 2 * MINUTE_MS, 4 * MINUTE_MS, 7 * MINUTE_MS, span_ms]


def _get_in_after(story: Story, delay_ms: int, on_failures: OnFailures) -> None:
    end = _fail_at(story, [number * 30 * SECOND_MS for number in range(FAILURES)], on_failures)
    story.account.agenda.after(end + delay_ms, sign_in, story.account)


def _fail_twice(story: Story, times: int, millisecond: int, on_failures: OnFailures) -> None:
    """Let attempts fail at that millisecond of a second; log each again a millisecond later."""
    to_second = -story.account.agenda.now % SECOND_MS + millisecond
    at_ms = [to_second + number * 30 * SECOND_MS for number in range(times)]
    session_id = story.account.new_id("ses")
    _fail_at(story, [at for first in at_ms for at in (first, first + 1)], on_failures, session_id)


def _fail(story: Story, reasons: Sequence[str], on_failures: OnFailures) -> int:
    """Let attempts fail for these reasons, all within ten minutes; return the last one's delay."""
    at_ms = []
    delay = 0
    for _ in reasons:
        delay += story.account.rng.randint(20, 95) * SECOND_MS
        at_ms.append(delay)
    return _fail_at(story, at_ms, on_failures, reasons=reasons)


def _fail_at(
    story: Story,
    at_ms: Sequence[int],
    on_failures: OnFailures,
    session_id: str | None = None,
    reasons: Sequence[str] = (),
) -> int:
    """Let attempts fail so long after visits are over; return the last one's delay from now.

    `on_failures` gets the failures when there are as many as the rule counts, or no more will come.
    """
    account = story.account
    end = BEGIN_MS + at_ms[-1]
    account.no_visits_until = account.agenda.now + end + REMEMBERED_MS
    session = {} if session_id is None else {"session_id": session_id}
    event_ids: list[str] = []

    def attempt(reason: str) -> None:
        device = account.devices[0] | session
        event_ids.append(fail_login(account, reason, device))
        if len(event_ids) == min(FAILURES, len(at_ms)):
            on_failures(StoryEvidence(tuple(event_ids)))

    for number, delay in enumerate(at_ms):
        reason = reasons[number] if reasons else "bad_credentials"
        account.agenda.after(BEGIN_MS + delay, attempt, reason)
    return end
