"""The tables of a mapping for one condition and for the source of one field."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from worker.convert.formats import DecimalFormat, Table, Text, TimeFormat, wrong

LINE = "line"
"""The name of the line number in a template."""
ITEM = "item"
"""That of the number of an item of an array, from 1."""
NUMBER = "number"
"""That of the number of a repeated event, from 1."""

TEMPLATE_PLACE = re.compile(r"\{([^{}]+)\}")


class Condition(Table):
    """Whether a column of the row equals a text, is one of several, or is empty."""

    column: Text
    equals: str | None = None
    in_: list[str] | None = Field(None, alias="in")
    empty: bool | None = None
    negated: bool = Field(False, alias="not")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        self.exactly_one("equals", "in_", "empty")
        return self


class Skip(Condition):
    """A row to leave out; with `each`, an item of that array."""

    each: Text | None = None


class SignBy(Table):
    """The sign of an amount, looked up by another column; it multiplies the amount's own."""

    column: Text
    map: dict[str, Literal["+", "-"]]
    default: Literal["+", "-"] | None = None


class Value(Table):
    """The source of one field, and how its text is changed."""

    column: Text | None = None
    constant: Text | None = None
    template: Text | None = None
    hash: Annotated[list[Text], Field(min_length=1)] | None = None
    sign_of: Text | None = None
    prefix: str = ""
    spaces: str | None = None
    case: Literal["upper", "lower"] | None = None
    map: dict[str, str] | None = None
    lookup: Text | None = None
    default: Text | None = None
    sign: Literal["absolute", "opposite"] | SignBy | None = None
    decimal: DecimalFormat | None = None
    time: TimeFormat | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.exactly_one("column", "constant", "template", "hash", "sign_of")
        if self.prefix and self.hash is None:
            raise wrong("prefix is only for hash")
        if re.search(r"[{}]", TEMPLATE_PLACE.sub("", self.template or "")):
            raise wrong("template has a brace that belongs to no {column}")
        if self.constant is not None and self.model_fields_set != {"constant"}:
            raise wrong("constant allows no other key: write it as the event should have it")
        if self.map is not None and self.lookup is not None:
            raise wrong("needs either map or lookup, not both")
        if self.sign_of is not None and self.map is None:
            raise wrong('sign_of needs a map of "+", "-" and "0"')
        return self

    @property
    def places(self) -> list[str]:
        """The columns that the template fills in, in order."""
        return TEMPLATE_PLACE.findall(self.template or "")

    def columns(self, counters: frozenset[str]) -> Iterator[str]:
        """Yield every column that is read; `counters`: places of a template that are none."""
        yield from self.origins(counters)
        if isinstance(self.sign, SignBy):
            yield self.sign.column

    def origins(self, counters: frozenset[str]) -> Iterator[str]:
        """Yield the columns that the text comes from."""
        yield from (name for name in (self.column, self.sign_of) if name is not None)
        yield from (place for place in self.places if place not in counters)
        yield from self.hash or ()

    def written(self) -> Iterator[str]:
        """Yield every text that the mapping itself may give the field."""
        yield from (text for text in (self.constant, self.default) if text is not None)
        yield from (self.map or {}).values()
