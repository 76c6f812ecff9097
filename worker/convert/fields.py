"""The type of each field of an event, from the schemas, so that a mapping names no types."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal

from rules import events
from schemas.money import AMOUNT_PATTERN
from worker.codec.fast import MODELS

Kind = Literal["transaction", "login", "balance"]

KINDS: Mapping[Kind, events.Kind] = {
    "transaction": events.TRANSACTION,
    "login": events.LOGIN,
    "balance": events.BALANCE,
}
"""The kinds of event that a mapping can produce, by their names."""

EXTRA = "extra."
_SET_BY_THE_KIND = {"kind", "schema_version"}


class FieldType(Enum):
    """How the text of a field is to be converted."""

    TEXT = "text"
    AMOUNT = "amount"
    TIME = "time"
    WHOLE = "whole number"
    COORDINATE = "coordinate"


OWN_NOTATION = {
    FieldType.AMOUNT: "a plain decimal such as 12.50",
    FieldType.WHOLE: "a whole number",
    FieldType.COORDINATE: "a plain decimal such as 52.52",
    FieldType.TIME: "RFC 3339 such as 2024-01-01T00:00:00Z",
}
"""How the mapping itself writes what is no text."""


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of an event; `choices` is empty if any value of its type is valid."""

    holds: FieldType
    choices: tuple[str, ...] = ()
    required: bool = False


@cache
def fields_of(kind: Kind) -> dict[str, EventField]:
    """Return the fields of a kind by name; members of an object as `authorization.method`."""
    _, model, _ = MODELS[KINDS[kind]]
    schema = model.model_json_schema()
    return dict(_fields(schema, schema.get("$defs", {}), ""))


def field_of(kind: Kind, name: str) -> EventField | None:
    """Return the field of that name, None if there is none; after `extra.` any printable one is."""
    if name.startswith(EXTRA) and name != EXTRA and name.isprintable():
        return EventField(FieldType.TEXT)
    return fields_of(kind).get(name)


def _fields(
    schema: dict[str, Any], definitions: dict[str, Any], prefix: str
) -> Iterator[tuple[str, EventField]]:
    for name, optional_shape in schema["properties"].items():
        shape = _shape(optional_shape, definitions)
        if "properties" in shape:
            yield from _fields(shape, definitions, f"{name}.")
        elif shape["type"] != "object" and name not in _SET_BY_THE_KIND:
            # What an optional object requires is not required of the event.
            required = not prefix and name in schema["required"]
            yield prefix + name, EventField(_holds(shape), tuple(shape.get("enum", ())), required)


def _shape(shape: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for choice in shape.get("anyOf", [shape]):
        if "$ref" in choice:
            resolved: dict[str, Any] = definitions[choice["$ref"].rpartition("/")[2]]
            return resolved
        if choice.get("type") != "null":
            shape = choice
    return shape


def _holds(shape: dict[str, Any]) -> FieldType:
    if shape.get("pattern") == AMOUNT_PATTERN:
        return FieldType.AMOUNT
    if shape.get("format") == "date-time":
        return FieldType.TIME
    return {"integer": FieldType.WHOLE, "number": FieldType.COORDINATE}.get(
        shape["type"], FieldType.TEXT
    )
