"""A leaner way to decode batches of records than the library's own, which costs twice as much.

Everything but the records themselves stays the library's: checksums, decompression, aborted
transactions, control batches, where the next fetch begins. This depends on private names of one
class, so it is used only with the versions named here, and only if it decodes a built-in batch as
the library does.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final

import kafka
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from worker.engine.records import Headers, Record
from worker.logs.kafka.kafka_python.codecs import Batches, uncompress, unreadable
from worker.logs.kafka.kafka_python.header_names import read_any_header_names, text_of

VERSIONS: Final = ("3.0.12",)
"""The releases of kafka-python whose private names are known."""
_FORMAT: Final = 2
"""The message format since Kafka 0.11; older ones have no transactions."""
_STOCK: Final = Fetcher.PartitionRecords._unpack_records
_LOG: Final = logging.getLogger(__name__)


def decode_lean(wanted: bool) -> bool:
    """Decode in this way from now on, in the whole process, or as the library does.

    Returns:
        whether batches are decoded in this way; if wanted and not done, a warning is logged.
    """
    read_any_header_names()
    lean = wanted and _is_safe()
    Fetcher.PartitionRecords._unpack_records = _unpack_records if lean else _unpack_stock
    if wanted and not lean:
        _LOG.warning(
            "Batches are decoded by kafka-python %s itself, which is slower: it is none of %s, "
            "or decodes something else.",
            kafka.__version__,
            ", ".join(VERSIONS),
        )
    return lean


def as_records(polled: list[Any]) -> list[Record]:
    """Return what was polled as records of the log; lean decoding has made them already."""
    if polled and isinstance(polled[0], Record):
        return polled
    return [as_record(record) for record in polled]


def as_record(record: Any) -> Record:
    """Return what either way has decoded as a record of the log."""
    if isinstance(record, Record):
        return record
    headers = tuple((name, value or b"") for name, value in record.headers)
    return Record(record.offset, record.timestamp, record.key, record.value, headers)


def _is_safe() -> bool:
    stock = [as_record(record) for record in _sample()]
    return kafka.__version__ in VERSIONS and decode(_sample()) == stock


def _sample() -> Any:
    builder = DefaultRecordBatchBuilder(_FORMAT, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1_000, b"key", b"value", [("name", b"header"), ("empty", b"")])
    builder.append(1, 1_070_000, None, b"v" * 300, [])
    builder.append(2, 900, b"", None, [])
    return DefaultRecordBatch(bytes(builder.build()))


def decode(batch: Any) -> list[Record]:
    """Return the records of one batch of message format 2.

    Raises:
        CorruptRecordError: its bytes do not hold what its header says.
    """
    batch._maybe_uncompress()
    data = bytes(batch._buffer)
    header = batch._header_data
    append_time = header[8] if batch.timestamp_type else None
    try:
        return _records(data, batch._pos, header[12], header[0], header[7], append_time)
    except (ValueError, IndexError) as error:
        raise CorruptRecordError(f"Found invalid record structure: {error!r}") from error


def _records(  # noqa: PLR0915 - runs per record, where a call costs as much as it does
    data: bytes, pos: int, count: int, base: int, first: int, append_time: int | None
) -> list[Record]:
    # Integers are zigzag varints, most of them of one byte.
    records = []
    for _ in range(count):
        size, pos = _varint(data, pos)
        end = pos + size
        pos += 1  # attributes, of which none is defined
        delta, pos = _varint(data, pos)
        number = data[pos]
        if number < 0x80:
            pos += 1
            number = number >> 1 ^ -(number & 1)
        else:
            number, pos = _varint(data, pos)
        length = data[pos]
        if length < 0x80:
            pos += 1
            length = length >> 1 ^ -(length & 1)
        else:
            length, pos = _varint(data, pos)
        key = None
        if length >= 0:
            key = data[pos : pos + length]
            pos += length
        length, pos = _varint(data, pos)
        value = None
        if length >= 0:
            value = data[pos : pos + length]
            pos += length
        headers: Headers = ()
        if data[pos] == 0:
            pos += 1
        else:
            headers, pos = _headers(data, pos)
        if pos != end:
            raise ValueError(f"a record of {size} bytes ends {pos - end} bytes beyond its end")
        time = first + delta if append_time is None else append_time
        records.append(Record(base + number, time, key, value, headers))
    if pos != len(data):
        raise ValueError(f"{len(data) - pos} bytes follow the last record")
    return records


def _headers(data: bytes, pos: int) -> tuple[Headers, int]:
    count, pos = _varint(data, pos)
    if count < 0:
        raise ValueError(f"{count} headers")
    headers = []
    for _ in range(count):
        length, pos = _varint(data, pos)
        if length < 0:
            raise ValueError(f"a header's name of {length} bytes")
        name = text_of(data[pos : pos + length])
        pos += length
        length, pos = _varint(data, pos)
        value = b""  # also of a null
        if length > 0:
            value = data[pos : pos + length]
            pos += length
        headers.append((name, value))
    return tuple(headers), pos


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """Return a zigzag varint, and the position after it."""
    byte = data[pos]
    pos += 1
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), pos
    number = byte & 0x7F
    shift = 7
    while True:
        byte = data[pos]
        pos += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number >> 1 ^ -(number & 1), pos
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _unpack_records(self: Any, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
    """Yield the records of a fetched partition: the library's method, but for how they are made."""
    if any(deserializers):
        yield from _unpack_stock(self, tp, records, *deserializers)
        return
    last = None
    while (batch := records.next_batch()) is not None:
        last = batch
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError(
                f"Record batch for partition {tp} at offset {batch.base_offset} failed crc check"
            )
        if batch.magic != _FORMAT:
            yield from _old_records(self, tp, batch)
            continue
        self.leader_epoch = batch.leader_epoch
        if _is_hidden(self, batch):
            self.next_fetch_offset = batch.next_offset
            continue
        uncompress(batch, tp)
        for record in decode(batch):
            self.next_fetch_offset = record.offset + 1
            yield record
    if last is not None and last.magic == _FORMAT:
        # Compaction may have removed the last records of a batch, but not its last offset.
        self.next_fetch_offset = last.next_offset
    self.drain()


def _unpack_stock(self: Any, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
    """Yield the records as the library does; a batch that cannot be uncompressed is named."""
    batches = Batches(records)
    try:
        yield from _STOCK(self, tp, batches, *deserializers)
    except Exception as error:
        raise unreadable(batches.last, tp, error) from error


def _is_hidden(self: Any, batch: Any) -> bool:
    """Return whether no reader may have a batch: it ends a transaction, or was aborted by one."""
    if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if self._contains_abort_marker(batch):
            self.aborted_producer_ids.discard(batch.producer_id)
        elif self._is_batch_aborted(batch):
            return True
    return bool(batch.is_control_batch)


def _old_records(self: Any, tp: Any, batch: Any) -> Iterator[Record]:
    """Yield the records of a batch of an older message format, one by one as the library does."""
    for record in batch:
        if self.check_crcs and not record.validate_crc():
            raise CorruptRecordError(
                f"Record for partition {tp} at offset {record.offset} failed crc check"
            )
        self.next_fetch_offset = record.offset + 1
        yield Record(record.offset, record.timestamp, record.key, record.value)
