"""Account tokens: keyed hashes that replace an account_id outside the records about it.

During a rotation two keys are active: new tokens are made with the present one, and what was named
by the former one is still found. Tasks keep other keys, which are derived from one, for life.
"""

import hashlib
import hmac
from functools import lru_cache
from typing import Final

from rules.marks import Marks

_HEX_DIGITS: Final = 16

_REDELIVERY: Final = b"walletwatch: the key of hashes of recent ids"
_IDS: Final = b"walletwatch: the key of ids\xff"  # no text is encoded so: no token begins like it

Key = tuple[str, bytes]
"""(key id, secret)"""


class Tokens:
    """Makes tokens: key id, a dot, the first 16 hex digits of HMAC-SHA-256.

    Args:
        key: what new tokens are made with.
        former: the key before it, while it is active.
        redelivery_key: see the attribute; None: made from the key.

    Attributes:
        redelivery_key: 32 bytes for the hashes by which a task that begins recognises
            redeliveries. It keeps them, whatever key comes later.
        id_key: 32 bytes for the ids of alerts that a task raises. It keeps those of the first
            secret key. Empty: the key is public, and so is how ids are made.
    """

    def __init__(
        self, key: Key, former: Key | None = None, redelivery_key: bytes | None = None
    ) -> None:
        self._former = former
        self.redelivery_key = redelivery_key or hmac.digest(key[1], _REDELIVERY, hashlib.sha256)
        is_public = key[1] == PUBLIC_KEY[1]
        self.id_key = b"" if is_public else hmac.digest(key[1], _IDS, hashlib.sha256)
        self.marks = Marks(*key, former)
        self.of = lru_cache(maxsize=10_000)(lambda value: _token(key, value))

    def all_of(self, value: str) -> tuple[str, ...]:
        """Return the tokens of a value under every active key, the present one first."""
        former = () if self._former is None else (_token(self._former, value),)
        return (self.of(value), *former)


def _token(key: Key, value: str) -> str:
    key_id, secret = key
    digest = hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()
    return f"{key_id}.{digest[:_HEX_DIGITS]}"


PUBLIC_KEY: Final[Key] = ("public", b"walletwatch: the public key of replay and tests")
PUBLIC: Final = Tokens(PUBLIC_KEY)
"""Hides nothing from who knows this file; gives the same tokens in every replay."""
