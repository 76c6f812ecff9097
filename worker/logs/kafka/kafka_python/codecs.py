"""The codecs with which producers compress batches: each is tried, and named if it fails.

The library needs a package for each of them but gzip. This depends on private names of its batches.
"""

from collections.abc import Callable
from typing import Any, Final

from kafka import codec
from kafka.errors import CorruptRecordError, UnsupportedCodecError

from worker.logs.kafka.client_errors import UnreadableBatch

_NAMES: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
"""By their numbers in a batch."""
_FORMAT: Final = 2
"""Batches of older formats have other names, and no transactions."""
_SAMPLE: Final = bytes(range(256)) * 300
_NOT_INSTALLED: Final = "no package for it is installed"

Coder = Callable[[bytes], bytes]


def broken_codecs() -> dict[str, str]:
    """Return the codecs whose batches this Python cannot read, and why."""
    codecs: dict[str, tuple[bool, Coder, Coder]] = {
        "gzip": (codec.has_gzip(), codec.gzip_encode, codec.gzip_decode),
        "snappy": (codec.has_snappy(), codec.snappy_encode, codec.snappy_decode),
        "lz4": (codec.has_lz4(), codec.lz4_encode, codec.lz4_decode),
        "zstd": (codec.has_zstd(), codec.zstd_encode, codec.zstd_decode),
    }
    found = {name: _problem(*coders) for name, coders in codecs.items()}
    return {name: problem for name, problem in found.items() if problem}


def _problem(installed: bool, encode: Coder, decode: Coder) -> str:
    if not installed:
        return _NOT_INSTALLED
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
        "walletwatch doctor tries each codec; if all work, the records are damaged."
    )
