"""A mapping as TOML applied to the text of a file, all in memory."""

import io
import tomllib
from dataclasses import dataclass, field
from typing import Any

from worker.convert.apply import Converter
from worker.convert.mapping import Mapping
from worker.convert.reader import read_rows
from worker.convert.rows import UnmatchedRow

BALANCE = """
[[event]]
kind = "balance"
[event.fields]
event_id = { template = "{line}" }
account_id = { constant = "w" }
currency = "currency"
balance = "amount"
balance_kind = { constant = "posted" }
occurred_at = { constant = "2024-01-01T00:00:00Z" }
as_of = { constant = "2024-01-01T00:00:00Z" }
source = { constant = "app" }
"""
"""A reported balance a row: reads the columns amount and currency."""
LOGIN = """
[[event]]
kind = "login"
[event.fields]
event_id = { template = "{line}" }
account_id = { constant = "w" }
action = { constant = "login" }
outcome = { constant = "success" }
occurred_at = "at"
"""
"""A login a row: reads the column at."""


@dataclass(slots=True)
class Mapped:
    """What became of the rows of a file."""

    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: dict[int, str] = field(default_factory=dict)
    """By line."""
    skipped: list[int] = field(default_factory=list)
    unmatched: int = 0
    """Lines that match no pattern, among the rejects or the skipped."""


def mapping_of(text: str) -> Mapping:
    """Return the mapping in a text of TOML."""
    return Mapping.model_validate(tomllib.loads(text, parse_float=str))


def converter_of(text: str) -> Converter:
    """Return the converter of a mapping in a text of TOML."""
    return Converter(mapping_of(text))


def mapped(mapping: str, data: str | bytes) -> Mapped:
    """Convert a whole file."""
    declared = mapping_of(mapping)
    found = Mapped()
    converter = Converter(declared)
    raw = data.encode() if isinstance(data, str) else data
    for row in read_rows(io.BytesIO(raw), "in", declared, "map.toml"):
        outcome = converter.outcome(row)
        found.unmatched += isinstance(row, UnmatchedRow)
        if isinstance(outcome, str):
            found.rejects[row.line] = outcome
        elif outcome:
            found.events += outcome
        else:
            found.skipped.append(row.line)
    return found
