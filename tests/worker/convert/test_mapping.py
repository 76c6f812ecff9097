"""A wrong mapping ends with one sentence: file, key, what was probably meant, what may be."""

import tomllib
from pathlib import Path

import pytest

from worker.convert.eventtable import EventTable
from worker.convert.fields import FieldType, field_of, fields_of
from worker.convert.fileformat import Extract, FileFormat
from worker.convert.formats import DecimalFormat, TimeFormat
from worker.convert.load import load_mapping
from worker.convert.lookups import LookupFile
from worker.convert.mapping import Mapping
from worker.convert.repeats import Repeat
from worker.convert.values import Condition, SignBy, Skip, Value
from worker.errors import ConfigError, UsageError

MAPPING = """
[input]
format = "csv"
skip_lines = 0

[decimal]
separator = ","

[time]
format = "%Y-%m-%d %H:%M"
zone = "Europe/Berlin"

[[skip]]
column = "state"
equals = "draft"

[[event]]
kind = "balance"

[event.fields]
event_id = { template = "{id}-{line}" }
account_id = "wallet"
currency = { constant = "EUR" }
balance = { column = "amount", sign = { column = "side", map = { D = "-" }, default = "+" } }
balance_kind = { constant = "posted" }
occurred_at = "at"
as_of = "at"
source = { column = "from", map = { L = "ledger" } }
"""


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text, "utf-8")
    load_mapping(path)


def test_the_base_of_these_tests_is_right(tmp_path: Path) -> None:
    """Without a mistake there is no error."""
    load(tmp_path, MAPPING)


@pytest.mark.parametrize(
    ("right", "mistake", "sentence"),
    [
        ("skip_lines", "skip_line", "input: unknown key 'skip_line'; did you mean 'skip_lines'?"),
        (
            "skip_lines = 0",
            "skip_lines = '0'",
            "input.skip_lines: Input should be a valid integer",
        ),
        ("skip_lines = 0", "skip_lines = -1", "greater than or equal to 0"),
        (
            'format = "csv"',
            'format = "xls"',
            "input.format: Input should be 'csv', 'ndjson' or 'text'",
        ),
        ('format = "csv"', 'format = "csv"\ncolumns = ["a", "a"]', "names one column twice"),
        ("[input]", "surprise = 1\n[input]", "map.toml: unknown key 'surprise'; allowed: input"),
        (
            'separator = ","',
            'separator = ";"',
            "decimal.separator: Input should be '.' or ','",
        ),
        ('separator = ","', 'separator = ","\nthousands = ","', "must differ"),
        ('separator = ","', "exponent = 2", "only for minor_units"),
        ("Europe/Berlin", "Europe/Berln", "time: zone must be an IANA name"),
        ("Europe/Berlin", "+99:00", "time: zone must be an IANA name"),
        ("%Y-%m-%d %H:%M", "%d.%m. %H:%M", "a strptime format that gives year, month and day"),
        ("%Y-%m-%d %H:%M", "epoch_millis", "epoch_millis leaves no room for zone"),
        ('zone = "Europe/Berlin"', "", "a format needs either zone or %z"),
        ('zone = "Europe/Berlin"', 'unit = "days"', "since and unit go together"),
        (
            "[[skip]]",
            "[currencies]\nEUR = 3\n[[skip]]",
            "EUR has its exponent from ISO 4217: 2; see exponents",
        ),
        ("[[skip]]", "[currencies]\npts = 3\n[[skip]]", "three to ten of A-Z and 0-9"),
        (
            "[[skip]]",
            "[currencies]\nPTS = 19\n[[skip]]",
            "currencies.PTS: Input should be less",
        ),
        ('equals = "draft"', "", "skip #1: needs exactly one of equals, in, empty"),
        (
            'equals = "draft"',
            'equals = "a"\nempty = true',
            "needs exactly one of equals, in, empty",
        ),
        (
            'kind = "balance"',
            'kind = "balances"',
            "event #1.kind: Input should be 'transaction'",
        ),
        (
            "account_id =",
            "acount_id =",
            "unknown balance field 'acount_id'; did you mean 'account_",
        ),
        ("as_of =", "extra =", "unknown balance field 'extra'; did you mean 'extra.*'?"),
        ('as_of = "at"', "", "event #1: a balance needs the field as_of"),
        (
            '"wallet"',
            '{ colum = "x" }',
            "fields.account_id: unknown key 'colum'; did you mean 'col",
        ),
        ('"wallet"', "7", "event #1.fields.account_id: must be a table"),
        ('"wallet"', '{ column = "a", hash = ["b"] }', "needs exactly one of column, constant"),
        ('"wallet"', "{ hash = [] }", "at least 1 item"),
        ('"wallet"', '{ column = "a", prefix = "b" }', "prefix is only for hash"),
        ('"wallet"', '{ sign_of = "a" }', "sign_of needs a map"),
        ('"wallet"', '{ column = "a", sign = "absolute" }', "account_id holds no amount"),
        ('"wallet"', '{ column = "a", decimal = {} }', "account_id holds no number"),
        ('"wallet"', '{ column = "a", time = {} }', "account_id holds no time"),
        ('"{id}-{line}"', '"{id"', "template has a brace that belongs to no {column}"),
        (
            'constant = "posted"',
            'constant = "postd"',
            "balance_kind cannot be 'postd'; did you mean",
        ),
        ('L = "ledger"', 'L = "book"', "source cannot be 'book'; allowed: ledger, app, statement"),
        ('constant = "EUR"', 'constant = "EUR", case = "upper"', "constant allows no other key"),
        ('occurred_at = "at"', "occurred_at = { constant = 'today' }", "must be RFC 3339 such as"),
        ('D = "-"', 'D = "minus"', "sign.map.D: Input should be '+' or '-'"),
        ("[decimal]", "[decimal", "not TOML (at "),
        ("skip_lines", '"\\u0007\\u2028"', r"input: unknown key '\x07\u2028'; allowed"),
        ("as_of =", '"extra.\\u0007" =', r"unknown balance field 'extra.\x07'; did you mean"),
        ("[decimal]", '[currencies]\n"\\u0007" = "x"\n[decimal]', r"currencies.\x07: "),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, right: str, mistake: str, sentence: str
) -> None:
    """The error has exit code 78, starts with the file, and lists what is allowed."""
    assert right in MAPPING
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MAPPING.replace(right, mistake, 1))
    assert caught.value.exit_code == 78
    assert all(
        line.startswith(str(tmp_path / "map.toml")) for line in str(caught.value).split("\n")
    )
    assert sentence in str(caught.value)


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    """One line per mistake, so that they can be mended in one go."""
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path, MAPPING.replace('"csv"', '"xls"').replace('separator = ","', "separator = 1")
        )
    assert len(str(caught.value).splitlines()) == 2


def test_a_mapping_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    """A missing file is a wrong argument; bytes that are no UTF-8 are a bad mapping."""
    with pytest.raises(UsageError, match=r"none\.toml: No such file"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_mapping(tmp_path / "junk.toml")


def test_a_number_without_quotes_stays_text(tmp_path: Path) -> None:
    """TOML would make it a float, and 18 digits are more than a float has."""
    (tmp_path / "map.toml").write_text(
        MAPPING.replace('{ column = "amount", sign', "{ constant = 1234567890123456.78 } #")
    )
    balance = load_mapping(tmp_path / "map.toml").event[0].fields["balance"]
    assert balance.constant == "1234567890123456.78"


def test_what_fields_hold_is_read_from_the_schemas() -> None:
    """Amounts, times, numbers and choices are recognised, also in optional and inner fields."""
    assert [
        name for name, one in fields_of("transaction").items() if one.holds is FieldType.AMOUNT
    ] == [
        *("amount", "fee", "balance_before", "balance_after"),
        *("available_balance", "hold_remaining", "funding_from_balance"),
    ]
    assert [
        name for name, one in fields_of("login").items() if one.holds is not FieldType.TEXT
    ] == [*("occurred_at", "failures_counted", "lock_until", "asn", "latitude", "longitude")]
    method = field_of("transaction", "authorization.method")
    assert method is not None
    assert "passkey" in method.choices
    assert not method.required
    assert field_of("transaction", "extra.anything") is not None
    assert field_of("transaction", "extra.") is None
    assert "kind" not in fields_of("balance")


def test_the_page_documents_every_key() -> None:
    """docs/mapping.md names each key that a mapping may have."""
    page = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text("utf-8")
    for table in (
        Mapping,
        FileFormat,
        Extract,
        LookupFile,
        DecimalFormat,
        TimeFormat,
        Condition,
        Skip,
        Repeat,
        SignBy,
        Value,
        EventTable,
    ):
        for name, field in table.model_fields.items():
            key = field.alias or name
            assert any(f"{mark}{key}" in page for mark in ("`", "[", "[event.", "{ ")), key


def test_a_currency_may_be_given_the_exponent_that_it_has(tmp_path: Path) -> None:
    """So that a mapping of before a code was known stays right."""
    load(tmp_path, MAPPING.replace("[[skip]]", "[currencies]\nEUR = 2\nPTS = 0\n[[skip]]"))


def test_what_is_on_the_page_is_toml() -> None:
    """Every block; their patterns are taken."""
    page = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text("utf-8")
    blocks = [tomllib.loads(part.split("```")[0]) for part in page.split("```toml\n")[1:]]
    patterns = [FileFormat.model_validate(one["input"]).lines for one in blocks if "input" in one]
    patterns += [
        [Extract.model_validate(extract).compiled]
        for one in blocks
        for extract in one.get("extract", ())
    ]
    assert len(blocks) > 5
    assert sum(map(len, patterns)) == 2


def test_the_example_on_the_page_is_a_mapping(tmp_path: Path) -> None:
    """The first TOML block of docs/mapping.md loads."""
    page = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text("utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(block)["event"]
    load(tmp_path, block)
