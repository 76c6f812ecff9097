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
    MessageSizeTooLargeError,
    ProducerFencedError,
)
from kafka.serializer import Serializer

from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.cluster import Cluster, told

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
            raise LogError(
                f"{transactional_id}: cannot begin transactions: {told(error)}"
            ) from error

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
        sent: list[tuple[Outgoing, Any]] = []
        try:
            self._commit(records, sent, timestamp, offsets, identity)
        except KafkaError as error:
            raise self._told(error, sent) from error
        self._written.update({record[0]: future.value.offset + 1 for record, future in sent})

    def _commit(
        self,
        records: Sequence[Outgoing],
        sent: list[tuple[Outgoing, Any]],
        timestamp: int,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        identity: Any,
    ) -> None:
        producer = self._producer
        producer.begin_transaction()
        for record in records:
            at, key, value, headers = record
            known = self._null if value is None and key is None else value
            future = producer.send(at.topic, known, key, list(headers), at.partition, timestamp)
            sent.append((record, future))
        producer.flush(timeout=_FLUSH_SECONDS)
        for _, future in sent:
            # An expired batch fails its futures and nothing else: the commit would succeed.
            if not future.succeeded():
                raise future.exception or KafkaError("a record was not acknowledged")
        if offsets:
            producer.send_offsets_to_transaction(offsets, identity)
        producer.commit_transaction()

    def _told(self, error: KafkaError, sent: Sequence[tuple[Outgoing, Any]]) -> LogError:
        """Return what a failed commit means.

        After a fatal error the client wraps it, and raises it from whatever is called next.
        """
        causes = (error, *error.args)
        if any(isinstance(cause, _REPLACED) for cause in causes):
            return LogInDoubt(
                f"{self.transactional_id}: the commit was refused, because another worker has "
                f"taken over its slot or its tasks ({error!r})."
            )
        if any(isinstance(cause, MessageSizeTooLargeError) for cause in causes):
            at, _, value, _ = max((record for record, _ in sent), key=_size)
            return LogError(
                f"Topic {at.topic} takes no record of {len(value or b'')} bytes: raise its "
                "max.message.bytes. Nothing was committed."
            )
        return LogError(f"{self.transactional_id}: the commit failed: {told(error)}")

    def close(self) -> None:
        """Let go of the connections. An open transaction is left to the successor."""
        self._producer.close(timeout=0)


def _size(record: Outgoing) -> int:
    return len(record[2] or b"")
