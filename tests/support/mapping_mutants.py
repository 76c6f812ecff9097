"""Random damage to mappings and to the files that they read; what comes of it is a sentence."""

import io
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from worker.convert.apply import Converter
from worker.convert.load import load_mapping
from worker.convert.lookups import load_lookups
from worker.convert.reader import read_rows
from worker.errors import WalletwatchError

MARK: Final = "Zq7x"
"""Stands in every value that is planted: no sentence may hold it."""
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
FILES: Final = {
    "csv-ledger": "ledger.csv",
    "ndjson-gateway": "gateway.ndjson",
    "bank-balances": "export.csv",
    "syslog": "auth.log",
    "counts-per-minute": "minutes.csv",
    "nested-webhook": "webhooks.ndjson",
}
_HEADERS: Final = {"csv-ledger": 2, "bank-balances": 2, "counts-per-minute": 1}
_VALUES: Final = (
    *('""', "[]", "{}", "true", "7", "-1", "1.5", "99999999999999999999", "1979-05-27", '"."'),
    *('"%Y"', '"Europe/Berlin"', '"UTC"', '"x"', '["x"]', '["", ""]', '"{"', '"{line}"', '"[a=b]"'),
    *(
        '"file_order"',
        '"skip"',
        '"text"',
        '"csv"',
        '"ndjson"',
        '"second"',
        '"epoch_millis"',
        "2026",
    ),
    *("'(?P<a>.*)'", "'(?P<at>(a+)+)'", "'('", "'(?P<id>[^;,]*).*'", '{ constant = "x" }'),
    *(
        '{ column = "id" }',
        '{ hash = ["id"] }',
        '{ template = "{a}{b}" }',
        '{ sign_of = "amount" }',
    ),
    *('{ a = "b" }', "{ EUR = 2 }", '"\\u0000"', "'''\n'''", "nan", "0x7", '{ lookup = "users" }'),
)
_LINES: Final = (
    *(
        "[input]",
        "[decimal]",
        "[time]",
        "[[skip]]",
        "[[event]]",
        "[event.fields]",
        "[[event.when]]",
    ),
    *("[[extract]]", "[lookups.users]", "[event.repeat]", "[currencies]", "kind = 'login'"),
    *("each = 'a.b'", "count = 'id'", "over = 1", "unit = 'days'", "fold = 'first'", "year = 2026"),
    *(
        "strip = ['$']",
        "minor_units = true",
        "exponent = 3",
        "exponents = { EUR = 3 }",
        "case = 'up'",
    ),
    *(
        "format = 'text'",
        "line = '(?P<id>.*)'",
        "unmatched = 'skip'",
        "extra.x = 'id'",
        "[",
        "x = [",
    ),
)
_CELLS: Final = (
    *(
        "",
        "-",
        "0",
        "1e5",
        "-1",
        "NaN",
        "1,5",
        "1.5.5",
        "$1",
        "1€",
        "(1)",
        "9" * 70,
        "1e99",
        "٣",
        "½",
    ),
    *(
        "2026-02-30",
        "31.02.2026 25:00:00",
        "29.03.2026 02:30:00",
        "00000000",
        "\x00",
        "\ud800",
        "\r",
    ),
    *(
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        "null",
        "true",
        "\\",
        "\u2028",
        "\u202e",
        " ",
        "a b",
        "ß" * 300,
    ),
    *(";", ",", "x" * 9000, "-" * 200, "1" + "0" * 5000),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is converted: a mapping and a file, one of them damaged."""

    example: str
    mapping: str
    data: bytes


def mutant(seed: int) -> Mutant:
    """Return one mutant, the same for the same seed."""
    dice = random.Random(seed)
    example = dice.choice(sorted(FILES))
    mapping = (EXAMPLES / example / "mapping.toml").read_text("utf-8")
    data = (EXAMPLES / example / FILES[example]).read_text("utf-8")
    if dice.random() < 0.5:
        for _ in range(dice.randint(1, 3)):
            mapping = _damaged_mapping(mapping, dice)
        return Mutant(example, mapping, data.encode())
    lines = data.splitlines(keepends=True)
    for place in dice.sample(range(_HEADERS.get(example, 0), len(lines)), dice.randint(1, 4)):
        lines[place] = _damaged_line(lines[place], dice)
    raw = "".join(lines).encode("utf-8", "surrogatepass")
    if dice.random() < 0.1:
        cut = dice.randrange(len(raw))
        raw = raw[:cut] + dice.randbytes(dice.randint(0, 8)) + raw[cut:]
    return Mutant(example, mapping, raw)


def sentences(one: Mutant, folder: Path) -> list[str]:
    """Convert a mutant as the command does, in a folder of its own; return all that is said.

    Whatever is no error of walletwatch's own is raised.
    """
    path = folder / "map.toml"
    path.write_text(one.mapping, "utf-8")
    said: list[str] = []
    try:
        mapping = load_mapping(path)
        lookups = load_lookups(mapping.lookups, EXAMPLES / one.example)
        converter = Converter(mapping, lookups)
        for row in read_rows(io.BytesIO(one.data), "in", mapping, "map.toml"):
            outcome = converter.outcome(row)
            if isinstance(outcome, str):
                said.append(outcome)
            else:
                msgspec.json.encode(outcome)
    except WalletwatchError as error:
        said += error.lines
    return said


def _damaged_mapping(text: str, dice: random.Random) -> str:
    lines = text.splitlines()
    place = dice.randrange(len(lines))
    match dice.randrange(7):
        case 0:
            del lines[place]
        case 1:
            lines.insert(place, dice.choice(lines))
        case 2:
            lines.insert(place, dice.choice(_LINES))
        case 3:
            key, found, _ = lines[place].partition(" = ")
            lines[place] = f"{key} = {dice.choice(_VALUES)}" if found else key
        case 4:
            lines[place] = re.sub(r'"[^"]*"', lambda _: dice.choice(_VALUES), lines[place], count=1)
        case 5:
            line = lines[place]
            cut = dice.randrange(len(line) + 1)
            lines[place] = line[:cut] + chr(dice.choice((34, 39, 91, 123, 92, 61, 0x20AC, 120, 9)))
            lines[place] += line[cut + dice.randint(0, 2) :]
        case _:
            other = dice.choice(lines)
            lines[place] = f"{lines[place].partition(' = ')[0]} = {other.partition(' = ')[2]}"
    return "\n".join(lines)


def _damaged_line(line: str, dice: random.Random) -> str:
    planted = dice.choice((MARK, f"{dice.choice(_CELLS)}{MARK}", f"{MARK}{dice.choice(_CELLS)}"))
    if dice.random() < 0.3:
        planted = dice.choice(_CELLS)
    if line.startswith("{") and dice.random() < 0.8:
        return json.dumps(_damaged_value(json.loads(line), planted, dice)) + "\n"
    parts = re.split(r"([;, =])", line.rstrip("\n"))
    parts[dice.randrange(0, len(parts), 2)] = planted
    if dice.random() < 0.2:
        dice.shuffle(parts)
    return "".join(parts) + "\n"


def _damaged_value(value: Any, planted: str, dice: random.Random) -> Any:
    """Replace something within a JSON value."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(sorted(value))
        if dice.random() < 0.1:
            return {**value, planted: value[key]}
        return {**value, key: _damaged_value(value[key], planted, dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        place = dice.randrange(len(value))
        changed = _damaged_value(value[place], planted, dice)
        return [*value[:place], changed, *value[place + dice.randint(0, 1) :]]
    return dice.choice((planted, [planted], {"key": planted}, None, True, -1, 1e300, [[]], {}))
