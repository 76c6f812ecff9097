"""Files as input: plain, gzip, or stdin; their lines in bounded memory."""

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from worker.errors import UsageError

STDIN: Final = "-"
UTF8_MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark that some programs put before UTF-8 text; it is not part of the text."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


_DOTS: Final = b"..."


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """Open a file, or stdin for `-`; gzip is recognised by its first bytes.

    Raises:
        UsageError: the file cannot be opened.
    """
    with nullcontext(sys.stdin.buffer) if name == STDIN else _open(name) as raw:
        # A stdin that a program has replaced may not be able to peek.
        if isinstance(raw, io.BufferedReader):
            buffered = raw
        else:
            buffered = io.BufferedReader(cast("io.RawIOBase", raw))
        zipped = buffered.peek(2)[:2] == _GZIP_MAGIC
        yield cast("BinaryIO", gzip.GzipFile(fileobj=buffered)) if zipped else buffered


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or 'cannot be opened'}") from None


def bounded_lines(stream: IO[bytes], at_most: int) -> Iterator[bytes]:
    """Yield lines with their ends, of any length, in memory for one of `at_most` bytes.

    Of a longer line its beginning is yielded, in more bytes than these, and dots: a line that was
    cut is never mistaken for a whole one.
    """
    room = len(UTF8_MARK) + at_most + len(b"\r\n")
    while line := stream.readline(room):
        if len(line) < room or line.endswith(b"\n"):
            yield line
            continue
        yield line + _DOTS  # what is left may end with what is stripped, or be blank
        while line and not line.endswith(b"\n"):
            line = stream.readline(room)
