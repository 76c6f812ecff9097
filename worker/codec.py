"""Bytes to events: the only place that knows JSON on the way in.

The pydantic models of `schemas` define what is valid. Validating each event with them would cost
half of the whole budget, so there are two ways through one definition:

- The *quick* way decodes with msgspec into a structure derived from the model and accepts only what
  it can prove to be valid: plain ASCII without escapes, no unknown, null or repeated field.
- Whatever it does not accept goes the *careful* way, which says precisely what is wrong.

Both end in the same conversion of times and money. A property test holds them together: what
the quick way accepts, the careful way accepts with an equal result.

How the quick way sees a repeated or unknown field: without escapes every quotation mark of the
text is a delimiter, so their number is twice (names + string values). It must equal what the
decoded fields account for.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from rules import events
from rules.events import BALANCE, LOGIN, TRANSACTION, Event, Kind
from schemas.balance import Balance
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
from schemas.control import End, Heartbeat
from schemas.dead_letter import DeadLetterReason
from schemas.login import Login
from schemas.money import ISO_4217, MAX_LENGTH, to_minor
from schemas.time import parse_time
from schemas.transaction import Authorization, Transaction

MAX_DEPTH: Final = 16
"""Nested arrays and objects beyond this are refused before parsing."""

FIRST_TIME: Final = parse_time("1000-01-01T00:00:00Z")
LAST_TIME: Final = parse_time("9000-01-01T00:00:00Z")
"""Times from here on are refused, and those before the first: what is reckoned from them (lateness,
timers, ends) must still be in the calendar."""

_SCHEMA_VERSION: Final = 1
_QUOTE, _BACKSLASH, _SPACE, _DELETE = 0x22, 0x5C, 0x20, 0x7F
_NUMBER_STARTS = b"-0123456789"
_RAW_VALUES = msgspec.json.Decoder(dict[str, msgspec.Raw])
# The closing quote is optional, or else one that is missing would be looked for from every quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")

MODELS: Final[Mapping[Kind, tuple[str, type[BaseModel], type[Struct]]]] = {
    TRANSACTION: ("transaction", Transaction, events.Transaction),
    LOGIN: ("login", Login, events.Login),
    BALANCE: ("balance", Balance, events.Balance),
}
"""Per kind of event: its name in files, what it is on the wire, what rules see."""


_Model = TypeVar("_Model", bound=BaseModel)


class BadRecord(Struct, frozen=True):
    """Why a record is no event: a dead letter's reason, and where (never a value)."""

    reason: DeadLetterReason
    error: str


class Control(Struct, frozen=True):
    """A heartbeat or an end: time without an event."""

    is_end: bool
    occurred_at: int


Decoded = Event | Control | BadRecord


class _Refused(Exception):
    """Carries a BadRecord out of the careful way."""

    def __init__(self, reason: DeadLetterReason, error: str) -> None:
        self.bad = BadRecord(reason, error)


class Limits(Struct, frozen=True):
    """What a record may be at most, and which currencies there are."""

    max_event_bytes: int = 256 * 1024
    accept_json_numbers: bool = False
    currencies: Mapping[str, int] = ISO_4217


class Codec:
    """Decodes the records of one kind of input. `unknown_fields` counts what was ignored."""

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.name, self._model, _ = MODELS[kind]
        self._limits = limits
        self._shape = _shape(kind)
        self._convert = _CONVERTERS[kind]
        self.unknown_fields = 0

    def decode(self, value: bytes | None) -> Decoded:
        """Return the event, the control record, or why it is neither."""
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
        except _Refused as refused:
            return refused.bad

    def _careful(self, raw: bytes) -> Decoded:
        document = _parse(raw)
        kind = document.get("kind")
        if kind in ("heartbeat", "end"):
            is_end = kind == "end"
            at = (_validated(End, raw) if is_end else _validated(Heartbeat, raw)).occurred_at
            _check_time("occurred_at", at - 1)  # an end stands 1 ms after the last event
            return Control(is_end, at)
        version = document.get("schema_version")
        if type(version) is int and version != _SCHEMA_VERSION:
            raise _Refused("unsupported_version", "schema_version")
        if self._limits.accept_json_numbers:
            raw = _quote_numbers(raw, self._shape.amounts)
        model = _validated(self._model, raw)
        self.unknown_fields += sum(name not in self._shape.known for name in document)
        return self._convert(self._shape.values(model), self._limits.currencies)


def why_no_object(raw: bytes) -> BadRecord | None:
    """Return why the bytes are not one JSON object, None if they are."""
    try:
        _parse(raw)
        from_json(raw)
    except _Refused as refused:
        return refused.bad
    except ValueError:  # a lone surrogate, or more digits than anybody means
        return BadRecord("not_json", "record: json_invalid")
    return None


def _validated(model: type[_Model], raw: bytes) -> _Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _Refused(*explain(error)) from None


def _check_time(name: str, millis: int) -> None:
    if not FIRST_TIME <= millis < LAST_TIME:
        raise _Refused("schema", f"{name}: not in the years 1000 to 8999")


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
    # What stands inside `extra` is named by the producer and may be personal.
    inner = location[:1] if location[:1] == ("extra",) else location
    return ".".join(map(str, inner)) or "record"


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused("not_utf8", f"byte {error.start}") from None
    if _too_deep(text):
        raise _Refused("too_deep", f"more than {MAX_DEPTH} levels")
    try:
        document = _READER.decode(text)
    except json.JSONDecodeError as error:
        raise _Refused("not_json", f"character {error.pos}: {error.msg}") from None
    if not isinstance(document, dict):
        raise _Refused("schema", "record: must be an object")
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
        raise _Refused("duplicate_key", "a name stands twice in one object")
    return document


def _constant(name: str) -> Any:
    raise _Refused("not_json", f"{name} is not JSON")


def _number(text: str) -> str:
    # Only looked at by name and type here: a number of any length stays the text it is.
    return text


def _integer(text: str) -> int:
    # Only compared with 1: so the first digits tell as much as a million of them.
    return int(text[:18])


_READER = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_constant, parse_int=_integer, parse_float=_number
)

_ExtraName = Annotated[str, Meta(min_length=1, max_length=64)]
_ExtraText = Annotated[str, Meta(max_length=256)]

_WIRE_TYPES: Final[Sequence[tuple[Any, Any]]] = (
    (Id, Annotated[str, Meta(min_length=1, max_length=128)]),
    (ShortText, Annotated[str, Meta(min_length=1, max_length=256)]),
    (Amount, Annotated[str, Meta(max_length=MAX_LENGTH)]),
    (Currency, Annotated[str, Meta(max_length=10)]),
    (Timestamp, Annotated[str, Meta(max_length=40)]),
    (Country, Annotated[str, Meta(min_length=2, max_length=2)]),
    (Count, Annotated[int, Meta(ge=0, le=2**63 - 1)]),
    (Latitude, Annotated[float, Meta(ge=-90, le=90)]),
    (Longitude, Annotated[float, Meta(ge=-180, le=180)]),
    (Authorization, events.Authorization),
    (Extra, Annotated[dict[_ExtraName, _ExtraText], Meta(max_length=16)]),
)


_NOT_STRINGS = [wire for _, wire in _WIRE_TYPES[6:]]


class _Shape:
    """What one model looks like on the wire: a msgspec structure in the event's field order.

    Strings come first, then the other fields, at the end `kind` and `schema_version`, which no
    event keeps; so what is a string can be counted by slicing.
    """

    def __init__(self, name: str, model: type[BaseModel], event: type[Struct]) -> None:
        roles = {key: _required(hint) for key, hint in _hints(model).items()}
        self.names = [key for key in event.__struct_fields__ if key != "exponent"]
        self.known = frozenset(roles)
        self.amounts = frozenset(key for key in self.names if roles[key] == Amount)
        self._times = self._where(roles, Timestamp)
        self._ids = self._where(roles, Id)
        self._countries = self._where(roles, Country)
        others = [key for key in self.names if _wire_type(roles[key]) in _NOT_STRINGS]
        self._strings = len(self.names) - len(others)
        self._nested = len(self.names) - sum(roles[k] in (Authorization, Extra) for k in others)
        fields: list[Any] = [
            (key, _wire_type(roles[key]))
            if model.model_fields[key].is_required()
            else (key, _wire_type(roles[key]) | None, None)
            for key in self.names
        ]
        fields.append(("kind", Literal[name] | None, None))
        fields.append(("schema_version", Literal[_SCHEMA_VERSION] | None, None))
        self._wire = msgspec.json.Decoder(msgspec.defstruct(model.__name__, fields, gc=False))

    def _where(self, roles: Mapping[str, Any], role: Any) -> tuple[int, ...]:
        return tuple(index for index, key in enumerate(self.names) if roles[key] == role)

    def quick(self, raw: bytes) -> list[Any] | None:
        """Return the event's fields with times converted, or None to go the careful way."""
        if not raw.isascii() or _BACKSLASH in raw or _DELETE in raw:
            return None
        try:
            row = astuple(self._wire.decode(raw))
        except (msgspec.MsgspecError, RecursionError):
            return None
        if raw.count(_QUOTE) != self._quotes(row):
            return None
        values = list(row)
        del values[-2:]
        if _SPACE in raw and any(" " in (values[index] or "") for index in self._ids):
            return None
        for index in self._countries:
            country = values[index]
            if country is not None and not (country.isalpha() and country.isupper()):
                return None
        try:
            for index in self._times:
                time = values[index]
                if time is not None:
                    values[index] = millis = parse_time(time)
                    if not FIRST_TIME <= millis < LAST_TIME:
                        return None
        except ValueError:
            return None
        return values

    def _quotes(self, row: Sequence[Any]) -> int:
        """How many quotation marks the text has if every field of the row stands in it once."""
        others = row[self._strings : -2]
        other_names = len(others) - others.count(None)
        names = len(row) - row.count(None)
        quotes = 4 * names - 2 * other_names
        if row[-1] is not None:  # schema_version, a number
            quotes -= 2
        for value in row[self._nested : -2]:
            if value is not None:
                quotes += 4 * len(value) if type(value) is dict else 8
        return quotes

    def values(self, model: BaseModel) -> list[Any]:
        """Return the same fields of a validated model."""
        values = [getattr(model, key) for key in self.names]
        for index in self._times:
            if values[index] is not None:
                _check_time(self.names[index], values[index])
        for index, value in enumerate(values):
            if isinstance(value, Authorization):
                values[index] = events.Authorization(value.method, value.result)
        return values


@cache
def _shape(kind: Kind) -> _Shape:
    return _Shape(*MODELS[kind])


def _quote_numbers(raw: bytes, names: Collection[str]) -> bytes:
    """Return the object with these fields, where they are JSON numbers, as strings of that text."""
    try:
        document = _RAW_VALUES.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):  # a lone surrogate: the model will say so
        return raw
    for name in names:
        value = bytes(document.get(name, b""))
        if value and value[0] in _NUMBER_STARTS:
            document[name] = msgspec.Raw(b'"%b"' % value)
    return msgspec.json.encode(document)


def _hints(model: type[BaseModel]) -> dict[str, Any]:
    return get_type_hints(model, include_extras=True)


def _required(hint: Any) -> Any:
    """Return the type without the None that makes it optional."""
    if get_origin(hint) is Annotated or type(None) not in get_args(hint):
        return hint
    return next(item for item in get_args(hint) if item is not type(None))


def _wire_type(role: Any) -> Any:
    return next((wire for alias, wire in _WIRE_TYPES if alias == role), role)


_TX = {name: index for index, name in enumerate(events.Transaction.__struct_fields__)}
_TX_AMOUNT, _TX_TYPE, _TX_CURRENCY = _TX["amount"], _TX["type"], _TX["currency"]
_TX_KIND, _TX_BEFORE, _TX_AFTER = _TX["balance_kind"], _TX["balance_before"], _TX["balance_after"]
_TX_AMOUNTS = tuple(
    _TX[name]
    for name in (
        "balance_before",
        "balance_after",
        "available_balance",
        "fee",
        "funding_from_balance",
    )
)
_TX_UNSIGNED = (_TX["fee"], _TX["funding_from_balance"])


def _transaction(
    values: list[Any], currencies: Mapping[str, int]
) -> events.Transaction | BadRecord:
    exponent = currencies.get(values[_TX_CURRENCY])
    if exponent is None:
        return BadRecord("currency", "currency: unknown code")
    index = _TX_AMOUNT
    try:
        amount = values[index] = to_minor(values[index], exponent)
        for index in _TX_AMOUNTS:
            text = values[index]
            if text is not None:
                values[index] = to_minor(text, exponent)
    except ValueError as error:
        return BadRecord("amount", f"{_name(index)}: {error}")
    if amount < 0 and values[_TX_TYPE] != "adjustment":
        return BadRecord("amount", "amount: only an adjustment may be negative")
    for index in _TX_UNSIGNED:
        if values[index] is not None and values[index] < 0:
            return BadRecord("amount", f"{_name(index)}: must not be negative")
    if values[_TX_KIND] is None and (
        values[_TX_BEFORE] is not None or values[_TX_AFTER] is not None
    ):
        return BadRecord("schema", "balance_kind: is required with a balance")
    values.append(exponent)
    return events.Transaction(*values)


def _name(index: int) -> str:
    return events.Transaction.__struct_fields__[index]


def _login(values: list[Any], _: Mapping[str, int]) -> events.Login | BadRecord:
    return events.Login(*values)


_BAL = {name: index for index, name in enumerate(events.Balance.__struct_fields__)}
_BAL_CURRENCY, _BAL_BALANCE = _BAL["currency"], _BAL["balance"]
_BAL_OCCURRED, _BAL_AS_OF = _BAL["occurred_at"], _BAL["as_of"]


def _balance(values: list[Any], currencies: Mapping[str, int]) -> events.Balance | BadRecord:
    exponent = currencies.get(values[_BAL_CURRENCY])
    if exponent is None:
        return BadRecord("currency", "currency: unknown code")
    try:
        values[_BAL_BALANCE] = to_minor(values[_BAL_BALANCE], exponent)
    except ValueError as error:
        return BadRecord("amount", f"balance: {error}")
    if values[_BAL_AS_OF] > values[_BAL_OCCURRED]:
        return BadRecord("schema", "as_of: must not be later than occurred_at")
    values.append(exponent)
    return events.Balance(*values)


_CONVERTERS: Final[Mapping[Kind, Callable[[list[Any], Mapping[str, int]], Event | BadRecord]]] = {
    TRANSACTION: _transaction,
    LOGIN: _login,
    BALANCE: _balance,
}
