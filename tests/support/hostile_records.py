"""Records that a hostile or broken producer writes between those of others. All from a seed."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from schemas.topics import DETECT_INPUTS
from tests.support.events.mutations import KIND_OF, mutants
from tests.support.producer import PARTITIONS
from worker.engine.murmur2 import partition_of
from worker.engine.records import Headers, NewRecord

_KIB: Final = 1024
_OVERSIZED: Final = 0.05
"""The share of records that are larger than an event may be."""

_SIZES: Final = (300 * _KIB, 900 * _KIB, 1024 * _KIB, 2_500 * _KIB)
"""Bytes: above what an event may have; below, at and above what the dead letters take."""
_DAY: Final = b'"occurred_at":"2026-03-02T'
"""When mutants occur, unless that was changed."""


class OddName(str):
    """The name of a header that is sent as bytes which are no UTF-8."""

    __slots__ = ()

    def encode(self, *arguments: Any) -> bytes:
        """Return the bytes that are sent."""
        return b"\xff\xfe" + super().encode("utf-8")


_NAMES: Final = ("dlq_reason", "dlq_offset", "", "n\u00e4me", "\x1b[31m", OddName("name"))

Change = Callable[[NewRecord, Random], NewRecord]


def as_read(record: NewRecord) -> NewRecord:
    """Return a record as a log shows it once it was sent."""
    headers = tuple(
        (name.encode().decode(errors="backslashreplace"), value) for name, value in record.headers
    )
    return NewRecord(record.topic, record.key, record.value, record.partition, headers)


def hostile_records(
    seed: int, count: int, others: Sequence[Sequence[NewRecord]]
) -> Iterator[NewRecord]:
    """Yield records of which most are bad; some have ids of other streams, none is in these.

    None is of a later time than what the streams have at about the same place.
    """
    rng = Random(seed)
    for place, (kind, account, value) in enumerate(mutants(count, seed)):
        key = account.encode()
        number = partition_of(key, PARTITIONS)
        mutant = NewRecord(DETECT_INPUTS[KIND_OF[kind]], key, value, number)
        if b"{" in value and _DAY not in value:
            mutant = replace(mutant, value=_noise(rng))
        if rng.random() < _OVERSIZED:
            record = rng.choice(_LARGE)(mutant, rng)
        elif rng.random() < 0.2:
            stream = rng.choice(others)
            known = stream[max(0, len(stream) * place // count - len(stream) // 20)]
            record = rng.choice(_FORGED)(known, rng)
        else:
            record = rng.choice(_ODD)(mutant, rng)
        # The client sends none without both.
        yield record if record.key or record.value else replace(record, value=b"neither")


# -- one thing done to a record -----------------------------------------------------------


def _noise(rng: Random) -> bytes | None:
    return rng.choice((None, b"", b"\0", b"\xff\xfe", rng.randbytes(rng.randrange(99))))


def _headers(rng: Random) -> Headers:
    many = rng.choice((1, 2, 300))
    return tuple(
        (rng.choice(_NAMES), rng.choice((b"", b"\xff", rng.randbytes(9)))) for _ in range(many)
    )


def _as_it_is(record: NewRecord, rng: Random) -> NewRecord:
    return record


def _odd_key(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, key=_noise(rng))


def _odd_value(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, value=_noise(rng), headers=_headers(rng))


def _odd_headers(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, headers=_headers(rng))


def _large_value(record: NewRecord, rng: Random) -> NewRecord:
    value = (record.value or b"").ljust(rng.choice(_SIZES))
    return replace(record, value=value)


def _large_key(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, key=b"k" * rng.choice(_SIZES))


def _large_header(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, value=b"bad", headers=(("large", b"h" * rng.choice(_SIZES)),))


def _reused_id(record: NewRecord, rng: Random) -> NewRecord:
    value = (record.value or b"").removesuffix(b"}") + b',"channel":"forged"}'
    return replace(record, value=value)


def _elsewhere(record: NewRecord, rng: Random) -> NewRecord:
    return replace(
        record, partition=((record.partition or 0) + 1) % PARTITIONS, headers=_headers(rng)
    )


def _null(record: NewRecord, rng: Random) -> NewRecord:
    return replace(record, value=None)


_ODD: Final[Sequence[Change]] = (_as_it_is, _odd_key, _odd_value, _odd_headers)
_LARGE: Final[Sequence[Change]] = (_large_value, _large_value, _large_key, _large_header)
_FORGED: Final[Sequence[Change]] = (_reused_id, _elsewhere, _null)
