"""The rows that the readers of files yield."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRow:
    """The text of each column of one row; `line` is where it starts, counted from 1.

    `value`: the object of which they are the columns, in a NDJSON file.
    """

    line: int
    columns: dict[str, str]
    value: Any = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read; the reason quotes nothing of it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnmatchedRow:
    """A line that matches none of the patterns of a line."""

    line: int


Row = FileRow | BadRow | UnmatchedRow
