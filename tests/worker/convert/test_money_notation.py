"""Amounts of foreign files: the exponent by currency, stripped marks, reasons of rejects."""

import pytest
from pydantic import ValidationError

from tests.support.mapped_files import BALANCE, mapped, mapping_of

CSV = '[input]\nformat = "csv"\ndelimiter = ";"\n'
GATEWAY = "minor_units = true\nexponents = { UGX = 2, ISK = 2 }"


def balance(decimal: str, amount: str, currency: str = "EUR", more: str = "") -> str:
    """Return the balance of the event that a row with this amount becomes, or the reason."""
    text = f"{CSV}[decimal]\n{decimal}\n{more}\n{BALANCE}"
    found = mapped(text, f'amount;currency\n"{amount}";{currency}\n')
    return str(found.events[0]["balance"]) if found.events else found.rejects[2]


@pytest.mark.parametrize(
    ("decimal", "amount", "currency", "expected"),
    [
        (GATEWAY, "1250", "EUR", "12.50"),
        (GATEWAY, "500", "JPY", "500"),
        (GATEWAY, "50000", "UGX", "500"),
        (GATEWAY, "200000", "ISK", "2000"),
        (GATEWAY, "1500", "KWD", "1.500"),
        (GATEWAY, "-50000", "UGX", "-500"),
        (GATEWAY, "0", "UGX", "0"),
        (GATEWAY, "99999999999999900", "ISK", "999999999999999"),
        ("minor_units = true", "50000", "UGX", "50000"),
        ("minor_units = true\nexponent = 2", "50000", "UGX", "500"),
        ("minor_units = true\nexponent = 2", "50000", "JPY", "500"),
        ("minor_units = true\nexponent = 2\nexponents = { JPY = 0 }", "500", "JPY", "500"),
        ("minor_units = true\nexponent = 2\nexponents = { JPY = 0 }", "500", "EUR", "5.00"),
        ("minor_units = true\nexponents = { KWD = 2 }", "150", "KWD", "1.50"),
        ("minor_units = true\nexponents = { EUR = 4 }", "125000", "EUR", "12.50"),
        ("minor_units = true\nexponents = { CLF = 0 }", "7", "CLF", "7"),
    ],
)
def test_minor_units_have_the_exponent_of_the_rows_currency(
    decimal: str, amount: str, currency: str, expected: str
) -> None:
    """What the mapping declares for it, else for all, else that of ISO 4217."""
    assert balance(decimal, amount, currency) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "decimals"),
    [("50050", "UGX", 0), ("1", "ISK", 0), ("-99", "UGX", 0)],
)
def test_a_part_of_the_smallest_unit_is_rejected(amount: str, currency: str, decimals: int) -> None:
    """Two decimals that are not 00 cannot be in a currency without decimals."""
    assert balance(GATEWAY, amount, currency) == (
        f"balance: more decimals than {currency} has ({decimals})"
    )


def test_exponents_also_for_codes_of_the_mapping() -> None:
    """And for one field alone; its table replaces that of the file."""
    points = "[currencies]\nPTS = 0"
    decimal = "minor_units = true\nexponents = { PTS = 3 }"
    assert balance(decimal, "5000", "PTS", points) == "5"
    field = 'balance = { column = "amount", decimal = { minor_units = true, exponents = {'
    text = f"{CSV}{BALANCE}".replace('balance = "amount"', f"{field} ISK = 2 }} }} }}")
    assert mapped(text, "amount;currency\n700;ISK\n").events[0]["balance"] == "7"


@pytest.mark.parametrize(
    ("decimal", "sentence"),
    [
        ("exponents = { UGX = 2 }", "exponents is only for minor_units = true"),
        ("minor_units = true\nexponents = { UGX = 19 }", "less than or equal to 18"),
        ("minor_units = true\nexponents = { UGX = -1 }", "greater than or equal to 0"),
        ("minor_units = true\nexponents = { ugx = 2 }", "did you mean 'UGX'?"),
        ("minor_units = true\nexponents = { XQQ = 2 }", "exponents: 'XQQ' is neither in ISO 4217"),
        ("minor_units = true\nexponents = 2", "valid dictionary"),
        ("strip = [','] ", "declare it as thousands"),
        ("strip = ['.']", "declare it as thousands"),
        ("strip = ['-']", "holds a digit or a sign"),
        ("strip = ['0']", "holds a digit or a sign"),
        ("strip = ['']", "at least 1 character"),
        ("strip = '$'", "valid list"),
    ],
)
def test_a_wrong_table_of_numbers(decimal: str, sentence: str) -> None:
    """One sentence says what is allowed."""
    with pytest.raises(ValidationError, match=r"\w") as caught:
        mapping_of(f"{CSV}[decimal]\n{decimal}\n{BALANCE}")
    assert sentence in str(caught.value)


UNDECLARED = "which is not declared; see separator and thousands"
DOLLARS = 'strip = ["$", "US$", "USD"]\nthousands = ","'
KRONER = 'strip = ["kr", "kr."]\nseparator = ","\nthousands = "."'


@pytest.mark.parametrize(
    ("decimal", "amount", "expected"),
    [
        (DOLLARS, "$12.50", "12.50"),
        (DOLLARS, "$ 12.50", "12.50"),
        (DOLLARS, "-$12.50", "-12.50"),
        (DOLLARS, "USD $12.50", "12.50"),
        (DOLLARS, "$-12.50", "-12.50"),
        (DOLLARS, "US$1,234,567.80", "1234567.80"),
        (DOLLARS, "12.50 USD", "12.50"),
        (DOLLARS, "12.50USD", "12.50"),
        (DOLLARS, "USD 12.50-", "-12.50"),
        (DOLLARS, "12.50- USD", "-12.50"),
        (DOLLARS, "USD\u00a012.50", "12.50"),
        (DOLLARS, "$.50", "0.50"),
        (DOLLARS, "12.50", "12.50"),
        (KRONER, "kr 1.234,50", "1234.50"),
        (KRONER, "kr. 1.234,50", "1234.50"),
        (KRONER, "1.234,50 kr.", "1234.50"),
        ('strip = ["€"]\nseparator = ","', "\u221212,50 €", "-12.50"),
        ('strip = ["CHF"]\nthousands = "\u2019"', "CHF 1\u2019234.50", "1234.50"),
        ('strip = ["(", ")"]', "12.50", "12.50"),
        ('strip = ["₹"]\nthousands = ","', "₹12,34,567.80", "1234567.80"),
        ('strip = ["€"]\nminor_units = true', "€1250", "12.50"),
    ],
)
def test_declared_marks_are_stripped(decimal: str, amount: str, expected: str) -> None:
    """Before and after the number, on either side of the sign."""
    assert balance(decimal, amount) == expected


@pytest.mark.parametrize(
    ("decimal", "amount"),
    [
        ('strip = ["Rs"]', "Rs.500"),
        (DOLLARS, "$$$12.50"),
        (DOLLARS, "$"),
        (DOLLARS, "1$2.50"),
        (DOLLARS, "€12.50"),
        (DOLLARS, "$1,23.50"),
        (DOLLARS, "-$-12.50"),
        (DOLLARS, "usd 12.50"),
        (KRONER, "kr 1,234.50"),
        ('strip = ["E"]', "5EEE"),
    ],
)
def test_what_is_not_declared_is_not_stripped(decimal: str, amount: str) -> None:
    """`Rs.500` with "Rs" alone would be half a rupee."""
    reason = balance(decimal, amount)
    assert reason.startswith("balance: column 'amount' ")
    assert amount not in reason


@pytest.mark.parametrize(
    ("decimal", "amount", "reason"),
    [
        ("", "$12.50", "begins with a currency sign; see strip"),
        ("", "-$12.50", "begins with a currency sign; see strip"),
        ("", "£ 7", "begins with a currency sign; see strip"),
        ("", "12.50€", "ends with a currency sign; see strip"),
        ("", "12.50 €-", "ends with a currency sign; see strip"),
        ("", "EUR 12.50", "begins with letters; see strip"),
        ("", "12.50 EUR", "ends with letters; see strip"),
        ("", "1,234.50", f"has a comma, {UNDECLARED}"),
        (
            "separator = ','",
            "1.5",
            "has a point, which is not declared; see separator and thousands",
        ),
        ("", "1 234.50", f"has a space, {UNDECLARED}"),
        ("", "1\u202f234", f"has a space, {UNDECLARED}"),
        ("", "1'234", f"has an apostrophe, {UNDECLARED}"),
        (
            "thousands = ','",
            "1,23.5",
            "has thousands that are not in groups of three; see thousands",
        ),
        ("", "1.2.3", "has its decimal separator twice; see separator and thousands"),
        ("", "(12.50)", "is in brackets; see extract"),
        ("", "n/a", "has no digit; see empty"),
        ("", "NaN", "has no digit; see empty"),
        ("", "-", "has no digit; see empty"),
        ("", "-12.50-", "has a sign at both ends; see extract"),
        ("", "١٢", "has digits other than 0 to 9"),
        ("", "9" * 65, "is longer than 64 characters, the most of a number"),
        ("", "12.50%", "is no number as described, such as -1234.50; see extract"),
        ("", "0x1F0", "is no number as described, such as -1234.50; see extract"),
        (
            "separator = ','\nthousands = '.'",
            "1E1000000",
            "is no number as described, such as -1.234,50; see extract",
        ),
        ("minor_units = true", "1#2", "is no number as described, such as -123450; see extract"),
    ],
)
def test_a_reason_says_what_would_be_accepted(decimal: str, amount: str, reason: str) -> None:
    """And which key accepts what is there; never the number itself."""
    assert balance(decimal, amount) == f"balance: column 'amount' {reason}"


def test_too_many_digits() -> None:
    """A number, but no amount."""
    assert balance("", "1" * 60).startswith("balance: must be plain decimal notation with at most")
    assert balance("", "12.505") == "balance: more decimals than EUR has (2)"
    assert balance("", "0.5", "JPY") == "balance: more decimals than JPY has (0)"
