"""What somebody can find out who has published records, a list of all accounts, and this code.

The *guesser* has no key. It computes of every account all that the code can make of it without one,
or with a key that is public, and with every anchor there is; and the usual hashes, of the account
alone and together with every text of the records. It looks for the results among all that looks
like a hash. An account that it names can be named by anybody.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterator
from itertools import product
from typing import Final, NamedTuple
from zlib import crc32

from rules.incidents.lifecycle import incident_id
from rules.marks import Marks
from worker.detect.alerts import derived_id
from worker.engine.murmur2 import murmur2
from worker.tokens import PUBLIC, PUBLIC_KEY, Tokens

_DIGITS: Final = 12
"""Hex digits by which a hash is recognised: no two of some millions share them by accident."""
_HASH: Final = re.compile(rb"[0-9a-f]{%d,}" % _DIGITS)
_NUMBER: Final = re.compile(rb"(?<![\w.])-?\d{6,}(?![\w.])")
_NAME: Final = re.compile(rb'"\w+":')
_TEXT: Final = re.compile(rb"[\w.:@/+-]{2,}")
_PUBLIC_KEYS: Final = (b"", PUBLIC_KEY[1], b"public", PUBLIC.redelivery_key)
_PUBLIC: Final = [(Tokens(("public", key)), Marks("public", key)) for key in _PUBLIC_KEYS]

Digest = Callable[[bytes], bytes]


class Named(NamedTuple):
    """An account that can be named, and how."""

    account: str
    by: str


class Guesser:
    """Somebody without a key.

    Args:
        accounts: all that there are.
        anchors: of all alerts, whatever their rules.
        rules: the ids of all rules.
    """

    def __init__(
        self, accounts: Collection[str], anchors: Collection[str], rules: Collection[str]
    ) -> None:
        self._accounts = sorted(accounts)
        self._anchors = sorted(anchors)
        self._rules = sorted(rules)
        self._made: dict[str, list[str]] = {}

    def names(self, content: bytes) -> set[Named]:
        """Return the accounts that any content names to those who can compute."""
        hashes = _hashes_in(content)
        numbers = {int(each) for each in _NUMBER.findall(content)}
        found = {
            Named(account, by)
            for account in self._accounts
            for by, digits in self._guesses(account)
            if digits[:_DIGITS] in hashes
        }
        return found | {
            Named(account, by)
            for account in self._accounts
            for by, number in _numbers(account.encode())
            if number in numbers
        }

    def names_of_one(self, record: bytes) -> set[Named]:
        """Return the accounts that one record names, also together with the texts in it."""
        hashes = _hashes_in(record)
        texts = sorted({each.decode() for each in _TEXT.findall(_NAME.sub(b"", record))})
        found = {
            Named(account, by)
            for account in self._accounts
            for by, digits in self._guesses_with(account, texts)
            if digits[:_DIGITS] in hashes
        }
        return found | self.names(record)

    def _guesses(self, account: str) -> Iterator[tuple[str, str]]:
        """Yield (how it was made, hex digits)."""
        for tokens, marks in _PUBLIC:
            yield "token", tokens.of(account).partition(".")[2]
            yield "mark", marks.of(account).hex()
        for name, digest in _DIGESTS.items():
            yield name, digest(account.encode()).hex()
        yield from (("alert_id", each) for each in self._alert_ids(account))

    def _guesses_with(self, account: str, texts: Collection[str]) -> Iterator[tuple[str, str]]:
        for text in texts:
            if text.count(":") > 1:  # a dedup_key
                for alert_id in self._alert_ids(account):
                    yield "incident_id", incident_id(text, alert_id)
            for joined in _joined(account, text):
                for name in _OF_TWO:
                    yield f"{name} with another text", _DIGESTS[name](joined).hex()

    def _alert_ids(self, account: str) -> list[str]:
        if account not in self._made:
            self._made[account] = [
                derived_id(key, rule, account, anchor)
                for key in (b"", PUBLIC_KEY[1])
                for rule, anchor in product(self._rules, self._anchors)
            ]
        return self._made[account]


def _hashes_in(content: bytes) -> set[str]:
    return {each[:_DIGITS].decode() for each in _HASH.findall(content.lower())}


def _joined(account: str, text: str) -> Iterator[bytes]:
    for mark in ("\0", ""):
        yield f"{account}{mark}{text}".encode()
        yield f"{text}{mark}{account}".encode()
    yield f'["{account}", "{text}"]'.encode()
    yield f'["{text}", "{account}"]'.encode()


def _numbers(account: bytes) -> Iterator[tuple[str, int]]:
    yield "crc32", crc32(account)
    yield "murmur2", murmur2(account)
    yield "murmur2", murmur2(account) & 0x7FFFFFFF
    yield "blake2b", int.from_bytes(hashlib.blake2b(account, digest_size=7).digest()) + 1


def _blake2b(size: int, key: bytes = b"") -> Digest:
    return lambda text: hashlib.blake2b(text, digest_size=size, key=key[:64]).digest()


def _hmac(key: bytes) -> Digest:
    return lambda text: hmac.digest(key, text, "sha256")


_DIGESTS: Final[dict[str, Digest]] = {
    "md5": lambda text: hashlib.md5(text, usedforsecurity=False).digest(),
    "sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).digest(),
    "sha256": lambda text: hashlib.sha256(text).digest(),
    "sha512": lambda text: hashlib.sha512(text).digest(),
    **{f"blake2b of {size}": _blake2b(size) for size in (7, 8, 16, 24, 32, 64)},
    **{f"hmac {number}": _hmac(key) for number, key in enumerate(_PUBLIC_KEYS)},
    "blake2b, keyed": _blake2b(16, PUBLIC_KEY[1]),
}
_OF_TWO: Final = ("sha256", "blake2b of 16")
