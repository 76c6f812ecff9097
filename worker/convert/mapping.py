"""The declarative mapping: what a MAP.toml may contain. docs/mapping.md is its page for users.

What comes from a column is in the file's notation; what the mapping itself gives (constant,
default, right side of a map) is in walletwatch's own: plain decimals, RFC 3339.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from schemas.money import ISO_4217, is_currency_code
from schemas.time import parse_time
from worker.convert.decimals import PLAIN
from worker.convert.fields import (
    EXTRA,
    OWN_NOTATION,
    EventField,
    FieldType,
    Kind,
    field_of,
    fields_of,
)
from worker.convert.fileformat import Extract, FileFormat
from worker.convert.formats import DecimalFormat, Exponent, Table, TimeFormat, wrong
from worker.convert.localtimes import Fold
from worker.convert.lookups import LookupFile
from worker.convert.nearest import choose, nearest, unknown
from worker.convert.values import Condition, Value


class EventTable(Table):
    """One event that a row gives, if all of `when` hold."""

    kind: Kind
    when: list[Condition] = Field(default_factory=list)
    fields: dict[str, Value]

    @model_validator(mode="before")
    @classmethod
    def _fields_are_spelled_out(cls, table: Any) -> Any:
        if not isinstance(table, dict) or not isinstance(table.get("fields"), dict):
            return table
        return {**table, "fields": dict(_spelled_out(table["fields"], ""))}

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Self:
        for name, value in self.fields.items():
            field = field_of(self.kind, name)
            if field is None:
                raise wrong(unknown(f"{self.kind} field", name, [*fields_of(self.kind), "extra.*"]))
            _check_field(name, value, field)
        for name, field in fields_of(self.kind).items():
            if field.required and name not in self.fields:
                raise wrong(f"a {self.kind} needs the field {name}")
        return self


def _spelled_out(fields: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield name = "column" as a table, and members of an object as `authorization.method`."""
    for name, value in fields.items():
        if not prefix and name in ("authorization", EXTRA.rstrip(".")) and isinstance(value, dict):
            yield from _spelled_out(value, f"{name}.")
        else:
            yield prefix + name, {"column": value} if isinstance(value, str) else value


def _check_field(name: str, value: Value, field: EventField) -> None:
    numeric = field.holds in (FieldType.AMOUNT, FieldType.WHOLE, FieldType.COORDINATE)
    if value.decimal is not None and not numeric and value.sign_of is None:
        raise wrong(f"{name} holds no number: decimal has no place there")
    if field.holds is not FieldType.AMOUNT and (
        value.sign is not None or (value.decimal is not None and value.decimal.minor_units)
    ):
        raise wrong(f"{name} holds no amount: sign and minor_units have no place there")
    if value.time is not None and field.holds is not FieldType.TIME:
        raise wrong(f"{name} holds no time: time has no place there")
    for text in filter(None, value.written()):
        if field.choices and text not in field.choices:
            raise wrong(choose(name, text, field.choices))
        try:
            _read_own(text, field.holds)
        except ValueError:
            raise wrong(
                f"{name}: what the mapping itself gives must be {OWN_NOTATION[field.holds]}"
            ) from None


def _read_own(text: str, holds: FieldType) -> None:
    if holds is FieldType.TIME:
        parse_time(text)
    elif holds is not FieldType.TEXT:
        PLAIN.read(text)


class Mapping(Table):
    """A whole MAP.toml."""

    input: FileFormat
    decimal: DecimalFormat = DecimalFormat()
    time: TimeFormat = TimeFormat()
    currencies: dict[str, Exponent] = Field(default_factory=dict)
    lookups: dict[str, LookupFile] = Field(default_factory=dict)
    extract: list[Extract] = Field(default_factory=list)
    skip: list[Condition] = Field(default_factory=list)
    event: Annotated[list[EventTable], Field(min_length=1)]

    @model_validator(mode="after")
    def _currencies_are_new(self) -> Self:
        for code in self.currencies:
            if not is_currency_code(code):
                raise wrong(f"currencies: {code!r} must be three to ten of A-Z and 0-9")
            if code in ISO_4217:
                raise wrong(f"currencies: {code} has its exponent from ISO 4217")
        return self

    @model_validator(mode="after")
    def _exponents_are_of_known_codes(self) -> Self:
        own = (value.decimal for value in self._values())
        known = self.exponents()
        for decimal in (self.decimal, *own):
            for code in decimal.exponents if decimal else ():
                if code not in known:
                    meant = nearest(code.upper(), known)
                    hint = f"; did you mean {meant!r}?" if meant else ""
                    raise wrong(
                        f"exponents: {code!r} is neither in ISO 4217 nor in currencies{hint}"
                    )
        return self

    @model_validator(mode="after")
    def _lookups_are_there(self) -> Self:
        for value in self._values():
            if value.lookup is not None and value.lookup not in self.lookups:
                raise wrong(unknown("lookup", value.lookup, self.lookups))
        return self

    @model_validator(mode="after")
    def _extracts_name_new_columns(self) -> Self:
        own = self.input.known_columns() or ()
        named: dict[str, int] = {}
        read: dict[str, int] = {}
        for number, extract in enumerate(self.extract, 1):
            read.setdefault(extract.column, number)
            for name in extract.compiled.names:
                if name in own:
                    raise wrong(f"extract #{number} names {name!r}, which is a column of the file")
                if name in named:
                    raise wrong(
                        f"extract #{number} names {name!r}, which extract #{named[name]} names"
                    )
                if name == extract.column:
                    raise wrong(
                        f"extract #{number} names {name!r}, which is a column that it reads"
                    )
                if name in read:
                    raise wrong(
                        f"extract #{read[name]} reads {name!r}, which extract #{number} names:"
                        " put that one first"
                    )
                named[name] = number
        return self

    @model_validator(mode="after")
    def _text_has_the_columns(self) -> Self:
        own = self.input.known_columns()
        if self.input.format == "text" and own is not None:
            for column, place in self.columns().items():
                if column not in own:
                    meant = nearest(column, own)
                    hint = f"; did you mean {meant!r}?" if meant else ""
                    raise wrong(f"{place} reads column {column!r}, which no pattern names{hint}")
        return self

    def exponents(self) -> dict[str, int]:
        """Return the exponent of every currency that an event may have."""
        return {**ISO_4217, **self.currencies}

    def folds(self) -> set[Fold]:
        """Return how local times that come twice are read."""
        own = (value.time for value in self._values())
        return {time.fold or "first" for time in (self.time, *own) if time and time.zone}

    def _values(self) -> Iterator[Value]:
        return (value for event in self.event for value in event.fields.values())

    def columns(self) -> dict[str, str]:
        """Return every column of the file that is read, with the first place that names it."""
        extracted = {name for extract in self.extract for name in extract.compiled.names}
        places: dict[str, str] = {}
        for place, column in self._columns():
            if column not in extracted:
                places.setdefault(column, place)
        return places

    def _columns(self) -> Iterator[tuple[str, str]]:
        for number, extract in enumerate(self.extract, 1):
            yield f"extract #{number}", extract.column
        for number, condition in enumerate(self.skip, 1):
            yield f"skip #{number}", condition.column
        for number, event in enumerate(self.event, 1):
            for condition in event.when:
                yield f"event #{number}.when", condition.column
            for name, value in event.fields.items():
                for column in value.columns():
                    yield f"event #{number}.fields.{name}", column
