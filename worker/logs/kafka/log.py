"""The log on Apache Kafka: topics of a cluster, a consumer group per stage, transactions."""

import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord, Record, TopicPartition
from worker.errors import LogError, TaskTaken, WalletwatchError
from worker.logs.kafka.client import ClusterPartition, GroupMetadata, Outgoing
from worker.logs.kafka.client_errors import ClientError
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.group_consumer import GroupConsumer, owners_of
from worker.logs.kafka.limits import read_limits, record_limit
from worker.logs.kafka.reader import Reader
from worker.logs.kafka.session import KafkaSession
from worker.logs.kafka.stage_membership import StageMembership
from worker.logs.kafka.transaction import TransactionalProducer


class KafkaLog:
    """Topics that exist already, on brokers that prune them by themselves.

    Args:
        slot: the name of this worker within its stages, the same after a restart. A second
            process with the same slot ends the first.
        clock: milliseconds since the epoch: the timestamps of what is appended, where the topic
            does not stamp records itself.
    """

    def __init__(self, cluster: Cluster, slot: str, clock: Callable[[], int]) -> None:
        """Connect when first used."""
        self._cluster = cluster
        self._slot = slot
        self._clock = clock
        self._last_timestamp = 0
        self._written: dict[ClusterPartition, int] = {}
        self._reader = Reader(cluster, self._written)
        self._counts: dict[str, int] = {}
        self._producer: TransactionalProducer | None = None
        self._consumers: set[GroupConsumer] = set()
        self._memberships: dict[str, tuple[StageMembership, list[KafkaSession]]] = {}

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        if topic not in self._counts:
            count = self._reader.partitions(self._cluster.topic(topic))
            if not count:
                raise LogError(
                    f"The log has no topic {topic}, or it may not be read: walletwatch topics "
                    "create makes it, walletwatch topics acls lists what a user must be allowed."
                )
            self._counts[topic] = count
        return self._counts[topic]

    def step_over(self, ranges: Mapping[TopicPartition, Collection[tuple[int, int]]]) -> None:
        """Let sessions that are opened from now on read the records of these ranges as empty."""
        stepped_over = {
            (ClusterPartition(self._cluster.topic(at.topic), at.partition), first, last)
            for at, each in ranges.items()
            for first, last in each
        }
        self._cluster = replace(self._cluster, stepped_over=frozenset(stepped_over))

    def record_limit(self, topic: str) -> int:
        """Return max.message.bytes of the topic, or the limit of the client if that is lower."""
        self.partitions(topic)
        name = self._cluster.topic(topic)
        try:
            with closing(self._cluster.admin()) as admin:
                return record_limit(admin, name)
        except ClientError as error:
            raise LogError(f"The settings of {name} cannot be read: {error}") from error

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all records in one transaction; see the port."""
        outgoing = [self._address(record) for record in records]
        if not outgoing:
            return
        if self._producer is None:
            self._producer = self._appending()
        try:
            self._producer.commit(outgoing, self._timestamp(), {}, GroupMetadata(None))
        except BaseException:  # Ctrl-C too: an open transaction holds the clocks of all workers
            self._abort(self._producer)
            self._producer = None
            raise

    def _appending(self) -> TransactionalProducer:
        cluster = self._cluster
        own = cluster.transactional_id("append", uuid.uuid4().hex)
        with closing(cluster.admin()) as admin:
            try:
                limits = read_limits(admin, cluster)
            except ClientError as error:
                raise LogError(f"The limits of the topics cannot be read: {error}") from error
        return TransactionalProducer(cluster, own, self._written, limits)

    def _abort(self, failed: TransactionalProducer) -> None:
        """Abort what a producer has left open; brokers that are gone do it when they are back."""
        failed.close()
        with suppress(WalletwatchError):
            TransactionalProducer(self._cluster, failed.transactional_id, {}).close()

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`."""
        self._check(topic, partition)
        at = ClusterPartition(self._cluster.topic(topic), partition)
        return self._reader.read(at, offset, limit)

    def offsets(self, topic: str) -> list[tuple[int, int]]:
        """Return per partition (the oldest stored offset, the offset that is appended next)."""
        return self._reader.extents(self._partitions_of(topic))

    def hidden(self, topic: str) -> list[int]:
        """Return per partition how many offsets at its end open transactions hide."""
        return self._reader.hidden(self._partitions_of(topic))

    def last_records(self, topic: str) -> list[Record | None]:
        """Return the newest record of each partition that can be read; None where none can."""
        return self._reader.last_records(self._partitions_of(topic))

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> KafkaSession:
        """Take tasks of a stage; those that the group assigns, if None. See the port."""
        for topic in inputs:
            for task in tasks or (0,):
                self._check(topic, task)
        if tasks is not None:
            self._refuse_taken(stage, tasks)
        membership, sessions = self._membership(stage, inputs)
        try:
            session = KafkaSession(membership, tasks, self._address, self._timestamp, self._release)
        except TaskTaken:
            self._leave_if_empty(stage)
            raise
        sessions.append(session)
        return session

    def prune(self, retention: Mapping[str, int], readers: Mapping[str, Collection[str]]) -> int:
        """Drop nothing: the brokers keep the retention of their topics."""
        return 0

    def erase(
        self,
        chosen: Callable[[TopicPartition, Record], bool],
        readers: Mapping[str, Collection[str]],
    ) -> int:
        """Remove nothing: brokers remove no single records before their retention has passed."""
        return 0

    def close(self) -> None:
        """Close every session and connection. May be called twice."""
        for membership, _ in list(self._memberships.values()):
            membership.close()
        self._memberships.clear()
        if self._producer is not None:
            self._producer.close()
            self._producer = None
            self._reader.await_written()
        self._reader.close()

    # -- sessions of this process share one membership --------------------------------------

    def _membership(
        self, stage: str, inputs: Sequence[str]
    ) -> tuple[StageMembership, list[KafkaSession]]:
        if stage not in self._memberships:
            membership = StageMembership(
                self._cluster, stage, self._slot, inputs, self._written, self._consumers
            )
            self._memberships[stage] = (membership, [])
        return self._memberships[stage]

    def _refuse_taken(self, stage: str, tasks: Sequence[int]) -> None:
        """Raise TaskTaken if a session of this process, or another process, has one of them."""
        if stage in self._memberships:
            taken = {task for session in self._memberships[stage][1] for task in session.tasks}
            owners = dict.fromkeys(taken, str(os.getpid()))
        else:
            group = self._cluster.group(stage)
            with closing(self._cluster.admin()) as admin:
                try:
                    owners = owners_of(admin, group)
                except ClientError as error:
                    raise LogError(f"The members of {group} cannot be read: {error}") from error
        for task in tasks:
            if task in owners:
                raise TaskTaken(
                    f"Task {task} of stage {stage} is already run by process {owners[task]}."
                )

    def _release(self, session: KafkaSession) -> None:
        for stage, (membership, sessions) in list(self._memberships.items()):
            if session in sessions:
                sessions.remove(session)
                for task in session.tasks:
                    membership.release(task)
                self._leave_if_empty(stage)

    def _leave_if_empty(self, stage: str) -> None:
        membership, sessions = self._memberships[stage]
        if not sessions:
            del self._memberships[stage]
            membership.close()

    # -- addresses and times ----------------------------------------------------------------

    def _partitions_of(self, topic: str) -> list[ClusterPartition]:
        name = self._cluster.topic(topic)
        return [ClusterPartition(name, number) for number in range(self.partitions(topic))]

    def _check(self, topic: str, partition: int) -> None:
        count = self.partitions(topic)
        if not 0 <= partition < count:
            raise LogError(f"Topic {topic} has no partition {partition}, only 0 to {count - 1}.")

    def _address(self, record: NewRecord) -> Outgoing:
        number = record.partition
        if number is None:
            if record.key is None:
                raise ValueError("a record without a key needs a partition")
            number = partition_of(record.key, self.partitions(record.topic))
        self._check(record.topic, number)
        at = ClusterPartition(self._cluster.topic(record.topic), number)
        return at, record.key, record.value, record.headers

    def _timestamp(self) -> int:
        """Return the time, which never decreases, even if the clock was set back."""
        self._last_timestamp = max(self._last_timestamp, self._clock())
        return self._last_timestamp
