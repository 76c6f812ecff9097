"""The codecs with which producers compress batches: each is tried, and named if it fails.

The library needs a package for each of them but gzip. This depends on private names of its batches.
"""

from typing import Any, Final, NamedTuple

from kafka import codec
from kafka.errors import CorruptRecordError, UnsupportedCodecError

from worker.logs.kafka.client_errors import UnreadableBatch


class Codec(NamedTuple):
    """One codec of Kafka."""

    number: int
    """In a batch."""
    package: str
    """What reads it."""


CODECS: Final = {
    "gzip": Codec(1, "a Python with zlib"),
    "snappy": Codec(2, "python-snappy"),
    "lz4": Codec(3, "lz4"),
    "zstd": Codec(4, "zstandard"),
}
_NAMES: Final = {each.number: name for name, each in CODECS.items()}
_FORMAT: Final = 2
"""Batches of older formats have other names, and no transactions."""
_SAMPLE: Final = bytes(range(256)) * 300
_NOT_INSTALLED: Final = "no package for it is installed"


def broken_codecs() -> dict[str, str]:
    """Return the codecs whose batches this Python cannot read, and why."""
    found = {name: _problem(name) for name in CODECS}
    return {name: problem for name, problem in found.items() if problem}


def _problem(name: str) -> str:
    if not getattr(codec, f"has_{name}")():
        return _NOT_INSTALLED
    encode, decode = getattr(codec, f"{name}_encode"), getattr(codec, f"{name}_decode")
    try:
        same = decode(encode(_SAMPLE)) == _SAMPLE
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        return repr(error)
    return "" if same else "it gives other bytes back"


class Batches:
    """The batches of one fetch, and the last one that was taken."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.last: Any = None

    def next_batch(self) -> Any:
        """Return the next batch; None if there is none."""
        self.last = batch = self._records.next_batch()
        return batch


def uncompress(batch: Any, at: Any) -> None:
    """Uncompress a batch of a partition.

    Raises:
        UnreadableBatch: its codec is missing or broken, or the batch is damaged.
    """
    try:
        batch._maybe_uncompress()
    except Exception as error:
        raise unreadable(batch, at, error) from error


def unreadable(batch: Any, at: Any, error: Exception) -> Exception:
    """Return the error that names the batch if it could not be uncompressed, else `error`."""
    if isinstance(error, CorruptRecordError) or batch is None or batch.magic < _FORMAT:
        return error
    if not batch.compression_type or batch._decompressed:
        return error
    name = _NAMES.get(batch.compression_type, f"codec {batch.compression_type}")
    why = _NOT_INSTALLED if isinstance(error, UnsupportedCodecError) else repr(error)
    return UnreadableBatch(
        f"{at.topic}/{at.partition}: the records at offsets {batch.base_offset} to "
        f"{batch.last_offset} are compressed with {name} and cannot be uncompressed ({why}). "
        "walletwatch doctor tries each codec; if all work, the records are damaged.",
        at.topic,
        at.partition,
        batch.base_offset,
        batch.last_offset,
    )
