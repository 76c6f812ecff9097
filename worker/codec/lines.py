"""Lines of a file to records of topics: only what determines topic and key is decoded.

Whether the event itself is valid is checked by the worker. A line without a topic or a key becomes
a dead letter with the name of the file and the number of the line.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from pydantic_core import from_json

from schemas.topics import DETECT_INPUTS, KINDS, TOPICS
from worker.codec.bad_record import BadRecord, bad, one_of, problem, too_large
from worker.codec.codec import why_no_object
from worker.codec.files import UTF8_MARK, bounded_lines, open_input
from worker.codec.mending import raw_values
from worker.errors import CheckFailed, UsageError

_CONTROLS: Final = ("heartbeat", "end")
_TOPIC_OF: Final = {name: kind.topic for name, kind in KINDS.items() if kind.topic in DETECT_INPUTS}
_INPUTS: Final = tuple(topic.name for topic in TOPICS if topic.role == "input")


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
_OF_HEAD: Final = frozenset(Head.__struct_fields__)


def place(line: bytes, at_most: int | None = None) -> PlacedLine | BadRecord:
    """Return the line with its topic and key, or the reason why it has none.

    Args:
        at_most: how many bytes it may have; None: any number.
    """
    if at_most is not None and len(line) > at_most:  # perhaps only its beginning has been read
        return too_large(at_most)
    try:
        head = _HEAD.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        # Perhaps only a field is wrong that nothing needs.
        found = _head_of(line)
        if isinstance(found, BadRecord):
            return found
        head = found
    topic = _TOPIC_OF.get(head.kind)
    if topic is None:
        return _control(head, line)
    if not head.account_id:
        return bad("schema", "account_id", "missing")
    return PlacedLine(topic, head.account_id.encode(), None, head.occurred_at, line)


def _control(head: Head, line: bytes) -> PlacedLine | BadRecord:
    if head.kind not in _CONTROLS:
        return bad("schema", "kind", "kind", expected=one_of((*_TOPIC_OF, *_CONTROLS)))
    if head.topic not in _INPUTS:
        return bad("schema", "topic", "topic", expected=one_of(_INPUTS))
    if head.partition is not None and head.partition < 0:
        return bad("schema", "partition", "greater_than_equal", ge=0)
    return PlacedLine(head.topic, None, head.partition, head.occurred_at, line)


def _head_of(line: bytes) -> Head | BadRecord:
    """Return the head of an object in which any field may be wrong, or what is wrong with it."""
    if (found := why_no_object(line)) is not None:
        return found
    values = {name: _value(raw) for name, raw in raw_values(line).items() if name in _OF_HEAD}
    is_control = values.get("kind") in _CONTROLS
    needed = ("kind", "occurred_at") if is_control else ("kind", "occurred_at", "account_id")
    problems = [
        problem(name, "missing" if values.get(name) is None else "string_type")
        for name in needed
        if not isinstance(values.get(name), str)
    ]
    if is_control and not isinstance(values.get("topic"), str | None):
        problems.append(problem("topic", "string_type"))
    if is_control and type(values.get("partition")) not in (int, type(None)):
        problems.append(problem("partition", "int_type"))
    if problems:
        return BadRecord("schema", tuple(problems))
    kept = needed if not is_control else (*needed, "topic", "partition")
    return Head(**{name: values[name] for name in kept if name in values})


def _value(raw: Raw) -> Any:
    try:
        return from_json(bytes(raw))
    except ValueError:  # a number of too many digits
        return True


def read_lines(name: str, at_most: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line without its end) of a file, gzip file, or "-" for stdin.

    Empty lines are skipped, and so is a byte order mark before the first line.

    Args:
        at_most: of a line of more bytes only the beginning is read into memory and yielded, in
            more bytes than these.

    Raises:
        UsageError: the file cannot be opened.
        CheckFailed: a gzip file is cut short or damaged; the lines before that were yielded.
    """
    try:
        with open_input(name) as stream:
            yield from _numbered(bounded_lines(stream, at_most))
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
