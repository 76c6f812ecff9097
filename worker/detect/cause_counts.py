"""Counts by cause: how many events a cause has, in buckets of ten seconds of event time.

A bucket's counts are published at its end; a late event publishes those of its cause again with a
higher revision: the newest replaces. The counts are those of one task: readers add up over origins.

What one unit of work counts for a cause is one signal, since a worker that catches up ends
thousands of buckets at once, and a record costs more than an event. The signal lies where the
unit counted first, so that all before it are not younger and all behind it are not older; each
bucket on it has its own time, which no split into units of work changes.

The buckets of the last ten minutes are a ring of keys: a new one takes the place of the one that
is ten minutes older and can change no more, so that nothing has to be forgotten. One that goes
on beyond its unit of work has a timer. Pure.
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter, itemgetter
from typing import Final

from msgspec import Struct

from schemas.time import format_time
from schemas.topics import SIGNALS
from worker.detect.signals import BucketCountsBody, CauseCountsBody, signal_of
from worker.engine.context import Context, Place
from worker.engine.event_time import BEGINNING
from worker.engine.keyed_state import NEVER, Timer, pack, payload_of
from worker.engine.outcomes import CountTooLate
from worker.engine.packing import Unpacker, packed
from worker.engine.records import NewRecord
from worker.engine.saved import numbered

PREFIX: Final = b"\0"
"""Begins the keys of counts by cause: no account_id can."""
_BUCKETS: Final = PREFIX + PREFIX
"""Begins the keys of buckets; what follows PREFIX alone is a cause of layout 1."""
BUCKET_MS: Final = 10_000
_KEPT: Final = 60
"""Buckets that may get another revision; an event later than ten minutes is only counted."""
_KEPT_MS: Final = _KEPT * BUCKET_MS
_KEYS: Final = [_BUCKETS + bytes([place]) for place in range(_KEPT)]
_END: Final = "send"
_MOST_AT_ONCE: Final = 1_000
"""Buckets in one signal, about 120 bytes each: far below what a record may be."""


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


_DETECTED_AT: Final = attrgetter("detected_at")
_PLACE: Final = itemgetter(1)


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


def cause_counter_of(context: Context) -> "CauseCounter":
    """Return the counter of the present unit of work."""
    if context.unit is None:
        context.unit = CauseCounter()
    counter: CauseCounter = context.unit
    return counter


class KeptBuckets:
    """The states of buckets: all keys that begin with PREFIX."""

    def load(self, stored: bytes | None) -> KeptBucket:
        """Decode a bucket.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        if stored is None:
            return KeptBucket()
        return numbered(_BUCKET, payload_of(stored), "counts by cause", layout=2)

    def dump(self, live: KeptBucket) -> bytes:
        """Encode a bucket."""
        return packed(live)

    def on_timer(self, live: KeptBucket, timer: Timer, context: Context) -> None:
        """Let a bucket of an earlier unit of work end in this one."""
        cause_counter_of(context).on_timer(live, context)


class CauseCounter:
    """Counts by cause in one unit of work: event by event, published at its end."""

    def __init__(self) -> None:
        self._since = NEVER
        self._place: Place = (NEVER, 1, ())
        """Where the unit counts first: what is published is placed behind that."""
        self._in_time: dict[tuple[str, str], dict[int, int]] = {}
        """By cause and measure, then by where the bucket begins: what came before its end."""
        self._late: list[tuple[int, Place, int, str, str]] = []
        """(order time, place, where the bucket begins, cause, measure) of what came after its end.
        """
        self._buckets: dict[int, KeptBucket] = {}
        """Those that other units count in too, or have late events."""
        self._ready: dict[str, list[BucketCountsBody]] = {}

    def add(self, tally: tuple[str, str], at: int, place: Place, context: Context) -> None:
        """Count one event.

        Args:
            tally: cause and measure.
            at: its time, milliseconds.
            place: where it is in the order of the task; the keys of a unit come one by one.
        """
        begin, now = at - at % BUCKET_MS, context.now
        if now <= self._since:
            self._count_from(place, now)
        if begin + BUCKET_MS > now:
            counts = self._in_time.get(tally)
            if counts is None:
                counts = self._in_time[tally] = {}
            counts[begin] = counts.get(begin, 0) + 1
        elif begin > now - _KEPT_MS:
            self._late.append((now, place, begin, *tally))
        else:
            context.outbox.counts[CountTooLate(tally[1])] += 1

    def on_timer(self, bucket: KeptBucket, context: Context) -> None:
        """Take over a bucket of an earlier unit that ends in this one."""
        self._count_from(context.place, context.now)
        self._buckets[bucket.begin] = bucket

    def _count_from(self, place: Place, now: int) -> None:
        if place < self._place:
            self._place, self._since = place, now

    def finish(self, watermark: int, context: Context) -> Place:
        """Publish what has ended; keep what may change; return where the unit counted first."""
        kept_from = watermark - _KEPT_MS + 1
        self._take_in_time(kept_from, context)
        for now, _, begin, cause, measure in sorted(self._late, key=_PLACE):
            bucket = self._bucket(begin, context)
            self._end(bucket)
            self._add_revision(bucket, cause, bucket.add(cause, measure, 1), now)
        for begin, bucket in sorted(self._buckets.items()):
            if bucket.end < watermark:
                self._end(bucket)
            if begin >= kept_from:
                _keep(bucket, context)
        context.outbox.outputs += self._signals(context)
        return self._place

    def _take_in_time(self, kept_from: int, context: Context) -> None:
        """Publish the buckets that are this unit's alone; add its counts to the others."""
        late = {begin for _, _, begin, _, _ in self._late}
        alone: dict[str, dict[int, dict[str, int]]] = {}
        for (cause, measure), counts in sorted(self._in_time.items()):
            of_cause = alone.setdefault(cause, {})
            for begin, count in counts.items():
                if not self._since <= begin < kept_from or begin in late:
                    self._bucket(begin, context).add(cause, measure, count)
                elif begin in of_cause:
                    of_cause[begin][measure] = count
                else:
                    of_cause[begin] = {measure: count}
        for cause, buckets in alone.items():
            self._ready[cause] = [
                BucketCountsBody(format_time(begin), format_time(begin + BUCKET_MS), 1, counts)
                for begin, counts in buckets.items()
            ]

    def _bucket(self, begin: int, context: Context) -> KeptBucket:
        """Return a bucket as earlier units, if there were any, have left it."""
        bucket = self._buckets.get(begin)
        if bucket is None:
            bucket = KeptBucket(begin=begin, causes={}, timers=[])
            if begin < self._since:
                saved: KeptBucket = context.touch(_key(begin))
                bucket = saved if saved.begin == begin else bucket
            self._buckets[begin] = bucket
        return bucket

    def _end(self, bucket: KeptBucket) -> None:
        """Publish what a bucket has counted by its end, if that was not done."""
        for cause, count in bucket.causes.items():
            if not count.revision:
                self._add_revision(bucket, cause, count, bucket.end)

    def _add_revision(self, bucket: KeptBucket, cause: str, count: CauseCount, at: int) -> None:
        count.revision += 1
        counts = dict(sorted(count.counts.items()))
        revised = BucketCountsBody(
            format_time(bucket.begin), format_time(at), count.revision, counts
        )
        self._ready.setdefault(cause, []).append(revised)

    def _signals(self, context: Context) -> Iterator[NewRecord]:
        for cause, ready in self._ready.items():
            ready.sort(key=_DETECTED_AT)
            for first in range(0, len(ready), _MOST_AT_ONCE):
                buckets = ready[first : first + _MOST_AT_ONCE]
                body = CauseCountsBody("volume", cause, BUCKET_MS, buckets)
                sequence = context.next_signal()
                signal = signal_of("count", self._since, context.origin, sequence, body)
                yield NewRecord(SIGNALS, cause.encode(), signal)


def _keep(bucket: KeptBucket, context: Context) -> None:
    """Save a bucket in the place of an older one, with a timer if it has not ended."""
    key = _key(bucket.begin)
    kept: KeptBucket = context.touch(key)
    kept.begin, kept.causes = bucket.begin, bucket.causes
    if not kept.timers and any(not count.revision for count in bucket.causes.values()):
        context.set_timer(kept, Timer(bucket.end, "", _END))


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
            bucket = buckets.setdefault(_key(each.at), KeptBucket())
            if each.at > bucket.begin:
                bucket.begin, bucket.causes = each.at, {}
            if each.at == bucket.begin:
                bucket.causes[cause] = CauseCount(each.revision, each.counts)
    for key, bucket in buckets.items():
        # All causes of a bucket are published at its end: none is, or every one.
        if not any(count.revision for count in bucket.causes.values()):
            bucket.timers = [Timer(bucket.end, "", _END)]
        changed[key] = pack(bucket.timers, packed(bucket))
    return changed


def _key(begin: int) -> bytes:
    return _KEYS[begin // BUCKET_MS % _KEPT]
