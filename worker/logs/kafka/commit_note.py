"""What each commit notes in the changelog of the topics that it goes by. Pure.

The changelog and the offsets of the group are committed together, so they agree unless somebody has
changed one of them. Deleting a topic deletes the group's offsets of it too: only the changelog
still knows then how far which topic was read.
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
    mark: str
    """The metadata of the offsets that were committed with it."""
    changelog_id: str
    inputs: dict[str, InputNote]
    """By their names in the log."""


_unpack: Final = Unpacker(CommitNote)
_pack: Final = msgspec.msgpack.Encoder().encode


def noted(mark: str, changelog_id: str, inputs: dict[str, InputNote]) -> bytes:
    """Return the bytes of a note."""
    return _pack(CommitNote(_LAYOUT, mark, changelog_id, inputs))


def read_note(stored: bytes) -> CommitNote | None:
    """Return the note of a commit; None of one by a release that wrote none.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    return numbered(_unpack, stored, "the note of a commit", _LAYOUT) if stored else None


def mark_of(membership: str, sequence: int, transactional_id: str) -> str:
    """Return the metadata of offsets that walletwatch commits."""
    return f"{membership}|{sequence}|{transactional_id}"


def is_mark(metadata: str) -> bool:
    """Return whether walletwatch has committed an offset; other tools leave no metadata."""
    return metadata.count("|") == 2
