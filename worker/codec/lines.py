"""Lines of a file to records of topics: only what determines topic and key is decoded.

Whether the event itself is valid is checked by the worker. A line without a topic or a key becomes
a dead letter with the name of the file and the number of the line.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from schemas.topics import DETECT_INPUTS, KINDS, TOPICS
from worker.codec.bad_record import BadRecord
from worker.codec.codec import why_no_object
from worker.codec.files import UTF8_MARK, open_input
from worker.errors import CheckFailed, UsageError

_CONTROLS: Final = ("heartbeat", "end")
_TOPIC_OF: Final = {name: kind.topic for name, kind in KINDS.items() if kind.topic in DETECT_INPUTS}
_INPUTS: Final = frozenset(topic.name for topic in TOPICS if topic.role == "input")


class Head(Struct, gc=False):
    """The fields of a line that determine its topic, partition and key."""

    kind: str
    occurred_at: str
    account_id: str = ""
    topic: str | None = None
    partition: int | None = None


class PlacedLine(Struct, frozen=True, gc=False):
    """A line with its topic and key."""

    topic: str
    key: bytes | None
    partition: int | None
    """None: the partition of the key, or without a key every partition of the topic."""
    occurred_at: str
    value: bytes


_HEAD = msgspec.json.Decoder(Head)


def place(line: bytes) -> PlacedLine | BadRecord:
    """Return the line with its topic and key, or the reason why it has none."""
    try:
        head = _HEAD.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        needed = "needs at least kind, account_id and occurred_at as strings"
        return why_no_object(line) or BadRecord("schema", needed)
    topic = _TOPIC_OF.get(head.kind)
    if topic is None:
        return _control(head, line)
    if not head.account_id:
        return BadRecord("schema", "account_id: missing")
    return PlacedLine(topic, head.account_id.encode(), None, head.occurred_at, line)


def _control(head: Head, line: bytes) -> PlacedLine | BadRecord:
    if head.kind not in _CONTROLS:
        return BadRecord("schema", "kind: unknown")
    if head.topic not in _INPUTS:
        return BadRecord("schema", f"{head.kind}: topic must name an input topic")
    return PlacedLine(head.topic, None, head.partition, head.occurred_at, line)


def read_lines(name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line without its end) of a file, gzip file, or "-" for stdin.

    Empty lines are skipped, and so is a byte order mark before the first line.

    Raises:
        UsageError: the file cannot be opened.
        CheckFailed: a gzip file is cut short or damaged; the lines before that were yielded.
    """
    try:
        with open_input(name) as stream:
            yield from _numbered(stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckFailed(f"{name}: the gzip data is cut short or damaged") from error
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or 'cannot be read'}") from error


def _numbered(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(stream, 1):
        stripped = line.rstrip(b"\r\n")
        if number == 1:
            stripped = stripped.removeprefix(UTF8_MARK)
        if stripped and not stripped.isspace():
            yield number, stripped
