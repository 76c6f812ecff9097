"""Reading outside any group: single records, ends, and the newest of each partition."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from worker.engine.records import Record
from worker.errors import LogError
from worker.logs.kafka.cluster import Cluster, client_id, told
from worker.logs.kafka.group_consumer import as_records

_SLICE_MS: Final = 200
_ANSWER_MS: Final = 10_000
_FETCH_WAIT_MS: Final = 5
"""What is asked for is there; a fetch of what follows must not hold the next question up."""


class Reader:
    """A consumer that is no member of any group. Connects when first asked."""

    def __init__(self, cluster: Cluster, written: Mapping[TopicPartition, int]) -> None:
        self._written = written
        """Per partition the offset after the last record that this process committed."""
        self._cluster = cluster
        self._made: KafkaConsumer | None = None
        self._at: tuple[TopicPartition, int] | None = None
        """What is being read, and the position: reading on needs no new fetch."""

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has; 0 if there is none, or it may not be read."""
        return len(self._ask(self._consumer.partitions_for_topic, topic))

    def extents(self, places: Sequence[TopicPartition]) -> list[tuple[int, int]]:
        """Return (oldest stored, next readable) offset of each partition."""
        wanted = list(places)
        first = self._ask(self._consumer.beginning_offsets, wanted, _ANSWER_MS)
        following = self._ask(self._consumer.end_offsets, wanted, _ANSWER_MS)
        # What this process has committed counts, though the brokers may not show it yet.
        written = self._written
        return [(first[at], max(following[at], written.get(at, 0))) for at in wanted]

    def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` records from the first stored one at or after `offset`."""
        if self._at != (place, offset):
            self._consumer.assign([place])
            self._at = None
        ((first, end),) = self.extents([place])
        position = max(first, offset)
        if self._at is None or position != offset:
            self._consumer.seek(place, position)
        found: list[Record] = []
        deadline = monotonic() + _ANSWER_MS / 1000
        while position < end and len(found) < limit:
            polled = self._ask(self._consumer.poll, _SLICE_MS, limit - len(found))
            found += as_records(polled.get(place, ()))
            before, position = position, self._consumer.position(place)
            if position > before:
                deadline = monotonic() + _ANSWER_MS / 1000
            elif monotonic() > deadline:
                raise LogError(
                    f"{place.topic}/{place.partition} cannot be read at offset {position}."
                )
        self._at = (place, position)
        return found

    def see_written(self) -> None:
        """Wait until everybody can read what this process has committed.

        It asks for ends, which a producer may know that may read nothing.

        Raises:
            LogError: something of it still waits for somebody else's transaction.
        """
        deadline = monotonic() + _ANSWER_MS / 1000
        for at, end in self._written.items():
            # One at a time: the client raises KeyError where it does not know all topics yet.
            while self._ask(self._consumer.end_offsets, [at], _ANSWER_MS)[at] < end:
                if monotonic() > deadline:
                    raise LogError(f"{at.topic}/{at.partition} cannot be read up to offset {end}.")
                sleep(_FETCH_WAIT_MS / 1000)

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close(autocommit=False)
            self._made = None

    @property
    def _consumer(self) -> KafkaConsumer:
        if self._made is None:
            self._made = self._cluster.consumer(
                client_id=client_id(), fetch_max_wait_ms=_FETCH_WAIT_MS
            )
        return self._made

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except KafkaError as error:
            raise LogError(f"The brokers did not answer: {told(error)}") from error
