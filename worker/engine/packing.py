"""Structures to bytes and back: msgpack, with an extension for integers beyond its 64 bits.

Only amounts are wider: 38 digits, of a currency with up to 18 decimals. Decoders of a type do not
take an extension for an integer: they decode what has one in two steps, the tree and then the type.

Releases before have saved a structure with such an integer as JSON. The first byte differs: one in
msgpack never begins with "{" or "[".
"""

from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw
from msgspec.msgpack import Ext

T = TypeVar("T")

_WIDE: Final = 1
"""Code of the extension: two's complement, the highest byte first."""
_LEAST, _MOST = -(2**63), 2**64 - 1
_BYTES: Final = (bytes, bytearray)
_TEXT = (b"{", b"[")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_encode_tree = (
    msgspec.msgpack.encode
)  # its maps are in order already, those of structures in theirs


def packed(value: Any) -> bytes:
    """Return the bytes of a structure; the same value always gives the same."""
    try:
        return _encode(value)
    except OverflowError:
        tree = msgspec.to_builtins(value, builtin_types=_BYTES, order="deterministic")
        return _encode_tree(_with_extensions(tree))


def _with_extensions(tree: Any) -> Any:
    """Return the tree with an extension in place of each integer that needs one."""
    of = type(tree)
    if of is int:
        return tree if _LEAST <= tree <= _MOST else _extension(tree)
    if of is list or of is tuple:
        return [_with_extensions(each) for each in tree]
    if of is dict:
        return {name: _with_extensions(each) for name, each in tree.items()}
    return tree


def _extension(wide: int) -> Ext:
    size = wide.bit_length() // 8 + 1  # one bit is the sign
    return Ext(_WIDE, wide.to_bytes(size, "big", signed=True))


def _integer(code: int, data: memoryview) -> int:
    if code != _WIDE:
        raise msgspec.ValidationError("an extension that is not known")
    return int.from_bytes(data, "big", signed=True)


_tree = msgspec.msgpack.Decoder(ext_hook=_integer).decode


def is_text(stored: bytes | memoryview | Raw) -> bool:
    """Return whether a release before has saved the structure as JSON."""
    return memoryview(stored)[:1] in _TEXT


class Unpacker(Generic[T]):
    """Reads back what `packed` of this or an older release has made of one type."""

    def __init__(self, of: type[T]) -> None:
        self._type = of
        # Where anything may be, an extension is an integer at once.
        self._msgpack = msgspec.msgpack.Decoder(of, ext_hook=_integer).decode
        self._json = msgspec.json.Decoder(of).decode

    def __call__(self, stored: bytes | memoryview | Raw) -> T:
        """Return the structure.

        Raises:
            msgspec.MsgspecError: the bytes are of another type.
        """
        try:
            return self._msgpack(stored)
        except msgspec.MsgspecError:
            if is_text(stored):
                return self._json(stored)
            return msgspec.convert(_tree(stored), self._type, builtin_types=_BYTES)
