"""Marks: short keyed hashes that stand for devices, sessions and payees in saved state. Pure.

State must distinguish a known device from a new one without holding its name. During a rotation of
the key two keys are active: what is known under the former one is recognised, and marked anew.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

MARK_BYTES: Final = 6
_CACHED: Final = 1 << 16
_LONGEST_KEY: Final = 64


class Marks:
    """Makes marks with one key, and with the former one while it is still active.

    Args:
        key_id: names the key; saved with what was marked.
        key: the secret; of a longer one the first 64 bytes count.
        former: id and secret of the key before it, during a rotation.
    """

    __slots__ = ("former_id", "former_of", "key_id", "of")

    def __init__(self, key_id: str, key: bytes, former: tuple[str, bytes] | None = None) -> None:
        self.key_id = key_id
        self.former_id = former[0] if former else ""
        self.of: Callable[[str], bytes] = _marker(key)
        self.former_of: Callable[[str], bytes] | None = _marker(former[1]) if former else None


def _marker(key: bytes) -> Callable[[str], bytes]:
    keyed = blake2b(key=key[:_LONGEST_KEY], digest_size=MARK_BYTES)

    def mark(text: str) -> bytes:
        state = keyed.copy()
        state.update(text.encode())
        return state.digest()

    return lru_cache(maxsize=_CACHED)(mark)


PUBLIC: Final = Marks("public", b"walletwatch: the public key of replay and tests")
"""Hides nothing from who knows this file; gives the same marks in every replay."""
