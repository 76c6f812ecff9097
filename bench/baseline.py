"""The baseline of all speed figures: parse and validate the same events with plain pydantic.

The models have the fields of `schemas` with Decimal, datetime, str and Literal: what a
straightforward consumer would do with each event before anything else. The *bare* ones check types
only; the *bounded* ones validate: lengths, characters, digits and ranges too, as `schemas` promise
them, as far as pydantic does that without Python.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from schemas.balance import Balance
from schemas.base import (
    Amount,
    Count,
    Country,
    Currency,
    Id,
    Latitude,
    Longitude,
    ShortText,
    Timestamp,
)
from schemas.login import Login
from schemas.money import CURRENCY_PATTERN
from schemas.transaction import Transaction


class _Kind(msgspec.Struct):
    kind: str


def _plain(model: type[BaseModel], bounded: bool) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        optional = get_origin(hint) is not Annotated and type(None) in get_args(hint)
        inner = next(a for a in get_args(hint) if a is not type(None)) if optional else hint
        plain = _plain_type(inner, bounded)
        fields[name] = (plain | None, None) if optional else (plain, ...)
    return create_model(model.__name__, __config__=ConfigDict(strict=True), **fields)


def _plain_type(hint: Any, bounded: bool) -> Any:
    if hint == Timestamp:
        return datetime
    if hint == Amount:
        return Annotated[Decimal, Field(max_digits=18)] if bounded else Decimal
    if get_origin(hint) is Literal or isinstance(hint, type):
        return hint
    if not bounded:
        return get_args(hint)[0]
    if hint == Id:
        return Annotated[str, StringConstraints(max_length=128, pattern=r"^[!-~]+$")]
    if hint == Currency:
        return Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
    if hint == ShortText:
        return Annotated[str, StringConstraints(min_length=1, max_length=256)]
    return hint if hint in (Count, Country, Latitude, Longitude) else get_args(hint)[0]


def _models(bounded: bool) -> dict[str, type[BaseModel]]:
    return {
        "transaction": _plain(Transaction, bounded),
        "login": _plain(Login, bounded),
        "balance": _plain(Balance, bounded),
    }


def validator(bounded: bool = False) -> Callable[[bytes], object]:
    """Return the function that validates one line; heartbeats and ends are skipped."""
    models = {name: model.model_validate_json for name, model in _models(bounded).items()}
    kind = msgspec.json.Decoder(_Kind).decode

    def validate(line: bytes) -> object:
        known = models.get(kind(line).kind)
        return known and known(line)

    return validate


class Baseline:
    """Validates lines of events, and measures the time."""

    def __init__(self, lines: Sequence[bytes], bounded: bool = False) -> None:
        models = _models(bounded)
        kind = msgspec.json.Decoder(_Kind)
        self._calls = [(models[kind.decode(line).kind].model_validate_json, line) for line in lines]

    def cpu_seconds(self) -> float:
        """Validate all lines once; return the CPU time it took."""
        began = time.process_time()
        for validate, line in self._calls:
            validate(line)
        return time.process_time() - began
