"""CSV rows: header check, quoted fields over several lines, recovery after a broken row."""

import csv
from collections import deque
from collections.abc import Iterator, Mapping

from worker.convert.fileformat import FileFormat
from worker.convert.lines import TextLine
from worker.convert.nearest import nearest
from worker.convert.rows import BadRow, FileRow
from worker.errors import CheckFailed, ConfigError

MAX_LINES_OF_A_ROW = 100
"""A quote that is never closed must not swallow the rest of the file."""


class _BrokenError(Exception):
    """The lines pulled since the last row cannot be a row."""


class _LineFeed:
    """The lines for csv.reader: remembers those of the current row, and takes lines back."""

    def __init__(self, lines: Iterator[TextLine]) -> None:
        self._lines = lines
        self._returned: deque[TextLine] = deque()
        self._pulled: list[TextLine] = []

    def __iter__(self) -> "_LineFeed":
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._pulled.append(line)
        if line.fault or len(self._pulled) > MAX_LINES_OF_A_ROW:
            raise _BrokenError
        return line.text

    def taken(self) -> int:
        """Forget the lines of the row just read; return the number of the first one."""
        first = self._pulled[0].number
        self._pulled.clear()
        return first

    def broken(self) -> BadRow:
        """Return the first line as a bad row; the lines after it are read again."""
        first, *others = self._pulled
        self._returned.extendleft(reversed(others))
        self._pulled.clear()
        return BadRow(first.number, first.fault or "not valid CSV (a stray or unclosed quote?)")


def csv_rows(
    lines: Iterator[TextLine],
    name: str,
    written: FileFormat,
    needed: Mapping[str, str],
    extracted: Mapping[str, str],
) -> Iterator[FileRow | BadRow]:
    """Return the rows; `needed` maps each column that must be there to the key that names it.

    `extracted` maps each column that must not be there to the key that makes it of another one.

    Raises:
        CheckFailed: the header cannot be read, at once; the stream breaks off, while reading.
        ConfigError: a needed column is missing, or an extracted one is there, at once.
    """
    feed = _LineFeed(lines)
    rows = _cells(feed, written)
    for _ in range(written.skip_lines):
        next(lines, None)
    header = written.columns or _header(rows, name)
    _check_header(header, name, needed)
    for column, key in extracted.items():
        if column in header:
            raise ConfigError(
                f"{key} names {column!r}, which {name} has as a column; call the group otherwise"
            )
    return _rows(rows, header)


def _cells(feed: _LineFeed, written: FileFormat) -> Iterator[tuple[int, list[str]] | BadRow]:
    reader = csv.reader(feed, delimiter=written.delimiter, quotechar=written.quote, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _BrokenError):
            yield feed.broken()
        else:
            line = feed.taken()
            if cells:
                yield line, cells


def _rows(
    rows: Iterator[tuple[int, list[str]] | BadRow], header: list[str]
) -> Iterator[FileRow | BadRow]:
    width = len(header)
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif len(row[1]) != width:
            yield BadRow(row[0], f"has {len(row[1])} cells where there are {width} columns")
        else:
            yield FileRow(row[0], dict(zip(header, row[1], strict=True)))


def _header(rows: Iterator[tuple[int, list[str]] | BadRow], name: str) -> list[str]:
    first = next(rows, None)
    if first is None:
        raise CheckFailed(f"{name} has no header line")
    if isinstance(first, BadRow):
        raise CheckFailed(f"{name}: the header (line {first.line}) cannot be read: {first.reason}")
    return [cell.strip() for cell in first[1]]


def _check_header(header: list[str], name: str, needed: Mapping[str, str]) -> None:
    for column, key in needed.items():
        count = header.count(column)
        # If there is no header, its cells are somebody's data: only a near match is named.
        if count == 0:
            meant = nearest(column, header)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise ConfigError(f"{key} reads column {column!r}, which {name} does not have{hint}")
        if count > 1:
            raise ConfigError(f"{key} reads column {column!r}, which {name} has {count} times")
