"""Records cut to what their topic takes, with the size and the hash of the whole. Pure.

Whatever a producer manages to write, its bytes must find a place beside it: a dead letter or a late
event that its topic refused would end the worker at the same record again and again.
"""

from hashlib import sha256
from typing import Final

from worker.engine.records import Headers, NewRecord

RECORD_BYTES: Final = 1024 * 1024
"""What a record may take where the log itself sets no limit: as much as Kafka's default."""
_FRAMING: Final = 512
"""The frame of a record and of its batch, and the headers that are added here."""
_FRAME_OF_HEADER: Final = 10


def fitting(record: NewRecord, limit: int) -> NewRecord:
    """Return the record if its topic takes it, else its first bytes, and headers about the whole.

    The headers dlq_size and dlq_sha256 are of a value that was cut, dlq_key_size and dlq_key_sha256
    of a key that was cut. A key keeps at least half of the room if it needs it.

    Args:
        limit: bytes that a record of the topic may take, frame included.
    """
    key, value = record.key or b"", record.value or b""
    room = limit - _FRAMING - _size(record.headers)
    if len(key) + len(value) <= room:
        return record
    kept_key = key[: max(room - len(value), room // 2, 0)]
    kept_value = value[: max(room - len(kept_key), 0)]
    headers = record.headers + _about("dlq_key_", key, kept_key) + _about("dlq_", value, kept_value)
    return NewRecord(
        record.topic,
        None if record.key is None else kept_key,
        None if record.value is None else kept_value,
        record.partition,
        headers,
    )


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + _FRAME_OF_HEADER for name, value in headers)


def _about(prefix: str, whole: bytes, kept: bytes) -> Headers:
    if len(kept) == len(whole):
        return ()
    return (
        (f"{prefix}size", str(len(whole)).encode()),
        (f"{prefix}sha256", sha256(whole).hexdigest().encode()),
    )
