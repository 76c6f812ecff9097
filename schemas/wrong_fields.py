"""What a wrong value of a field does to its event. Pure.

Only what identity, money, time and the rules need can reject an event. A login with a very long
user agent is still a login: what is optional is cut, cleaned or dropped, and counted. A part of an
identifier is another identifier, so that a wrong one is dropped and never cut.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from schemas.base import Amount, Currency, Extra, Id, ShortText, Timestamp

Consequence = Literal["rejects", "cut", "dropped"]
"""Of a wrong value: the event is rejected, the text is cleaned and cut, the field is dropped."""

CONSEQUENCES: Final[Mapping[Consequence, str]] = MappingProxyType(
    {
        "rejects": "the event becomes a dead letter",
        "cut": "control characters become spaces, and what is too long is cut; what is no text, "
        "or empty then, is dropped. Of `extra` that is said of its texts",
        "dropped": "the event is read as if it had no such field",
    }
)

_NEEDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kind": "identity",
        "schema_version": "identity",
        "fee_mode": "money",
        "balance_kind": "money",
        "funding": "money",
        "ledger_sequence": "money",
    }
)
"""Fields that no event must have, without which one that has them would mean something else."""
_BY_TYPE: Final = ((Amount, "money"), (Currency, "money"), (Timestamp, "time"), (Id, "identity"))


class WrongField(NamedTuple):
    """What a wrong value of one field does, and what needs it."""

    consequence: Consequence
    needed_by: str
    """identity, money, time or rules; "" if nothing does."""


def field_types(model: type[BaseModel]) -> dict[str, Any]:
    """Return the type of every field, without the None that makes it optional."""
    hints = get_type_hints(model, include_extras=True)
    return {name: _required(hints[name]) for name in model.model_fields}


def _required(hint: Any) -> Any:
    if get_origin(hint) is Annotated or type(None) not in get_args(hint):
        return hint
    return next(item for item in get_args(hint) if item is not type(None))


@cache
def wrong_fields(model: type[BaseModel]) -> Mapping[str, WrongField]:
    """Return what a wrong value does, field by field."""
    return MappingProxyType(
        {
            name: _wrong(name, kind, model.model_fields[name].is_required())
            for name, kind in field_types(model).items()
        }
    )


def _wrong(name: str, kind: Any, is_required: bool) -> WrongField:
    if name in _NEEDED:
        return WrongField("rejects", _NEEDED[name])
    if is_required or kind == Amount:
        needs = (need for each, need in _BY_TYPE if kind == each)
        return WrongField("rejects", next(needs, "rules"))
    return WrongField("cut" if kind in (ShortText, Extra) else "dropped", "")
