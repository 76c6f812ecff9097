"""Batches decoded in the lean way and in the client's own hold the same records."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.codec import has_gzip, has_lz4, has_snappy, has_zstd
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from worker.engine.records import Record
from worker.logs.kafka.kafka_python import decode as lean
from worker.logs.kafka.kafka_python.decode import as_record, decode_lean

AT = TopicPartition("topic", 0)
Row = tuple[int, bytes | None, bytes | None, list[tuple[str, Any]]]
"""Timestamp, key, value, headers."""

ROWS: list[Row] = [
    (1_000, b"key", b"value", []),
    (1_001, None, b"value", [("a", b"1")]),
    (900, b"key", None, [("a", b""), ("b", b"2"), ("ü", b"\xff" * 200)]),
    (1_700_000_000_000, b"", b"", []),
    (1_000, b"k" * 64, b"v", []),
    (1_000, b"k" * 200, b"v" * 63, []),
    (1_000, b"key", b"v" * 64, []),
    (1_000, b"key", b"v" * 1_000_000, []),
]


@pytest.fixture(autouse=True)
def stock_afterwards() -> Iterator[None]:
    yield
    decode_lean(False)


def batch(
    rows: Sequence[Row],
    base: int = 0,
    codec: int = 0,
    *,
    producer: int = -1,
    transactional: bool = False,
    gaps: bool = False,
) -> bytes:
    """One batch of format 2; with gaps, each second offset is missing, as after compaction."""
    builder = DefaultRecordBatchBuilder(2, codec, int(transactional), producer, 0, 0, 1 << 24)
    for number, (timestamp, key, value, headers) in enumerate(rows):
        builder.append(number * (1 + gaps), timestamp, key, value, headers)
    data = bytearray(builder.build())
    data[0:8] = base.to_bytes(8, "big")
    return bytes(data)


def marker(base: int, producer: int, commit: bool) -> bytes:
    """A control batch that ends a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, producer, 0, -1, 1 << 10)
    builder.append(0, 1_000, b"\0\0\0" + bytes([commit]), b"\0\0\0\0\0\0", [])
    data = bytearray(builder.build())
    data[0:8] = base.to_bytes(8, "big")
    return sealed(data, attributes=0x30)


def sealed(data: bytearray, attributes: int | None = None) -> bytes:
    """The batch with its attributes set, and a checksum that is right."""
    if attributes is not None:
        data[21:23] = attributes.to_bytes(2, "big")
    data[17:21] = kafka.record.util.calc_crc32c(memoryview(data)[21:]).to_bytes(4, "big")
    return bytes(data)


class Aborted:
    """A transaction that the broker tells of as aborted."""

    def __init__(self, producer_id: int, first_offset: int) -> None:
        self.producer_id = producer_id
        self.first_offset = first_offset


def taken(
    data: bytes, offset: int = 0, aborted: Sequence[Aborted] = (), take: int = 1 << 30
) -> tuple[Any, ...]:
    """What the client makes of fetched bytes: records, then offset and epoch of the next fetch."""
    fetched = Fetcher.PartitionRecords(
        offset,
        AT,
        MemoryRecords(data),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=list(aborted),
    )
    try:
        records = fetched.take(take)
        fetched._maybe_raise_next_inline_exception()
    except CorruptRecordError:
        return ("corrupt",)
    return [as_record(each) for each in records], fetched.next_fetch_offset, fetched.leader_epoch


def both(*arguments: Any, **named: Any) -> tuple[Any, Any]:
    decode_lean(False)
    stock = taken(*arguments, **named)
    assert decode_lean(True)
    return stock, taken(*arguments, **named)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_one_record(row: Row) -> None:
    """Keys, values and headers of every kind."""
    stock, own = both(batch([row]))
    assert own == stock
    assert own[0] == [Record(0, row[0], row[1], row[2], tuple(row[3]))]


@pytest.mark.parametrize(
    ("name", "read"),
    [(b"\xff", "\\xff"), (b"a\xc3", "a\\xc3"), (b"\xed\xa0\x80", "\\xed\\xa0\\x80"), (b"", "")],
)
@pytest.mark.parametrize("stamped", [True, False])
def test_a_header_may_have_any_name_and_no_value(name: bytes, read: str, stamped: bool) -> None:
    """Else such a record would stop its partition for good."""
    place = "N" * (len(name) or 1)
    rows: list[Row] = [
        (1_000, b"key", b"value", [("a", b"1"), (place, b"2"), ("b", None)]),
        (1_005, None, None, []),
    ]
    data = bytearray(batch(rows, 7))
    if name:
        data = data.replace(place.encode(), name)
    else:
        rows[0][3][1] = ("", b"2")
        data = bytearray(batch(rows, 7))
    stock, own = both(sealed(data, 0x08 if stamped else None))
    assert own == stock
    headers = (("a", b"1"), (read, b"2"), ("b", b""))
    times = (1_005, 1_005) if stamped else (1_000, 1_005)
    assert own[0] == [
        Record(7, times[0], b"key", b"value", headers),
        Record(8, times[1], None, None),
    ]


def test_hundreds_of_headers() -> None:
    headers = [(f"name-{n}", b"v" * n) for n in range(700)]
    stock, own = both(batch([(1_000, b"k", b"v", headers)]))
    assert own == stock
    assert own[0][0].headers == tuple(headers)


CODECS = {0: True, 1: has_gzip(), 2: has_snappy(), 3: has_lz4(), 4: has_zstd()}
"""By their number in a batch: whether they are installed."""


@pytest.mark.parametrize("codec", [codec for codec, installed in CODECS.items() if installed])
def test_many_records_in_many_batches(codec: int) -> None:
    """With every codec that is installed."""
    stock, own = both(batch(ROWS, 0, codec) + batch(ROWS, 100, codec))
    assert own == stock
    assert len(own[0]) == 2 * len(ROWS)


def test_log_append_time() -> None:
    """Then each record has the time of its batch."""
    data = sealed(bytearray(batch(ROWS[:3])), attributes=0x08)
    stock, own = both(data)
    assert own == stock
    assert {record.append_time for record in own[0]} == {1_001}


@pytest.mark.parametrize("offset", [0, 1, 5, 7, 100, 103])
def test_a_fetch_that_begins_in_the_middle(offset: int) -> None:
    """Of a compressed batch: what is before is skipped."""
    stock, own = both(batch(ROWS, 0, 1) + batch(ROWS, 100, 1), offset)
    assert own == stock
    assert own[0][0].offset == offset


@pytest.mark.parametrize("take", [1, 3, 8, 9])
def test_taking_only_some(take: int) -> None:
    """The next fetch begins after what was taken."""
    stock, own = both(batch(ROWS, 0) + batch(ROWS, 100), take=take)
    assert own == stock
    assert len(own[0]) == take


def test_gaps_of_compaction() -> None:
    """Offsets as stored; the next fetch begins after the last offset the batch ever had."""
    data = bytearray(batch(ROWS[:3], 50, gaps=True))
    data[23:27] = (9).to_bytes(4, "big")
    stock, own = both(sealed(data))
    assert own == stock
    assert [record.offset for record in own[0]] == [50, 52, 54]
    assert own[1] == 60


def test_transactions() -> None:
    """Interleaved ones: of the aborted one nothing is seen, nor any marker."""
    data = b"".join(
        [
            batch(ROWS[:2], 0, producer=1, transactional=True),
            batch(ROWS[:3], 10, producer=2, transactional=True),
            batch(ROWS[:1], 20),
            marker(21, 1, commit=False),
            marker(22, 2, commit=True),
            batch(ROWS[:2], 30, producer=1, transactional=True),
            marker(32, 1, commit=True),
        ]
    )
    stock, own = both(data, aborted=[Aborted(1, 0)])
    assert own == stock
    assert [record.offset for record in own[0]] == [10, 11, 12, 20, 30, 31]
    assert own[1] == 33


def test_old_message_formats() -> None:
    """Go the client's way, one by one."""
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 16)
    builder.append(0, 1_000, b"key", b"value")
    builder.append(1, 1_001, None, b"other")
    stock, own = both(bytes(builder.build()))
    assert own == stock
    assert [record.value for record in own[0]] == [b"value", b"other"]


@given(st.data())
def test_garbled_batches(data: st.DataObject) -> None:
    """With a right checksum and any byte wrong: the same records, or the same error."""
    garbled = bytearray(batch(ROWS[:7]))
    for _ in range(data.draw(st.integers(1, 3))):
        garbled[data.draw(st.integers(61, len(garbled) - 1))] = data.draw(st.integers(0, 255))
    stock, own = both(sealed(garbled))
    # The client reads the attribute byte, of which nothing is defined, as a number of any length;
    # and it gives the records before the garbled one, where the lean way gives none of the batch.
    assert own == stock or "corrupt" in (own[0], stock[0])


def test_a_wrong_checksum_is_an_error() -> None:
    """Whatever the bytes mean."""
    data = bytearray(batch(ROWS[:2]))
    data[-1] ^= 1
    assert both(bytes(data)) == (("corrupt",), ("corrupt",))


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_truncated_batch(cut: int) -> None:
    """Is left for the next fetch."""
    stock, own = both(batch(ROWS[:2]) + batch(ROWS[:2], 2)[:-cut])
    assert own == stock
    assert len(own[0]) == 2


def test_a_short_count_is_an_error() -> None:
    """Bytes that no record accounts for."""
    data = bytearray(batch(ROWS[:2]))
    data[57:61] = (1).to_bytes(4, "big")
    _, own = both(sealed(data))
    assert own == ("corrupt",)


def test_another_version_decodes_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so, once."""
    monkeypatch.setattr(kafka, "__version__", "3.0.13")
    with caplog.at_level(logging.WARNING):
        assert not decode_lean(True)
    assert "3.0.13" in caplog.text
    assert Fetcher.PartitionRecords._unpack_records is lean._unpack_stock


def test_a_failing_self_test_means_the_clients_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the right version."""
    monkeypatch.setattr(lean, "decode", lambda _: [])
    assert not decode_lean(True)
    assert Fetcher.PartitionRecords._unpack_records is lean._unpack_stock


def test_the_switch_turns_it_off() -> None:
    """Without a word."""
    assert decode_lean(True)
    assert not decode_lean(False)
    assert Fetcher.PartitionRecords._unpack_records is lean._unpack_stock
