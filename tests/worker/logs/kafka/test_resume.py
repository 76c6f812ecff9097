"""Where an input is read on: what others have changed of topics, changelogs and offsets. Pure."""

from typing import Any

import pytest

from worker.engine.records import TopicPartition
from worker.errors import ConfigError, LogError
from worker.logs.kafka.client import CommittedOffset
from worker.logs.kafka.commit_note import (
    CommitNote,
    InputNote,
    is_own,
    metadata_of,
    noted,
    read_note,
)
from worker.logs.kafka.resume import (
    Changelog,
    FoundInput,
    Resumed,
    completed,
    refuse_other_changelog,
    resume,
)

AT = TopicPartition("wallet.logins", 2)
METADATA = metadata_of("0123456789abcdef", 7, "walletwatch.detect.a")
OURS = CommittedOffset(40, METADATA)
NOTED = InputNote("first", 4, offset=40, position=50)


def found(committed: CommittedOffset | None = OURS, **changes: Any) -> FoundInput:
    """Return an input as its last commit has left it, with changes."""
    return FoundInput(AT, "first", 4, 0, 90, committed)._replace(**changes)


def resumed(found: FoundInput, noted: InputNote | None = NOTED) -> Resumed:
    return resume("g", found, noted)


def refusal(found: FoundInput, noted: InputNote | None = NOTED) -> str:
    with pytest.raises(ConfigError) as caught:
        resumed(found, noted)
    return str(caught.value)


@pytest.mark.parametrize("noted", [NOTED, None], ids=["noted", "by an older release"])
@pytest.mark.parametrize("end", [50, 90])
def test_an_unchanged_input_goes_on(end: int, noted: InputNote | None) -> None:
    assert resumed(found(end=end), noted) == Resumed(40)


def test_an_input_without_offsets_begins_at_the_oldest() -> None:
    assert resumed(found(None, first=3), None) == Resumed(3)


def test_expired_offsets_are_those_of_the_note() -> None:
    assert resumed(found(None)) == Resumed(40)
    assert "records 40 to 44 were deleted" in refusal(found(None, first=45))


@pytest.mark.parametrize("committed", [OURS, None], ids=["committed after", "deleted with it"])
def test_another_topic_is_refused(committed: CommittedOffset | None) -> None:
    """Also where it holds more than was read of the one before."""
    text = refusal(found(committed, topic_id="second"))
    assert text.startswith(
        "wallet.logins/2 is not the topic that group g has read up to offset 50: it was deleted "
        "and made again. It holds offsets 0 to 89 now. To go on, stop all workers of the stage and "
        "run walletwatch topics accept wallet.logins --from oldest"
    )
    assert "It holds no records now." in refusal(found(committed, topic_id="second", end=0))


@pytest.mark.parametrize(("before", "now"), [("", "second"), ("first", ""), ("", "")])
def test_brokers_that_give_no_ids_compare_none(before: str, now: str) -> None:
    """Those before Kafka 2.8."""
    assert resumed(found(topic_id=now), InputNote(before, 4, 40, 50)) == Resumed(40)


@pytest.mark.parametrize("end", [0, 39, 49])
def test_a_position_beyond_the_end_is_refused(end: int) -> None:
    """The committed offset alone may lie in the topic: what follows would count as read."""
    text = refusal(found(end=end))
    assert f"offsets {end} to 49 were lost" in text
    assert "accept wallet.logins/2 --from" in text


def test_an_older_releases_offset_beyond_the_end_is_refused() -> None:
    assert "offsets 39 to 39 were lost" in refusal(found(end=39), None)


def test_records_deleted_unread_are_refused() -> None:
    assert "records 40 to 59 were deleted before any worker had read them" in refusal(
        found(first=60)
    )


def test_another_number_of_partitions_is_refused() -> None:
    text = refusal(found(partitions=6))
    assert text.startswith("wallet.logins has 6 partitions, and had 4.")
    assert "kafka.prefix" in text


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (60, "to 60, from 40: what was not read before that is passed over."),
        (90, "to 90, from 40: what was not read before that is passed over."),
        (10, "to 10, from 40: what was read before is read again."),
        (40, "to 40, where it was."),
    ],
)
@pytest.mark.parametrize("metadata", ["", "by Kafka's own tool", "a|b"])
def test_an_offset_that_was_set_decides(offset: int, text: str, metadata: str) -> None:
    """And is said. Elsewhere than where it was, what is read counts as not read before."""
    resumed_at = resumed(found(CommittedOffset(offset, metadata)))
    assert (resumed_at.offset, resumed_at.renewed) == (offset, offset != 40)
    assert resumed_at.notice is not None
    assert resumed_at.notice.kind == "offsets_set"
    assert resumed_at.notice.text == (
        f"Another tool has set the offset of group g for wallet.logins/2 {text}"
    )


def test_an_offset_set_for_state_of_an_older_release_begins_anew() -> None:
    """Which offset that state goes by is not known."""
    resumed_at = resumed(found(CommittedOffset(60)), None)
    assert (resumed_at.offset, resumed_at.renewed) == (60, True)


@pytest.mark.parametrize("offset", [91, 1_000])
def test_an_offset_set_beyond_the_end_is_refused(offset: int) -> None:
    assert f"offsets 90 to {offset - 1} were lost" in refusal(found(CommittedOffset(offset)))


def test_an_offset_set_before_the_oldest_is_refused() -> None:
    assert "records 3 to 9 were deleted" in refusal(found(CommittedOffset(3), first=10))


@pytest.mark.parametrize(
    "changes", [{"topic_id": "second"}, {"end": 45}], ids=["another topic", "lost records"]
)
def test_after_a_decision_offsets_begin_anew(changes: dict[str, Any]) -> None:
    """What was saved of positions is of records that are gone."""
    resumed_at = resumed(found(CommittedOffset(5), **changes))
    assert (resumed_at.offset, resumed_at.renewed) == (5, True)
    assert resumed_at.notice is not None
    assert resumed_at.notice.text.endswith("for wallet.logins/2 to 5; it is read from there.")


# -- changelogs ---------------------------------------------------------------------------


def changelog(**changes: Any) -> Changelog:
    """Return a changelog with the last commit, with changes."""
    note = CommitNote(1, METADATA, "first", {AT.topic: NOTED})
    return Changelog("walletwatch.detect.changelog", "first", False, note)._replace(**changes)


@pytest.mark.parametrize(
    "committed",
    [[OURS, OURS], [OURS, None], [None, None], [CommittedOffset(3), OURS], [CommittedOffset(3)]],
)
def test_the_changelog_of_the_last_commit_is_taken(committed: list[CommittedOffset | None]) -> None:
    """Whatever has become of some of the offsets."""
    refuse_other_changelog("g", changelog(), committed)
    refuse_other_changelog("g", changelog(topic_id=""), committed)


@pytest.mark.parametrize("committed", [[], [None], [CommittedOffset(3), None]])
def test_a_new_changelog_is_taken_where_nothing_is_committed(
    committed: list[CommittedOffset | None],
) -> None:
    """Offsets that were set are a decision."""
    refuse_other_changelog("g", changelog(is_empty=True, note=None), committed)


@pytest.mark.parametrize("sequence", [5, 6, 7, 8])
@pytest.mark.parametrize("membership", ["0123456789abcdef", "another"])
def test_offsets_that_miss_the_last_commit_are_those_of_the_changelog(
    sequence: int, membership: str
) -> None:
    """One commit is missed, and no more; what an operator has set is a decision."""
    group = CommittedOffset(30, metadata_of(membership, sequence, "walletwatch.detect.a"))
    is_missed = (membership, sequence) == ("0123456789abcdef", 6)
    other = TopicPartition("wallet.balances", 2)
    committed = {AT: group, other: CommittedOffset(3)}
    completed_to = completed(committed, changelog().note)
    assert completed_to == {**committed, **({AT: OURS} if is_missed else {})}
    assert completed(committed, None) == committed
    assert completed({AT: None}, changelog().note) == {AT: None}


def test_state_of_an_older_release_is_taken() -> None:
    refuse_other_changelog("g", changelog(note=None), [OURS])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"is_empty": True, "note": None}, "is empty, although group g has committed offsets"),
        ({"topic_id": "second"}, "was deleted and made again while group g worked"),
        ({"note": CommitNote(1, "a|1|b", "first", {})}, "does not hold the last commit of group g"),
    ],
)
def test_another_changelog_is_refused(changes: dict[str, Any], text: str) -> None:
    """By one offset of the group, too."""
    for committed in ([OURS], [None, OURS], [CommittedOffset(3), OURS]):
        with pytest.raises(ConfigError, match=text) as caught:
            refuse_other_changelog("g", changelog(**changes), committed)
        assert "accept walletwatch.detect.changelog --from oldest" in str(caught.value)


def test_a_changelog_made_again_under_a_worker_is_refused_even_after_a_decision() -> None:
    """It holds a part of the state: only an empty one can be begun with."""
    with pytest.raises(ConfigError, match="delete it, and make it"):
        refuse_other_changelog("g", changelog(topic_id="second"), [CommittedOffset(3)])


# -- notes --------------------------------------------------------------------------------


def test_a_note_is_read_as_it_was_made() -> None:
    note = read_note(noted(METADATA, "first", {AT.topic: NOTED}))
    assert note is not None
    assert (note.metadata, note.changelog_id, note.inputs) == (METADATA, "first", {AT.topic: NOTED})
    assert read_note(b"") is None


def test_a_note_of_a_newer_release_is_refused() -> None:
    stored = noted(METADATA, "first", {})
    with pytest.raises(LogError, match="newer release"):
        read_note(stored.replace(b"\x01", b"\x02", 1))
    with pytest.raises(LogError, match="damaged"):
        read_note(b"\xff")


@pytest.mark.parametrize("metadata", ["", "consumer-1", "a|b", "a|b|c|d"])
def test_other_tools_write_no_such_metadata(metadata: str) -> None:
    assert not is_own(metadata)
    assert is_own(METADATA)
