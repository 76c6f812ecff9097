"""A worker's membership in a stage: its consumer, its transactional id, and its restored tasks.

Each commit stores offsets of *all* inputs of the tasks it touches, with a nonce of the membership
and the task's sequence number as metadata. When a rebalance leaves a task where it was, equal
metadata proves that no other worker has committed for it in between; only then is its state kept.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from worker.engine.records import Commit, Snapshot, TopicPartition
from worker.errors import LogError
from worker.logs.kafka.blocks import Blocks, Key
from worker.logs.kafka.client import ClusterPartition, CommittedOffset, Outgoing
from worker.logs.kafka.client_errors import ClientError, ClientTimeout
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.commit_note import metadata_of
from worker.logs.kafka.feed import Feed, Rebalanced
from worker.logs.kafka.group_consumer import GroupConsumer, owners_of
from worker.logs.kafka.hanging import Hanging, unstable
from worker.logs.kafka.limits import read_limits
from worker.logs.kafka.restore import restore
from worker.logs.kafka.stage_topics import StageTopics
from worker.logs.kafka.transaction import TransactionalProducer
from worker.logs.kafka.watchdog import Watchdog

HANGS_AFTER: Final = 20.0
"""Seconds a call may take: more than a flush and an answer, less than between two polls."""
_UNSTABLE_SECONDS: Final = 60.0
_LOST_AFTER: Final = 15.0
"""Seconds after which a transaction that holds offsets counts as one that lost its end."""
_CHECK_SECONDS: Final = 5.0
_RESTORE_FETCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _RestoredTask:
    """A task's states, and what was committed for it last."""

    blocks: Blocks
    metadata: str
    """The metadata with which its offsets were committed last."""
    offsets: dict[TopicPartition, int]
    """As committed last, or where reading begins."""
    sequence: int = 0
    """How often this membership has committed for it."""


class StageMembership:
    """One slot of one stage, taken. Any error but Rebalanced leaves it dead."""

    def __init__(
        self,
        cluster: Cluster,
        stage: str,
        slot: str,
        inputs: Sequence[str],
        written: dict[ClusterPartition, int],
        siblings: set[GroupConsumer],
    ) -> None:
        """Join the group and wait for its assignment.

        Args:
            written: per partition the offset after the last record that this process committed.
            siblings: the group consumers of this process in all its stages; this one is added.

        Raises:
            LogError: the cluster cannot be used.
        """
        self.inputs = tuple(inputs)
        self._cluster = cluster
        self._stage = stage
        self._nonce = uuid.uuid4().hex
        self._restored: dict[int, _RestoredTask] = {}
        self._dead = False
        self._checked_at = monotonic()
        self._closing: list[Callable[[], object]] = []
        """Called by `close`, newest first."""
        self._watchdog = Watchdog()
        self._closing.append(self._watchdog.close)
        try:
            with self._guard("joining the group", 3 * HANGS_AFTER):
                self._take(slot, written, siblings)
        except BaseException:
            self.close()
            raise

    def _take(
        self, slot: str, written: dict[ClusterPartition, int], siblings: set[GroupConsumer]
    ) -> None:
        # The transactional id before the group: this aborts an open transaction of a predecessor in
        # the slot.
        cluster, stage = self._cluster, self._stage
        self._admin = cluster.admin()
        self._closing.append(self._admin.close)
        self._limits = read_limits(self._admin, cluster, stage)
        own = cluster.transactional_id(stage, slot)
        self._producer = TransactionalProducer(cluster, own, written, self._limits)
        self._closing.append(self._producer.close)
        self._changelog_consumer = cluster.consumer(max_partition_fetch_bytes=_RESTORE_FETCH_BYTES)
        self._closing.append(self._changelog_consumer.close)
        # What is still open now has lost its end.
        self._hanging = Hanging(cluster, stage, self._admin, self.inputs)
        if left := self._hanging.open().get(own):
            self._producer.abort_hanging(self._hanging, left)
        topics = [cluster.topic(name) for name in self.inputs]
        group = cluster.group(stage)
        self._consumer = GroupConsumer(cluster, self._admin, group, slot, topics, siblings)
        self._closing.append(self._consumer.leave)
        self._consumer.join(self._is_standby)
        self.feed = Feed(self._consumer, cluster.prefix, written)
        self._hanging.heartbeat = self.feed.heartbeat
        self.topics = StageTopics(cluster, stage, self._admin, self.inputs)

    @property
    def rebalances(self) -> int:
        """How many times the group has assigned tasks."""
        return self._consumer.rebalances

    @property
    def assigned(self) -> frozenset[int]:
        """The assigned tasks: partition i of every input is task i's."""
        return frozenset(at.partition for at in self._consumer.assigned)

    # -- one step at a time -----------------------------------------------------------------

    @contextmanager
    def step(self, what: str, seconds: float = HANGS_AFTER) -> Iterator[None]:
        """Run a step; after any error but Rebalanced no later step is allowed.

        The process ends if the step hangs.
        """
        if self._dead:
            raise LogError("This session of the log has failed or was closed: open a new one.")
        with self._guard(what, seconds):
            yield

    @contextmanager
    def _guard(self, what: str, seconds: float) -> Iterator[None]:
        self._dead = True
        servers = ",".join(self._cluster.servers)
        with self._watchdog.limit(f"{what} on the brokers at {servers}", seconds):
            try:
                yield
            except Rebalanced:
                self._dead = False
                raise
            except ClientError as error:
                raise LogError(f"Stage {self._stage}, {what}: {error}") from error
        self._dead = False

    # -- tasks ------------------------------------------------------------------------------

    def restore(self, task: int) -> tuple[Snapshot, dict[TopicPartition, int]]:
        """Return what is committed for a task, and where its inputs are read on.

        Raises:
            Rebalanced: start again with what the group has assigned.
            ConfigError: topics, changelog or offsets were changed so that an operator must decide.
            LogError: the changelog cannot be read.
        """
        self.topics.refuse_changed()
        blocks = Blocks(self._limits.block)
        changelog = self._changelog(task)
        consumer, heartbeat = self._changelog_consumer, self.feed.heartbeat
        restore(consumer, self._admin, changelog, blocks, heartbeat, self._fence(task))
        committed = self._committed(task)  # fencing may have changed it
        offsets, renewed = self.topics.resume(task, committed, blocks, self._consumer)
        self.feed.await_stable()
        for at, offset in offsets.items():
            self.feed.start(at, offset)
        metadata = next((found.metadata for found in committed.values() if found), "")
        self._restored[task] = _RestoredTask(blocks, metadata, dict(offsets))
        states = ((key, value) for key, value in blocks.items() if key is not None)
        return Snapshot(blocks.meta, states, renewed), offsets

    def follow(self) -> frozenset[int]:
        """After a rebalance: return the restored tasks that are still valid, and forget the others.

        Raises:
            LogError: the cluster cannot be used.
        """
        while True:
            rebalances = self.rebalances
            for task in self._restored.keys() - self.assigned:
                self.release(task)
            self.feed.seek_back()
            try:
                doubtful = [task for task in self._restored if not self._is_unchanged(task)]
            except Rebalanced:
                continue
            if self.rebalances == rebalances:
                break
        for task in doubtful:
            self.release(task)
        return frozenset(self._restored)

    def release(self, task: int) -> None:
        """Forget a task."""
        self._restored.pop(task, None)
        for topic in self.inputs:
            self.feed.stop(TopicPartition(topic, task))

    def _is_unchanged(self, task: int) -> bool:
        committed = {found and found.metadata for found in self._committed(task).values()}
        return committed == {self._restored[task].metadata or None}

    def _committed(self, task: int) -> dict[TopicPartition, CommittedOffset | None]:
        """Return offset and metadata per input; a transaction that holds them is aborted."""
        found: dict[TopicPartition, CommittedOffset | None] = {}
        began, group = monotonic(), self._cluster.group(self._stage)
        attempts = [(0.0, self._fence(task)), (_LOST_AFTER, lambda: self._abort_last(task))]
        while len(found) < len(self.inputs):
            at = TopicPartition(self.inputs[len(found)], task)
            self.feed.heartbeat()
            try:
                found[at] = self._consumer.committed(self._on_cluster(at))
            except ClientTimeout as error:
                waited = monotonic() - began
                if attempts and waited >= attempts[0][0]:
                    attempts.pop(0)[1]()
                elif waited > _UNSTABLE_SECONDS:
                    raise unstable(group, at, _UNSTABLE_SECONDS) from error
        return found

    # -- commits ----------------------------------------------------------------------------

    def commit(
        self,
        unit: Commit,
        touched: Collection[int],
        outputs: list[Outgoing],
        timestamp: int,
        positions: Mapping[TopicPartition, int],
    ) -> None:
        """Commit a unit of work in one transaction.

        Args:
            positions: per input what has been read.

        Raises:
            LogInDoubt: the group has gone on without this worker; nothing was committed.
            LogError: it failed; the outcome is unknown.
        """
        records = list(outputs)
        offsets = {}
        changed: dict[int, dict[Key, bytes]] = {
            task: {None: unit.metas[task]} if task in unit.metas else {} for task in touched
        }
        for task, key, value in unit.states:
            changed[task][key] = value
        for task, changes in changed.items():
            restored = self._restored[task]
            restored.sequence += 1
            own = metadata_of(self._nonce, restored.sequence, self._producer.transactional_id)
            restored.metadata = own
            for at in restored.offsets:
                offset = restored.offsets[at] = unit.offsets.get(at, restored.offsets[at])
                offsets[self._on_cluster(at)] = CommittedOffset(offset, own)
            note = self.topics.note(own, restored.offsets, positions)
            changelog = self._changelog(task)
            blocks = restored.blocks.write(changes, note, unit.erase)
            records += [(changelog, *block, ()) for block in blocks]
        self._producer.commit(records, timestamp, offsets, self._consumer.group_metadata)

    # -- leaving ----------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the group and close all connections. May be called twice."""
        self._dead = True
        while self._closing:
            self._closing.pop()()

    def check_standby(self) -> None:
        """Without tasks: make sure, every few seconds, that the other members have them all."""
        if not self.assigned and monotonic() - self._checked_at > _CHECK_SECONDS:
            self._checked_at = monotonic()
            if self._is_standby():
                self._consumer.confirm_standby()

    def _is_standby(self) -> bool:
        """Return whether the group's other members have every task."""
        owners = owners_of(self._admin, self._cluster.group(self._stage))
        return len(owners) == self._consumer.partitions

    def _fence(self, task: int) -> Callable[[], object]:
        own = self._producer.transactional_id
        return lambda: self._hanging.fence(self._changelog(task), own)

    def _abort_last(self, task: int) -> None:
        """Abort what predecessors have left open among the offsets: in this slot, or the last."""
        self._producer.abort_hanging(self._hanging)
        self._hanging.fence_last(self._changelog(task), self._producer.transactional_id)

    def _changelog(self, task: int) -> ClusterPartition:
        return ClusterPartition(self._cluster.changelog(self._stage), task)

    def _on_cluster(self, at: TopicPartition) -> ClusterPartition:
        return ClusterPartition(self._cluster.topic(at.topic), at.partition)
