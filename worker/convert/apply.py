"""Apply a mapping to rows: pure and exact; a row that does not fit has a reason in place of events.

Reasons name fields, columns and rules, never a value: rows are personal data.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worker.convert.cells import CellFormat, Cells, UnfitError
from worker.convert.eventreader import EventReader
from worker.convert.fieldreader import Context
from worker.convert.jsonvalues import Keys, is_there
from worker.convert.localtimes import Clock
from worker.convert.lookups import Lookups
from worker.convert.mapping import Mapping
from worker.convert.rows import BadRow, FileRow, Row, UnmatchedRow
from worker.convert.values import ITEM

_NOT_MEANT = "no event of the mapping is meant for"
_UNMATCHED = "matches no pattern of line; see line and unmatched"


class Converter:
    """A mapping compiled for the rows of one file, which are to be given in their order."""

    def __init__(self, mapping: Mapping, lookups: Lookups | None = None) -> None:
        """`lookups`: the contents of the mapping's lookup files, by name."""
        self.repeated_local_times = 0
        """How many rows became events that have a local time that comes twice."""
        self._skips_unmatched = mapping.input.unmatched == "skip"
        self._cells = CellFormat(mapping)
        self._clock = Clock()
        self.mended: Counter[str] = Counter()
        """How often each field that nothing needs was cut, cleaned or dropped."""
        context = Context(mapping, lookups or {}, self._clock, self.mended)
        self._events = [EventReader(event, context) for event in mapping.event]
        self._arrays = {event.each: _keys(event.each) for event in mapping.event if event.each}
        self._skips = {
            each: [skip for skip in mapping.skip if skip.each == each]
            for each in (None, *self._arrays)
        }

    def outcome(self, row: Row) -> list[dict[str, Any]] | str:
        """Return the events of a row, none if it is skipped; or the reason why it is rejected."""
        if isinstance(row, BadRow):
            return row.reason
        if isinstance(row, UnmatchedRow):
            return [] if self._skips_unmatched else _UNMATCHED
        self._clock.saw_twice = False
        try:
            events = self._events_of(row)
        except UnfitError as unfit:
            return str(unfit)
        self.repeated_local_times += self._clock.saw_twice
        return events

    def _events_of(self, row: FileRow) -> list[dict[str, Any]]:
        cells = Cells(row, self._cells, {})
        if self._is_skipped(cells, None):
            return []
        items = {each: self._items(cells, each, keys) for each, keys in self._arrays.items()}
        found: list[dict[str, Any]] = []
        for event in self._events:
            if event.each is None:
                found += event.all_of(cells)
                continue
            for one in items[event.each]:
                with _item(event.each, one):
                    found += event.all_of(one)
        for each, ones in items.items():
            for one in ones:
                with _item(each, one):
                    if not one.is_meant:
                        raise UnfitError(f"{_NOT_MEANT} it; see when and skip")
        arrays = (is_there(row.value, keys) for keys in self._arrays.values())
        if not (found or cells.is_meant or any(arrays)):
            raise UnfitError(f"{_NOT_MEANT} this row; see when and skip")
        return found

    def _items(self, cells: Cells, each: str, keys: Keys) -> list[Cells]:
        """Return the items of an array that are not skipped."""
        found = []
        for one in cells.items(keys):
            with _item(each, one):
                if not self._is_skipped(one, each):
                    found.append(one)
        return found

    def _is_skipped(self, cells: Cells, each: str | None) -> bool:
        return any(cells.meet(condition) for condition in self._skips[each])


@contextmanager
def _item(each: str, cells: Cells) -> Iterator[None]:
    """Put the number of the item in front of a reason."""
    try:
        yield
    except UnfitError as unfit:
        raise UnfitError(f"item {cells.counters[ITEM]} of {each!r}: {unfit}") from None


def _keys(each: str) -> Keys:
    return tuple(each.split("."))
