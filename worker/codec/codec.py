"""Bytes to events: the only place that knows JSON on the way in.

The pydantic models of `schemas` define what is valid. Validating each event with them would cost
half of the whole budget, so there are two paths through one definition:

- The *quick* way decodes with msgspec into a structure derived from the model and accepts only what
  it can prove to be valid: plain ASCII without escapes, no unknown, null or repeated field.
- Whatever it does not accept goes the *careful* way, which reports precisely what is wrong, unless
  that is in fields that nothing needs: these are mended.

Both end in the same conversion of times and money. A property test holds them together: what
the quick way accepts, the careful way accepts with an equal result.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from rules.events import Event, Kind
from schemas.control import End, Heartbeat
from schemas.money import CURRENCIES
from worker.codec.bad_record import RECORD, BadRecord, Refused, bad, too_large
from worker.codec.fast import MODELS, SCHEMA_VERSION, shape_of
from worker.codec.mending import Mended, mended, raw_values
from worker.codec.money import CONVERTERS
from worker.codec.validation import FIRST_TIME, LAST_TIME, parsed, validated

MAX_DEPTH: Final = 16
"""Nested arrays and objects beyond this are refused before parsing."""

_NUMBER_STARTS = b"-0123456789"
# The closing quote is optional, or else one that is missing would be looked for from every quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_NAMES = frozenset(name for _, model, _ in MODELS.values() for name in model.model_fields)


class Control(Struct, frozen=True):
    """A heartbeat or an end: time without an event."""

    is_end: bool
    occurred_at: int


Decoded = Event | Control | BadRecord


class Limits(Struct, frozen=True):
    """The largest record that is accepted, and the known currencies (code: decimals)."""

    max_event_bytes: int = 256 * 1024
    accept_json_numbers: bool = False
    currencies: Mapping[str, int] = CURRENCIES


class Codec:
    """Decodes the records of one kind of input.

    Attributes:
        unknown_fields: how many fields were ignored, since no schema names them.
        mended: how often a field of an event was not taken as it came.
    """

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.name, self._model, _ = MODELS[kind]
        self._limits = limits
        self._shape = shape_of(kind)
        self._convert = CONVERTERS[kind]
        self.unknown_fields = 0
        self.mended: Counter[Mended] = Counter()

    def decode(self, value: bytes | None) -> Decoded:
        """Return the event, the control record, or the reason why it is neither."""
        if value is None:
            return bad("not_json", RECORD, "no_value")
        if len(value) > self._limits.max_event_bytes:
            return too_large(self._limits.max_event_bytes)
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
            return _control(raw, is_end=kind == "end")
        version = document.get("schema_version")
        if type(version) is int and version != SCHEMA_VERSION:
            raise Refused(
                bad("unsupported_version", "schema_version", "version", version=SCHEMA_VERSION)
            )
        if self._limits.accept_json_numbers:
            raw = _quote_numbers(raw, self._shape.amounts)
        done: list[Mended] = []
        try:
            model = validated(self._model, raw)
        except Refused:
            model, done = mended(self._model, raw)
        self.unknown_fields += sum(name not in self._shape.known for name in document)
        event = self._convert(self._shape.values(model), self._limits.currencies)
        if type(event) is not BadRecord:
            self.mended.update(done)
        return event


def _control(raw: bytes, *, is_end: bool) -> Control:
    at = (parsed(End, raw) if is_end else parsed(Heartbeat, raw)).occurred_at
    if not FIRST_TIME < at <= LAST_TIME:  # an end is 1 ms after the last event
        raise Refused(bad("schema", "occurred_at", "time_range"))
    return Control(is_end, at)


def why_no_object(raw: bytes) -> BadRecord | None:
    """Return why the bytes are not one JSON object; None if they are."""
    try:
        _parse(raw)
    except Refused as refused:
        return refused.bad
    return None


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(bad("not_utf8", RECORD, "not_utf8", at=error.start)) from None
    if _too_deep(text):
        raise Refused(bad("too_deep", RECORD, "too_deep", most=MAX_DEPTH))
    try:
        document = _READER.decode(text)
    except json.JSONDecodeError as error:
        message = error.msg.removesuffix(" at").removesuffix(" starting")
        raise Refused(bad("not_json", RECORD, "not_json", at=error.pos, message=message)) from None
    if not isinstance(document, dict):
        raise Refused(bad("schema", RECORD, "model_type"))
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
        raise Refused(_twice([name for name, _ in pairs]))
    return document


def _twice(names: list[str]) -> BadRecord:
    name, _ = Counter(names).most_common(1)[0]
    if name in _NAMES:
        return bad("duplicate_key", name, "twice")
    return bad("duplicate_key", RECORD, "name_twice")  # the name may be personal


def _constant(name: str) -> Any:
    raise Refused(bad("not_json", RECORD, "constant", name=name))


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
    document = raw_values(raw)
    for name in names:
        value = bytes(document.get(name, b""))
        if value and value[0] in _NUMBER_STARTS:
            document[name] = Raw(b'"%b"' % value)
    return msgspec.json.encode(document)
