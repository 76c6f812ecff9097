"""The rows that the readers of files yield."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileRow:
    """The text of each column of one row; `line` is where it starts, counted from 1."""

    line: int
    columns: dict[str, str]


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
