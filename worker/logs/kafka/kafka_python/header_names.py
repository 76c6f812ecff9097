"""Names of headers that are no UTF-8 are read, where the library raises at every fetch.

This depends on private names of the library's batches; another way to decode brings its own.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

Read = Callable[[Any], Any]


@cache
def read_any_header_names() -> None:
    """Let all batches of this process, from now on, replace what of a name is no UTF-8."""
    if hasattr(DefaultRecordBatch, "_read_msg"):  # else it is another release of the library
        DefaultRecordBatch._read_msg = _reading(DefaultRecordBatch._read_msg)


def text_of(name: bytes) -> str:
    """Return the name of a header; a byte that is no UTF-8 as text, such as \\xff."""
    return name.decode(errors="backslashreplace")


def _reading(read: Read) -> Read:
    def read_msg(batch: Any) -> Any:
        try:
            return read(batch)
        except UnicodeDecodeError:
            return _record(batch)  # the library has not moved on yet

    return read_msg


def _record(batch: Any) -> DefaultRecord:
    data, (size, pos) = bytes(batch._buffer), decode_varint(batch._buffer, batch._pos)
    end = pos + size
    delta, pos = decode_varint(data, pos + 1)  # after the attributes, of which none is defined
    number, pos = decode_varint(data, pos)
    key, pos = _bytes(data, pos)
    value, pos = _bytes(data, pos)
    count, pos = decode_varint(data, pos)
    headers = []
    for _ in range(count):
        name, pos = _bytes(data, pos)
        content, pos = _bytes(data, pos)
        headers.append((text_of(name or b""), content))
    batch._pos = end
    is_stamped = batch.timestamp_type == batch.LOG_APPEND_TIME
    time = batch.max_timestamp if is_stamped else batch.first_timestamp + delta
    offset = batch.base_offset + number
    return DefaultRecord(size, offset, time, batch.timestamp_type, key, value, headers)


def _bytes(data: bytes, pos: int) -> tuple[bytes | None, int]:
    length, pos = decode_varint(data, pos)
    return (None, pos) if length < 0 else (data[pos : pos + length], pos + length)
