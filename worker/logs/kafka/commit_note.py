"""The note of each commit in the changelog: which topics it has read, and how far. Pure.

The changelog and the offsets of the group are committed together, so they agree unless another
tool has changed one of them. Deleting a topic deletes the group's offsets of it too: then only the
changelog has how far each topic was read.
"""

from typing import Final

import msgspec

from worker.engine.packing import Unpacker
from worker.engine.saved import numbered

_LAYOUT: Final = 1


class InputNote(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One input of the task at the commit."""

    topic_id: str
    """Empty if the brokers give none."""
    partitions: int
    offset: int
    """As committed for the group."""
    position: int
    """What had been read, buffered events included."""


class CommitNote(msgspec.Struct, array_like=True, gc=False):
    """Layout 1."""

    layout: int
    metadata: str
    """That of the offsets that were committed with it."""
    changelog_id: str
    inputs: dict[str, InputNote]
    """By their names in the log."""


_unpack: Final = Unpacker(CommitNote)
_pack: Final = msgspec.msgpack.Encoder().encode


def noted(metadata: str, changelog_id: str, inputs: dict[str, InputNote]) -> bytes:
    """Return the bytes of a note."""
    return _pack(CommitNote(_LAYOUT, metadata, changelog_id, inputs))


def read_note(stored: bytes) -> CommitNote | None:
    """Return the note of a commit; None of one by a release that wrote none.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    return numbered(_unpack, stored, "the note of a commit", _LAYOUT) if stored else None


def metadata_of(membership: str, sequence: int, transactional_id: str) -> str:
    """Return the metadata of offsets that walletwatch commits."""
    return f"{membership}|{sequence}|{transactional_id}"


def committer(metadata: str) -> str:
    """Return the transactional id in the metadata of an offset."""
    return metadata.split("|")[2]


def follows(metadata: str, before: str) -> bool:
    """Return whether the metadata is of the next commit of the same membership."""
    (membership, sequence, _), (other, earlier, _) = metadata.split("|"), before.split("|")
    return membership == other and int(sequence) == int(earlier) + 1


def is_own(metadata: str) -> bool:
    """Return whether walletwatch has committed an offset; other tools write no such metadata."""
    return metadata.count("|") == 2
