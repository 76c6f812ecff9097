"""A worker's seat in a stage: its membership, its transactional id, and the tasks it has restored.

Each commit stores offsets of *all* inputs of the tasks it touches, with a nonce of the seat and the
task's sequence number as metadata. When a rebalance leaves a task where it was, equal metadata
proves that nobody has committed for it in between; only then is its state kept.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import kafka
from kafka.errors import KafkaError, KafkaTimeoutError

from worker.engine.records import Commit, Snapshot, TopicPartition
from worker.errors import LogError
from worker.logs.kafka.blocks import Blocks, Key
from worker.logs.kafka.cluster import Cluster, told
from worker.logs.kafka.feed import Feed, Rebalanced
from worker.logs.kafka.fence import fence
from worker.logs.kafka.group_consumer import Member, owners_of
from worker.logs.kafka.restore import restore
from worker.logs.kafka.transaction import Outgoing, Producer
from worker.logs.kafka.watchdog import Watchdog

HANGS_AFTER: Final = 20.0
"""Seconds a call may take: more than a flush and an answer, less than between two polls."""
_UNSTABLE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 5.0
_RESTORE_FETCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _Held:
    """What is known of a restored task."""

    blocks: Blocks
    mark: str
    """The metadata with which its offsets were committed last."""
    offsets: dict[TopicPartition, int]
    """As committed last, or where reading begins."""
    sequence: int = 0
    """How often the seat has committed for it."""


class Seat:
    """One slot of one stage, taken. Whatever raises but Rebalanced leaves it dead."""

    def __init__(
        self,
        cluster: Cluster,
        stage: str,
        slot: str,
        inputs: Sequence[str],
        written: dict[kafka.TopicPartition, int],
        beside: set[Member],
    ) -> None:
        """Join the group and wait for what it gives.

        Args:
            beside: the members of this process in all its stages; this one joins them.
            written: per partition the offset after the last record that this process committed.

        Raises:
            LogError: the cluster cannot be used.
        """
        self.inputs = tuple(inputs)
        self._cluster = cluster
        self._stage = stage
        self._nonce = uuid.uuid4().hex
        self._held: dict[int, _Held] = {}
        self._dead = False
        self._looked_at = monotonic()
        self._closing: list[Callable[[], object]] = []
        """Undone in this order, newest first."""
        self._watchdog = Watchdog()
        self._closing.append(self._watchdog.close)
        try:
            with self._guard("joining the group", 3 * HANGS_AFTER):
                self._take(slot, written, beside)
        except BaseException:
            self.close()
            raise

    def _take(
        self, slot: str, written: dict[kafka.TopicPartition, int], beside: set[Member]
    ) -> None:
        # The transactional id first: this aborts what a predecessor in the slot has begun.
        cluster, stage = self._cluster, self._stage
        self._producer = Producer(cluster, cluster.transactional_id(stage, slot), written)
        self._closing.append(self._producer.close)
        self._admin = cluster.admin()
        self._closing.append(self._admin.close)
        self._restorer = cluster.consumer(max_partition_fetch_bytes=_RESTORE_FETCH_BYTES)
        self._closing.append(self._restorer.close)
        topics = [cluster.topic(name) for name in self.inputs]
        group = cluster.group(stage)
        self._member = Member(cluster, self._admin, group, slot, topics, beside)
        self._closing.append(self._member.leave)
        self._member.join(self._stands_by)
        self.feed = Feed(self._member, cluster.prefix, written)

    @property
    def moves(self) -> int:
        """How many times the group has assigned tasks."""
        return self._member.moves

    @property
    def given(self) -> frozenset[int]:
        """The tasks the group gives this seat: partition i of every input is task i's."""
        return frozenset(at.partition for at in self._member.assigned)

    # -- one step at a time -----------------------------------------------------------------

    @contextmanager
    def step(self, what: str, seconds: float = HANGS_AFTER) -> Iterator[None]:
        """Run a step; whatever it raises, but Rebalanced, no later step is allowed.

        The process ends if the step hangs.
        """
        if self._dead:
            raise LogError("This session of the log has failed or was closed: open a new one.")
        with self._guard(what, seconds):
            yield

    @contextmanager
    def _guard(self, what: str, seconds: float) -> Iterator[None]:
        self._dead = True
        with self._watchdog.limit(what, seconds):
            try:
                yield
            except Rebalanced:
                self._dead = False
                raise
            except KafkaError as error:
                raise LogError(f"Stage {self._stage}, {what}: {told(error)}") from error
        self._dead = False

    # -- tasks ------------------------------------------------------------------------------

    def restore(self, task: int) -> tuple[Snapshot, dict[TopicPartition, int]]:
        """Return what is committed for a task, and where its inputs are read on.

        Raises:
            Rebalanced: start again with what the group has given.
            LogError: records that were never read are gone, or the changelog cannot be read.
        """
        committed = self._committed(task)
        blocks = Blocks()
        changelog = self._changelog(task)
        restore(self._restorer, self._admin, changelog, blocks, self.feed.tick, self._fence(task))
        offsets = self._offsets(task, committed)
        self.feed.settle()
        for at, offset in offsets.items():
            self.feed.start(at, offset)
        mark = next((found[1] for found in committed.values() if found), "")
        self._held[task] = _Held(blocks, mark, dict(offsets))
        states = ((key, value) for key, value in blocks.items() if key is not None)
        return Snapshot(blocks.meta, states), offsets

    def follow(self) -> frozenset[int]:
        """After a rebalance: return the restored tasks that are still true, and forget the others.

        Raises:
            LogError: the cluster cannot be used.
        """
        while True:
            moves = self.moves
            for task in self._held.keys() - self.given:
                self.release(task)
            self.feed.go_on()
            try:
                doubtful = [task for task in self._held if not self._is_unchanged(task)]
            except Rebalanced:
                continue
            if self.moves == moves:
                break
        for task in doubtful:
            self.release(task)
        return frozenset(self._held)

    def release(self, task: int) -> None:
        """Forget a task."""
        self._held.pop(task, None)
        for topic in self.inputs:
            self.feed.stop(TopicPartition(topic, task))

    def _is_unchanged(self, task: int) -> bool:
        marks = {found and found[1] for found in self._committed(task).values()}
        return marks == {self._held[task].mark or None}

    def _committed(self, task: int) -> dict[TopicPartition, tuple[int, str] | None]:
        """Return offset and metadata per input; an open transaction of another is aborted."""
        found: dict[TopicPartition, tuple[int, str] | None] = {}
        deadline, fenced = monotonic() + _UNSTABLE_SECONDS, False
        while len(found) < len(self.inputs):
            at = TopicPartition(self.inputs[len(found)], task)
            self.feed.tick()
            try:
                found[at] = self._member.committed(self._place(at))
            except KafkaTimeoutError:
                if not fenced:
                    fenced = True
                    self._fence(task)()
                elif monotonic() > deadline:
                    raise
        return found

    def _offsets(
        self, task: int, committed: dict[TopicPartition, tuple[int, str] | None]
    ) -> dict[TopicPartition, int]:
        places = {at: self._place(at) for at in committed}
        stored = self._member.beginnings(places.values())
        offsets = {}
        for at, found in committed.items():
            first = stored[places[at]]
            if found and found[0] < first:
                raise LogError(
                    f"{at.topic}/{at.partition}: records {found[0]} to {first - 1} were deleted "
                    "before any worker had read them. To go on without them, stop all workers and "
                    f"move the offsets of group {self._cluster.group(self._stage)} to {first} with "
                    "Kafka's own tool (kafka-consumer-groups --reset-offsets)."
                )
            offsets[at] = found[0] if found else first
        return offsets

    # -- commits ----------------------------------------------------------------------------

    def commit(
        self, unit: Commit, touched: Collection[int], outputs: list[Outgoing], timestamp: int
    ) -> None:
        """Commit a unit of work in one transaction.

        Raises:
            LogInDoubt: the group has gone on without this seat; nothing was committed.
            LogError: it failed; what came of it is unknown.
        """
        records = list(outputs)
        offsets = {}
        changed: dict[int, dict[Key, bytes]] = {
            task: {None: unit.metas[task]} if task in unit.metas else {} for task in touched
        }
        for task, key, value in unit.states:
            changed[task][key] = value
        for task, changes in changed.items():
            held = self._held[task]
            changelog = self._changelog(task)
            records += [(changelog, *block, ()) for block in held.blocks.write(changes)]
            held.sequence += 1
            held.mark = f"{self._nonce}|{held.sequence}|{self._producer.transactional_id}"
            for at in held.offsets:
                held.offsets[at] = unit.offsets.get(at, held.offsets[at])
                offsets[self._place(at)] = kafka.OffsetAndMetadata(held.offsets[at], held.mark, -1)
        self._producer.commit(records, timestamp, offsets, self._member.identity)

    # -- leaving ----------------------------------------------------------------------------

    def close(self) -> None:
        """Give the tasks back to the group, and let go of all connections. May be called twice."""
        self._dead = True
        while self._closing:
            self._closing.pop()()

    def stand_by(self) -> None:
        """Without tasks: make sure, now and then, that the others have them all."""
        if not self.given and monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = monotonic()
            if self._stands_by():
                self._member.heard()

    def _stands_by(self) -> bool:
        """Say whether the group's other members have every task."""
        owners = owners_of(self._admin, self._cluster.group(self._stage))
        return len(owners) == self._member.partitions

    def _fence(self, task: int) -> Callable[[], object]:
        cluster, stage = self._cluster, self._stage
        prefix, own = cluster.transactional_id(stage, ""), self._producer.transactional_id
        return lambda: fence(cluster, self._admin, [self._changelog(task)], prefix, own)

    def _changelog(self, task: int) -> kafka.TopicPartition:
        return kafka.TopicPartition(self._cluster.changelog(self._stage), task)

    def _place(self, at: TopicPartition) -> kafka.TopicPartition:
        return kafka.TopicPartition(self._cluster.topic(at.topic), at.partition)
