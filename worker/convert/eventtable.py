"""The table of a mapping that describes an event of a row."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, model_validator

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
from worker.convert.formats import Table, Text, wrong
from worker.convert.nearest import choose, unknown
from worker.convert.repeats import Repeat
from worker.convert.values import ITEM, LINE, NUMBER, Condition, Value


class EventTable(Table):
    """One event that a row gives, if all of `when` hold."""

    kind: Kind
    each: Text | None = None
    repeat: Repeat | None = None
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

    @model_validator(mode="after")
    def _repeats_have_ids(self) -> Self:
        if self.repeat is not None and NUMBER not in self.fields["event_id"].places:
            raise wrong(f"event_id needs a template with {{{NUMBER}}}: repeat makes many events")
        return self

    def counters(self) -> frozenset[str]:
        """Return the places of a template that are no columns but numbers of this event."""
        names = {LINE: True, ITEM: self.each is not None, NUMBER: self.repeat is not None}
        return frozenset(name for name, is_one in names.items() if is_one)

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield every column that is read, with the place in this table that names it."""
        if self.repeat is not None:
            yield "repeat.count", self.repeat.count
        for condition in self.when:
            yield "when", condition.column
        for name, value in self.fields.items():
            for column in value.columns(self.counters()):
                yield f"fields.{name}", column


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
