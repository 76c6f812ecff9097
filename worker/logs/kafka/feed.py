"""What a group consumer fetches of its partitions: buffered here, and returned in fair shares."""

from collections.abc import Collection, Iterable, MutableMapping
from time import monotonic
from typing import Final

from worker.engine.records import Batch, Record, TopicPartition
from worker.logs.kafka.client import ClusterPartition
from worker.logs.kafka.group_consumer import GroupConsumer
from worker.logs.reading import UNIT_BYTES, Fairness, even, size, within

_SLICE_MS: Final = 200
_PROMPT_MS: Final = 20
"""Brokers deliver what can be read sooner, unless they are busy."""
_FETCH_SECONDS: Final = 5.0
"""After which a poll goes on without what a broker has not delivered."""


Positions = MutableMapping[TopicPartition, int]


class Rebalanced(Exception):
    """The group has assigned partitions anew: nothing that was read since may be used."""


class Feed:
    """The partitions that a group consumer reads, by their names in the log.

    Positions are the caller's: per partition, the offset after what was returned last.
    """

    def __init__(
        self, consumer: GroupConsumer, prefix: str, written: dict[ClusterPartition, int]
    ) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self._written = written
        self._rebalances = consumer.rebalances
        self._partitions: dict[TopicPartition, ClusterPartition] = {}
        self._fetched: dict[TopicPartition, int] = {}
        """Per partition the offset that is fetched next."""
        self._buffers: dict[TopicPartition, list[Record]] = {}
        """Fetched and not returned yet."""
        self._buffered = 0
        """How many bytes are buffered."""
        self._ends: dict[TopicPartition, int] = {}
        """After the newest record, committed or not."""
        self._readable: dict[TopicPartition, int] = {}
        """Up to where records can be read: the end, until an open transaction is found."""
        self._held: Collection[TopicPartition] = ()
        """The partitions that the last poll found held."""
        self._fairness = Fairness()

    def start(self, at: TopicPartition, offset: int) -> None:
        """Read a partition from there on."""
        self._partitions[at] = ClusterPartition(self._prefix + at.topic, at.partition)
        self._fetched[at] = offset
        self._buffered -= sum(map(size, self._buffers.get(at, ())))
        self._buffers[at] = []
        self._consumer.seek(self._partitions[at], offset)

    def stop(self, at: TopicPartition) -> None:
        """Forget a partition that another worker has now."""
        self._buffered -= sum(map(size, self._buffers.get(at, ())))
        for known in (self._partitions, self._fetched, self._buffers, self._ends, self._readable):
            known.pop(at, None)

    def seek_back(self) -> None:
        """After a rebalance: continue where reading was, not where the client would."""
        self._rebalances = self._consumer.rebalances
        for at, offset in self._fetched.items():
            self._consumer.seek(self._partitions[at], offset)

    def heartbeat(self) -> None:
        """Take part in the group without reading.

        Raises:
            Rebalanced: partitions were assigned anew.
        """
        self._fetch((), 0)

    def await_stable(self) -> None:
        """Wait until a join that is under way has ended: until then no commit is accepted.

        Raises:
            Rebalanced: partitions were assigned anew.
        """
        while not self._consumer.stable:
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
            Rebalanced: partitions were assigned anew; nothing is returned.
            LogError: the log cannot be read.
        """
        deadline = monotonic() + wait
        ready = [at for at in positions if at not in paused]
        while True:
            self._fill(positions, ready, limit)
            self.await_stable()
            batch = self._take(positions, ready, limit)
            left = deadline - monotonic()
            if batch.records or left <= 0:
                return batch
            self._fetch(ready, min(int(left * 1000) + 1, _SLICE_MS))

    def _fill(self, positions: Positions, ready: list[TopicPartition], limit: int) -> None:
        """Fetch until there is more than each share, or all that can be read."""
        self._look_for_ends(positions, limit)
        stored = {at: self._readable[at] - positions[at] for at in ready}
        shares = even({at: count for at, count in stored.items() if count > 0}, limit)
        deadline, slice_ms = monotonic() + _FETCH_SECONDS, _PROMPT_MS
        while lacking := [at for at, share in shares.items() if self._lacks(at, share)]:
            if not self._fetch(lacking, slice_ms):
                slice_ms = _SLICE_MS
                self._look_for_hidden(lacking)
            if monotonic() > deadline or self._buffered > UNIT_BYTES:
                return
        if not shares:
            self.heartbeat()

    def _look_for_ends(self, positions: Iterable[TopicPartition], limit: int) -> None:
        """Ask where the partitions end, unless each is known to have more than is wanted."""
        positions = list(positions)
        if all(self._readable.get(at, 0) - self._fetched[at] > limit for at in positions):
            return
        self._ask_ends(positions)
        held = [at for at in positions if at in self._held and self._fetched[at] < self._ends[at]]
        if held:
            self._ask_readable(held)

    def _ask_ends(self, asked: Collection[TopicPartition]) -> None:
        ends = self._consumer.end_offsets([self._partitions[at] for at in asked])
        for at in asked:
            self._ends[at] = self._readable[at] = ends[self._partitions[at]]

    def _ask_readable(self, asked: Collection[TopicPartition]) -> None:
        stable = self._consumer.stable_offsets([self._partitions[at] for at in asked])
        for at in asked:
            partition = self._partitions[at]
            # What this process has committed counts, though the brokers may not show it yet.
            self._readable[at] = max(stable[partition], self._written.get(partition, 0))
            self._ends[at] = max(self._ends[at], self._readable[at])

    def _look_for_hidden(self, lacking: Collection[TopicPartition]) -> None:
        """Look whether open transactions hide what brokers do not deliver."""
        self._ask_ends(lacking)
        for at in lacking:
            # The marker of its own last commit is there: what is hidden, another producer hides.
            if self._ends[at] > self._written.get(self._partitions[at], 0):
                self._written.pop(self._partitions[at], None)
        self._ask_readable(lacking)

    def _lacks(self, at: TopicPartition, share: int) -> bool:
        # One more than the share: it shows whether only a transaction marker follows.
        # Nothing is fetched beside more bytes than one poll returns, but for what has none.
        full = self._buffered > UNIT_BYTES and self._buffers[at]
        lacks = len(self._buffers[at]) <= share and self._fetched[at] < self._readable[at]
        return lacks and not full

    def _fetch(self, ready: Collection[TopicPartition], timeout_ms: int) -> bool:
        """Fetch more of these partitions; return whether there was any progress."""
        partitions = {self._partitions[at]: at for at in ready}
        polled = self._consumer.poll(partitions, timeout_ms)
        if self._consumer.rebalances != self._rebalances:
            raise Rebalanced
        for partition, records in polled.items():
            self._buffers[partitions[partition]] += records
            self._buffered += sum(map(size, records))
        moved = False
        for partition, at in partitions.items():
            before, self._fetched[at] = self._fetched[at], self._consumer.position(partition)
            moved |= self._fetched[at] > before
        return moved

    def _take(self, positions: Positions, ready: list[TopicPartition], limit: int) -> Batch:
        batch = Batch()
        counts = {at: len(self._buffers[at]) for at in ready if self._buffers[at]}
        shares = self._fairness.shares(counts, limit)
        for at, share in shares.items():
            records = self._buffers[at][:share]
            if self._buffered > UNIT_BYTES // len(shares):
                records = within(records, UNIT_BYTES // len(shares))
            self._buffers[at] = self._buffers[at][len(records) :]
            self._buffered -= sum(map(size, records))
            positions[at] = records[-1].offset + 1
            batch.records[at] = records
        for at in positions:
            if not self._buffers[at]:
                positions[at] = self._fetched[at]
                if positions[at] >= self._ends[at]:
                    batch.at_end.add(at)
                elif positions[at] >= self._readable[at]:
                    batch.held[at] = range(positions[at], self._ends[at])
        self._held = batch.held
        return batch
