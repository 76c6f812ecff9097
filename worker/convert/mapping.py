"""The declarative mapping: what a MAP.toml may contain. docs/mapping.md is its page for users.

What comes from a column is in the file's notation; what the mapping itself gives (constant,
default, right side of a map) is in walletwatch's own: plain decimals, RFC 3339.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from schemas.money import ISO_4217, is_currency_code
from schemas.time import parse_time
from worker.convert.decimals import PLAIN
from worker.convert.fields import EXTRA, EventField, FieldType, Kind, field_of, fields_of
from worker.convert.formats import DecimalFormat, Exponent, Table, Text, TimeFormat, wrong
from worker.convert.nearest import choose, unknown
from worker.errors import ConfigError, UsageError

LINE = "line"
"""The name of the line number in a template."""

TEMPLATE_PLACE = re.compile(r"\{([^{}]+)\}")


class FileFormat(Table):
    """How the file is written."""

    format: Literal["csv", "ndjson"]
    encoding: Literal["utf-8", "cp1252", "iso-8859-1", "iso-8859-15"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    skip_lines: Annotated[int, Field(ge=0)] = 0
    columns: list[Text] | None = None
    empty: list[Text] = Field(default_factory=list)

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise wrong("columns names one column twice")
        return self


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
        if self.sign_of is not None and self.map is None:
            raise wrong('sign_of needs a map of "+", "-" and "0"')
        return self

    @property
    def places(self) -> list[str]:
        """The columns that the template fills in, in order."""
        return TEMPLATE_PLACE.findall(self.template or "")

    def columns(self) -> Iterator[str]:
        """Yield every column that the value reads."""
        yield from (name for name in (self.column, self.sign_of) if name is not None)
        yield from (place for place in self.places if place != LINE)
        yield from self.hash or ()
        if isinstance(self.sign, SignBy):
            yield self.sign.column

    def written(self) -> Iterator[str]:
        """Yield every text that the mapping itself may give the field."""
        yield from (text for text in (self.constant, self.default) if text is not None)
        yield from (self.map or {}).values()


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
                f"{name}: what the mapping itself gives must be {_OWN[field.holds]}"
            ) from None


_OWN = {
    FieldType.AMOUNT: "a plain decimal such as 12.50",
    FieldType.WHOLE: "a whole number",
    FieldType.COORDINATE: "a plain decimal such as 52.52",
    FieldType.TIME: "RFC 3339 such as 2024-01-01T00:00:00Z",
}


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

    def columns(self) -> dict[str, str]:
        """Return every column that the mapping reads, with the first place that names it."""
        places: dict[str, str] = {}
        for place, column in self._columns():
            places.setdefault(column, place)
        return places

    def _columns(self) -> Iterator[tuple[str, str]]:
        for number, condition in enumerate(self.skip, 1):
            yield f"skip #{number}", condition.column
        for number, event in enumerate(self.event, 1):
            for condition in event.when:
                yield f"event #{number}.when", condition.column
            for name, value in event.fields.items():
                for column in value.columns():
                    yield f"event #{number}.fields.{name}", column


def load_mapping(path: Path) -> Mapping:
    """Return the mapping in a TOML file.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is no TOML, or no mapping; one line per mistake.
    """
    try:
        # Numbers stay text: a constant 12.50 without quotes must not pass through a float.
        tables = tomllib.loads(path.read_bytes().decode(), parse_float=str)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    try:
        return Mapping.model_validate(tables)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [
            f"{path}: {_place(mistake['loc'])}"
            f"{'must be a table' if mistake['type'] == 'model_type' else mistake['msg']}"
            for mistake in mistakes
        ]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _place(location: tuple[Any, ...]) -> str:
    """Write ("event", 0, "fields", "amount") as "event #1.fields.amount: "."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f" #{part + 1}"
        elif part not in ("SignBy", "literal['absolute','opposite']"):
            text += f".{part}" if text else part
    return f"{text}: " if text else ""
