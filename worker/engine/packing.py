"""Structures to bytes and back: msgpack, or JSON where an integer needs more than 64 bits.

Only amounts do: 18 digits of a currency with 18 decimals. The first byte differs between the two: a
structure never begins with "{" or "[" in msgpack.
"""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

_msgpack = msgspec.msgpack.Encoder(order="deterministic").encode
_json = msgspec.json.Encoder(order="deterministic").encode
_TEXT = (b"{", b"[")


def packed(value: Any) -> bytes:
    """Return the bytes of a structure; the same value always gives the same."""
    try:
        return _msgpack(value)
    except OverflowError:
        return _json(value)


def is_text(stored: bytes | memoryview | msgspec.Raw) -> bool:
    """Return whether a structure was packed as JSON."""
    return memoryview(stored)[:1] in _TEXT


class Unpacker(Generic[T]):
    """Reads back what `packed` has made of one type."""

    def __init__(self, of: type[T]) -> None:
        self._msgpack = msgspec.msgpack.Decoder(of).decode
        self._json = msgspec.json.Decoder(of).decode

    def __call__(self, stored: bytes | memoryview | msgspec.Raw) -> T:
        """Return the structure.

        Raises:
            msgspec.MsgspecError: the bytes are of another type.
        """
        try:
            return self._msgpack(stored)
        except msgspec.MsgspecError:
            if not is_text(stored):
                raise
            return self._json(stored)
