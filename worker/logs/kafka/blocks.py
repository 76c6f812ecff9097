"""A task's states in its changelog: many keys in one record, because the client costs per record.

A *block* is one record: its key is its number, ever increasing, its value a sequence of entries
(key, bytes; no bytes: removed). The newest entry of a key counts. When the blocks hold more than
about twice as many entries as there are keys, each write also cleans: it takes the oldest block,
writes its entries that are still newest again, and a tombstone for its number. A removal in the
oldest block needs no entry any more: no older block can bring the key back.

To *erase* keys is to take every block that has an entry of them, whatever its place, and the block
with their removals too: once the topic is compacted, no record has these keys.

Written and cleaned in one transaction with the unit of work, so a crash can never see half of it;
compaction of the topic drops the tombstoned blocks.

Layout of a block: a msgpack list of its layout's number, the keys, in their order the values, and
what the commit notes beside them, which counts for the last commit only. Releases before that read
it too, and write none.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from operator import itemgetter
from typing import Final

import msgspec

from worker.engine.packing import Unpacker
from worker.engine.saved import damaged, numbered
from worker.errors import LogError

Key = bytes | None
"""None: the state of the task itself."""
Entry = tuple[Key, bytes]
Written = list[tuple[bytes, bytes | None]]
"""Records to append, in order: block number, and the block or a tombstone."""

_LAYOUT: Final = 1
_NAME_BYTES: Final = 8
_ENTRY_BYTES: Final = 10
"""The most that msgpack adds to a key and a value."""
_LIMIT: Final = 256 * 1024
_AMPLIFICATION: Final = 2
_FLOOR: Final = 1_000
"""Entries below which cleaning is not worth a block."""
_PACE: Final = 3
"""Entries cleaned per entry written. At an amplification of 2 half of what is cleaned is written
again, so 2 would just hold it; with 1 it would grow without end."""


class _Block(msgspec.Struct, array_like=True, gc=False):
    layout: int
    keys: msgspec.Raw
    """Packed, as they are kept in memory too: as objects each would cost 50 bytes more."""
    values: list[bytes]
    note: bytes = b""


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = Unpacker(_Block)
_decode_keys: Final = msgspec.msgpack.Decoder(list[Key]).decode
_NUMBER: Final = itemgetter(0)


class Blocks:
    """Which block holds the newest bytes of each key, and those bytes.

    `write` changes this before anything is committed: after a failed commit, restore anew.

    Args:
        limit: bytes of a block beyond which the next entry begins another.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._values: dict[Key, bytes] = {}
        self._where: dict[Key, int] = {}
        """Per key the block with its newest entry, also if that is a removal."""
        self._blocks: deque[tuple[int, int, bytes]] = deque()
        """Number, count of entries and packed keys of every block without a tombstone, oldest
        first."""
        self._next = 0
        self.note = b""
        """What the last commit noted; empty if nothing, or if there was none."""
        self.entries = 0
        """How many entries the blocks hold, newest or not."""

    def items(self) -> Iterator[Entry]:
        """Return (key, bytes) of every key that was not removed."""
        return iter(self._values.items())

    @property
    def meta(self) -> bytes | None:
        """The bytes of the key None."""
        return self._values.get(None)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written or applied."""
        return self._next == 0

    def write(
        self, changes: Mapping[Key, bytes], note: bytes = b"", erase: bool = False
    ) -> Written:
        """Take the new bytes of keys (none: remove it) and return what to append for them.

        Args:
            note: a note of the commit, which may be one without changes.
            erase: whether no older bytes of these keys may remain, nor a removed key itself.
        """
        records: Written = []
        keys = list(changes)
        self._keep(keys, changes.values())
        if erase:
            keys = [key for key in keys if changes[key]]
            keys += self._erase(changes, note, records)
        budget = _PACE * len(keys)
        while budget > 0 and self._is_due():
            number, count, _ = self._blocks[0]
            budget -= count
            keys += self._take(0, changes)
            records.append((_name(number), None))
        self.note = note
        records += self._append(keys, note)
        return records

    def _erase(
        self, changes: Mapping[Key, bytes], note: bytes, records: Written
    ) -> Collection[Key]:
        """Take all blocks with entries of these keys; return what must be written again.

        The removals come first, in blocks that go with the others: until the topic is compacted, a
        release that knows no tombstones but that of the oldest block restores the same.
        """
        erased = changes.keys() - {None}
        gone = [key for key in changes if not changes[key]]
        if gone:
            records += self._append(gone, note)
        places = [
            place
            for place, (_, _, packed) in enumerate(self._blocks)
            if not erased.isdisjoint(_decode_keys(packed))
        ]
        again: dict[Key, None] = {}
        tombstones: Written = [(_name(self._blocks[place][0]), None) for place in places]
        for place in reversed(places):
            again |= dict.fromkeys(self._take(place, changes))
        for key in gone:
            del self._where[key]
        records += tombstones
        return again

    def _append(self, keys: Sequence[Key], note: bytes) -> Written:
        """Put the newest bytes of keys into new blocks, at least one if there is a note."""
        records: Written = []
        values = list(map(self._values.get, keys, repeat(b"")))
        parts = list(_parts(keys, values, self._limit))
        if note and not parts:
            parts = [slice(0)]
        for part in parts:
            packed = _pack(keys[part])
            block = _Block(_LAYOUT, msgspec.Raw(packed), values[part], note)
            records.append((_name(self._next), _pack(block)))
            self._add(self._next, keys[part], packed)
        return records

    def apply(self, name: bytes | None, block: bytes | None) -> None:
        """Apply a record of the changelog, in order, to restore what was written.

        Raises:
            LogError: it is not a block, or a newer release has written it.
        """
        if name is None or len(name) != _NAME_BYTES:
            raise LogError("The changelog holds a record that walletwatch has not written.")
        number = int.from_bytes(name)
        if block is not None:
            packed, keys, values, self.note = _read(block)
            self._keep(keys, values)
            self._add(number, keys, packed)
        elif (place := self._place_of(number)) is not None:
            # What of it counts follows in later blocks of the same commit.
            for key in self._take(place):
                self._values.pop(key, None)
                self._where.pop(key, None)

    def _keep(self, keys: Iterable[Key], values: Collection[bytes]) -> None:
        self._values.update(zip(keys, values, strict=True))
        if not all(values):
            for key, value in zip(keys, values, strict=True):
                if not value:
                    del self._values[key]

    def _is_due(self) -> bool:
        return self.entries > _AMPLIFICATION * len(self._values) + _FLOOR

    def _add(self, number: int, keys: Sequence[Key], packed: bytes) -> None:
        self._where.update(dict.fromkeys(keys, number))
        self._blocks.append((number, len(keys), packed))
        self.entries += len(keys)
        self._next = number + 1

    def _place_of(self, number: int) -> int | None:
        """Return the place of a block; None if compaction has taken it."""
        place = bisect_left(self._blocks, number, key=_NUMBER)
        is_there = place < len(self._blocks) and self._blocks[place][0] == number
        return place if is_there else None

    def _take(self, place: int, changed: Collection[Key] = ()) -> list[Key]:
        """Forget a block and return the keys whose newest entry must be written again.

        A removal in the oldest block is none of them; one behind it is.
        """
        where, values = self._where, self._values
        number, count, packed = self._blocks[place]
        del self._blocks[place]
        self.entries -= count
        keys = _decode_keys(packed)
        newest = [key for key in keys if where.get(key) == number and key not in changed]
        if place > 0:
            return newest
        for key in newest:
            if key not in values:
                del where[key]
        return [key for key in newest if key in values]


def keys_of(block: bytes) -> list[Key]:
    """Return the keys of a block that this release has written."""
    return _read(block)[1]


def _name(number: int) -> bytes:
    return number.to_bytes(_NAME_BYTES)


def _parts(keys: Sequence[Key], values: Sequence[bytes], limit: int) -> Iterator[slice]:
    """Split entries into blocks of at most `limit` bytes; a larger entry has one of its own."""
    sizes = (
        len(key or b"") + len(value) + _ENTRY_BYTES for key, value in zip(keys, values, strict=True)
    )
    ends = list(accumulate(sizes))
    start = before = 0
    while start < len(ends):
        end = max(start + 1, bisect_right(ends, before + limit, start))
        yield slice(start, end)
        start, before = end, ends[end - 1]


def _read(stored: bytes) -> tuple[bytes, list[Key], list[bytes], bytes]:
    """Return keys (packed, and as a list), values and note of a block.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    block = numbered(_unpack, stored, "a block of the changelog", _LAYOUT)
    try:
        packed = bytes(block.keys)
        keys = _decode_keys(packed)
    except msgspec.MsgspecError as error:
        raise damaged("a block of the changelog") from error
    if len(keys) != len(block.values):
        raise damaged("a block of the changelog")
    return packed, keys, block.values, block.note
