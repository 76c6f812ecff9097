"""Bounded sets of what an account has been seen with, and since when. Pure.

A set forgets what was seen longest ago when it is full. From then on it does not know what is new
from what it has forgotten: so nothing first seen after that counts as new.
"""

from typing import Final

import msgspec
from msgspec import Struct

from rules.marks import MARK_BYTES

_TIME_BYTES: Final = 6
_ROW: Final = MARK_BYTES + _TIME_BYTES


class Seen(Struct, array_like=True, omit_defaults=True, gc=False):
    """Marks with the time at which each was first seen; the last seen comes last."""

    rows: bytearray = msgspec.field(default_factory=bytearray)
    """Per mark 6 bytes of it and 6 of its time (milliseconds, signed)."""
    blurred_at: int | None = None
    """When something was forgotten for the first time, milliseconds; None: never."""
    newest: int | None = None
    """Nothing was first seen after that, milliseconds."""

    def __len__(self) -> int:
        return len(self.rows) // _ROW

    def see(self, mark: bytes, at: int, most: int) -> bool:
        """Note that it was seen, and say whether it surely was for the first time.

        Beyond `most` what was not seen for longest is forgotten.
        """
        rows, newest = self.rows, self.newest
        if newest is not None and at >= newest and rows.startswith(mark, len(rows) - _ROW):
            return False  # the same again: nearly always
        found = self._find(mark)
        if found < 0:
            return self._add(mark, at, most)
        first = self._time(found)
        if at < first and not self._blurs(first):
            rows[found + MARK_BYTES : found + _ROW] = at.to_bytes(_TIME_BYTES, "big", signed=True)
        if found != len(rows) - _ROW:
            row = rows[found : found + _ROW]
            del rows[found : found + _ROW]
            rows += row
        return False

    def take(self, mark: bytes) -> int | None:
        """Remove it; return since when it was known, None if it was not."""
        found = self._find(mark)
        if found < 0:
            return None
        at = self._time(found)
        del self.rows[found : found + _ROW]
        return at

    def last_since(self) -> int | None:
        """Return when that was first seen which was seen last (milliseconds); None: not sure."""
        if not self.rows:
            return None
        first = self._time(len(self.rows) - _ROW)
        return None if self._blurs(first) else first

    def new_since(self, since: int) -> int:
        """Count what was surely first seen at `since` (milliseconds) or later."""
        times = map(self._time, range(0, len(self.rows), _ROW))
        return sum(at >= since and not self._blurs(at) for at in times)

    def _add(self, mark: bytes, at: int, most: int) -> bool:
        if len(self.rows) >= most * _ROW:
            del self.rows[:_ROW]
            if self.blurred_at is None:
                self.blurred_at = at
        blurred_at = self.blurred_at
        if blurred_at is not None and at < blurred_at:
            at = blurred_at  # it came late: it may be what was forgotten
        if self.newest is None or at > self.newest:
            self.newest = at
        self.rows += mark + at.to_bytes(_TIME_BYTES, "big", signed=True)
        return blurred_at is None

    def _blurs(self, at: int) -> bool:
        return self.blurred_at is not None and at >= self.blurred_at

    def _find(self, mark: bytes) -> int:
        at = self.rows.find(mark)
        while at > 0 and at % _ROW:
            at = self.rows.find(mark, at + 1)
        return at

    def _time(self, row: int) -> int:
        return int.from_bytes(self.rows[row + MARK_BYTES : row + _ROW], "big", signed=True)
