"""Several jumps of one balance: balance_mismatch must report each, and each once."""

from worker.simulate.life.bookings import complete
from worker.simulate.life.orders import credit
from worker.simulate.stories.book_stories import SLACK_MS
from worker.simulate.stories.books import booked, go_on, major_unit, sent
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.ledger import Ledger


def wrong_row_after_a_jump(story: Story) -> None:
    """A row does not follow from the one before, and is wrong in itself: two alerts."""

    def act(ledger: Ledger) -> None:
        jump, drift = (story.account.rng.randint(1, 9) * major_unit(ledger) for _ in range(2))
        ledger.balance += jump
        fields = booked(story.account, ledger)
        fields["balance_after"] = ledger.text(ledger.balance + drift)
        evidence = sent(story.account, fields)
        story.must_alert("error", evidence)
        story.must_alert("error", evidence)
        _go_on(story, ledger)

    story.undisturbed(act)


def nothing_moved_after_a_jump(story: Story) -> None:
    """A row of amount 0 follows a jump; the next jump is reported by itself: two alerts."""

    def act(ledger: Ledger) -> None:
        ledger.balance += 4 * major_unit(ledger)
        event_id = complete(story.account, credit(story.account, "topup", 0, ledger))
        story.must_alert("error", StoryEvidence((event_id,)))
        story.account.soon(5, 60, jump_again, ledger)

    def jump_again(ledger: Ledger) -> None:
        ledger.balance += 3 * major_unit(ledger)
        story.must_alert("error", sent(story.account, booked(story.account, ledger)))
        _go_on(story, ledger)

    story.undisturbed(act)


def two_jumps_in_a_group(story: Story) -> None:
    """The balance changes twice among rows of nearly one moment: one alert."""
    story.undisturbed(lambda ledger: _jumping_group(story, ledger, 1, 2))


def jumps_that_cancel_out(story: Story) -> None:
    """The balance changes and changes back among rows of nearly one moment: one alert."""
    story.undisturbed(lambda ledger: _jumping_group(story, ledger, 1, -1))


def _jumping_group(story: Story, ledger: Ledger, *units: int) -> None:
    rows = [sent(story.account, booked(story.account, ledger))]
    for jump in units:
        ledger.balance += jump * major_unit(ledger)
        rows.append(sent(story.account, booked(story.account, ledger)))
    evidence = StoryEvidence(
        tuple(row.event_ids[0] for row in rows), tuple(row.transaction_ids[0] for row in rows)
    )
    story.must_alert("error", evidence, earliest_after=SLACK_MS)
    _go_on(story, ledger)


def _go_on(story: Story, ledger: Ledger) -> None:
    story.account.soon(5, 60, go_on, story.account, ledger)


ANOMALIES = (
    wrong_row_after_a_jump,
    nothing_moved_after_a_jump,
    two_jumps_in_a_group,
    jumps_that_cancel_out,
)
NUMBERED = (wrong_row_after_a_jump, nothing_moved_after_a_jump)
UNNUMBERED = (two_jumps_in_a_group, jumps_that_cancel_out)
