"""Recognising redeliveries: the identity of an event among all of its account. Pure.

Identity is (input topic, account, event_id). An account keeps, per recent event, 128 bits of a hash
of topic and event_id, 64 bits of a hash of its content, and its occurred_at: 32 bytes in
one row. The same id with other content is a producer that reuses ids, not a redelivery.

Both hashes are keyed. Without the key a producer can neither find two ids that are taken for the
same, nor write other content that is taken for a redelivery and dropped.

The content is compared by its known fields. Rows of a release that knew fewer are recognised by
their id alone, since they do not cover what it did not know: the layout of the account says which
(`account.KNOWN_FIELDS_SINCE`). Rows of releases whose hashes were shorter and without a key are
compared as they were made (`unkeyed_ids`), until they are forgotten.

Both hashes are made when the event is decoded, while its fields are still in the processor's cache.
"""

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from rules.events import Event

Rows = TypeVar("Rows", bytes, bytearray)


class RowForm:
    """Rows of one form: hash of topic and event_id, hash of the content, occurred_at.

    Args:
        hash_bytes: of the hash of topic and event_id.
        content_bytes: of the hash of the content; all zero in a row that is recognised by its id
            alone.
    """

    def __init__(self, hash_bytes: int, content_bytes: int) -> None:
        self._row = struct.Struct(f">{hash_bytes}s{content_bytes}sq")
        self._any_content = bytes(content_bytes)
        self.size = self._row.size
        self.pack = self._row.pack
        self.id = slice(hash_bytes)
        """Where a row has the hash of its id."""
        self.content = slice(hash_bytes, hash_bytes + content_bytes)
        """Where a row has the hash of its content."""

    def known_as(self, ids: bytes | bytearray, identity: bytes, oldest: int) -> bool | None:
        """Return whether an event is among those remembered: same content True, other False.

        None: it is not. Rows with an occurred_at before `oldest` count as forgotten, whether or not
        they have been removed yet.
        """
        digest = identity[self.id]
        at = ids.find(digest)
        while at >= 0:
            if at % self.size == 0:
                _, content, occurred = self._row.unpack_from(ids, at)
                if occurred >= oldest:
                    return content in (self._any_content, identity[self.content])
            at = ids.find(digest, at + 1)
        return None

    def times(self, ids: bytes | bytearray) -> list[int]:
        """Return the occurred_at of every row."""
        return [row[2] for row in self._row.iter_unpack(ids)]

    def ids(self, rows: bytes) -> Iterator[bytes]:
        """Yield the hash of topic and event_id of every row."""
        return (row[0] for row in self._row.iter_unpack(rows))

    def without_old(self, ids: Rows, oldest: int) -> tuple[Rows, list[int]]:
        """Return the rows from the first one that is not before `oldest` on, and their times.

        So an old row that came late stays as long as those that came before it.
        """
        times = self.times(ids)
        gone = next((at for at, time in enumerate(times) if time >= oldest), len(times))
        return ids[gone * self.size :], times[gone:]

    def without_content(self, ids: bytes | bytearray) -> bytearray:
        """Return the rows so that each is recognised by its id alone."""
        any_content = self._any_content
        rows = (self.pack(row[0], any_content, row[2]) for row in self._row.iter_unpack(ids))
        return bytearray(b"".join(rows))


ROWS: Final = RowForm(hash_bytes=16, content_bytes=8)

_MANY_BYTES: Final = 100 * ROWS.size
_SEARCHES: Final = 8
"""As many searches cost about what the index does."""

_known_as, _pack, _id = ROWS.known_as, ROWS.pack, ROWS.id
_msgpack = msgspec.msgpack.Encoder(order="deterministic").encode
_json = msgspec.json.Encoder(order="deterministic").encode


def begun(topic: str, key: bytes) -> blake2b:
    """Return the hash of an id as far as all events of a topic have it in common.

    The key is in front of the text: of BLAKE2 that is as good as its own keyed mode, and a third
    cheaper for short texts.
    """
    return blake2b(key + topic.encode() + b"\0", digest_size=ROWS.id.stop)


def content_of(event: Event) -> bytes:
    """Return the content of an event in bytes that never change: saved rows hold their hash."""
    try:
        return _msgpack(event)
    except OverflowError:  # an amount needs more than the 64 bits of msgpack
        return _json(event)


def identity_of(begun: blake2b, event: Event) -> bytes:
    """Return the row that is remembered of an event."""
    hashed = begun.copy()
    hashed.update(event.event_id.encode())
    digest = hashed.digest()
    hashed.update(content_of(event))
    return _pack(digest, hashed.digest(), event.occurred_at)  # the first bytes of the second hash


class RecentIds:
    """Recognises the events of one account after the other, as `RowForm.known_as` does.

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
        """Return the same as `ROWS.known_as`; rows may be added to `ids` between two calls."""
        if len(ids) < _MANY_BYTES:
            return _known_as(ids, identity, oldest) if identity[_id] in ids else None
        if ids is not self._ids:
            self._ids, self._asked, self._index, self._indexed = ids, 0, {}, 0
        self._asked += 1
        if self._asked < _SEARCHES:
            return _known_as(ids, identity, oldest)
        for at in range(self._indexed, len(ids), ROWS.size):
            self._index[bytes(ids[at : at + ROWS.id.stop])] = at
        self._indexed = len(ids)
        found = self._index.get(identity[_id])
        if found is None:
            return None
        return _known_as(ids[found : found + ROWS.size], identity, oldest)
