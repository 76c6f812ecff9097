"""Batches of every codec are read; one that cannot be is named, in both ways of decoding."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import TopicPartition, codec
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.worker.logs.kafka.kafka_python.test_lean_decode import sealed
from worker.logs.kafka.client_errors import UnreadableBatch
from worker.logs.kafka.kafka_python.codecs import broken_codecs
from worker.logs.kafka.kafka_python.decode import as_record, decode_lean

AT = TopicPartition("topic", 3)
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
VALUE = b"value" * 100
ALL_WORK = "walletwatch doctor tries each codec; if all work, the records are damaged."


@pytest.fixture(params=[True, False], ids=["lean", "stock"])
def lean(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Each way of decoding."""
    assert decode_lean(request.param) == request.param
    yield request.param
    decode_lean(False)


def batch(number: int, base: int, records: int = 3) -> bytes:
    """A batch of format 2, compressed with the codec of this number."""
    builder = DefaultRecordBatchBuilder(2, number, 0, -1, -1, -1, 1 << 20)
    for delta in range(records):
        builder.append(delta, 1_000, b"key", VALUE, [])
    data = bytearray(builder.build())
    data[0:8] = base.to_bytes(8, "big")
    return bytes(data)


def read(data: bytes) -> list[Any]:
    """What a consumer makes of fetched bytes that begin at offset 0."""
    fetched = Fetcher.PartitionRecords(0, AT, MemoryRecords(data))
    records = fetched.take()
    fetched._maybe_raise_next_inline_exception()
    return [as_record(each) for each in records]


def fail(*_: Any) -> bytes:
    """What a broken codec does."""
    raise RuntimeError("it failed")


def missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the package of a codec not be installed."""
    monkeypatch.setattr(codec, f"has_{name}", lambda: False)


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_is_read(name: str, lean: bool) -> None:
    """What runs here has a package for each."""
    assert [each.value for each in read(batch(CODECS[name], 0))] == [VALUE] * 3


@pytest.mark.parametrize("name", ["snappy", "lz4", "zstd"])
def test_a_missing_codec_is_named(name: str, lean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With topic, partition and offsets; records before it are returned first."""
    data = batch(0, 0) + batch(CODECS[name], 40, 5)
    missing(monkeypatch, name)
    with pytest.raises(UnreadableBatch) as caught:
        read(data)
    assert str(caught.value) == (
        f"topic/3: the records at offsets 40 to 44 are compressed with {name} and cannot be "
        f"uncompressed (no package for it is installed). {ALL_WORK}"
    )


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_that_fails_is_named(
    name: str, lean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever error it fails."""
    monkeypatch.setattr(f"kafka.record.default_records.{name}_decode", fail)
    with pytest.raises(UnreadableBatch) as caught:
        read(batch(CODECS[name], 7))
    assert f"topic/3: the records at offsets 7 to 9 are compressed with {name}" in str(caught.value)
    assert "(RuntimeError('it failed')). " in str(caught.value)


@pytest.mark.parametrize("name", CODECS)
def test_damaged_records_are_named(name: str, lean: bool) -> None:
    """Bytes with a right checksum that no codec has made: a producer may have written them."""
    whole = bytearray(batch(CODECS[name], 7))
    whole[61:] = bytes(byte ^ 0x55 for byte in whole[61:])
    with pytest.raises(UnreadableBatch, match=f"offsets 7 to 9 are compressed with {name}"):
        read(sealed(whole))


def test_a_codec_of_the_future_is_named(lean: bool) -> None:
    """By its number."""
    with pytest.raises(UnreadableBatch, match="offsets 7 to 9 are compressed with codec 5 "):
        read(sealed(bytearray(batch(0, 7)), attributes=5))


def test_other_errors_stay_as_they_are(lean: bool) -> None:
    """A wrong checksum is none of a codec, whether the batch is compressed or not."""
    for number in (0, 1):
        damaged = bytearray(batch(number, 7))
        damaged[-1] ^= 1
        with pytest.raises(CorruptRecordError, match="failed crc check"):
            read(bytes(damaged))


def test_all_codecs_work_here() -> None:
    """This is what doctor asks."""
    assert broken_codecs() == {}


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "no package for it is installed": lambda patch: missing(patch, "zstd"),
    "RuntimeError('it failed')": lambda patch: patch.setattr(codec, "zstd_decode", fail),
    "it gives other bytes back": lambda patch: patch.setattr(codec, "zstd_decode", bytes),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_codec_is_found(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others work on."""
    BROKEN[why](monkeypatch)
    assert broken_codecs() == {"zstd": why}
