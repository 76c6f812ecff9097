"""Where a task goes on reading, if it may: the group's offsets against the note of its last commit.

The metadata of an offset shows whether walletwatch has committed it. Such an offset must agree with
the note in the changelog, and the topic must be the one that was read. Any other was set by an
operator, with `walletwatch topics accept` or Kafka's own tools, after all workers had stopped: it
decides, if it lies in the topic. Pure.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from worker.engine.records import Notice, TopicPartition
from worker.errors import ConfigError
from worker.logs.kafka.client import CommittedOffset
from worker.logs.kafka.commit_note import CommitNote, InputNote, follows, is_own
from worker.logs.kafka.decisions import decide, partitions_changed


class FoundInput(NamedTuple):
    """One input of a task, as it is on the cluster now."""

    at: TopicPartition
    topic_id: str
    partitions: int
    first: int
    """The oldest offset that is stored."""
    end: int
    """The offset after the newest record, committed or not."""
    committed: CommittedOffset | None
    """None: the group has no offset."""

    @property
    def is_set(self) -> bool:
        """Whether an operator has set the offset of the group."""
        return self.committed is not None and not is_own(self.committed.metadata)


class Resumed(NamedTuple):
    """Where an input is read on."""

    offset: int
    renewed: bool = False
    """What was saved about earlier offsets is not valid any more."""
    notice: Notice | None = None


class Changelog(NamedTuple):
    """One partition of a changelog, as it is on the cluster now."""

    name: str
    """In the log."""
    topic_id: str
    is_empty: bool
    note: CommitNote | None
    """Of the last commit; None if there is none, or an older release has made it."""


def is_another(before: str, now: str) -> bool:
    """Return whether two topic ids are known and differ."""
    return bool(before and now) and before != now


def completed(
    committed: Mapping[TopicPartition, CommittedOffset | None], note: CommitNote | None
) -> Mapping[TopicPartition, CommittedOffset | None]:
    """Return the offsets of the group as the changelog notes them, where they miss its last commit.

    Brokers that were killed may keep a transaction's records and lose the offsets sent with it.
    """
    if note is None:
        return committed
    missed = {
        at: CommittedOffset(note.inputs[at.topic].offset, note.metadata)
        for at, found in committed.items()
        if found and is_own(found.metadata) and follows(note.metadata, found.metadata)
    }
    return {**committed, **missed}


def refuse_other_changelog(
    group: str, changelog: Changelog, committed: Collection[CommittedOffset | None]
) -> None:
    """Check that the state is that of the last commit of the group.

    Raises:
        ConfigError: the changelog was deleted, made again, or has lost records.
    """
    note, name = changelog.note, changelog.name
    own = {found.metadata for found in committed if found and is_own(found.metadata)}
    if note is not None and is_another(note.changelog_id, changelog.topic_id):
        raise ConfigError(
            f"{name} was deleted and made again while group {group} worked: it lacks the state "
            "before that. Stop all workers of the stage, delete it, and make it with walletwatch "
            f"topics create. {decide(name, 'To begin with empty state')}"
        )
    if own and changelog.is_empty:
        raise ConfigError(
            f"{name} is empty, although group {group} has committed offsets: it was deleted, and "
            f"made again. {decide(name, 'To begin with empty state')}"
        )
    if note is not None and own - {note.metadata}:
        raise ConfigError(
            f"{name} does not hold the last commit of group {group}: it has lost its newest "
            "records, or comes from a copy. Stop all workers of the stage, delete it, and make it "
            f"with walletwatch topics create. {decide(name, 'To begin with empty state')}"
        )


def resume(group: str, found: FoundInput, noted: InputNote | None) -> Resumed:
    """Return where an input is read on.

    Args:
        noted: at the last commit; None: there was none, or an older release has made it.

    Raises:
        ConfigError: the records there are not those that follow on what was read.
    """
    where = f"{found.at.topic}/{found.at.partition}"
    if noted is not None and noted.partitions != found.partitions:
        raise partitions_changed(found.at.topic, noted.partitions, found.partitions)
    other = noted is not None and is_another(noted.topic_id, found.topic_id)
    read = noted.position if noted else 0
    if other and not found.is_set:
        raise ConfigError(
            f"{where} is not the topic that group {group} has read up to offset {read}: it was "
            f"deleted and made again. {_holds(found)} {decide(found.at.topic)}"
        )
    offset = found.first
    if found.committed is not None:
        offset = found.committed.offset
    elif noted is not None:  # the group's offsets have expired
        offset = noted.offset
    beyond = offset if found.is_set else max(offset, read)
    if beyond > found.end:
        raise ConfigError(
            f"{where} ends at offset {found.end}, but group {group} has read it up to {beyond}: "
            f"offsets {found.end} to {beyond - 1} were lost. {_holds(found)} {decide(where)}"
        )
    if offset < found.first:
        raise ConfigError(
            f"{where}: records {offset} to {found.first - 1} were deleted before any worker had "
            f"read them for group {group}. {decide(where)}"
        )
    if not found.is_set:
        return Resumed(offset)
    if noted is None or other or read > found.end:
        return Resumed(offset, True, _set_to(group, where, offset, None))
    return Resumed(offset, offset != noted.offset, _set_to(group, where, offset, noted))


def _set_to(group: str, where: str, offset: int, noted: InputNote | None) -> Notice:
    """Return the notice of an offset that an operator has set."""
    text = f"Another tool has set the offset of group {group} for {where} to {offset}"
    if noted is None:
        text += "; it is read from there."
    elif offset > noted.offset:
        text += f", from {noted.offset}: what was not read before that is passed over."
    elif offset < noted.offset:
        text += f", from {noted.offset}: what was read before is read again."
    else:
        text += ", where it was."
    return Notice("offsets_set", text)


def _holds(found: FoundInput) -> str:
    if found.first == found.end:
        return "It holds no records now."
    return f"It holds offsets {found.first} to {found.end - 1} now."
