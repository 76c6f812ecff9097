"""What a member fetches of its partitions: buffered here, and handed out in fair shares."""

from collections.abc import Collection, Iterable, Mapping, MutableMapping
from time import monotonic
from typing import Final

import kafka

from worker.engine.records import Batch, Record, TopicPartition
from worker.logs.kafka.group_consumer import Member
from worker.logs.reading import Fairness, even

_SLICE_MS: Final = 200
_FETCH_SECONDS: Final = 5.0
"""After which a poll goes on without what a broker has not delivered."""


Positions = MutableMapping[TopicPartition, int]


class Rebalanced(Exception):
    """The group has assigned partitions anew: nothing of what was read since may be used."""


class Feed:
    """The partitions a member reads, by their names in the log.

    Positions are the caller's: per partition, the offset after what was last handed out.
    """

    def __init__(
        self, member: Member, prefix: str, written: Mapping[kafka.TopicPartition, int]
    ) -> None:
        self._member = member
        self._prefix = prefix
        self._written = written
        self._moves = member.moves
        self._places: dict[TopicPartition, kafka.TopicPartition] = {}
        self._fetched: dict[TopicPartition, int] = {}
        """Per partition the offset that is fetched next."""
        self._buffers: dict[TopicPartition, list[Record]] = {}
        """Fetched and not handed out."""
        self._ends: dict[TopicPartition, int] = {}
        self._fairness = Fairness()

    def start(self, at: TopicPartition, offset: int) -> None:
        """Read a partition from there on."""
        self._places[at] = kafka.TopicPartition(self._prefix + at.topic, at.partition)
        self._fetched[at] = offset
        self._buffers[at] = []
        self._member.seek(self._places[at], offset)

    def stop(self, at: TopicPartition) -> None:
        """Forget a partition that is somebody else's now."""
        for known in (self._places, self._fetched, self._buffers, self._ends):
            known.pop(at, None)

    def go_on(self) -> None:
        """After a rebalance: read on where reading stood, not where the client would."""
        self._moves = self._member.moves
        for at, offset in self._fetched.items():
            self._member.seek(self._places[at], offset)

    def tick(self) -> None:
        """Take part in the group without reading.

        Raises:
            Rebalanced: partitions were assigned anew.
        """
        self._fetch((), 0)

    def settle(self) -> None:
        """Wait until a join that is under way has ended: until then no commit would be taken.

        Raises:
            Rebalanced: partitions were assigned anew.
        """
        while not self._member.stable:
            self._fetch((), _SLICE_MS)

    def poll(
        self,
        positions: Positions,
        limit: int,
        paused: Collection[TopicPartition],
        wait: float,
    ) -> Batch:
        """Return records of the partitions in `positions` and move these; see the port.

        Raises:
            Rebalanced: partitions were assigned anew; nothing was handed out.
            LogError: the log cannot be read.
        """
        deadline = monotonic() + wait
        ready = [at for at in positions if at not in paused]
        while True:
            self._fill(positions, ready, limit)
            self.settle()
            batch = self._take(positions, ready, limit)
            left = deadline - monotonic()
            if batch.records or left <= 0:
                return batch
            self._fetch(ready, min(int(left * 1000) + 1, _SLICE_MS))

    def _fill(self, positions: Positions, ready: list[TopicPartition], limit: int) -> None:
        """Fetch until more than each share is there, or all that is stored."""
        self._look_for_ends(positions, limit)
        stored = {at: self._ends[at] - positions[at] for at in ready}
        shares = even({at: count for at, count in stored.items() if count > 0}, limit)
        deadline = monotonic() + _FETCH_SECONDS
        while lacking := [at for at, share in shares.items() if self._lacks(at, share)]:
            self._fetch(lacking, _SLICE_MS)
            if monotonic() > deadline:
                return
        if not shares:
            self.tick()

    def _look_for_ends(self, positions: Iterable[TopicPartition], limit: int) -> None:
        """Ask where the partitions end, unless each is known to have more than is wanted."""
        positions = list(positions)
        if all(self._ends.get(at, 0) - self._fetched[at] > limit for at in positions):
            return
        ends = self._member.ends(self._places[at] for at in positions)
        for at in positions:
            place = self._places[at]
            # What this process has committed counts, though the brokers may not show it yet.
            self._ends[at] = max(ends[place], self._written.get(place, 0))

    def _lacks(self, at: TopicPartition, share: int) -> bool:
        # One more than the share: else nobody knows whether only a transaction marker follows.
        return len(self._buffers[at]) <= share and self._fetched[at] < self._ends[at]

    def _fetch(self, ready: Collection[TopicPartition], timeout_ms: int) -> None:
        places = {self._places[at]: at for at in ready}
        polled = self._member.poll(places, timeout_ms)
        if self._member.moves != self._moves:
            raise Rebalanced
        for place, records in polled.items():
            self._buffers[places[place]] += records
        for place, at in places.items():
            self._fetched[at] = self._member.position(place)

    def _take(self, positions: Positions, ready: list[TopicPartition], limit: int) -> Batch:
        batch = Batch()
        counts = {at: len(self._buffers[at]) for at in ready if self._buffers[at]}
        for at, share in self._fairness.shares(counts, limit).items():
            records, self._buffers[at] = self._buffers[at][:share], self._buffers[at][share:]
            positions[at] = records[-1].offset + 1
            batch.records[at] = records
        for at in positions:
            if not self._buffers[at]:
                positions[at] = self._fetched[at]
                if positions[at] >= self._ends[at]:
                    batch.at_end.add(at)
        return batch
