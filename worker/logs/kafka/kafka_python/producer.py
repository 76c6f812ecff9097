"""The producer of the seam, by kafka-python."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)
from kafka.serializer import Serializer
from kafka.structs import ConsumerGroupMetadata

from worker.logs.kafka.client import (
    ClusterPartition,
    CommittedOffset,
    GroupMetadata,
    Outgoing,
    Producer,
)
from worker.logs.kafka.client_errors import RecordTooLarge
from worker.logs.kafka.kafka_python.connect import KafkaPythonClient
from worker.logs.kafka.kafka_python.errors import translated

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


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
        futures: list[Any] = []
        deadline = monotonic() + timeout
        try:
            futures.extend(self._sent(record, timestamp) for record in records)
            self._client.flush(timeout=timeout)
        except MessageSizeTooLargeError as error:  # for the client itself
            raise RecordTooLarge(repr(error), records[len(futures)][0].topic) from error
        except UnknownError:
            # A batch was too large for its topic: the library has halved it, and waits no longer.
            _await(futures, deadline)
        except KafkaError as error:
            # A record was too large for its topic: every later call fails, with that as its cause.
            if any(isinstance(each, _TOO_LARGE) for each in error.args):
                _await(futures, deadline)
                _refuse_too_large(records, futures)
            raise
        _refuse_too_large(records, futures)
        for future in futures:
            # An expired batch fails its futures and nothing else: the commit would succeed.
            if not future.succeeded():
                raise future.exception or KafkaError("a record was not acknowledged")
        acknowledged = zip(records, futures, strict=True)
        return {record[0]: future.value.offset + 1 for record, future in acknowledged}

    def _sent(self, record: Outgoing, timestamp: int) -> Any:
        """Begin to send a record, and return the library's future of its acknowledgement."""
        at, key, value, headers = record
        known = self._null if value is None and key is None else value
        return self._client.send(at.topic, known, key, list(headers), at.partition, timestamp)

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
    def abort_transaction(self) -> None:
        self._client.abort_transaction()

    def close(self) -> None:
        # The library's own close flushes first, and fails if it cannot: that error would hide the
        # one after which the producer is closed. The sender closes the connections.
        self._client._sender.force_close()
        self._client._unregister_cleanup()
        self._client._closed = True


def _await(futures: Sequence[Any], deadline: float) -> None:
    """Wait until all are done, or the time is up."""
    for future in futures:
        with suppress(KafkaError):  # judged when all are known
            future.get(max(deadline - monotonic(), 0))


def _refuse_too_large(records: Sequence[Outgoing], futures: Sequence[Any]) -> None:
    """Raise RecordTooLarge if a record has failed because of its size; names its topic."""
    for (at, *_), future in zip(records, futures, strict=False):
        if isinstance(future.exception, _TOO_LARGE):
            raise RecordTooLarge(repr(future.exception), at.topic)
