"""The admin client of the seam, by kafka-python."""

from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Final
from uuid import UUID

from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, MemberToRemove, OffsetSpec
from kafka.admin import NewTopic as TheirNewTopic
from kafka.errors import (
    InvalidMetadataError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)
from kafka.protocol.consumer import IsolationLevel

from worker.logs.kafka.client import (
    Admin,
    ClusterPartition,
    GroupDescription,
    GroupMember,
    NewTopic,
    OpenTransaction,
    TopicCreation,
    TopicDescription,
    Visibility,
)
from worker.logs.kafka.kafka_python.connect import KafkaPythonClient
from worker.logs.kafka.kafka_python.errors import translated

_LEADER_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1


class KafkaPythonAdmin(KafkaPythonClient, Admin):
    """See the seam."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(KafkaAdminClient, options)

    def brokers(self) -> list[str]:
        # describe_cluster() raises KeyError on brokers before Kafka 3.7.
        brokers = self._client._manager.cluster.brokers()
        return sorted(f"{each.host}:{each.port}" for each in brokers)

    def cluster_id(self) -> str:
        return str(self._client._manager.cluster.cluster_id)

    @translated
    def describe_group(self, group: str) -> GroupDescription:
        found = self._client.describe_groups([group])[group]
        members = tuple(map(_member, found["members"]))
        return GroupDescription(members, found.get("authorized_operations") or (), found["error"])

    @translated
    def remove_member(self, group: str, member_id: str, instance_id: str, reason: str) -> None:
        member = MemberToRemove(member_id, instance_id, reason)
        self._client.remove_group_members(group, [member])

    @translated
    def set_offsets(self, group: str, offsets: Mapping[ClusterPartition, int]) -> None:
        theirs = {
            TopicPartition(*at): OffsetAndMetadata(offset, "", -1) for at, offset in offsets.items()
        }
        answers = self._client.alter_group_offsets(group, theirs)
        for at, error in answers.items():
            if error is not NoError:
                raise error(f"{at.topic}/{at.partition}")

    @translated
    def end_offset(self, partition: ClusterPartition, timeout_ms: int) -> int:
        at = TopicPartition(*partition)
        found = self._client.list_partition_offsets(
            {at: OffsetSpec.LATEST}, IsolationLevel.READ_UNCOMMITTED, timeout_ms=timeout_ms
        )
        return int(found[at].offset)

    @translated
    def open_transactions(self, partitions: Collection[ClusterPartition]) -> list[OpenTransaction]:
        states = self._producers([TopicPartition(*each) for each in partitions])
        producers = [
            (ClusterPartition(*at), producer.current_transaction_start_offset, producer)
            for at, state in states.items()
            for producer in state.active_producers
            if producer.current_transaction_start_offset >= 0
        ]
        names = self._transactional_ids({each.producer_id for _, _, each in producers})
        return sorted(
            OpenTransaction(
                at, first, each.producer_id, each.last_timestamp, names.get(each.producer_id)
            )
            for at, first, each in producers
        )

    def _producers(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Any]:
        """Return the producers of partitions, waiting for those that are just given a leader."""
        deadline = monotonic() + _LEADER_SECONDS
        while True:
            try:
                return dict(self._client.describe_producers(partitions))
            except InvalidMetadataError:
                if monotonic() > deadline:
                    raise
                sleep(_LOOK_SECONDS)

    def _transactional_ids(self, producers: Collection[int]) -> dict[int, str]:
        """Return the transactional ids of producers, as far as this user may see them."""
        if not producers:
            return {}
        listed = self._client.list_transactions(producer_id_filters=sorted(producers))
        return {
            each.producer_id: each.transactional_id
            for listings in listed.values()
            for each in listings
        }

    @translated
    def transaction_start(self, transactional_id: str) -> int:
        described = self._client.describe_transactions([transactional_id])
        return int(described[transactional_id].transaction_start_time_ms)

    @translated
    def describe_topics(self, names: Sequence[str]) -> list[TopicDescription]:
        return list(map(_topic, self._client.describe_topics(list(names))))

    @translated
    def topic_configs(self, wanted: Mapping[str, Collection[str]]) -> dict[str, dict[str, str]]:
        if not wanted:
            return {}
        resources = [ConfigResource("topic", name, list(keys)) for name, keys in wanted.items()]
        answer = self._client.describe_configs(resources, config_filter="all")
        return {
            name: {key: str(config["value"]) for key, config in configs.items()}
            for name, configs in answer["topic"].items()
        }

    @translated
    def create_topics(self, topics: Sequence[NewTopic]) -> list[TopicCreation]:
        new = [
            TheirNewTopic(
                each.name, each.partitions, each.replication, topic_configs=dict(each.configs)
            )
            for each in topics
        ]
        return list(map(_creation, self._client.create_topics(new, raise_errors=False)["topics"]))

    @translated
    def wait_for_topics(self, names: Sequence[str]) -> None:
        self._client.wait_for_topics(list(names))

    def close(self) -> None:
        with suppress(KafkaError):
            self._client.close()


def _member(described: Mapping[str, Any]) -> GroupMember:
    assigned = (described["member_assignment"] or {}).get("assigned_partitions", ())
    numbers = tuple(number for topic in assigned for number in topic["partitions"])
    return GroupMember(
        described["client_id"], numbers, described["member_id"], described["group_instance_id"]
    )


def _topic(described: Mapping[str, Any]) -> TopicDescription:
    name, operations = described["name"], described.get("authorized_operations") or ()
    if described["error_code"] == TopicAuthorizationFailedError.errno:
        return TopicDescription(name, Visibility.HIDDEN, operations=operations)
    if described["error_code"] != 0:
        return TopicDescription(name, Visibility.MISSING, operations=operations)
    partitions = described["partitions"]
    replication = min(len(each["replica_nodes"]) for each in partitions)
    return TopicDescription(
        name,
        Visibility.VISIBLE,
        len(partitions),
        replication,
        operations,
        _id(described.get("topic_id")),
    )


def _id(found: str | None) -> str:
    """Return a topic id in base64, as Kafka does; empty if there is none."""
    parsed = UUID(found) if found else UUID(int=0)
    return urlsafe_b64encode(parsed.bytes).decode().rstrip("=") if parsed.int else ""


def _creation(answer: Mapping[str, Any]) -> TopicCreation:
    code = answer["error_code"]
    if code in (0, TopicAlreadyExistsError.errno):
        return TopicCreation(answer["name"], created=code == 0)
    return TopicCreation(answer["name"], created=False, error=str(answer["error_message"]))
