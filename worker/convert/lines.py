"""Numbered lines of plain and gzip files; a line that is not text has a fault in place of it."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from worker.codec.files import UTF8_MARK, bounded_lines
from worker.errors import CheckFailed

MAX_LINE_BYTES = 256 * 1024

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text with its end; `fault` is the reason if there is no text, else ""."""

    number: int
    text: str
    fault: str = ""


def read_lines(stream: IO[bytes], name: str, encoding: str) -> Iterator[TextLine]:
    """Yield every line; one that is too long, wrongly encoded or has a NUL byte has a fault.

    Raises:
        CheckFailed: the stream is empty, breaks off, or is UTF-16.
    """
    number, lines = 0, bounded_lines(stream, MAX_LINE_BYTES)
    while data := _next(lines, name, number):
        number += 1
        if number == 1:
            if data.startswith(_UTF16_MARKS):
                raise CheckFailed(f"{name} is UTF-16 text: convert it to UTF-8 first")
            data = data.removeprefix(UTF8_MARK)
        if len(data) > MAX_LINE_BYTES:
            yield TextLine(number, "", f"longer than {MAX_LINE_BYTES} bytes")
        else:
            yield _decoded(number, data, encoding)
    if number == 0:
        raise CheckFailed(f"{name} is empty")


def _decoded(number: int, data: bytes, encoding: str) -> TextLine:
    if b"\0" in data:
        return TextLine(number, "", "contains a NUL byte")
    try:
        return TextLine(number, data.decode(encoding))
    except UnicodeDecodeError:
        return TextLine(number, "", f"not {encoding} text")


def _next(lines: Iterator[bytes], name: str, read: int) -> bytes:
    try:
        return next(lines, b"")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise CheckFailed(
            f"{name}: the gzip data is damaged or breaks off after line {read};"
            " what follows could not be read"
        ) from None
    except OSError as error:
        raise CheckFailed(
            f"{name}: reading failed after line {read}: {error.strerror or 'unknown error'}"
        ) from None
