"""A task's states in its changelog: many keys in one record, because the client costs per record.

A *block* is one record: its key is its number, ever increasing, its value a sequence of entries
(key, bytes; no bytes: removed). The newest entry of a key counts. When the blocks hold more than
about twice as many entries as there are keys, each write also cleans: it takes the oldest block,
writes its entries that are still newest again, and a tombstone for its number. Being oldest, what
it removed needs no mention any more: nothing older can bring it back.

Written and cleaned in one transaction with the unit of work, so a crash can never see half of it;
compaction of the topic drops the tombstoned blocks.

Layout of a block: version (1 byte), count (4 bytes), the length of every key, then of every value
(4 bytes each, little-endian; all ones: the key is None), then keys and values one after the other.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from struct import Struct, error, pack, unpack_from
from typing import Final

from worker.errors import LogError

Key = bytes | None
"""None: what is kept of the task itself."""
Entry = tuple[Key, bytes]
Written = list[tuple[bytes, bytes | None]]
"""Records to append, in order: block number, and the block or a tombstone."""

_HEAD: Final = Struct("<BI")
_VERSION: Final = 1
_NO_KEY: Final = 0xFFFF_FFFF
_NAME_BYTES: Final = 8
_ENTRY_BYTES: Final = 8
_LIMIT: Final = 256 * 1024
_AMPLIFICATION: Final = 2
_FLOOR: Final = 1_000
"""Entries below which cleaning is not worth a block."""
_PACE: Final = 3
"""Entries cleaned per entry written. At an amplification of 2 half of what is cleaned is written
again, so 2 would just hold it; with 1 it would grow without end."""


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
        """Per key the block with its newest entry, also where that says: removed."""
        self._blocks: deque[tuple[int, Sequence[Key]]] = deque()
        """Number and keys of every block that has no tombstone, oldest first."""
        self._next = 0
        self.entries = 0
        """How many entries the blocks hold, newest or not."""

    def items(self) -> Iterator[Entry]:
        """Return (key, bytes) of every key that was not removed."""
        return iter(self._values.items())

    @property
    def meta(self) -> bytes | None:
        """The bytes of the key None."""
        return self._values.get(None)

    def write(self, changes: Mapping[Key, bytes]) -> Written:
        """Take the new bytes of keys (none: remove it) and return what to append for them."""
        records: Written = []
        entries = list(changes.items())
        self._keep(entries)
        budget = _PACE * len(entries)
        while budget > 0 and self._is_due():
            number, keys = self._blocks.popleft()
            self.entries -= len(keys)
            budget -= len(keys)
            entries += self._still_newest(number, keys, changes)
            records.append((_name(number), None))
        for block in _parts(entries, self._limit):
            records.append((_name(self._next), _encode(block)))
            self._add(self._next, [key for key, _ in block])
        return records

    def apply(self, name: bytes | None, block: bytes | None) -> None:
        """Take a record of the changelog, in order, to restore what was written.

        Raises:
            LogError: it is no block, or one of a newer release.
        """
        if name is None or len(name) != _NAME_BYTES:
            raise LogError("The changelog holds a record that walletwatch has not written.")
        number = int.from_bytes(name)
        if block is None:
            self._drop(number)
        else:
            entries = _decode(block)
            self._keep(entries)
            self._add(number, [key for key, _ in entries])

    def _keep(self, entries: list[Entry]) -> None:
        values = self._values
        for key, value in entries:
            if value:
                values[key] = value
            else:
                values.pop(key, None)

    def _is_due(self) -> bool:
        return self.entries > _AMPLIFICATION * len(self._values) + _FLOOR

    def _add(self, number: int, keys: list[Key]) -> None:
        self._where.update(dict.fromkeys(keys, number))
        self._blocks.append((number, keys))
        self.entries += len(keys)
        self._next = number + 1

    def _still_newest(
        self, number: int, keys: Sequence[Key], changed: Mapping[Key, bytes]
    ) -> list[Entry]:
        """Return the entries of a cleaned block that must be written again."""
        where, values = self._where, self._values
        kept = []
        for key in keys:
            if where[key] == number and key not in changed:
                if key in values:
                    kept.append((key, values[key]))
                else:
                    del where[key]
        return kept

    def _drop(self, number: int) -> None:
        """Forget a tombstoned block: what counted of it is written again in what follows."""
        for position, (each, keys) in enumerate(self._blocks):
            if each == number:
                del self._blocks[position]
                self.entries -= len(keys)
                for key in keys:
                    if self._where[key] == number:
                        del self._where[key]
                        self._values.pop(key, None)
                return


def _name(number: int) -> bytes:
    return number.to_bytes(_NAME_BYTES)


def _parts(entries: list[Entry], limit: int) -> Iterator[list[Entry]]:
    """Split entries into blocks of at most `limit` bytes; a larger entry has one of its own."""
    start = size = 0
    for index, (key, value) in enumerate(entries):
        bytes_ = len(key or b"") + len(value) + _ENTRY_BYTES
        if size and size + bytes_ > limit:
            yield entries[start:index]
            start, size = index, 0
        size += bytes_
    if start < len(entries):
        yield entries[start:]


def _encode(entries: list[Entry]) -> bytes:
    keys = [key for key, _ in entries]
    values = [value for _, value in entries]
    lengths = [_NO_KEY if key is None else len(key) for key in keys]
    lengths += map(len, values)
    texts = [key or b"" for key in keys]
    head = _HEAD.pack(_VERSION, len(entries)) + pack(f"<{len(lengths)}I", *lengths)
    return b"".join([head, *texts, *values])


def _decode(block: bytes) -> list[Entry]:
    """Return the entries of a block.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    try:
        version, count = _HEAD.unpack_from(block)
        if version != _VERSION:
            raise LogError(
                f"The changelog was written by a newer release (layout {version}): "
                "use that, or a newer one."
            )
        lengths = unpack_from(f"<{2 * count}I", block, _HEAD.size)
    except error as damage:
        raise LogError("The changelog holds a block that was cut short.") from damage
    named = [0 if length == _NO_KEY else length for length in lengths[:count]]
    start = _HEAD.size + 2 * count * 4
    ends = list(accumulate([*named, *lengths[count:]], initial=start))
    if ends[-1] != len(block):
        raise LogError("The changelog holds a block that was cut short, or garbled.")
    texts: list[Key] = [block[first:end] for first, end in pairwise(ends)]
    keys, values = texts[:count], texts[count:]
    for index in range(count):
        if lengths[index] == _NO_KEY:
            keys[index] = None
    return list(zip(keys, values, strict=True))  # type: ignore[arg-type]
