"""Rows of CSV, NDJSON and text files with their line numbers; numbers stay text.

A line that cannot be read is a BadRow, and reading goes on. Only what makes the rest unreadable
too (an empty file, a broken gzip stream, an unreadable header) raises CheckFailed.
"""

from collections.abc import Iterator
from typing import IO

from worker.convert.csvrows import csv_rows
from worker.convert.jsonrows import json_rows
from worker.convert.lines import read_lines
from worker.convert.mapping import Mapping
from worker.convert.rows import Row
from worker.convert.textrows import text_rows


def read_rows(stream: IO[bytes], name: str, mapping: Mapping, mapping_name: str) -> Iterator[Row]:
    """Return the rows of a stream; the two names are for messages.

    Raises:
        CheckFailed: the stream is empty or has no header, at once; it breaks off, while reading.
        ConfigError: the mapping reads a column that a CSV file does not have, or names one that
            it has, at once.
    """
    lines = read_lines(stream, name, mapping.input.encoding)
    if mapping.input.format == "ndjson":
        return json_rows(lines)
    if mapping.input.format == "text":
        return text_rows(lines, mapping.input.lines, mapping.input.skip_lines)
    needed = {column: f"{mapping_name}: {key}" for column, key in mapping.columns().items()}
    hidden = {
        group: f"{mapping_name}: extract #{number}"
        for number, extract in enumerate(mapping.extract, 1)
        for group in extract.compiled.names
    }
    return csv_rows(lines, name, mapping.input, needed, hidden)
