"""Bytes to events: the only place that knows JSON on the way in.

The pydantic models of `schemas` define what is valid. Validating each event with them would cost
half of the whole budget, so there are two paths through one definition:

- The *quick* way decodes with msgspec into a structure derived from the model and accepts only what
  it can prove to be valid: plain ASCII without escapes, no unknown, null or repeated field.
- Whatever it does not accept goes the *careful* way, which reports precisely what is wrong.

Both end in the same conversion of times and money. A property test holds them together: what
the quick way accepts, the careful way accepts with an equal result.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from rules.events import Event, Kind
from schemas.control import End, Heartbeat
from schemas.dead_letter import DeadLetterReason
from schemas.money import ISO_4217
from worker.codec.bad_record import BadRecord, Refused
from worker.codec.fast import MODELS, SCHEMA_VERSION, check_time, shape_of
from worker.codec.money import CONVERTERS

MAX_DEPTH: Final = 16
"""Nested arrays and objects beyond this are refused before parsing."""

_NUMBER_STARTS = b"-0123456789"
_RAW_VALUES = msgspec.json.Decoder(dict[str, msgspec.Raw])
# The closing quote is optional, or else one that is missing would be looked for from every quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")

_Model = TypeVar("_Model", bound=BaseModel)


class Control(Struct, frozen=True):
    """A heartbeat or an end: time without an event."""

    is_end: bool
    occurred_at: int


Decoded = Event | Control | BadRecord


class Limits(Struct, frozen=True):
    """The largest record that is accepted, and the known currencies (code: decimals)."""

    max_event_bytes: int = 256 * 1024
    accept_json_numbers: bool = False
    currencies: Mapping[str, int] = ISO_4217


class Codec:
    """Decodes the records of one kind of input. `unknown_fields` counts what was ignored."""

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.name, self._model, _ = MODELS[kind]
        self._limits = limits
        self._shape = shape_of(kind)
        self._convert = CONVERTERS[kind]
        self.unknown_fields = 0

    def decode(self, value: bytes | None) -> Decoded:
        """Return the event, the control record, or the reason why it is neither."""
        if value is None:
            return BadRecord("not_json", "the record has no value")
        if len(value) > self._limits.max_event_bytes:
            return BadRecord("too_large", f"{len(value)} bytes")
        values = self._shape.quick(value)
        if values is not None:
            event = self._convert(values, self._limits.currencies)
            if type(event) is not BadRecord:
                return event
        try:
            return self._careful(value)
        except Refused as refused:
            return refused.bad

    def _careful(self, raw: bytes) -> Decoded:
        document = _parse(raw)
        kind = document.get("kind")
        if kind in ("heartbeat", "end"):
            is_end = kind == "end"
            at = (_validated(End, raw) if is_end else _validated(Heartbeat, raw)).occurred_at
            check_time("occurred_at", at - 1)  # an end is 1 ms after the last event
            return Control(is_end, at)
        version = document.get("schema_version")
        if type(version) is int and version != SCHEMA_VERSION:
            raise Refused("unsupported_version", "schema_version")
        if self._limits.accept_json_numbers:
            raw = _quote_numbers(raw, self._shape.amounts)
        model = _validated(self._model, raw)
        self.unknown_fields += sum(name not in self._shape.known for name in document)
        return self._convert(self._shape.values(model), self._limits.currencies)


def why_no_object(raw: bytes) -> BadRecord | None:
    """Return why the bytes are not one JSON object; None if they are."""
    try:
        _parse(raw)
        from_json(raw)
    except Refused as refused:
        return refused.bad
    except ValueError:  # a lone surrogate, or too many digits
        return BadRecord("not_json", "record: json_invalid")
    return None


def _validated(model: type[_Model], raw: bytes) -> _Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise Refused(*explain(error)) from None


_OWN_REASONS: Final[dict[str, DeadLetterReason]] = {
    "amount": "amount",
    "currency": "currency",
    "json_invalid": "not_json",
}


def explain(error: ValidationError) -> tuple[DeadLetterReason, str]:
    """Return (dead-letter reason, locations and types of what is wrong), without any value."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    types = {item["type"] for item in found}
    reason: DeadLetterReason = "schema"
    if len(types) == 1:
        reason = _OWN_REASONS.get(types.pop(), "schema")
    return reason, "; ".join(f"{_location(item['loc'])}: {item['type']}" for item in found[:10])


def _location(location: Sequence[int | str]) -> str:
    # What is inside `extra` is named by the producer and may be personal.
    inner = location[:1] if location[:1] == ("extra",) else location
    return ".".join(map(str, inner)) or "record"


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not_utf8", f"byte {error.start}") from None
    if _too_deep(text):
        raise Refused("too_deep", f"more than {MAX_DEPTH} levels")
    try:
        document = _READER.decode(text)
    except json.JSONDecodeError as error:
        raise Refused("not_json", f"character {error.pos}: {error.msg}") from None
    if not isinstance(document, dict):
        raise Refused("schema", "record: must be an object")
    return document


def _too_deep(text: str) -> bool:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Refused("duplicate_key", "a name stands twice in one object")
    return document


def _constant(name: str) -> Any:
    raise Refused("not_json", f"{name} is not JSON")


def _number(text: str) -> str:
    # Only name and type matter here: a number of any length stays text.
    return text


def _integer(text: str) -> int:
    # Only compared with 1: the first digits are enough.
    return int(text[:18])


_READER = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_constant, parse_int=_integer, parse_float=_number
)


def _quote_numbers(raw: bytes, names: Collection[str]) -> bytes:
    """Return the object with these fields, where they are JSON numbers, as strings of that text."""
    try:
        document = _RAW_VALUES.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):  # a lone surrogate: the model reports it
        return raw
    for name in names:
        value = bytes(document.get(name, b""))
        if value and value[0] in _NUMBER_STARTS:
            document[name] = msgspec.Raw(b'"%b"' % value)
    return msgspec.json.encode(document)
