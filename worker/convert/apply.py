"""Apply a mapping to rows: pure and exact; a row that does not fit has a reason in place of events.

Reasons name fields, columns and rules, never a value: rows are personal data.
"""

import json
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.money import MAX_DIGITS, from_minor, is_amount, to_minor
from schemas.time import format_time, parse_time
from worker.convert.cells import CellFormat, Cells, UnfitError, source_of
from worker.convert.decimals import PLAIN, plain
from worker.convert.fields import MODELS, EventField, FieldType, field_of
from worker.convert.formats import DecimalFormat, TimeFormat
from worker.convert.localtimes import Clock
from worker.convert.mapping import EventTable, Mapping
from worker.convert.reasons import no_number, no_time, not_valid
from worker.convert.rows import BadRow, FileRow, Row
from worker.convert.values import SignBy, Value

_UNMATCHED = "matches no pattern of line; see line and unmatched"
_NEVER_NEGATIVE = {"amount", "fee", "funding_from_balance", "hold_remaining"}


class _Currency(NamedTuple):
    """The currency of a row."""

    code: str
    exponent: int


_NO_CURRENCY = _Currency("", 0)


class Converter:
    """A mapping compiled for the rows of one file, which are to be given in their order."""

    def __init__(self, mapping: Mapping) -> None:
        self.repeated_local_times = 0
        """How many rows became events that have a local time that comes twice."""
        self._skip = mapping.skip
        self._skips_unmatched = mapping.input.unmatched == "skip"
        self._cells = CellFormat(mapping)
        self._clock = Clock()
        self._events = [_EventReader(event, mapping, self._clock) for event in mapping.event]

    def outcome(self, row: Row) -> list[dict[str, Any]] | str:
        """Return the events of a row of a file, none if it is skipped; or why it is rejected."""
        if isinstance(row, FileRow):
            return self.apply(row.line, row.columns)
        if isinstance(row, BadRow):
            return row.reason
        return [] if self._skips_unmatched else _UNMATCHED

    def apply(self, line: int, columns: dict[str, str]) -> list[dict[str, Any]] | str:
        """Return the events of a row, none if it is skipped; or the reason why it is rejected."""
        cells = Cells(line, columns, self._cells)
        self._clock.saw_twice = False
        try:
            if any(cells.meet(condition) for condition in self._skip):
                return []
            events = [event.of(cells) for event in self._events if event.concerns(cells)]
        except UnfitError as unfit:
            return str(unfit)
        self.repeated_local_times += self._clock.saw_twice
        return events or "no event of the mapping is meant for this row"


class _EventReader:
    """One [[event]] table, compiled."""

    def __init__(self, event: EventTable, mapping: Mapping, clock: Clock) -> None:
        self._kind = event.kind
        self._when = event.when
        self._model = MODELS[event.kind]
        self._fields = [
            _FieldReader(name, value, event, mapping, clock) for name, value in event.fields.items()
        ]
        self._currency = next((field for field in self._fields if field.name == "currency"), None)
        self._amounts = [field.name for field in self._fields if field.holds is FieldType.AMOUNT]
        self._exponents = mapping.exponents()

    def concerns(self, cells: Cells) -> bool:
        return all(cells.meet(condition) for condition in self._when)

    def of(self, cells: Cells) -> dict[str, Any]:
        """Return the event of a row; raises UnfitError if the row gives no valid one."""
        money = self._currency_of(cells)
        event: dict[str, Any] = {"kind": self._kind}
        for field in self._fields:
            content = field.content(cells, money)
            if content is None:
                continue
            if field.parent:
                event.setdefault(field.parent, {})[field.key] = content
            else:
                event[field.key] = content
        self._validate(event, money)
        return event

    def _currency_of(self, cells: Cells) -> _Currency:
        if self._currency is None:
            return _NO_CURRENCY
        code = self._currency.content(cells, _NO_CURRENCY)
        exponent = self._exponents.get(code or "")
        if exponent is None:
            raise UnfitError(
                "currency: no code of ISO 4217, such as EUR, and none of the mapping's currencies;"
                " see case, map and [currencies]"
            )
        return _Currency(code, exponent)

    def _validate(self, event: dict[str, Any], money: _Currency) -> None:
        for name in self._amounts:
            if name in event:
                self._check_amount(name, event, money)
        try:
            self._model.model_validate(event)
        except ValidationError as error:
            raise UnfitError(not_valid(self._kind, error)) from None

    def _check_amount(self, name: str, event: dict[str, Any], money: _Currency) -> None:
        try:
            minor_units = to_minor(event[name], money.exponent)
        except ValueError:
            if not is_amount(event[name]):
                raise UnfitError(f"{name}: more than {MAX_DIGITS} digits") from None
            raise UnfitError(
                f"{name}: more decimals than {money.code} has ({money.exponent})"
            ) from None
        if minor_units < 0 and name in _NEVER_NEGATIVE:
            if name == "amount" and event["type"] == "adjustment":
                return
            raise UnfitError(f"{name}: must not be negative; see sign")


class _FieldReader:
    """One field of an event, compiled: where its text comes from and how it is converted."""

    def __init__(
        self, name: str, value: Value, event: EventTable, mapping: Mapping, clock: Clock
    ) -> None:
        field = field_of(event.kind, name) or EventField(FieldType.TEXT)
        self.name = name
        self.parent, _, self.key = name.partition(".") if "." in name else ("", "", name)
        self.holds = field.holds
        self._required = field.required
        self._value = value
        self._decimal = value.decimal or mapping.decimal
        self._source = source_of(value, self._decimal)
        self._time = value.time or mapping.time
        # All fields that read a column have one track: a row has one time there.
        self._track = clock.track((value.column, value.template, self._time))

    def content(self, cells: Cells, money: _Currency) -> Any:
        """Return the content of the field, None if it is left out; raises UnfitError."""
        text, is_own = self._text(cells)
        if not text:
            if self._required:
                raise UnfitError(f"{self.name}: required, but {self._origin()} is empty")
            return None
        if self.holds is FieldType.TEXT:
            return text
        if self.holds is FieldType.TIME:
            return self._moment(text, None if is_own else self._time)
        return self._number(text, None if is_own else self._decimal, cells, money)

    def _text(self, cells: Cells) -> tuple[str, bool]:
        """Return the text, and whether the mapping wrote it, in walletwatch's own notation."""
        value = self._value
        if value.constant is not None:
            return value.constant, True
        text = self._changed(self._source(cells))
        if value.map is None:
            return (text, False) if text or value.default is None else (value.default, True)
        mapped = value.map.get(text, value.default)
        if mapped is None and text:
            raise UnfitError(f"{self.name}: {self._origin()} holds what the map does not list")
        return mapped or "", True

    def _changed(self, text: str) -> str:
        if self._value.spaces is not None:
            text = self._value.spaces.join(text.split())
        if self._value.case is not None:
            text = text.upper() if self._value.case == "upper" else text.lower()
        return text

    def _moment(self, text: str, written: TimeFormat | None) -> str:
        try:
            moment = parse_time(text) if written is None else written.reader(text, self._track)
            return format_time(moment)
        except (ValueError, OverflowError) as error:
            reason = no_time(text, written, error)
            raise UnfitError(f"{self.name}: {self._origin()} {reason}") from None

    def _number(
        self, text: str, written: DecimalFormat | None, cells: Cells, money: _Currency
    ) -> Any:
        try:
            digits, decimals = (written.notation if written else PLAIN).read(text)
        except ValueError:
            reason = no_number(text, written or DecimalFormat())
            raise UnfitError(f"{self.name}: {self._origin()} {reason}") from None
        if self.holds is FieldType.COORDINATE:
            return json.loads(from_minor(digits, decimals))
        if self.holds is FieldType.WHOLE:
            return self._whole(plain(digits, decimals, 0))
        if written is not None and written.minor_units:
            decimals += written.exponent_of(*money)
        return plain(self._signed(digits, cells), decimals, money.exponent)

    def _whole(self, text: str) -> int:
        if "." in text:
            raise UnfitError(f"{self.name}: {self._origin()} is no whole number")
        return int(text)

    def _signed(self, digits: int, cells: Cells) -> int:
        sign = self._value.sign
        if isinstance(sign, SignBy):
            side = sign.map.get(cells.text(sign.column), sign.default)
            if side is None:
                raise UnfitError(f"{self.name}: column {sign.column!r} gives no sign by the map")
            return -digits if side == "-" else digits
        return {None: digits, "absolute": abs(digits), "opposite": -digits}[sign]

    def _origin(self) -> str:
        names = [repr(column) for column in self._value.columns()]
        return f"column {names[0]}" if len(names) == 1 else f"one of columns {', '.join(names)}"
