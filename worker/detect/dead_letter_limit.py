"""When to stop because too much is bad, instead of making dead letters of everything. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from worker.engine.event_time import Source
from worker.engine.records import TopicPartition
from worker.errors import DeadLetterLimit

WINDOW: Final = 1000
"""Of how many latest records of an input partition the dead letters are counted."""


class DeadLetterWindow:
    """Watches the share of dead letters per input partition.

    Args:
        limit: how many of the last 1,000 records, by offset, may be bad; None never stops.
        accepted: per partition the ranges (first, last offset) that are known to be bad.
    """

    def __init__(
        self,
        limit: int | None,
        accepted: Mapping[TopicPartition, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        self._limit = limit
        self._accepted = accepted or {}
        self._first: dict[TopicPartition, int] = {}
        """Where the limit has been passed: the first bad offset of the window."""

    def add(self, at: TopicPartition, source: Source, offset: int) -> None:
        """Count one more dead letter of a source."""
        if self._limit is None:
            return
        if any(first <= offset <= last for first, last in self._accepted.get(at, ())):
            return
        source.bad = [bad for bad in source.bad if bad > offset - WINDOW]
        source.bad.append(offset)
        if len(source.bad) > self._limit:
            self._first.setdefault(at, source.bad[0])

    def check(self, at: TopicPartition, source: Source) -> None:
        """Stop if the limit has been passed; asked at the end of a batch.

        Raises:
            DeadLetterLimit: names the first bad offset, and the command that lets all bad records
                of the batch pass.
        """
        first = self._first.pop(at, None)
        if first is None:
            return
        last = source.bad[-1]
        raise DeadLetterLimit(
            f"More than {self._limit} of {WINDOW} successive records of {at.topic}, partition "
            f"{at.partition}, are bad; the first is at offset {first}, the latest at {last}. "
            "Nothing of this unit of work was committed. To let a known bad range pass: "
            f"walletwatch run --accept-dead-letters {at.topic}/{at.partition}:{first}-{last}"
        )
