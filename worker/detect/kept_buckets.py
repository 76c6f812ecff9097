"""The buckets of counts by cause, as a task keeps them. Pure.

The buckets of the last ten minutes are a ring of keys: a new one takes the place of the one that
is ten minutes older and can change no more, so that nothing has to be forgotten.

Of one bucket at most MAX_CAUSES are counted each by itself: those with the least hashes, which no
split into units of work changes. What further causes count is added up under OTHER.
"""

from collections.abc import Mapping
from typing import Final
from zlib import crc32

from msgspec import Struct

from worker.engine.event_time import BEGINNING
from worker.engine.keyed_state import Timer, pack, payload_of
from worker.engine.packing import Unpacker, packed
from worker.engine.saved import numbered

PREFIX: Final = b"\0"
"""Begins the keys of counts by cause: no account_id can."""
_BUCKETS: Final = PREFIX + PREFIX
"""Begins the keys of buckets; what follows PREFIX alone is a cause of layout 1."""
BUCKET_MS: Final = 10_000
_KEPT: Final = 60
"""Buckets that may get another revision; an event later than ten minutes is only counted."""
KEPT_MS: Final = _KEPT * BUCKET_MS
_KEYS: Final = [_BUCKETS + bytes([place]) for place in range(_KEPT)]
END: Final = "send"
"""Name of the timer at the end of a bucket."""
MAX_CAUSES: Final = 1_000
"""Causes of one bucket that are counted by themselves."""
OTHER: Final = "other"
"""Takes the counts of further ones."""


class CauseCount(Struct, array_like=True):
    """What one bucket has counted of one cause."""

    revision: int = 0
    """How often it was published."""
    counts: dict[str, int] = {}


class KeptBucket(Struct, array_like=True):
    """Layout 2 of a bucket's record: what was counted of every cause."""

    layout: int = 2
    begin: int = BEGINNING
    """Milliseconds."""
    causes: dict[str, CauseCount] = {}
    timers: list[Timer] = []

    @property
    def end(self) -> int:
        """Milliseconds; no part of the bucket."""
        return self.begin + BUCKET_MS

    def add(self, cause: str, measure: str, more: int) -> CauseCount:
        """Count; return what is counted of the cause."""
        count = self.causes.get(cause)
        if count is None:
            count = self.causes[cause] = CauseCount(0, {})
        count.counts[measure] = count.counts.get(measure, 0) + more
        return count

    def fold(self) -> None:
        """Add up under OTHER what there is beyond MAX_CAUSES, if the bucket has not ended."""
        if len(self.causes) <= MAX_CAUSES or self.is_published:
            return
        for cause in sorted(self.causes.keys() - {OTHER}, key=_hash_of)[MAX_CAUSES:]:
            for measure, count in self.causes.pop(cause).counts.items():
                self.add(OTHER, measure, count)

    def name_of(self, cause: str) -> str:
        """Return under which name a cause is counted that comes when the bucket has ended."""
        is_known = cause in self.causes or len(self.causes) < MAX_CAUSES
        return cause if is_known else OTHER

    @property
    def is_published(self) -> bool:
        """Whether its counts by its end were published; all causes are at once."""
        return any(count.revision for count in self.causes.values())


class _Layout1Bucket(Struct, array_like=True):
    """Layout 1: one bucket of one cause."""

    at: int
    revision: int
    counts: dict[str, int]


class _Layout1Cause(Struct, array_like=True):
    """Layout 1: the newest buckets of one cause."""

    layout: int
    buckets: list[_Layout1Bucket]
    timers: list[Timer]


_BUCKET: Final = Unpacker(KeptBucket)
_LAYOUT_1: Final = Unpacker(_Layout1Cause)


def read_bucket(stored: bytes) -> KeptBucket:
    """Decode a bucket.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    return numbered(_BUCKET, payload_of(stored), "counts by cause", layout=2)


def renewed(states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what replaces the counts of layout 1, which had a key per cause; empty: remove it.

    Raises:
        LogError: they are damaged.
    """
    old = [key for key in states if key[:1] == PREFIX and key[1:2] != PREFIX]
    changed = dict.fromkeys(old, b"")
    buckets: dict[bytes, KeptBucket] = {}
    for key in old:
        cause = key.removeprefix(PREFIX).decode()
        for each in numbered(_LAYOUT_1, payload_of(states[key]), "counts by cause").buckets:
            bucket = buckets.setdefault(key_of(each.at), KeptBucket())
            if each.at > bucket.begin:
                bucket.begin, bucket.causes = each.at, {}
            if each.at == bucket.begin:
                bucket.causes[cause] = CauseCount(each.revision, each.counts)
    for key, bucket in buckets.items():
        # All causes of a bucket are published at its end: none is, or every one.
        if not bucket.is_published:
            bucket.timers = [Timer(bucket.end, "", END)]
        changed[key] = pack(bucket.timers, packed(bucket))
    return changed


def key_of(begin: int) -> bytes:
    """Return the key of the bucket that begins then (milliseconds)."""
    return _KEYS[begin // BUCKET_MS % _KEPT]


def _hash_of(cause: str) -> tuple[int, str]:
    return crc32(cause.encode()), cause
