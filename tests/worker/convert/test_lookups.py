"""Lookup files: what a text means is in a file beside the mapping."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.mapped_files import LOGIN
from worker.cli.convert import convert
from worker.convert.load import load_mapping
from worker.convert.lookups import load_lookups
from worker.errors import CheckFailed, ConfigError, UsageError

USERS = "key,value\neve,w-1\nbob,w-2\nanna maria,w-3\n"
MAPPING = '[input]\nformat = "csv"\n[lookups.users]\nfile = "users.csv"\n' + LOGIN.replace(
    '{ constant = "w" }', '{ column = "user", lookup = "users" }'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with users.csv, and the mapping that reads it."""
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path


def accounts(folder: Path, *users: str, mapping: str = MAPPING) -> list[str]:
    """Return the account of each row, or its reason."""
    (folder / "map.toml").write_text(mapping)
    rows = "".join(f'"{user}",2024-01-01T00:00:00Z\n' for user in users)
    (folder / "in.csv").write_text(f"user,at\n{rows}")
    out, rejects = folder / "out", folder / "rejects"
    with suppress(CheckFailed):
        convert(str(folder / "in.csv"), folder / "map.toml", str(out), str(rejects))
    found = {}
    for line in out.read_text().splitlines():
        event = json.loads(line)
        found[int(event["event_id"])] = event["account_id"]
    for line in rejects.read_text().splitlines():
        reject = json.loads(line)
        found[reject["line"]] = reject["reason"]
    return [found[number] for number in range(2, len(users) + 2)]


MISSING = (
    "account_id: column 'user' holds what the lookup 'users' does not list;"
    " add it there, or give a default"
)
EMPTY = "account_id: required, but column 'user' is empty"


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("eve", "w-1"),
        ("bob", "w-2"),
        (" eve ", "w-1"),
        ("anna maria", "w-3"),
        ("Eve", MISSING),
        ("eve,w-1", MISSING),
        ("key", MISSING),
        ("w-1", MISSING),
        ("", EMPTY),
        ("  ", EMPTY),
        ("mallory", MISSING),
        ("x" * 9999, MISSING),
    ],
)
def test_a_text_is_looked_up_whole(folder: Path, user: str, account: str) -> None:
    """A text that the file does not list is a reject, which does not name it."""
    assert accounts(folder, user) == [account]


def test_a_default_for_what_is_not_listed(folder: Path) -> None:
    """And for an empty text, as with a map."""
    mapping = MAPPING.replace('lookup = "users"', 'lookup = "users", default = "unknown"')
    assert accounts(folder, "eve", "mallory", "", mapping=mapping) == ["w-1", "unknown", "unknown"]


def test_spaces_and_case_come_before(folder: Path) -> None:
    """As before a map."""
    mapping = MAPPING.replace('lookup = "users"', 'case = "lower", spaces = " ", lookup = "users"')
    assert accounts(folder, "EVE", "Anna   Maria", mapping=mapping) == ["w-1", "w-3"]


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("u.csv", "login,wallet,x\neve,w-1,1\nbob,w-2,2\n", 'key = "login"\nvalue = "wallet"'),
        ("u.csv", 'value;key\n"w-1";"eve"\nw-2;bob\n', 'delimiter = ";"'),
        ("u.CSV", "\ufeffkey,value\r\neve,w-1\r\n\r\nbob,w-2\r\neve,w-1\r\n", ""),
        ("u.toml", 'eve = "w-1"\n"bob" = "w-2"\n', ""),
        ("u.json", '{"eve": "w-1", "bob": "w-2", "eve": "w-1"}', ""),
        ("sub/u.csv", "key,value\neve,w-1\nbob,w-2\n", ""),
    ],
)
def test_formats_of_lookup_files(folder: Path, name: str, content: str, keys: str) -> None:
    """CSV with a header, a flat TOML table, a flat JSON object; paths begin at the mapping."""
    (folder / "sub").mkdir()
    (folder / name).write_text(content, "utf-8")
    mapping = MAPPING.replace('file = "users.csv"', f'file = "{name}"\n{keys}')
    assert accounts(folder, "bob", "eve", mapping=mapping) == ["w-2", "w-1"]


def test_numbers_are_texts(folder: Path) -> None:
    """As they are written: 18 digits and trailing zeros stay."""
    for name, content in (
        ("n.toml", "a = 12.50\nb = 123456789012345678\nc = true"),
        ("n.json", '{"a": 12.50, "b": 123456789012345678, "c": true}'),
    ):
        (folder / name).write_text(content)
        (folder / "map.toml").write_text(MAPPING.replace("users.csv", name))
        mapping = load_mapping(folder / "map.toml")
        assert load_lookups(mapping.lookups, folder) == {
            "users": {"a": "12.50", "b": "123456789012345678", "c": "true"}
        }


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("u.csv", "", "has no header line"),
        ("u.csv", "eve,w-1\n", "has no column 'key' in its header"),
        ("u.csv", "key,val\neve,w-1\n", "has no column 'value' in its header; did you mean 'val'?"),
        ("u.csv", "key,value\neve\n", "line 2 has 1 cells where there are 2 columns"),
        ("u.csv", 'key,value\n"eve"x,1\n', "line 2 is not valid CSV"),
        (
            "u.csv",
            "key,value\neve,w-1\neve,w-2\n",
            "line 3 has a key of a line above, and another value",
        ),
        ("u.csv", "key,key,value\neve,w-1,x\n", "has column 'key' 2 times"),
        ("u.toml", "eve = ", "is not TOML"),
        ("u.toml", "[eve]\na = 1\n", "has to be a flat table"),
        ("u.json", '{"eve": ["secret"]}', "has to be a flat object"),
        ("u.json", '["secret"]', "has to be a flat object"),
        ("u.json", '{"eve": "1", "eve": "2"}', "has one key twice, with two values"),
        ("u.json", '{"eve": NaN}', "has to be a flat object"),
        ("u.json", "{", "is not JSON"),
        ("u.json", "[" * 100_000, "is not JSON"),
        ("u.txt", "eve w-1", "must end in .csv, .toml or .json"),
    ],
)
def test_a_wrong_lookup_file_is_one_sentence(
    folder: Path, name: str, content: str, sentence: str
) -> None:
    """With the file, and never a key or value of it; before anything is written."""
    (folder / name).write_text(content)
    (folder / "out").write_text("kept")
    with pytest.raises(ConfigError) as caught:
        accounts(folder, "eve", mapping=MAPPING.replace("users.csv", name))
    said = str(caught.value)
    assert sentence in said
    assert said.count("\n") == 0
    assert "secret" not in said
    assert "w-1" not in said
    assert (folder / "out").read_text() == "kept"


def test_files_that_cannot_be_read(folder: Path) -> None:
    """Missing, a folder, no UTF-8, too large."""
    with pytest.raises(UsageError, match=r"none\.csv: No such file"):
        accounts(folder, "eve", mapping=MAPPING.replace("users.csv", "none.csv"))
    (folder / "d.csv").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        accounts(folder, "eve", mapping=MAPPING.replace("users.csv", "d.csv"))
    (folder / "users.csv").write_bytes(b"key,value\n\xff,\xfe\n")
    with pytest.raises(ConfigError, match=r"users\.csv: not UTF-8 text"):
        accounts(folder, "eve")
    with (folder / "users.csv").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(ConfigError, match="larger than 64 MiB"):
        accounts(folder, "eve")


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ('lookup = "users"', 'lookup = "user"', "unknown lookup 'user'; did you mean 'users'?"),
        ('lookup = "users"', 'lookup = "users", map = {}', "either map or lookup"),
        ('column = "user", lookup', 'constant = "user", lookup', "constant allows no other key"),
        ('file = "users.csv"', "", "lookups.users.file: Field required"),
        ('file = "users.csv"', 'file = ""', "at least 1 character"),
        ('file = "users.csv"', 'file = "\\tusers.csv"', "character that cannot be printed"),
        ('file = "users.csv"', 'file = "u.json"\nkey = "x"', "are only for a CSV file"),
        ('file = "users.csv"', 'file = "users.csv"\nkeys = "x"', "unknown key 'keys'"),
    ],
)
def test_a_wrong_table_of_a_lookup(folder: Path, right: str, wrong: str, sentence: str) -> None:
    """One sentence says what is allowed."""
    assert right in MAPPING
    with pytest.raises(ConfigError) as caught:
        accounts(folder, "eve", mapping=MAPPING.replace(right, wrong))
    assert sentence in str(caught.value)


def test_what_a_lookup_gives_is_checked(folder: Path) -> None:
    """It is in walletwatch's own notation, like the right side of a map."""
    (folder / "users.csv").write_text("key,value\na,2024-01-01T00:00:00+01:00\nb,gestern\nc,\n")
    mapping = MAPPING.replace(
        '{ column = "user", lookup = "users" }', '{ constant = "w" }'
    ).replace('"at"', '{ column = "user", lookup = "users" }')
    for field, wrong in (("occurred_at", "RFC 3339 such as 2024-01-01T00:00:00Z"),):
        assert accounts(folder, "a", "b", "c", mapping=mapping) == [
            "w",
            f"{field}: what the lookup 'users' gives has to be {wrong}",
            f"{field}: required, but what the lookup 'users' gives is empty",
        ]
    (folder / "users.csv").write_text("key,value\na,3\nb,drei\nc,\n")
    mapping = (
        MAPPING.replace('{ column = "user", lookup = "users" }', '{ constant = "w" }')
        + 'failures_counted = { column = "user", lookup = "users" }'
    )
    assert accounts(folder, "a", "b", "c", mapping=mapping) == [
        "w",
        "failures_counted: what the lookup 'users' gives has to be a whole number",
        "w",
    ]


def test_no_output_overwrites_a_lookup_file(folder: Path) -> None:
    """It would be lost."""
    (folder / "in.csv").write_text("user,at\n")
    for output, rejects in ((folder / "users.csv", None), (folder / "o", folder / "users.csv")):
        with pytest.raises(UsageError, match="lookup files"):
            convert(
                str(folder / "in.csv"),
                folder / "map.toml",
                str(output),
                str(rejects) if rejects else None,
            )
    assert (folder / "users.csv").read_text() == USERS
