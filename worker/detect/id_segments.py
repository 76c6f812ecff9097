"""Recent ids of busy accounts, in segments with records of their own. Pure.

The record of an account is written whenever an event has touched it. So that an account with a
million events a day costs no more per event than any other, its record has only the newest rows:
beyond some thousands they leave it for segments of a fixed number of rows, in the order in which
they came. A segment is written once, and removed when the newest of its rows is forgotten.

An index in memory has the segment of each id. It is made when the account is touched first, and
kept as long as the account has segments.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from worker.detect import account
from worker.detect.account import Account
from worker.detect.redelivery import ROWS
from worker.engine.context import Context
from worker.engine.keyed_state import Timer, payload_of
from worker.engine.packing import Unpacker, packed
from worker.engine.saved import damaged, downgrade
from worker.engine.segments import segment_key

SEGMENT_ROWS: Final = 256
"""Rows of a segment: 8 KiB, about as much as the record of the account."""
MOST_ROWS: Final = 2_048
"""Rows of an account before it gets segments: 64 KiB, a quarter of what a record may have."""
_WHAT: Final = "recent ids"


class KeptSegment:
    """A segment while a unit of work touches it."""

    __slots__ = ("rows", "timers")

    def __init__(self, rows: bytes) -> None:
        self.rows = rows
        self.timers: list[Timer] = []


class _Saved(Struct, array_like=True):
    layout: int
    """That of accounts: it says which fields of an event the rows cover."""
    rows: bytes


_SAVED: Final = Unpacker(_Saved)


class KeptSegments:
    """The states of segments: all keys that begin with SEGMENT."""

    def load(self, stored: bytes | None) -> KeptSegment:
        """Decode a segment.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        if stored is None:
            return KeptSegment(b"")
        try:
            saved = _SAVED(payload_of(stored))
        except msgspec.MsgspecError as error:
            raise damaged(_WHAT) from error
        if saved.layout > account.LAYOUT:
            raise downgrade(_WHAT)
        if saved.layout < account.KNOWN_FIELDS_SINCE:
            return KeptSegment(bytes(ROWS.without_content(saved.rows)))
        return KeptSegment(saved.rows)

    def dump(self, live: KeptSegment) -> bytes:
        """Encode a segment; empty when it is removed."""
        return packed(_Saved(account.LAYOUT, live.rows)) if live.rows else b""

    def on_timer(self, live: Any, timer: Timer, context: Context) -> None:
        """Do nothing: a segment has no timers."""


class _Index:
    """Of one account: where each id is."""

    def __init__(self, segments: tuple[int, int]) -> None:
        self.segments = segments
        self.number_of: dict[bytes, int] = {}
        """Per id the segment of its newest row: of rows with one id, at most that is in time."""

    def add(self, number: int, rows: bytes) -> None:
        self.number_of.update(dict.fromkeys(ROWS.ids(rows), number))

    def remove(self, number: int, rows: bytes) -> None:
        for each in ROWS.ids(rows):
            if self.number_of.get(each) == number:
                del self.number_of[each]


class IdSegments:
    """The segments of the accounts of one task.

    Attributes:
        segment_bytes: an account with fewer bytes of rows has none to put into a segment.
    """

    def __init__(self) -> None:
        self.segment_bytes = SEGMENT_ROWS * ROWS.size
        self._most_bytes = MOST_ROWS * ROWS.size
        self._indexes: dict[bytes, _Index] = {}

    def known_as(
        self, live: Account, identity: bytes, oldest: int, context: Context
    ) -> bool | None:
        """Return the same as `ROWS.known_as` over the rows of an account's segments."""
        number = self._index(live.segments, context).number_of.get(identity[ROWS.id])
        if number is None:
            return None
        return ROWS.known_as(_read(number, context), identity, oldest)

    def take(self, live: Account, context: Context) -> None:
        """Move the rows of an account into segments, if it has as many as make it a busy one."""
        ids, size = live.ids, self.segment_bytes
        if not live.segments:
            if len(ids) < self._most_bytes:
                return
            # A number never comes again: an index with the same numbers has the same rows.
            live.segments = context.now, context.now
        index = self._index(live.segments, context)
        first, end = live.segments
        full = len(ids) - len(ids) % size
        for at in range(0, full, size):
            rows = bytes(ids[at : at + size])
            context.touch(segment_key(context.key, end)).rows = rows
            index.add(end, rows)
            end += 1
        live.ids = ids[full:]
        live.segments = index.segments = first, end

    def forget_old(self, live: Account, oldest: int, context: Context) -> None:
        """Remove the segments before the first one with a row that is not before `oldest`."""
        if not live.segments:
            return
        index = self._index(live.segments, context)
        first, end = live.segments
        while first < end:
            rows = _read(first, context)
            if max(ROWS.times(rows)) >= oldest:
                break
            index.remove(first, rows)
            context.touch(segment_key(context.key, first)).rows = b""
            first += 1
        live.segments = index.segments = first, end
        if first == end:
            live.segments = None
            del self._indexes[context.key]

    def _index(self, segments: tuple[int, int] | None, context: Context) -> _Index:
        """Return the index of the account at work.

        One that a unit of work has changed, and that was dropped with it, has other numbers.
        """
        index = self._indexes.get(context.key)
        if index is None or index.segments != segments:
            index = self._indexes[context.key] = _Index(segments or (0, 0))
            for number in range(*index.segments):
                index.add(number, _read(number, context))
        return index


def _read(number: int, context: Context) -> bytes:
    """Return the rows of a segment of the account at work.

    Raises:
        LogError: it is not there.
    """
    rows: bytes = context.read(segment_key(context.key, number)).rows
    if not rows:
        raise damaged(_WHAT)
    return rows
