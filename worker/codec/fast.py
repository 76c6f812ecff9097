"""The quick way from bytes to the fields of an event (see `worker.codec.codec`). Pure.

How it sees a repeated, unknown or null field: a comma separates two fields, or is within a
string. If the decoded fields account for all commas, there are no other fields.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple
from pydantic import BaseModel

from rules import events
from rules.events import Kind
from schemas.base import (
    Amount,
    Count,
    Country,
    Currency,
    Extra,
    Id,
    Latitude,
    Longitude,
    ShortText,
    Timestamp,
)
from schemas.money import MAX_DIGITS
from schemas.time import parse_time
from schemas.topics import INPUTS
from schemas.transaction import Authorization
from schemas.wrong_fields import field_types
from worker.codec.validation import FIRST_TIME, LAST_TIME

SCHEMA_VERSION: Final = 1

MODELS: Final[Mapping[Kind, tuple[str, type[BaseModel], type[Struct]]]] = {
    kind: (each.kind, each.model, events.EVENT_TYPES[kind]) for kind, each in enumerate(INPUTS)
}
"""Per kind of event: its name in files, its model on the wire, its type in rules."""

_COMMA, _BACKSLASH, _SPACE, _DELETE = 0x2C, 0x5C, 0x20, 0x7F

_ExtraName = Annotated[str, Meta(min_length=1, max_length=64)]
_ExtraText = Annotated[str, Meta(max_length=256)]

_WIRE_TYPES: Final[Sequence[tuple[Any, Any]]] = (
    (Id, Annotated[str, Meta(min_length=1, max_length=128)]),
    (ShortText, Annotated[str, Meta(min_length=1, max_length=256)]),
    (Amount, Annotated[str, Meta(max_length=MAX_DIGITS)]),
    (Currency, Annotated[str, Meta(max_length=10)]),
    (Timestamp, Annotated[str, Meta(max_length=40)]),
    (Country, Annotated[str, Meta(min_length=2, max_length=2)]),
    (Count, Annotated[int, Meta(ge=0, le=2**63 - 1)]),
    (Latitude, Annotated[float, Meta(ge=-90, le=90)]),
    (Longitude, Annotated[float, Meta(ge=-180, le=180)]),
    (Authorization, events.Authorization),
    (Extra, Annotated[dict[_ExtraName, _ExtraText], Meta(max_length=16)]),
)


class Shape:
    """The wire format of one model: a msgspec structure in the event's field order.

    Fields with fields of their own come last, before `kind` and `schema_version`, which no event
    keeps.
    """

    def __init__(self, name: str, model: type[BaseModel], event: type[Struct]) -> None:
        roles = field_types(model)
        self.names = [key for key in event.__struct_fields__ if key != "exponent"]
        self.known = frozenset(roles)
        self.amounts = frozenset(key for key in self.names if roles[key] == Amount)
        self._times = self._where(roles, Timestamp)
        self._ids = self._where(roles, Id)
        self._countries = self._where(roles, Country)
        nested = sum(roles[key] in (Authorization, Extra) for key in self.names)
        self._nested = len(self.names) - nested
        fields: list[Any] = [
            (key, _wire_type(roles[key]))
            if model.model_fields[key].is_required()
            else (key, _wire_type(roles[key]) | None, None)
            for key in self.names
        ]
        fields.append(("kind", Literal[name] | None, None))
        fields.append(("schema_version", Literal[SCHEMA_VERSION] | None, None))
        self._wire = msgspec.json.Decoder(msgspec.defstruct(model.__name__, fields, gc=False))

    def _where(self, roles: Mapping[str, Any], role: Any) -> tuple[int, ...]:
        return tuple(index for index, key in enumerate(self.names) if roles[key] == role)

    def quick(self, raw: bytes) -> list[Any] | None:
        """Return the event's fields with times converted, or None to go the careful way."""
        if not raw.isascii() or _BACKSLASH in raw or _DELETE in raw:
            return None
        try:
            values = list(astuple(self._wire.decode(raw)))
        except (msgspec.MsgspecError, RecursionError):
            return None
        commas = len(values) - values.count(None) - 1
        del values[-2:]
        for value in values[self._nested :]:
            if value:
                commas += len(value) - 1 if type(value) is dict else 1
        surplus = raw.count(_COMMA) - commas
        if surplus and surplus != _commas_in(values):
            return None
        return values if self._is_fine(raw, values) else None

    def _is_fine(self, raw: bytes, values: list[Any]) -> bool:
        """Check what the types do not express, and convert the times."""
        if _SPACE in raw:
            for index in self._ids:
                if values[index] is not None and " " in values[index]:
                    return False
        for index in self._countries:
            country = values[index]
            if country is not None and not (country.isalpha() and country.isupper()):
                return False
        for index in self._times:
            if values[index] is not None:
                try:
                    values[index] = millis = parse_time(values[index])
                except ValueError:
                    return False
                if not FIRST_TIME <= millis < LAST_TIME:
                    return False
        return True

    def values(self, model: BaseModel) -> list[Any]:
        """Return the same fields of a validated model."""
        values = [getattr(model, key) for key in self.names]
        for index, value in enumerate(values):
            if isinstance(value, Authorization):
                values[index] = events.Authorization(value.method, value.result)
        return values


def _commas_in(values: Sequence[Any]) -> int:
    """Count the commas within the strings of an event."""
    found = 0
    for value in values:
        if type(value) is str:
            found += value.count(",")
        elif type(value) is dict:
            found += sum(name.count(",") + text.count(",") for name, text in value.items())
    return found


@cache
def shape_of(kind: Kind) -> Shape:
    return Shape(*MODELS[kind])


def _wire_type(role: Any) -> Any:
    return next((wire for alias, wire in _WIRE_TYPES if alias == role), role)
