"""When to stop because too much is bad, instead of making dead letters of everything. Pure.

One key that sends nothing but bad records must not stop the others of its partition: of its records
in the window only the first 20 count each, the further ones once per 20. So one key counts at most
69 of 1,000, and many keys, as behind a wrong partitioner, count in full.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from schemas.dead_letter import DeadLetterReason
from worker.engine.event_time import Source
from worker.engine.records import Record, TopicPartition
from worker.errors import DeadLetterLimit

WINDOW: Final = 1000
"""Of how many latest records of an input partition the dead letters are counted."""
COUNTED_EACH: Final = 20
"""How many records of one key in the window count each; as many of its further ones count once."""
_NO_KEY: Final = 0
"""The hash of records without a key: each counts, as they may be of any account."""

Ranges = Mapping[TopicPartition, Sequence[tuple[int, int]]]
"""Per partition ranges of offsets, each (first, last)."""


class DeadLetterWindow:
    """Watches the share of dead letters per input partition, for all tasks of a worker.

    Args:
        limit: how many of the last 1,000 records, by offset, may be bad; None never stops.
        accepted: the offsets that are known to be bad: they do not count.
    """

    def __init__(self, limit: int | None, accepted: Ranges | None = None) -> None:
        self._limit = limit
        self._accepted = accepted or {}
        self._found: dict[TopicPartition, _Found] = {}
        """What has been found bad in this unit of work."""

    def add(
        self, at: TopicPartition, source: Source, record: Record, reason: DeadLetterReason
    ) -> None:
        """Count one more dead letter of a source."""
        offset = record.offset
        if self._limit is None or any(
            first <= offset <= last for first, last in self._accepted.get(at, ())
        ):
            return
        source.bad.append(offset)
        source.bad_keys.append(_hash_of(record.key))
        found = self._found.get(at)
        if found is None:
            found = self._found[at] = _Found(source, offset)
        found.last = offset
        found.reasons[reason] += 1

    def check(self) -> None:
        """End the reading of a unit of work.

        Raises:
            DeadLetterLimit: names every partition that has passed the limit, with the reasons, and
                the commands that show the records and that let all of them pass.
        """
        found, self._found = self._found, {}
        stopped = {
            at: each
            for at, each in sorted(found.items())
            if self._limit is not None and _passes(each.source, self._limit)
        }
        if stopped:
            raise DeadLetterLimit(_sentence(stopped, self._limit))


class _Found:
    """The bad records of one partition in one unit of work."""

    def __init__(self, source: Source, first: int) -> None:
        self.source = source
        self.first = self.last = first
        self.reasons = Counter[DeadLetterReason]()


def _hash_of(key: bytes | None) -> int:
    """Return the same number for the same key, so that a saved window holds no key itself."""
    if not key:
        return _NO_KEY
    return int.from_bytes(blake2b(key, digest_size=7).digest()) + 1


def _passes(source: Source, limit: int) -> bool:
    """Return whether any window of a source has passed the limit; keep only the latest."""
    start, weight, passed = 0, 0, False
    times: Counter[int] = Counter()
    for offset, key in zip(source.bad, source.bad_keys, strict=True):
        while source.bad[start] <= offset - WINDOW:
            gone = source.bad_keys[start]
            weight -= _counts(gone, times[gone])
            times[gone] -= 1
            start += 1
        times[key] += 1
        weight += _counts(key, times[key])
        passed = passed or weight > limit
    del source.bad[:start], source.bad_keys[:start]
    return passed


def _counts(key: int, number: int) -> int:
    """Return what the record of a key adds that is its `number`-th in the window."""
    return int(key == _NO_KEY or number <= COUNTED_EACH or number % COUNTED_EACH == 0)


def _sentence(stopped: Mapping[TopicPartition, _Found], limit: int | None) -> str:
    found = "; ".join(
        f"{at.topic}, partition {at.partition}, offsets {each.first} to {each.last}: "
        + ", ".join(f"{count} {reason}" for reason, count in each.reasons.most_common())
        for at, each in stopped.items()
    )
    ranges = [f"{at.topic}/{at.partition}:{x.first}-{x.last}" for at, x in stopped.items()]
    look = " ".join(f"--input {each}" for each in ranges)
    accept = " ".join(f"--accept-dead-letters {each}" for each in ranges)
    return (
        f"More than {limit} of {WINDOW} successive records of an input partition are bad. "
        f"Found in this unit of work: {found}. Nothing of it was committed. "
        f"What is wrong with them: walletwatch dlq peek {look} "
        "If that can be corrected on this side (a currency, a limit, an older release), correct it "
        "and start again. To make dead letters of them and go on: "
        f"walletwatch run {accept}"
    )
