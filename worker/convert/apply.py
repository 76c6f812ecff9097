"""Apply a mapping to rows: pure and exact; a row that does not fit has a reason in place of events.

Reasons name fields, columns and rules, never a value: rows are personal data.
"""

from typing import Any

from pydantic import ValidationError

from schemas.money import MAX_DIGITS, is_amount, to_minor
from worker.convert.cells import CellFormat, Cells, UnfitError
from worker.convert.fieldreader import NO_CURRENCY, Context, Currency, FieldReader
from worker.convert.fields import MODELS, FieldType
from worker.convert.localtimes import Clock
from worker.convert.lookups import Lookups
from worker.convert.mapping import EventTable, Mapping
from worker.convert.reasons import not_valid
from worker.convert.rows import BadRow, FileRow, Row

_UNMATCHED = "matches no pattern of line; see line and unmatched"
_NEVER_NEGATIVE = {"amount", "fee", "funding_from_balance", "hold_remaining"}


class Converter:
    """A mapping compiled for the rows of one file, which are to be given in their order."""

    def __init__(self, mapping: Mapping, lookups: Lookups | None = None) -> None:
        """`lookups`: the contents of the mapping's lookup files, by name."""
        self.repeated_local_times = 0
        """How many rows became events that have a local time that comes twice."""
        self._skip = mapping.skip
        self._skips_unmatched = mapping.input.unmatched == "skip"
        self._cells = CellFormat(mapping)
        self._clock = Clock()
        context = Context(mapping, lookups or {}, self._clock)
        self._events = [_EventReader(event, context) for event in mapping.event]

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
        return events or "no event of the mapping is meant for this row; see when and skip"


class _EventReader:
    """One [[event]] table, compiled."""

    def __init__(self, event: EventTable, context: Context) -> None:
        self._kind = event.kind
        self._when = event.when
        self._model = MODELS[event.kind]
        self._fields = [
            FieldReader(name, value, event, context) for name, value in event.fields.items()
        ]
        self._currency = next((field for field in self._fields if field.name == "currency"), None)
        self._amounts = [field.name for field in self._fields if field.holds is FieldType.AMOUNT]
        self._exponents = context.mapping.exponents()

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

    def _currency_of(self, cells: Cells) -> Currency:
        if self._currency is None:
            return NO_CURRENCY
        code = self._currency.content(cells, NO_CURRENCY)
        exponent = self._exponents.get(code or "")
        if exponent is None:
            raise UnfitError(
                "currency: no code of ISO 4217, such as EUR, and none of the mapping's currencies;"
                " see case, map and [currencies]"
            )
        return Currency(code, exponent)

    def _validate(self, event: dict[str, Any], money: Currency) -> None:
        for name in self._amounts:
            if name in event:
                self._check_amount(name, event, money)
        try:
            self._model.model_validate(event)
        except ValidationError as error:
            raise UnfitError(not_valid(self._kind, error)) from None

    def _check_amount(self, name: str, event: dict[str, Any], money: Currency) -> None:
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
