"""Inputs that an open transaction of another producer holds, and since when. Pure.

A held input has records that cannot be read yet: its time does not move until the transaction ends.
"""

from collections.abc import Mapping
from typing import NamedTuple

from worker.engine.records import TopicPartition


class Hold(NamedTuple):
    """What is hidden of one input."""

    since: int
    """Wall time at which this worker first found the transaction, milliseconds."""
    hidden: range
    """Offsets from where the oldest open transaction begins."""

    def seconds(self, now: int) -> float:
        """Return for how long the input has been held."""
        return (now - self.since) / 1000


class Holds:
    """The inputs of one worker that are held."""

    def __init__(self) -> None:
        self._held: dict[TopicPartition, Hold] = {}

    def follow(
        self, hidden: Mapping[TopicPartition, range], now: int
    ) -> Mapping[TopicPartition, Hold]:
        """Return what is held now; where another transaction holds an input, time begins anew."""
        before, self._held = self._held, {}
        for at, offsets in hidden.items():
            known = before.get(at)
            same = known is not None and known.hidden.start == offsets.start
            self._held[at] = Hold(known.since if known and same else now, offsets)
        return self._held
