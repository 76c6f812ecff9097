"""Amounts pass through exactly: 38 digits, in every notation, and no float anywhere on the way."""

import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.convert.apply import Converter
from worker.convert.mapping import Mapping
from worker.convert.reader import read_rows
from worker.convert.rows import FileRow

ROOT = Path(__file__).parents[3]
FLOAT = re.compile(r"\bfloat\(|parse_float\s*=\s*float")
CURRENCIES = {"EUR": 2, "JPY": 0, "BHD": 3, "UYW": 4, "COIN": 18}

amounts = st.builds(
    lambda digits, decimals, sign: (sign * digits, decimals),
    st.integers(0, 10**38 - 1) | st.integers(10**37, 10**38 - 1),
    st.integers(0, 18),
    st.sampled_from((1, -1)),
)
"""Up to 38 digits and how many of them are decimals."""


def converted(form: str, text: str, currency: str, decimal: dict[str, Any]) -> str:
    """The amount of the event made of a file with that amount."""
    mapping = Mapping.model_validate(
        {
            "input": {"format": form, "delimiter": ";"},
            "decimal": decimal,
            "currencies": {"COIN": 18},
            "event": [
                {
                    "kind": "balance",
                    "fields": {
                        "event_id": {"template": "{line}"},
                        "account_id": {"constant": "w"},
                        "currency": "currency",
                        "balance": "amount",
                        "balance_kind": {"constant": "posted"},
                        "occurred_at": {"constant": "2024-01-01T00:00:00Z"},
                        "as_of": {"constant": "2024-01-01T00:00:00Z"},
                        "source": {"constant": "app"},
                    },
                }
            ],
        }
    )
    data = f"amount;currency\n{text};{currency}\n"
    if form == "ndjson":
        data = f'{{"amount": {text}, "currency": "{currency}"}}\n'
    (row,) = read_rows(io.BytesIO(data.encode()), "in", mapping, "map.toml")
    assert isinstance(row, FileRow)
    events = Converter(mapping).outcome(row)
    assert isinstance(events, list), events
    balance = events[0]["balance"]
    assert isinstance(balance, str)
    return balance


def exact(digits: int, decimals: int) -> Decimal:
    return Decimal(f"{digits}E-{decimals}")  # whatever the precision of the context


def plain(digits: int, decimals: int) -> str:
    """The independent answer: Decimal's own plain notation."""
    return f"{exact(digits, decimals):f}"


@given(amounts, st.sampled_from(("csv", "ndjson")), st.integers(-18, 18))
def test_38_digits_with_an_exponent_are_the_same_number(
    amount: tuple[int, int], form: str, shift: int
) -> None:
    """123.45 written as 1.2345E2, 12345E-2 and the like comes out as the very same number."""
    digits, decimals = amount
    mantissa = plain(digits, max(decimals + shift, 0))
    exponent = max(decimals + shift, 0) - decimals
    text = f"{mantissa}E{exponent:+d}"
    assert Decimal(text) == exact(digits, decimals)
    assert Decimal(converted(form, text, "COIN", {})) == exact(digits, decimals)


@given(amounts, st.sampled_from(("csv", "ndjson")), st.sampled_from(sorted(CURRENCIES)))
def test_plain_text_comes_out_as_it_went_in(
    amount: tuple[int, int], form: str, currency: str
) -> None:
    """To the character, where no zero is beyond the currency's exponent and zero has no sign."""
    digits, decimals = amount
    text = plain(digits or 1, min(decimals, CURRENCIES[currency]))
    assert converted(form, text, currency, {}) == text


@given(amounts, st.sampled_from(sorted(CURRENCIES)))
def test_grouped_decimal_comma_is_the_same_number(amount: tuple[int, int], currency: str) -> None:
    """1.234.567,80 is 1234567.80."""
    digits, decimals = amount
    decimals = min(decimals, CURRENCIES[currency])
    number = exact(digits, decimals)
    text = f"{number:,f}".translate(str.maketrans(",.", ".,"))
    written = {"separator": ",", "thousands": "."}
    assert Decimal(converted("csv", text, currency, written)) == number


@given(amounts, st.sampled_from(("EUR", "JPY", "BHD", "UYW")), st.sampled_from(("csv", "ndjson")))
def test_minor_units_are_the_same_number(amount: tuple[int, int], currency: str, form: str) -> None:
    """An integer of 38 digits is that many of the smallest unit."""
    digits, _ = amount
    event = converted(form, str(digits), currency, {"minor_units": True})
    assert Decimal(event) == exact(digits, CURRENCIES[currency])


@given(amounts, st.integers(0, 12))
def test_surplus_zeros_do_not_count(amount: tuple[int, int], zeros: int) -> None:
    """Zeros beyond the exponent are dropped, so 38 digits stay 38 digits."""
    digits, decimals = amount
    text = plain(digits, min(decimals, 2))
    surplus = "0" * zeros if "." in text else f".{'0' * zeros}"
    event = converted("csv", text + surplus, "EUR", {})
    assert Decimal(event) == Decimal(text)
    assert len(event.partition(".")[2]) <= 2


def test_no_float_is_made_anywhere_near_money() -> None:
    """Neither in convert nor in schemas nor in rules."""
    files = [
        path
        for folder in ("worker/convert", "schemas", "rules")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 15
    found = [str(path) for path in files if FLOAT.search(path.read_text("utf-8"))]
    assert found == []


def test_the_search_for_floats_finds_them() -> None:
    """What it would have to find."""
    assert FLOAT.search("x = float(text)")
    assert FLOAT.search("loads(text, parse_float = float)")
    assert not FLOAT.search("loads(text, parse_float=str)  # a float")
