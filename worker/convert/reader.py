"""Rows of CSV and NDJSON files with their line numbers; numbers stay text.

A line that cannot be read is a BadRow, and reading goes on. Only what makes the rest unreadable
too (an empty file, a broken gzip stream, an unreadable header) raises CheckFailed.
"""

from collections.abc import Iterator
from typing import IO

from worker.convert.csvrows import csv_rows
from worker.convert.jsonrows import json_rows
from worker.convert.lines import read_lines
from worker.convert.mapping import Mapping
from worker.convert.rows import BadRow, FileRow


def read_rows(
    stream: IO[bytes], name: str, mapping: Mapping, mapping_name: str
) -> Iterator[FileRow | BadRow]:
    """Return the rows of a stream; the two names are for messages.

    Raises:
        CheckFailed: the stream is empty or has no header, at once; it breaks off, while reading.
        ConfigError: the mapping reads a column that a CSV file does not have, at once.
    """
    lines = read_lines(stream, name, mapping.input.encoding)
    if mapping.input.format == "ndjson":
        return json_rows(lines)
    needed = {column: f"{mapping_name}: {key}" for column, key in mapping.columns().items()}
    return csv_rows(lines, name, mapping.input, needed)
