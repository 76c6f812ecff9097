"""The producer of the seam, by kafka-python."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from kafka.serializer import Serializer
from kafka.structs import ConsumerGroupMetadata

from worker.logs.kafka.client import (
    ClusterPartition,
    CommittedOffset,
    GroupMetadata,
    Outgoing,
    Producer,
)
from worker.logs.kafka.kafka_python.connect import KafkaPythonClient
from worker.logs.kafka.kafka_python.errors import translated


class _Null(Serializer):  # type: ignore[misc]
    """Lets a record have neither key nor value, as a dead letter may; the library refuses None."""

    def serialize(self, topic: str, headers: Any, data: Any) -> bytes | None:
        """Return the bytes as they are, and None for this object."""
        return None if data is self else data


class KafkaPythonProducer(KafkaPythonClient, Producer):
    """See the seam."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._null = _Null()
        super().__init__(KafkaProducer, {"value_serializer": self._null, **options})

    @translated
    def init_transactions(self) -> None:
        self._client.init_transactions()

    @translated
    def begin_transaction(self) -> None:
        self._client.begin_transaction()

    @translated
    def send(
        self, records: Sequence[Outgoing], timestamp: int, timeout: float
    ) -> dict[ClusterPartition, int]:
        send, null = self._client.send, self._null
        futures = []
        for at, key, value, headers in records:
            known = null if value is None and key is None else value
            futures.append(send(at.topic, known, key, list(headers), at.partition, timestamp))
        self._client.flush(timeout=timeout)
        for future in futures:
            # An expired batch fails its futures and nothing else: the commit would succeed.
            if not future.succeeded():
                raise future.exception or KafkaError("a record was not acknowledged")
        acknowledged = zip(records, futures, strict=True)
        return {record[0]: future.value.offset + 1 for record, future in acknowledged}

    @translated
    def send_offsets(
        self, offsets: Mapping[ClusterPartition, CommittedOffset], group: GroupMetadata
    ) -> None:
        theirs = {
            TopicPartition(*at): OffsetAndMetadata(each.offset, each.metadata, -1)
            for at, each in offsets.items()
        }
        self._client.send_offsets_to_transaction(theirs, ConsumerGroupMetadata(*group[:4]))

    @translated
    def commit_transaction(self) -> None:
        self._client.commit_transaction()

    @translated
    def close(self) -> None:
        self._client.close(timeout=0)
