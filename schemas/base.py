"""Shared by all records: strict frozen models, and the types of ids, texts, times, amounts.

Times are RFC 3339 text on the wire and integer milliseconds since 1970-01-01T00:00Z inside.
Amounts stay text in these models, because their meaning in minor units needs the currency's
exponent; `schemas.money` converts them. No value is ever converted to a float.

A wrong amount or currency raises an error whose `type` is `amount` or `currency`, any other
violation one of pydantic's own types: dead letters get their reason from that.
"""

import re
import unicodedata
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from schemas.money import (
    AMOUNT_PATTERN,
    CURRENCY_PATTERN,
    MAX_DIGITS,
    MAX_LENGTH,
    is_amount,
    is_currency_code,
)
from schemas.time import format_time, parse_time

SHORT_TEXT_LENGTH: Final = 256
_NO_SPACE_PATTERN = r"^\S+$"
_NO_CONTROL_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
"""What JSON Schema can express of the checks below, for those who validate before they write."""
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
"""Characters of these categories in a row."""


class Record(BaseModel):
    """A record that others write and walletwatch reads: strict, frozen, unknown fields ignored."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True
    )


class Published(BaseModel):
    """A record that walletwatch writes: strict and frozen; fields are only ever added."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        validate_default=True,
        defer_build=True,
    )


def printable_without_spaces(text: str) -> str:
    """Return the text, refusing spaces of any kind and everything that cannot be seen."""
    if not text.isprintable() or " " in text:  # the one space that counts as printable
        raise PydanticCustomError("id", "must be printable characters without spaces")
    return text


def printable(text: str) -> str:
    """Return the text, refusing control characters, line separators and lone surrogates."""
    # isprintable() also refuses harmless ones: the spaces of French and Japanese, joined emoji.
    if not text.isprintable() and not _CONTROL.isdisjoint(map(unicodedata.category, text)):
        raise PydanticCustomError("text", "must not contain control characters")
    return text


def cleaned(text: str) -> str:
    """Return the text with one space for all control characters in a row, and none at its ends."""
    return _CONTROLS.sub(" ", text).strip(" ") if _CONTROLS.search(text) else text


def _amount(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("amount", "must be a string holding a decimal number")
    if not is_amount(value):
        raise PydanticCustomError(
            "amount",
            f"must be plain decimal notation with at most {MAX_DIGITS} digits and no exponent",
        )
    return value


def _currency(value: Any) -> Any:
    if not isinstance(value, str) or not is_currency_code(value):
        raise PydanticCustomError("currency", "must be a currency code such as EUR")
    return value


def _time(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        try:
            return parse_time(value)
        except ValueError:
            pass
    elif info.mode == "python" and type(value) is int:
        return value
    raise PydanticCustomError(
        "timestamp", "must be RFC 3339 text with a UTC offset, such as 2026-03-01T10:00:00.250Z"
    )


Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(printable_without_spaces),
    Field(json_schema_extra={"pattern": _NO_SPACE_PATTERN}),
]
"""1 to 128 printable characters without spaces."""

ShortText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=SHORT_TEXT_LENGTH),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": _NO_CONTROL_PATTERN}),
]
"""1 to 256 printable characters, spaces allowed."""

Amount = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "string", "pattern": AMOUNT_PATTERN, "maxLength": MAX_LENGTH}),
]
"""Decimal text in plain notation, at most 38 digits, in units of the record's currency."""

Currency = Annotated[
    str,
    BeforeValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": CURRENCY_PATTERN}),
]
"""An ISO 4217 code, or one that the configuration adds."""

Timestamp = Annotated[
    int,
    BeforeValidator(_time),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339 text with offset on the wire; integer milliseconds since the epoch (UTC) inside."""

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""A whole number, not negative, that fits 64 bits."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
"""Degrees north."""

Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
"""Degrees east."""

Extra = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(printable)],
        Annotated[str, StringConstraints(max_length=SHORT_TEXT_LENGTH), AfterValidator(printable)],
    ],
    Field(max_length=16),
]
"""Up to 16 short strings that the producer wants carried along."""

Network = Literal["residential", "mobile", "vpn", "relay", "hosting", "unknown"]
"""What kind of network an address belongs to."""

Severity = Literal["critical", "error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""Worst first."""
PAGING: Final[frozenset[Severity]] = frozenset({"critical", "error"})
"""Severities of incidents that page."""
"""How bad: critical and error page, warning is a ticket, info a record."""

Category = Literal["payment", "balance", "security", "access", "pipeline"]
"""What kind of anomaly; fixed per rule."""

RootCause = Literal["technical", "network", "security", "user_error", "third_party", "unknown"]
"""The probable cause of an alert."""
