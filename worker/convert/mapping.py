"""The declarative mapping: what a MAP.toml may contain. docs/mapping.md is its page for users.

What comes from a column is in the file's notation; what the mapping itself gives (constant,
default, right side of a map) is in walletwatch's own: plain decimals, RFC 3339.
"""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.money import CURRENCIES, ISO_4217, is_currency_code
from worker.convert.eventtable import EventTable
from worker.convert.fileformat import Extract, FileFormat
from worker.convert.formats import DecimalFormat, Exponent, Table, TimeFormat, wrong
from worker.convert.jsonvalues import Path, path_of, selects
from worker.convert.localtimes import Fold
from worker.convert.lookups import LookupFile
from worker.convert.nearest import nearest, unknown
from worker.convert.values import Skip, Value


class Mapping(Table):
    """A whole MAP.toml."""

    input: FileFormat
    decimal: DecimalFormat = DecimalFormat()
    time: TimeFormat = TimeFormat()
    currencies: dict[str, Exponent] = Field(default_factory=dict)
    lookups: dict[str, LookupFile] = Field(default_factory=dict)
    extract: list[Extract] = Field(default_factory=list)
    skip: list[Skip] = Field(default_factory=list)
    event: Annotated[list[EventTable], Field(min_length=1)]

    @model_validator(mode="after")
    def _currencies_are_new(self) -> Self:
        for code, exponent in self.currencies.items():
            if not is_currency_code(code):
                raise wrong(f"currencies: {code!r} must be three to ten of A-Z and 0-9")
            own = ISO_4217.get(code, exponent)
            if own != exponent:
                raise wrong(
                    f"currencies: {code} has its exponent from ISO 4217: {own}; see exponents for"
                    " minor units that have another"
                )
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
    def _items_are_of_json(self) -> Self:
        arrays = list(dict.fromkeys(event.each for event in self.event if event.each is not None))
        for name in (*arrays, *(skip.each for skip in self.skip if skip.each is not None)):
            if self.input.format != "ndjson":
                raise wrong('each is only for format = "ndjson"')
            if not all(name.split(".")) or selects(name):
                raise wrong("each names keys, with a dot between them, such as order.refunds")
        for number, skip in enumerate(self.skip, 1):
            if skip.each is not None and skip.each not in arrays:
                meant = nearest(skip.each, arrays)
                hint = f"; did you mean {meant!r}?" if meant else ""
                raise wrong(f"skip #{number}: no event is of each = {skip.each!r}{hint}")
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
        return {**CURRENCIES, **self.currencies}

    def folds(self) -> set[Fold]:
        """Return how local times that come twice are read."""
        own = (value.time for value in self._values())
        return {time.fold or "first" for time in (self.time, *own) if time and time.zone}

    def _values(self) -> Iterator[Value]:
        return (value for event in self.event for value in event.fields.values())

    def paths(self) -> dict[str, Path]:
        """Return the ways to those columns of nested JSON for which a dotted name is not enough."""
        if self.input.format != "ndjson":
            return {}
        arrays = {event.each.split(".")[0] for event in self.event if event.each is not None}
        names = {column for _, column in self._columns()}
        return {
            name: path_of(name) for name in names if selects(name) or name.split(".")[0] in arrays
        }

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
            for place, column in event.columns():
                yield f"event #{number}.{place}", column
