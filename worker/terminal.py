"""The one exit of text to stdout and stderr: everything is escaped on its way out.

A name or text from elsewhere (of a file, a header, a topic, a broker) may hold what a terminal
executes, hides or shows in another order, and the end of a line. Each argument is one line: what
ends a line within it is escaped too. JSON has its own escapes.
"""

import json
import logging
import os
import sys
import traceback
from typing import Any, Final, NamedTuple, TextIO

import msgspec

_CODES: Final = {None: "1", "green": "1;32", "red": "1;31", "yellow": "1;33"}


class Mark(NamedTuple):
    """A word before the first line, on a terminal in bold."""

    word: str
    color: str | None
    """green, red, yellow, or None: as other text."""


def visible(text: str) -> str:
    """Return the text with every character escaped that a terminal might execute or hide."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def json_line(value: Any) -> bytes:
    """Return a value as one line of JSON, in which nothing is left to escape; paths are texts."""
    try:
        raw = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:  # half a surrogate pair: a byte of a file's name that is no UTF-8
        raw = json.dumps(msgspec.to_builtins(value, enc_hook=str, str_keys=True)).encode()
    text = raw.decode()
    if text.isprintable():
        return raw
    return "".join(char if char.isprintable() else _json_escape(char) for char in text).encode()


def _json_escape(char: str) -> str:
    if char < " ":  # between values: within a text JSON has escaped it
        return " "
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def echo(*lines: str, mark: Mark | None = None) -> None:
    """Print lines of a result on stdout."""
    _print(sys.stdout, lines, mark)


def say(*lines: str, mark: Mark | None = None) -> None:
    """Print lines about a result, for people, on stderr."""
    _print(sys.stderr, lines, mark)


def emit(value: Any, *, indent: int = 0, err: bool = False) -> None:
    """Print a value as one line of JSON, or indented as many, on stdout or stderr."""
    raw = json_line(value)
    if indent:
        raw = msgspec.json.format(raw, indent=indent)
    file = sys.stderr if err else sys.stdout
    file.flush()
    file.buffer.write(raw + b"\n")  # UTF-8, whatever the encoding of texts is
    file.flush()


def say_exception(error: BaseException) -> None:
    """Print the traceback of an exception on stderr."""
    for part in traceback.format_exception(error):
        say(*part.rstrip("\n").split("\n"))


def debugging() -> bool:
    """Return whether WALLETWATCH_DEBUG=1 asks for what only developers need."""
    return os.environ.get("WALLETWATCH_DEBUG") == "1"


class LogLines(logging.Handler):
    """Prints what libraries log; that of the client of Kafka only for developers.

    It logs each attempt to connect, with tracebacks. What comes of them, a sentence says.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, and the traceback if there is one."""
        if record.name.startswith("kafka.") and not debugging():
            return
        say(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            say_exception(record.exc_info[1])


def _print(file: TextIO, lines: tuple[str, ...], mark: Mark | None) -> None:
    text = "".join(f"{visible(line)}\n" for line in lines)
    if mark is not None:
        word = visible(mark.word)
        colored = f"\x1b[{_CODES[mark.color]}m{word}\x1b[0m" if file.isatty() else word
        text = colored + text
    file.write(text)
    file.flush()
