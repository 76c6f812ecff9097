"""One commit as one transaction: outputs, changelog and positions, or nothing.

After any failure the producer is not used again, not even to abort: what it believes about its
transaction may be wrong (kafka-python forgets expired batches, and repeats stale offsets). Whoever
initialises its transactional id next aborts what is open.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    ProducerFencedError,
)
from kafka.serializer import Serializer

from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.cluster import Cluster

_FLUSH_SECONDS: Final = 15.0
_MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
_REPLACED = (
    ProducerFencedError,
    InvalidProducerEpochError,
    CommitFailedError,
    FencedInstanceIdError,
)

Outgoing = tuple[TopicPartition, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Where to, key, value, headers."""


class _Null(Serializer):  # type: ignore[misc]
    """Lets a record have neither key nor value, as a dead letter may; the client refuses None."""

    def serialize(self, topic: str, headers: Any, data: Any) -> bytes | None:
        """Return the bytes as they are, and nothing for this."""
        return None if data is self else data


class Producer:
    """The producer of one transactional id."""

    def __init__(
        self, cluster: Cluster, transactional_id: str, written: dict[TopicPartition, int]
    ) -> None:
        """Take the id over: whoever had it before can commit no more.

        Args:
            written: told, per partition, the offset after the last committed record. Readers see it
                a little later than `commit` returns; those of this process can wait for it.

        Raises:
            LogError: the cluster did not answer, or does not allow it.
        """
        self.transactional_id = transactional_id
        self._written = written
        self._null = _Null()
        self._producer = cluster.producer(
            value_serializer=self._null,
            transactional_id=transactional_id,
            transaction_timeout_ms=cluster.timings.transaction,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        try:
            self._producer.init_transactions()
        except KafkaError as error:
            self.close()
            raise LogError(f"{transactional_id}: cannot begin transactions: {error}") from error

    def commit(
        self,
        records: Sequence[Outgoing],
        timestamp: int,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        identity: Any,
    ) -> None:
        """Commit records and offsets together.

        Args:
            timestamp: of the records, milliseconds, where the topic does not stamp them itself.
            identity: the member's metadata as it was when the records behind this were polled: the
                broker refuses the commit if the group has moved on since.

        Raises:
            LogInDoubt: another worker has taken over; nothing was committed.
            LogError: it failed; the outcome may be unknown.
        """
        try:
            self._commit(records, timestamp, offsets, identity)
        except KafkaError as error:
            # After a fatal error the client wraps it, and raises it from whatever comes next.
            if any(isinstance(cause, _REPLACED) for cause in (error, *error.args)):
                raise LogInDoubt(
                    f"{self.transactional_id}: the commit was refused, because another worker has "
                    f"taken over its slot or its tasks ({error!r})."
                ) from error
            raise LogError(f"{self.transactional_id}: the commit failed: {error!r}") from error

    def _commit(
        self,
        records: Sequence[Outgoing],
        timestamp: int,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        identity: Any,
    ) -> None:
        producer, written = self._producer, {}
        producer.begin_transaction()
        futures = [
            producer.send(
                at.topic,
                self._null if value is None and key is None else value,
                key,
                list(headers),
                at.partition,
                timestamp,
            )
            for at, key, value, headers in records
        ]
        producer.flush(timeout=_FLUSH_SECONDS)
        for (place, *_), future in zip(records, futures, strict=True):
            # An expired batch fails its futures and nothing else: the commit would succeed.
            if not future.succeeded():
                raise future.exception or KafkaError("a record was not acknowledged")
            written[place] = future.value.offset + 1
        if offsets:
            producer.send_offsets_to_transaction(offsets, identity)
        producer.commit_transaction()
        self._written.update(written)

    def close(self) -> None:
        """Let go of the connections. An open transaction is left to the successor."""
        self._producer.close(timeout=0)
