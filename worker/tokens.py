"""Account tokens: keyed hashes that stand for an account outside the records about it."""

import hashlib
import hmac
from functools import lru_cache
from typing import Final

_HEX_DIGITS: Final = 16


class Tokens:
    """Makes tokens: key id, a dot, the first 16 hex digits of HMAC-SHA-256."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self._key_id = key_id
        self._key = key
        self.of = lru_cache(maxsize=10_000)(self._of)

    def _of(self, value: str) -> str:
        digest = hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()
        return f"{self._key_id}.{digest[:_HEX_DIGITS]}"


PUBLIC: Final = Tokens("public", b"walletwatch: the public key of replay and tests")
"""Hides nothing from who knows this file; gives the same tokens in every replay."""
