"""One [[event]] table, compiled: the events of a row or of an item of an array."""

import json
from typing import Any

import msgspec

from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Limits
from worker.codec.fast import MODELS
from worker.codec.mending import mended
from worker.convert.cells import Cells, UnfitError
from worker.convert.eventtable import EventTable
from worker.convert.fieldreader import NO_CURRENCY, Context, Currency, FieldReader
from worker.convert.fields import KINDS
from worker.convert.reasons import no_number, not_accepted
from worker.convert.repeats import MAX_EVENTS
from worker.convert.values import NUMBER


class EventReader:
    """One [[event]] table, compiled for many rows."""

    def __init__(self, event: EventTable, context: Context) -> None:
        self.each = event.each
        """The array of whose items it is one event each; None: of the row."""
        self._kind = event.kind
        self._when = event.when
        self._repeat = event.repeat
        self._written = context.mapping.decimal
        _, self._model, _ = MODELS[KINDS[event.kind]]
        self._fields = [
            FieldReader(name, value, event, context) for name, value in event.fields.items()
        ]
        self._mended = context.mended
        self._currency = next((field for field in self._fields if field.name == "currency"), None)
        self._exponents = context.mapping.exponents()
        self._codec = Codec(KINDS[event.kind], Limits(currencies=self._exponents))

    def all_of(self, cells: Cells) -> list[dict[str, Any]]:
        """Return the events of a row or an item, none if it does not meet the conditions.

        Raises:
            UnfitError: it gives no valid event.
        """
        if not all(cells.meet(condition) for condition in self._when):
            return []
        cells.is_meant = True
        if self._repeat is None:
            return [self._of(cells)]
        count, events = self._count(cells, self._repeat.count), []
        for number in range(1, count + 1):
            cells.counters[NUMBER] = number
            cells.shift_ms = self._repeat.shift_ms(number, count)
            events.append(self._of(cells))
        cells.shift_ms = 0
        return events

    def _count(self, cells: Cells, column: str) -> int:
        text = cells.text(column)
        if not text:
            raise UnfitError(f"column {column!r} is empty; see repeat and when")
        try:
            digits, decimals = self._written.notation.read(text)
        except ValueError:
            raise UnfitError(f"column {column!r} {no_number(text, self._written)}") from None
        count, rest = divmod(digits, 10**decimals)
        if count < 0:
            raise UnfitError(f"column {column!r} is negative; see repeat")
        if rest:
            raise UnfitError(f"column {column!r} is no whole number, such as 3; see repeat")
        if count > MAX_EVENTS:
            most = f"{MAX_EVENTS:,}, the most events of a row"
            raise UnfitError(f"column {column!r} is more than {most}; see repeat")
        return int(count)

    def _of(self, cells: Cells) -> dict[str, Any]:
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
        self._check(event)
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

    def _check(self, event: dict[str, Any]) -> None:
        """Read the event as the worker would; mend what nothing needs in the same way.

        Raises:
            UnfitError: the worker would refuse it.
        """
        raw = _encoded(event)
        found = self._codec.decode(raw)
        if type(found) is BadRecord:
            raise UnfitError(not_accepted(found))
        if self._codec.mended:
            self._codec.mended.clear()
            self._mend(event, raw)

    def _mend(self, event: dict[str, Any], raw: bytes) -> None:
        record, done = mended(self._model, raw)
        for name in (each.field for each in done):
            event[name] = getattr(record, name)
            if event[name] is None:
                del event[name]
            self._mended[name] += 1


def _encoded(event: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(event).encode()
