"""One field of an event: where its text comes from and how it is converted."""

import json
from collections import Counter
from typing import Any, NamedTuple

from schemas.money import from_minor
from schemas.time import format_time, parse_time
from worker.convert.cells import Cells, UnfitError, source_of
from worker.convert.decimals import PLAIN, plain
from worker.convert.eventtable import EventTable
from worker.convert.fields import OWN_NOTATION, EventField, FieldType, field_of
from worker.convert.formats import DecimalFormat, TimeFormat
from worker.convert.localtimes import Clock
from worker.convert.lookups import Lookups
from worker.convert.mapping import Mapping
from worker.convert.reasons import no_number, no_time
from worker.convert.values import SignBy, Value


class Currency(NamedTuple):
    """The currency of a row."""

    code: str
    exponent: int


class Context(NamedTuple):
    """What the readers of all fields share."""

    mapping: Mapping
    lookups: Lookups
    clock: Clock
    mended: Counter[str]
    """How often each field was cut, cleaned or dropped."""


NO_CURRENCY = Currency("", 0)


class FieldReader:
    """One field of an event, compiled: where its text comes from and how it is converted."""

    def __init__(self, name: str, value: Value, event: EventTable, context: Context) -> None:
        field = field_of(event.kind, name) or EventField(FieldType.TEXT)
        self.name = name
        """As in the mapping: `authorization.method` too."""
        self.parent, _, self.key = name.partition(".") if "." in name else ("", "", name)
        """Its name in an object `parent`; "" if it is in none."""
        self.holds = field.holds
        self._required = field.required
        self._shifted = name == "occurred_at"
        self._value = value
        self._map, self._looked_up = value.map, ""
        self._unlisted = "what the map does not list; add it there, or give a default"
        if value.lookup is not None:
            self._map = context.lookups[value.lookup]
            self._looked_up = f"what the lookup {value.lookup!r} gives"
            self._unlisted = self._unlisted.replace("map", f"lookup {value.lookup!r}")
        self._decimal = value.decimal or context.mapping.decimal
        self._counters = event.counters()
        self._source = source_of(value, self._decimal, self._counters)
        self._time = value.time or context.mapping.time
        # All fields that read a column have one track: a row or an item has one time there.
        self._track = context.clock.track((value.column, value.template, self._time))

    def content(self, cells: Cells, money: Currency) -> Any:
        """Return the content of the field, None if it is left out.

        Raises:
            UnfitError: the cells give no content that is needed, or none as described.
        """
        text, is_own = self._text(cells)
        if not text:
            if self._required:
                origin = self._looked_up if is_own and self._looked_up else self._origin()
                raise UnfitError(f"{self.name}: required, but {origin} is empty")
            return None
        if self.holds is FieldType.TEXT:
            return text
        if self.holds is FieldType.TIME:
            return self._moment(text, None if is_own else self._time, cells)
        return self._number(text, None if is_own else self._decimal, cells, money)

    def _text(self, cells: Cells) -> tuple[str, bool]:
        """Return the text, and whether the mapping wrote it, in walletwatch's own notation."""
        value = self._value
        if value.constant is not None:
            return value.constant, True
        text = self._changed(self._source(cells))
        if self._map is None or not (text or value.map):
            return (text, False) if text or value.default is None else (value.default, True)
        mapped = self._map.get(text, value.default)
        if mapped is None and text:
            raise UnfitError(f"{self.name}: {self._origin()} holds {self._unlisted}")
        return mapped or "", True

    def _changed(self, text: str) -> str:
        if self._value.spaces is not None:
            text = self._value.spaces.join(text.split())
        if self._value.case is not None:
            text = text.upper() if self._value.case == "upper" else text.lower()
        return text

    def _moment(self, text: str, written: TimeFormat | None, cells: Cells) -> str:
        try:
            moment = parse_time(text) if written is None else self._read(text, written, cells)
            return format_time(moment + self._shifted * cells.shift_ms)
        except (ValueError, OverflowError) as error:
            self._check_own(written)
            reason = no_time(text, written, error)
            raise UnfitError(f"{self.name}: {self._origin()} {reason}") from None

    def _read(self, text: str, written: TimeFormat, cells: Cells) -> int:
        """Return the time of a text, read once for all fields and events that take it."""
        key = (self._track, text)
        if key not in cells.moments:
            cells.moments[key] = written.reader(text, self._track)
        return cells.moments[key]

    def _number(
        self, text: str, written: DecimalFormat | None, cells: Cells, money: Currency
    ) -> Any:
        try:
            digits, decimals = (written.notation if written else PLAIN).read(text)
        except ValueError:
            self._check_own(written)
            reason = no_number(text, self._decimal)
            raise UnfitError(f"{self.name}: {self._origin()} {reason}") from None
        if self.holds is FieldType.COORDINATE:
            return json.loads(from_minor(digits, decimals))
        if self.holds is FieldType.WHOLE:
            return self._whole(plain(digits, decimals, 0))
        if written is not None and written.minor_units:
            decimals += written.exponent_of(*money)
        return plain(self._signed(digits, cells), decimals, money.exponent)

    def _check_own(self, written: DecimalFormat | TimeFormat | None) -> None:
        """Raise UnfitError if the text is not the file's: the mapping's own was checked before."""
        if written is None:
            must = OWN_NOTATION[self.holds]
            raise UnfitError(f"{self.name}: {self._looked_up} has to be {must}") from None

    def _whole(self, text: str) -> int:
        if "." in text:
            raise UnfitError(f"{self.name}: {self._origin()} is no whole number, such as 3")
        return int(text)

    def _signed(self, digits: int, cells: Cells) -> int:
        sign = self._value.sign
        if isinstance(sign, SignBy):
            side = sign.map.get(cells.text(sign.column), sign.default)
            if side is None:
                raise UnfitError(
                    f"{self.name}: column {sign.column!r} gives no sign by the map; add it there,"
                    " or give a default"
                )
            return -digits if side == "-" else digits
        return {None: digits, "absolute": abs(digits), "opposite": -digits}[sign]

    def _origin(self) -> str:
        names = [repr(column) for column in self._value.origins(self._counters)]
        return f"column {names[0]}" if len(names) == 1 else f"one of columns {', '.join(names)}"
