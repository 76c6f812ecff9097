"""What docs/topics.md says of the fields of events: what each must be, and what if it is not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

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
from schemas.topics import INPUTS
from schemas.transaction import Authorization
from schemas.wrong_fields import WrongField, field_types, wrong_fields

FIELDS_HEAD: Final = ("field", "of", "required", "must be", "if it is not")

_MUST_BE: Final[Sequence[tuple[Any, str]]] = (
    (Id, "1 to 128 printable characters without spaces"),
    (ShortText, "1 to 256 characters, none of them a control character"),
    (Amount, 'decimal text, such as `"12.50"`, with no more decimals than the currency has'),
    (Currency, "a code of ISO 4217, or one of `[currencies]` in the configuration"),
    (Timestamp, "RFC 3339 text with an offset, in the years 1000 to 8999"),
    (Count, "a whole number from 0 to 2^63 - 1"),
    (Country, "a code of ISO 3166-1: two letters from A to Z"),
    (Latitude, "a number from -90 to 90"),
    (Longitude, "a number from -180 to 180"),
    (Extra, "an object of up to 16 texts of up to 256 characters; names of up to 64"),
    (int, "1"),
)


class _Row(NamedTuple):
    name: str
    required: str
    must: str
    wrong: WrongField


def fields() -> Iterator[tuple[str, ...]]:
    """Yield the cells of every field of an event: first those that reject, then the others."""
    kinds: defaultdict[_Row, list[str]] = defaultdict(list)
    for each in INPUTS:
        for name, kind in field_types(each.model).items():
            required = "yes" if each.model.model_fields[name].is_required() else ""
            must = "the kind of the event" if name == "kind" else _must_be(kind)
            kinds[_Row(name, required, must, wrong_fields(each.model)[name])].append(each.kind)
    for row in sorted(kinds, key=lambda row: (row.wrong.consequence != "rejects", row.wrong)):
        yield f"`{row.name}`", ", ".join(kinds[row]), row.required, row.must, _then(row.wrong)


def _then(wrong: WrongField) -> str:
    return f"rejects: {wrong.needed_by}" if wrong.needed_by else wrong.consequence


def _must_be(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is Authorization:
        parts = (f"`{name}`: {_must_be(each)}" for name, each in field_types(kind).items())
        return f"an object of {'; '.join(parts)}"
    return next(text for each, text in _MUST_BE if each == kind)
