"""The reorder buffer: events that were read and not yet released, sorted by order time. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from worker.engine.records import Record

Entry = tuple[int, int, int, int, str, int, int, Record, Any, bytes | None, bytes]
"""(order_time, occurred_at, rank, sequence, event_id, offset, source, record, event, key of the
state it belongs to, identity): a buffered event. Events without a sequence have one below 0.
Entries sort as tuples; (rank, offset) never repeats. A stage that recognises redeliveries does so
by the identity."""

ORDER: Final = 0
OCCURRED: Final = 1
OFFSET: Final = 5
SOURCE: Final = 6
RECORD: Final = 7
EVENT: Final = 8
KEY: Final = 9
IDENTITY: Final = 10


class ReorderBuffer:
    """Events that were read and not yet released."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._sorted = True

    def __len__(self) -> int:
        return len(self._entries)

    def extend(self, entries: Sequence[Entry]) -> None:
        """Take entries in any order."""
        if entries:
            self._entries.extend(entries)
            self._sorted = False

    def release(self, watermark: int) -> list[Entry]:
        """Remove and return, in order, all entries with an order time below the watermark."""
        if not self._sorted:
            self._entries.sort()
            self._sorted = True
        split = bisect_left(self._entries, (watermark,))
        released = self._entries[:split]
        del self._entries[:split]
        return released

    def held(self, sources: int) -> tuple[list[int], list[int | None]]:
        """Return per source how many events are buffered, and the least of their offsets."""
        counts = [0] * sources
        oldest: list[int | None] = [None] * sources
        for entry in self._entries:
            source, offset = entry[SOURCE], entry[OFFSET]
            counts[source] += 1
            least = oldest[source]
            if least is None or offset < least:
                oldest[source] = offset
        return counts, oldest
