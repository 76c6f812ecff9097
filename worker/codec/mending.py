"""Events with wrong values in fields that nothing needs: these are cut, cleaned or dropped. Pure.

`schemas.wrong_fields` says which fields these are. Only events that validation has refused come
here, so that others cost no more. What is done depends on the bytes alone: a redelivery is mended
in the same way.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Raw
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from schemas.base import SHORT_TEXT_LENGTH, cleaned
from schemas.wrong_fields import Consequence, wrong_fields
from worker.codec.bad_record import RECORD, Problem, Refused, bad
from worker.codec.validation import Fault, Model, bad_for, far_times, faults_of

How = Literal["cleaned", "cut", "dropped"]
HOWS: Final[Mapping[Consequence, tuple[How, ...]]] = {
    "rejects": (),
    "cut": ("cleaned", "cut", "dropped"),
    "dropped": ("dropped",),
}
"""What may be done to a field."""

_VALUES: Final = msgspec.json.Decoder(dict[str, Raw])
_UNREADABLE: Final = Raw(b"true")
"""In place of a number of too many digits: it is as wrong in every field."""
# Other escapes are consumed too, or else the second half of an escaped backslash would begin one.
_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)


class Mended(NamedTuple):
    """A field of an event that was not taken as it came."""

    field: str
    how: How
    what: str
    """What is allowed there; one of few sentences, without the value."""


def mended(model: type[Model], raw: bytes) -> tuple[Model, list[Mended]]:
    """Return the JSON object as a record, and what had to be done to its fields.

    Raises:
        Refused: something is wrong that the event needs.
    """
    values = _readable(model, raw)
    mendable = {name: each for name, each in wrong_fields(model).items() if not each.needed_by}
    done: dict[str, Mended] = {}
    while True:
        record, faults = _checked(model, msgspec.json.encode(values))
        if record is not None:
            return record, list(done.values())
        if fatal := [each for each in faults if each.field not in mendable]:
            raise Refused(bad_for(fatal))
        for name, wrong in {each.field: each.problem for each in faults}.items():
            how = _mend(values, name, mendable[name].consequence)
            done[name] = Mended(name, how, _within(name, wrong))


def _within(field: str, wrong: Problem) -> str:
    """Return what is wrong, with the path within the field if it is deeper down."""
    return wrong.what if wrong.where == field else f"{wrong.where[len(field) + 1 :]}: {wrong.what}"


def _checked(model: type[Model], raw: bytes) -> tuple[Model | None, list[Fault]]:
    """Return the record, or None and what is wrong with it."""
    try:
        record = model.model_validate_json(raw)
    except ValidationError as error:
        return None, faults_of(error)
    faults = list(far_times(record))
    return (None, faults) if faults else (record, [])


def raw_values(raw: bytes) -> dict[str, Raw]:
    """Return the values of a JSON object by their names, as they are written.

    In place of one half of a surrogate pair, which is no character, there is a control character.

    Raises:
        Refused: it is no object.
    """
    whole = _ESCAPES.sub(_without_half, raw) if b"\\u" in raw else raw
    try:
        return _VALUES.decode(whole)
    except msgspec.MsgspecError:
        raise Refused(bad("not_json", RECORD, "json_invalid", error="malformed")) from None


def _without_half(escape: re.Match[bytes]) -> bytes:
    return rb"\u0000" if escape["half"] else escape[0]


def _readable(model: type[BaseModel], raw: bytes) -> dict[str, Raw]:
    """Return the values of the fields that the model has, each of which pydantic can read."""
    values = {}
    for name, value in raw_values(raw).items():
        if name in model.model_fields:
            try:
                from_json(bytes(value))
                values[name] = value
            except ValueError:
                values[name] = _UNREADABLE
    return values


def _mend(values: dict[str, Raw], name: str, consequence: Consequence) -> How:
    """Put what can be used of a value in its place, or drop it."""
    value = from_json(bytes(values[name]))
    texts = value if isinstance(value, dict) else {"": value}
    if consequence == "cut" and all(isinstance(text, str) for text in texts.values()):
        clean = {inner: cleaned(text) for inner, text in texts.items()}
        short = {inner: text[:SHORT_TEXT_LENGTH] for inner, text in clean.items()}
        usable = short if isinstance(value, dict) else short[""]
        if usable and usable != value:
            values[name] = Raw(msgspec.json.encode(usable))
            return "cleaned" if short == clean else "cut"
    del values[name]
    return "dropped"
