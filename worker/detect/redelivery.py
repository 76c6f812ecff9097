"""Recognising redeliveries: the identity of an event among all of its account. Pure.

Identity is (input topic, account, event_id). An account keeps, per recent event, a 64-bit hash of
topic and event_id, a CRC of what the event says, and its occurred_at: 20 bytes in one row. The
same id with other content is a producer that reuses ids, not a redelivery.

The content is compared by its known fields. Rows of a release that knew fewer are recognised by
their id alone, since they do not cover what it did not know: the layout of the account says which
(`account.KNOWN_FIELDS_SINCE`).

Both hashes are made when the event is decoded, while its fields are still in the processor's cache.
"""

import struct
from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from rules.events import Event

_ANY_CONTENT: Final = 0
"""In place of the CRC of a row that is recognised by its id alone."""
_ROW: Final = struct.Struct(">8sIq")
"""Hash of topic and event_id, CRC of the content, occurred_at (milliseconds)."""
_HASH_BYTES: Final = 8

_MANY_BYTES: Final = 100 * _ROW.size
_SEARCHES: Final = 8
"""As many searches cost about what the index does."""

_pack, _unpack_from = _ROW.pack, _ROW.unpack_from
_msgpack = msgspec.msgpack.Encoder(order="deterministic").encode
_json = msgspec.json.Encoder(order="deterministic").encode


def begun(topic: str) -> blake2b:
    """Return the hash of an id as far as all events of a topic have it in common."""
    return blake2b(topic.encode() + b"\0", digest_size=_HASH_BYTES)


def identity_of(begun: blake2b, event: Event) -> bytes:
    """Return the 20 bytes that are remembered of an event."""
    digest = begun.copy()
    digest.update(event.event_id.encode())
    # What it says is in bytes that never change: rows of older releases hold their CRC.
    try:
        content = _msgpack(event)
    except OverflowError:  # an amount needs more than the 64 bits of msgpack
        content = _json(event)
    return _pack(digest.digest(), crc32(content) or 1, event.occurred_at)


def known_as(ids: bytearray, identity: bytes, oldest: int) -> bool | None:
    """Say whether the event is among those remembered: with this content True, with other False.

    None: it is not. Rows with an occurred_at before `oldest` count as forgotten, whether or not
    they have been removed yet.
    """
    digest = identity[:_HASH_BYTES]
    at = ids.find(digest)
    while at >= 0:
        if at % _ROW.size == 0:
            _, content, occurred = _unpack_from(ids, at)
            if occurred >= oldest:
                return content in (_ANY_CONTENT, _unpack_from(identity)[1])
        at = ids.find(digest, at + 1)
    return None


class RecentIds:
    """Recognises the events of one account after the other, as `known_as` does.

    Rows are searched through. For many events in a row of an account with many rows an index is
    made, which costs as much as some searches.
    """

    def __init__(self) -> None:
        self._ids = bytearray()
        self._asked = 0
        self._index: dict[bytes, int] = {}
        """Where the newest row of a hash is: of rows with the same, at most that one is in time."""
        self._indexed = 0

    def known_as(self, ids: bytearray, identity: bytes, oldest: int) -> bool | None:
        """Return the same as the function; rows may be added to `ids` between two calls."""
        if len(ids) < _MANY_BYTES:
            return known_as(ids, identity, oldest) if identity[:_HASH_BYTES] in ids else None
        if ids is not self._ids:
            self._ids, self._asked, self._index, self._indexed = ids, 0, {}, 0
        self._asked += 1
        if self._asked < _SEARCHES:
            return known_as(ids, identity, oldest)
        for at in range(self._indexed, len(ids), _ROW.size):
            self._index[bytes(ids[at : at + _HASH_BYTES])] = at
        self._indexed = len(ids)
        found = self._index.get(identity[:_HASH_BYTES])
        if found is None:
            return None
        return known_as(ids[found : found + _ROW.size], identity, oldest)


def without_old(ids: bytearray, oldest: int) -> tuple[bytearray, list[int]]:
    """Return the rows from the first one that is not before `oldest` on, and their times.

    So an old row that came late stays as long as those that came before it.
    """
    times = [row[2] for row in _ROW.iter_unpack(ids)]
    gone = next((at for at, time in enumerate(times) if time >= oldest), len(times))
    return ids[gone * _ROW.size :], times[gone:]


def without_content(ids: bytearray) -> bytearray:
    """Return the rows so that each is recognised by its id alone."""
    rows = (_pack(digest, _ANY_CONTENT, time) for digest, _, time in _ROW.iter_unpack(ids))
    return bytearray(b"".join(rows))
