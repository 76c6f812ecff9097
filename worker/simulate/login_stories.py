"""Owners who cannot sign in: what cannot_log_in must tell, and its look-alikes."""

from collections.abc import Callable

from worker.simulate.account import MINUTE_MS, SECOND_MS
from worker.simulate.story import Evidence, Story
from worker.simulate.visits import fail_login, sign_in

FAILURES = 5
JUDGED_AFTER_MS = 10 * MINUTE_MS
BEGIN_MS = 15 * MINUTE_MS
"""By then a visit that was under way has got past its login."""
QUIET_MS = 50 * MINUTE_MS
"""No visit begins for so long, so that the story has the account's logins for itself."""
SERVICE_REASONS = ("service_error", "otp_not_delivered", "timeout", "network")


def bad_credentials(story: Story) -> None:
    """The owner has forgotten the password, and gives up."""

    def told(evidence: Evidence) -> None:
        story.must_alert("info", evidence, earliest_after=JUDGED_AFTER_MS)

    _fail(story, ["bad_credentials"] * story.account.rng.randint(5, 7), told)


def service_failing(story: Story) -> None:
    """The service refuses the owner: more than half of the reasons are not his."""
    rng = story.account.rng
    reasons = [rng.choice(SERVICE_REASONS) for _ in range(3)] + ["bad_credentials"] * 2
    rng.shuffle(reasons)
    reasons += [rng.choice(SERVICE_REASONS) for _ in range(rng.randint(0, 2))]

    def told(evidence: Evidence) -> None:
        story.must_alert("warning", evidence, earliest_after=JUDGED_AFTER_MS)

    _fail(story, reasons, told)


def typing_errors(story: Story) -> None:
    """The owner mistypes often, and gets in."""
    reasons = ["bad_credentials"] * story.account.rng.randint(5, 6)
    end = _fail(story, reasons, story.must_stay_silent)
    story.account.agenda.after(end + 30 * SECOND_MS, sign_in, story.account)


def few_failures(story: Story) -> None:
    """The owner tries less often than the rule counts, and gives up."""
    _fail(story, ["bad_credentials"] * (FAILURES - 1), story.must_stay_silent)


def _fail(story: Story, reasons: list[str], told: Callable[[Evidence], None]) -> int:
    """Let attempts fail for these reasons, all within ten minutes; return the last one's delay.

    `told` gets the failures when there are as many as the rule counts, or no more will come.
    """
    account = story.account
    account.no_visits_until = account.agenda.now + QUIET_MS
    event_ids: list[str] = []

    def attempt(reason: str) -> None:
        event_ids.append(fail_login(account, reason))
        if len(event_ids) == min(FAILURES, len(reasons)):
            told(Evidence(tuple(event_ids)))

    delay = BEGIN_MS
    for reason in reasons:
        delay += account.rng.randint(20, 95) * SECOND_MS
        account.agenda.after(delay, attempt, reason)
    return delay
