"""Money is exact: decimal text to minor units and back, without floats."""

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.money import (
    AMOUNT_PATTERN,
    CURRENCIES,
    ISO_4217,
    WITHDRAWN,
    from_minor,
    is_amount,
    is_currency_code,
    to_minor,
)

exponents = st.integers(0, 18)
signs = st.sampled_from(["", "-"])


def as_decimal(minor: int, exponent: int) -> Decimal:
    """Read minor units exactly, whatever the context's precision."""
    digits = tuple(int(digit) for digit in str(abs(minor)))
    return Decimal((int(minor < 0), digits, -exponent))


@st.composite
def amounts(draw: st.DrawFn) -> str:
    """Any amount of at most 38 digits."""
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    point = draw(st.integers(1, len(digits)))
    fraction = digits[point:]
    return draw(signs) + digits[:point] + (f".{fraction}" if fraction else "")


@settings(deadline=None)
@given(amounts(), exponents)
def test_minor_units_are_the_same_number_as_the_text(text: str, exponent: int) -> None:
    try:
        minor = to_minor(text, exponent)
    except ValueError:
        fraction = text.partition(".")[2]
        assert fraction.rstrip("0")[exponent:]
    else:
        assert as_decimal(minor, exponent) == Decimal(text)
        assert Decimal(from_minor(minor, exponent)) == Decimal(text)


@settings(deadline=None)
@given(st.integers(-(10**38) + 1, 10**38 - 1), exponents)
def test_minor_units_survive_the_text(minor: int, exponent: int) -> None:
    text = from_minor(minor, exponent)
    assert Decimal(text) == as_decimal(minor, exponent)
    assert len(text.partition(".")[2]) == exponent
    if is_amount(text):
        assert to_minor(text, exponent) == minor


@settings(deadline=None)
@given(st.text(max_size=44) | st.text("-.0123456789", max_size=44), exponents)
def test_garbage_is_a_value_error_and_nothing_else(text: str, exponent: int) -> None:
    if is_amount(text):
        return
    with pytest.raises(ValueError, match="not a plain decimal"):
        to_minor(text, exponent)


@pytest.mark.parametrize(
    ("text", "exponent", "minor"),
    [
        ("12.50", 2, 1250),
        ("12.5", 2, 1250),
        ("12", 2, 1200),
        ("-0.01", 2, -1),
        ("-0", 2, 0),
        ("0.125", 3, 125),
        ("7.000", 0, 7),
        ("007", 0, 7),
        ("9" * 38, 18, int("9" * 38) * 10**18),
        ("9" * 38, 0, 10**38 - 1),
        ("-" + "9" * 38, 0, -(10**38) + 1),
        ("9" * 36 + ".99", 2, 10**38 - 1),
        ("9" * 20 + "." + "9" * 18, 18, 10**38 - 1),
        ("-" + "9" * 20 + "." + "9" * 18, 18, -(10**38) + 1),
        ("0." + "9" * 18, 18, 10**18 - 1),
        ("0." + "1" * 18 + "0" * 20, 18, int("1" * 18)),
        ("-0." + "0" * 38, 18, 0),
        ("0" + "9" * 38, 0, 10**38 - 1),
        ("9007199254740993", 0, 2**53 + 1),
        ("9223372036854775808", 0, 2**63),
        ("18446744073709551616", 0, 2**64),
        ("184467440737095516.16", 2, 2**64),
        ("18.446744073709551616", 18, 2**64),
        ("-9.223372036854775809", 18, -(2**63) - 1),
        ("1.000000000000000001", 18, 10**18 + 1),
        ("0." + "0" * 16 + "1", 18, 10),
        ("1234567890123456.78", 2, 123456789012345678),
    ],
)
def test_amounts_by_example(text: str, exponent: int, minor: int) -> None:
    assert to_minor(text, exponent) == minor


@pytest.mark.parametrize(
    ("text", "exponent"),
    [
        ("0.5", 0),
        ("12.505", 2),
        ("-1.001", 2),
        ("1e2", 2),
        ("1_0.00", 2),
        ("٣٣.٣٣", 2),
        ("²2.00", 2),
        ("1" * 39, 0),
        ("1" * 37 + ".00", 2),
        ("0." + "0" * 39, 18),
        ("1." + "0" * 38, 18),
        ("00" + "1" * 38, 0),
        ("-" + "1" * 39, 0),
        ("0.0000000000000000001", 18),
        ("9" * 4301, 0),
        ("1." + "0" * 5000, 2),
        ("1" * 20 + "." * 18, 18),
        ("+1.00", 2),
        ("1,000.00", 2),
        (" 1.00", 2),
        ("0x10", 0),
        ("--1.00", 2),
        ("1.0.0", 2),
        ("1.00\n", 2),
        ("1.", 0),
        (".50", 2),
        ("-.50", 2),
        ("", 0),
        ("Infinity", 2),
    ],
)
def test_what_is_no_amount_of_the_currency_is_refused(text: str, exponent: int) -> None:
    with pytest.raises(ValueError, match=r"not a plain decimal|beyond the smallest unit"):
        to_minor(text, exponent)


@pytest.mark.parametrize("digits", [1, 15, 16, 17, 18, 19, 20, 37, 38, 39, 40, 41])
def test_the_digits_are_counted_and_a_lone_leading_0_is_not(digits: int) -> None:
    """Wherever the point is; a sign is no digit. The pattern of the JSON Schema says the same."""
    row = "1" * digits
    texts = [row, f"0{row}"] + [f"{row[:at]}.{row[at:]}" for at in range(1, digits)] + [f"0.{row}"]
    for text in texts:
        for signed in (text, f"-{text}"):
            assert is_amount(signed) is (digits <= 38)
            assert (re.search(AMOUNT_PATTERN, signed) is not None) is (digits <= 38)


def test_known_exponents() -> None:
    assert [ISO_4217[code] for code in ("EUR", "JPY", "BHD", "CLF", "ISK", "XAF")] == [
        2,
        0,
        3,
        4,
        0,
        0,
    ]
    assert all(is_currency_code(code) for code in ISO_4217)


HISTORIC = {
    2: "HRK BGN EEK LTL LVL SKK SIT CYP MTL DEM FRF NLG ATS FIM IEP ANG ZWL SLL VEF STD MRO ZMK "
    "CUC GHC MZM SDD CSD RUR YUM DDM PLZ MXP CSK SUR BRC UAK ZAL ECV",
    0: "ITL ESP BEF LUF PTE GRD ADP TRL ROL MGF BYR BYB TPE BEC ESA LUL",
}


@pytest.mark.parametrize(
    ("code", "exponent"),
    [(code, each) for each, codes in HISTORIC.items() for code in codes.split()],
)
def test_withdrawn_codes_are_known_with_their_exponents(code: str, exponent: int) -> None:
    assert (CURRENCIES[code], WITHDRAWN[code]) == (exponent, exponent)


def test_every_withdrawn_code_is_there_once_and_none_of_those_in_use() -> None:
    """125 of the list's 129: the others had no minor unit, as have gold and silver."""
    assert len(WITHDRAWN) == 125
    assert WITHDRAWN.keys().isdisjoint(ISO_4217)
    assert CURRENCIES == {**WITHDRAWN, **ISO_4217}
    assert CURRENCIES.keys().isdisjoint(("XEU", "XFO", "XFU", "XRE", "XAU", "XDR", "XXX", "BTC"))
    assert all(is_currency_code(code) and len(code) == 3 for code in WITHDRAWN)


@pytest.mark.parametrize("text", ["", "EU", "eur", "1EU", "EUR\n", "ÄÖÜ", "A" * 11])
def test_what_does_not_look_like_a_currency_code(text: str) -> None:
    assert not is_currency_code(text)
