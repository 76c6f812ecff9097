"""Numbered books: entries that are missing, or share a number."""

from worker.simulate.stories.books import booked, go_on, sent
from worker.simulate.stories.story import Story
from worker.simulate.world.account import MINUTE_MS
from worker.simulate.world.ledger import Ledger

GAP_REPORTED_MS = MINUTE_MS
GAP_ERROR_MS = 15 * MINUTE_MS
GO_ON_MS = 10_000


def missing_entry(story: Story) -> None:
    """A ledger entry that is booked and never sent; the next row shows the gap."""
    story.undisturbed(lambda ledger: _gap(story, ledger, None))


def entry_just_told_missing(story: Story) -> None:
    """The missing entry comes one millisecond after it was reported."""
    story.undisturbed(lambda ledger: _gap(story, ledger, GAP_REPORTED_MS + 1))


def entry_just_before_error(story: Story) -> None:
    """The missing entry comes one millisecond before it would be an error."""
    story.undisturbed(lambda ledger: _gap(story, ledger, GAP_ERROR_MS - 1))


def entry_just_after_error(story: Story) -> None:
    """The missing entry comes one millisecond after it became an error."""
    story.undisturbed(lambda ledger: _gap(story, ledger, GAP_ERROR_MS + 1))


def slow_outbox(story: Story) -> None:
    """The missing entry comes one millisecond before it would be reported."""
    story.undisturbed(lambda ledger: _gap(story, ledger, GAP_REPORTED_MS - 1))


def sequence_conflict(story: Story) -> None:
    """Two entries share one number; the next goes on from the second."""

    def act(ledger: Ledger) -> None:
        story.account.emit("transaction", booked(story.account, ledger))
        story.account.soon(5, 50, again, ledger)

    def again(ledger: Ledger) -> None:
        ledger.sequence -= 1
        fields = booked(story.account, ledger)
        story.must_alert("warning", sent(story.account, fields))
        story.account.soon(5, 60, go_on, story.account, ledger)

    story.undisturbed(act)


def _gap(story: Story, ledger: Ledger, filled_after: int | None) -> None:
    """Keep an entry back; the next row shows the gap. Fill it after that many ms, if at all."""
    account = story.account
    kept_back = booked(account, ledger)
    evidence = sent(account, booked(account, ledger))
    if filled_after is not None:
        account.agenda.after(filled_after, account.emit, "transaction", kept_back)
        account.agenda.after(filled_after + GO_ON_MS, go_on, account, ledger)
    if filled_after is not None and filled_after < GAP_REPORTED_MS:
        story.must_stay_silent(evidence)
        return
    is_error = filled_after is None or filled_after > GAP_ERROR_MS
    story.must_alert(
        "error" if is_error else "info",
        evidence,
        earliest_after=GAP_REPORTED_MS,
        severity_after=GAP_ERROR_MS if is_error else None,
        cured_after=filled_after,
    )


ANOMALIES = (
    missing_entry,
    entry_just_told_missing,
    entry_just_before_error,
    entry_just_after_error,
    sequence_conflict,
)
INNOCENTS = (slow_outbox,)
NUMBERED = ANOMALIES + INNOCENTS
"""They need entries that carry their ledger_sequence."""
