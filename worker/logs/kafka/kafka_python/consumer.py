"""The consumer of the seam, by kafka-python."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import MemberState as TheirState

from worker.engine.records import Record
from worker.logs.kafka.client import (
    ClusterPartition,
    CommittedOffset,
    Consumer,
    GroupMetadata,
    MemberState,
    RebalanceListener,
)
from worker.logs.kafka.kafka_python.connect import KafkaPythonClient
from worker.logs.kafka.kafka_python.decode import as_records
from worker.logs.kafka.kafka_python.errors import translated
from worker.logs.kafka.kafka_python.large_answers import LargeAnswers
from worker.logs.kafka.kafka_python.pending_join import keep_join

_STATES: Final = {
    TheirState.UNJOINED: MemberState.UNJOINED,
    TheirState.REBALANCING: MemberState.REBALANCING,
    TheirState.STABLE: MemberState.STABLE,
}


class KafkaPythonConsumer(KafkaPythonClient, Consumer):
    """See the seam. In a group, partition i of each topic goes to the same member."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        assignors = [RangePartitionAssignor]
        super().__init__(KafkaConsumer, {"partition_assignment_strategy": assignors, **options})
        self._uncommitted = _uncommitted(self._client)
        self._large_answers = LargeAnswers(self._client)

    @translated
    def partition_count(self, topic: str) -> int:
        return len(self._client.partitions_for_topic(topic))

    @translated
    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._client.subscribe(topics=list(topics), listener=_Listener(listener))
        # Fetches the metadata: had it changed after the first join, the group would join again.
        self._client.topics()

    @translated
    def assign(self, partitions: Collection[ClusterPartition]) -> None:
        self._client.assign(_theirs(partitions))

    @translated
    def assignment(self) -> set[ClusterPartition]:
        return {ClusterPartition(*each) for each in self._client.assignment()}

    @translated
    def poll(self, timeout_ms: int, limit: int) -> dict[ClusterPartition, list[Record]]:
        polled = self._client.poll(timeout_ms, limit)
        if not polled:
            self._large_answers.check()
        return {ClusterPartition(*at): as_records(records) for at, records in polled.items()}

    @translated
    def pause(self, partitions: Iterable[ClusterPartition]) -> None:
        self._client.pause(*_theirs(partitions))

    @translated
    def resume(self, partitions: Iterable[ClusterPartition]) -> None:
        self._client.resume(*_theirs(partitions))

    @translated
    def seek(self, partition: ClusterPartition, offset: int) -> None:
        self._client.seek(TopicPartition(*partition), offset)

    @translated
    def position(self, partition: ClusterPartition) -> int:
        return int(self._client.position(TopicPartition(*partition)))

    @translated
    def beginning_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        return _own(self._client.beginning_offsets(_theirs(partitions), timeout_ms))

    @translated
    def end_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        return _own(self._uncommitted.end_offsets(_theirs(partitions), timeout_ms))

    @translated
    def stable_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        return _own(self._client.end_offsets(_theirs(partitions), timeout_ms))

    @translated
    def committed(self, partition: ClusterPartition, timeout_ms: int) -> CommittedOffset | None:
        at = TopicPartition(*partition)
        found = self._client.committed(at, metadata=True, timeout_ms=timeout_ms)
        if found is None or found.offset < 0:
            return None
        return CommittedOffset(found.offset, found.metadata or "")

    def group_metadata(self) -> GroupMetadata:
        group, generation, member_id, instance_id, state = self._client.group_metadata()
        return GroupMetadata(group, generation, member_id, instance_id, _STATES[state])

    def keep_join(self) -> None:
        keep_join(self._client._coordinator)

    def close(self, timeout_ms: int | None = None) -> None:
        with suppress(KafkaError):
            self._client.close(autocommit=False, timeout_ms=timeout_ms)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, listener: RebalanceListener) -> None:
        self._listener = listener

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Eager: everything is revoked before each join, and assigned anew after it."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._listener.partitions_assigned(frozenset(ClusterPartition(*each) for each in assigned))

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._listener.partitions_lost()


def _uncommitted(client: Any) -> Any:
    """Return what asks for offsets on the consumer's connections, open transactions included.

    The library lets a consumer ask by its own isolation level only.
    """
    options = {**client.config, "isolation_level": "read_uncommitted"}
    return Fetcher(client._client, client._subscription, **options)


def _theirs(partitions: Iterable[ClusterPartition]) -> list[TopicPartition]:
    return [TopicPartition(*each) for each in partitions]


def _own(offsets: Mapping[TopicPartition, int]) -> dict[ClusterPartition, int]:
    return {ClusterPartition(*at): offset for at, offset in offsets.items()}
