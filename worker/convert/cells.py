"""The cells of one row, and the functions that read the text of a field from them."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256

from worker.convert.fileformat import Extract
from worker.convert.formats import DecimalFormat
from worker.convert.jsonvalues import AmbiguousError, Chosen, Keys, Path, each
from worker.convert.localtimes import Track
from worker.convert.mapping import Mapping
from worker.convert.reasons import no_number
from worker.convert.rows import FileRow
from worker.convert.values import ITEM, LINE, NUMBER, TEMPLATE_PLACE, Condition, Value

_HASH_CHARACTERS = 32


class UnfitError(Exception):
    """The row does not fit the mapping; str() is the reason, which quotes no value."""


class CellFormat:
    """What a mapping says of all cells: which are empty, and which are taken apart."""

    def __init__(self, mapping: Mapping) -> None:
        self.empty = frozenset(mapping.input.empty)
        self.extracts = {
            name: extract for extract in mapping.extract for name in extract.compiled.names
        }
        """By the columns that they give."""
        self.paths = mapping.paths()
        """By the columns of nested JSON that need one."""


class Cells:
    """The cells of one row, trimmed; those that the mapping lists as empty are ""."""

    __slots__ = (
        *("_chosen", "_extracted", "_format", "_row"),
        *("counters", "is_meant", "moments", "shift_ms"),
    )

    def __init__(self, row: FileRow, written: CellFormat, chosen: Chosen, item: int = 0) -> None:
        """`chosen`: which items of arrays are meant; `item`: the number of the last, from 1."""
        self.is_meant = False
        """Whether an event of the mapping is meant for the row."""
        self.counters = {LINE: row.line, ITEM: item, NUMBER: 0}
        """What a template may fill in that is no column."""
        self.moments: dict[tuple[Track, str], int] = {}
        """The times that were read, by column and text, in milliseconds since the epoch."""
        self.shift_ms = 0
        """How long the event is after the time of the row."""
        self._row = row
        self._chosen = chosen
        self._format = written
        self._extracted: dict[str, str] = {}

    def items(self, keys: Keys) -> "Iterator[Cells]":
        """Yield the cells of each item of an array of the row."""
        for number, chosen in enumerate(each(self._row.value, keys), 1):
            yield Cells(self._row, self._format, chosen, number)

    def text(self, column: str) -> str:
        """Return the text of a column, "" if the row has no such column.

        Raises:
            UnfitError: it is a part of a cell that does not match its pattern, or an item of an
                array that is there twice.
        """
        text = self._row.columns.get(column, "")
        if column in self._format.extracts:
            if column not in self._extracted:
                self._extracted |= self._taken_apart(self._format.extracts[column])
            text = self._extracted[column]
        elif column in self._format.paths:
            text = self._at(self._format.paths[column]) or text
        text = text.strip()
        return "" if text in self._format.empty else text

    def _at(self, path: Path) -> str:
        try:
            return path.text(self._row.value, self._chosen)
        except AmbiguousError as ambiguous:
            raise UnfitError(str(ambiguous)) from None

    def _taken_apart(self, extract: Extract) -> dict[str, str]:
        pattern, text = extract.compiled, self.text(extract.column)
        if len(text) > pattern.longest:
            raise UnfitError(
                f"column {extract.column!r} is longer than {pattern.longest} characters,"
                " the most that its pattern reads; see extract"
            )
        groups = pattern.groups(text) if text else {}
        if groups is None and extract.unmatched == "reject":
            raise UnfitError(
                f"column {extract.column!r} does not match its pattern, which has to match the"
                " whole cell; see extract and unmatched"
            )
        return dict.fromkeys(pattern.names, "") | (groups or {})

    def meet(self, condition: Condition) -> bool:
        """Return whether the condition holds for this row."""
        text = self.text(condition.column)
        if condition.in_ is not None:
            met = text in condition.in_
        elif condition.equals is not None:
            met = text == condition.equals
        else:
            met = (text == "") is condition.empty
        return met is not condition.negated


Source = Callable[[Cells], str]
"""Reads a text from the cells of a row; "" where a column that it needs is empty."""


def source_of(value: Value, written: DecimalFormat, counters: frozenset[str]) -> Source:
    """Return the function that reads the text of a value.

    `written`: the numbers of `sign_of`. `counters`: the places of a template that are no columns.
    """
    if value.template is not None:
        return _template(value.template, counters)
    if value.hash is not None:
        return _hash(value.hash, value.prefix)
    if value.sign_of is not None:
        return _sign_of(value.sign_of, written)
    column = value.column or ""
    return lambda cells: cells.text(column)


def _template(template: str, counters: frozenset[str]) -> Source:
    # "{a}-{b}" splits into "", "a", "-", "b", "": places stand at the odd positions.
    parts = TEMPLATE_PLACE.split(template)
    places = parts[1::2]

    def read(cells: Cells) -> str:
        texts = [
            str(cells.counters[place]) if place in counters else cells.text(place)
            for place in places
        ]
        if not all(texts):
            return ""
        filled = parts.copy()
        filled[1::2] = texts
        return "".join(filled)

    return read


def _hash(columns: list[str], prefix: str) -> Source:
    def read(cells: Cells) -> str:
        # JSON keeps ("a", "bc") and ("ab", "c") apart.
        texts = json.dumps([cells.text(column) for column in columns])
        return prefix + sha256(texts.encode()).hexdigest()[:_HASH_CHARACTERS]

    return read


def _sign_of(column: str, written: DecimalFormat) -> Source:
    def read(cells: Cells) -> str:
        text = cells.text(column)
        try:
            digits, _ = written.notation.read(text) if text else (0, 0)
        except ValueError:
            raise UnfitError(f"column {column!r} {no_number(text, written)}") from None
        return "+" if digits > 0 else "-" if digits else "0" if text else ""

    return read
