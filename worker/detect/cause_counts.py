"""Counts by cause: how many events a cause has, in buckets of ten seconds of event time.

A bucket's counts are published at its end; a late event publishes those of its cause again with a
higher revision: the newest replaces. The counts are those of one task: readers add up over origins.

What one unit of work counts for a cause is one signal, since a worker that catches up ends
thousands of buckets at once, and a record costs more than an event. The signal lies where the
unit counted first, so that all before it are not younger and all behind it are not older; each
bucket on it has its own time, which no split into units of work changes.

A bucket that goes on beyond its unit of work has a timer. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter, itemgetter
from typing import Final

from schemas.time import format_time
from schemas.topics import SIGNALS
from worker.detect.kept_buckets import (
    BUCKET_MS,
    END,
    KEPT_MS,
    MAX_CAUSES,
    CauseCount,
    KeptBucket,
    key_of,
    read_bucket,
)
from worker.detect.signals import BucketCountsBody, CauseCountsBody, signal_of
from worker.engine.context import Context, Place
from worker.engine.keyed_state import NEVER, Timer
from worker.engine.outcomes import CountTooLate
from worker.engine.packing import packed
from worker.engine.records import NewRecord

_MOST_AT_ONCE: Final = 1_000
"""Buckets in one signal, about 120 bytes each: far below what a record may be."""


_DETECTED_AT: Final = attrgetter("detected_at")
_PLACE: Final = itemgetter(1)


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
        return read_bucket(stored)

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
        elif begin > now - KEPT_MS:
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
        kept_from = watermark - KEPT_MS + 1
        self._take_in_time(kept_from, context)
        for now, _, begin, cause, measure in sorted(self._late, key=_PLACE):
            bucket = self._bucket(begin, context)
            self._end(bucket)
            name = bucket.name_of(cause)
            self._add_revision(bucket, name, bucket.add(name, measure, 1), now)
        for begin, bucket in sorted(self._buckets.items()):
            if bucket.end < watermark:
                self._end(bucket)
            if begin >= kept_from:
                bucket.fold()
                _keep(bucket, context)
        context.outbox.outputs += self._signals(context)
        return self._place

    def _take_in_time(self, kept_from: int, context: Context) -> None:
        """Publish the buckets that are this unit's alone; add its counts to the others."""
        late = {begin for _, _, begin, _, _ in self._late} | self._crowded()
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

    def _crowded(self) -> set[int]:
        """Return the buckets for which this unit alone has too many causes."""
        if len(self._in_time) <= MAX_CAUSES:
            return set()  # nearly always
        counted = {
            (begin, cause) for (cause, _), counts in self._in_time.items() for begin in counts
        }
        causes = Counter(begin for begin, _ in counted)
        return {begin for begin, count in causes.items() if count > MAX_CAUSES}

    def _bucket(self, begin: int, context: Context) -> KeptBucket:
        """Return a bucket as earlier units, if there were any, have left it."""
        bucket = self._buckets.get(begin)
        if bucket is None:
            bucket = KeptBucket(begin=begin, causes={}, timers=[])
            if begin < self._since:
                saved: KeptBucket = context.touch(key_of(begin))
                bucket = saved if saved.begin == begin else bucket
            self._buckets[begin] = bucket
        return bucket

    def _end(self, bucket: KeptBucket) -> None:
        """Publish what a bucket has counted by its end, if that was not done."""
        bucket.fold()
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
    key = key_of(bucket.begin)
    kept: KeptBucket = context.touch(key)
    kept.begin, kept.causes = bucket.begin, bucket.causes
    if not kept.timers and any(not count.revision for count in bucket.causes.values()):
        context.set_timer(kept, Timer(bucket.end, "", END))
