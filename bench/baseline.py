"""The baseline of all speed figures: parse and validate the same events with plain pydantic.

The models have the fields of `schemas` with Decimal, datetime, str and Literal, and no validators
in Python: what a straightforward consumer would do with each event before anything else.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, create_model

from schemas.balance import Balance
from schemas.base import Amount, Timestamp
from schemas.login import Login
from schemas.transaction import Transaction


class _Kind(msgspec.Struct):
    kind: str


def _plain(model: type[BaseModel]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        optional = get_origin(hint) is not Annotated and type(None) in get_args(hint)
        inner = next(a for a in get_args(hint) if a is not type(None)) if optional else hint
        plain = _plain_type(inner)
        fields[name] = (plain | None, None) if optional else (plain, ...)
    return create_model(model.__name__, __config__=ConfigDict(strict=True), **fields)


def _plain_type(hint: Any) -> Any:
    if hint == Amount:
        return Decimal
    if hint == Timestamp:
        return datetime
    if get_origin(hint) is Literal or isinstance(hint, type):
        return hint
    return get_args(hint)[0]


_MODELS = {
    "transaction": _plain(Transaction),
    "login": _plain(Login),
    "balance": _plain(Balance),
}


class Baseline:
    """Validates lines of events, and says how long that takes."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        kind = msgspec.json.Decoder(_Kind)
        self._calls = [
            (_MODELS[kind.decode(line).kind].model_validate_json, line) for line in lines
        ]

    def cpu_seconds(self) -> float:
        """Validate all lines once; return the CPU time it took."""
        began = time.process_time()
        for validate, line in self._calls:
            validate(line)
        return time.process_time() - began
