"""Records that cannot be read: how they are found, and stepped over.

Brokers answer a fetch with a whole batch, however large it is. An answer that the client refuses
names all partitions of the fetch: from then on one partition is fetched at a time, until the
refused one is known. A batch that cannot be uncompressed is known at once.
"""

from collections.abc import Collection
from typing import Final, NoReturn

from schemas.topics import DETECT_INPUTS
from worker.engine.records import Record
from worker.errors import LogError
from worker.logs.kafka.client import ClusterPartition, Consumer
from worker.logs.kafka.client_errors import AnswerTooLarge, UnreadableBatch
from worker.logs.kafka.cluster import ANSWER_MAX_BYTES, Cluster

_AT_ONCE: Final = 500
"""Empty records of one poll."""


class UnreadableRecords:
    """The records of one consumer that cannot be read."""

    def __init__(self, cluster: Cluster, consumer: Consumer) -> None:
        self._cluster = cluster
        self._consumer = consumer
        self._fetches = 0
        """How often one partition was fetched alone; 0 while no answer was too large."""

    def step_over(
        self, ready: Collection[ClusterPartition]
    ) -> dict[ClusterPartition, list[Record]]:
        """Return an empty record in place of each to step over that would be fetched next."""
        found: dict[ClusterPartition, list[Record]] = {}
        for at, first, last in sorted(self._cluster.stepped_over):
            if at not in ready or not first <= (offset := self._consumer.position(at)) <= last:
                continue
            following = min(last + 1, offset + _AT_ONCE)
            found.setdefault(at, []).extend(
                Record(number, None, None, None) for number in range(offset, following)
            )
            self._consumer.seek(at, following)
        return found

    def narrowed(self, ready: Collection[ClusterPartition]) -> Collection[ClusterPartition]:
        """Return the partitions to fetch: all of these; while looking, the next one of them."""
        if not self._fetches or not ready:
            return ready
        self._fetches += 1
        return [sorted(ready)[self._fetches % len(ready)]]

    def look_for(self, error: AnswerTooLarge) -> None:
        """Fetch one partition at a time from now on, until the large record is known.

        Raises:
            LogError: names that record, and the command that steps over it.
        """
        self._fetches += 1
        if len(error.partitions) > 1:
            return
        ((topic, number),) = error.partitions
        offset = self._consumer.position(ClusterPartition(topic, number))
        raise LogError(
            f"The record of {topic}, partition {number}, at offset {offset} cannot be read: with "
            f"its batch it has more than {ANSWER_MAX_BYTES} bytes. To make an empty dead letter of "
            f"this record alone and go on: {self._command(topic, number, str(offset))}"
        )

    def refuse(self, error: UnreadableBatch) -> NoReturn:
        """Refuse a batch that cannot be uncompressed.

        Raises:
            LogError: names its records and, if they are inputs, the command that steps over them.
        """
        sentence = str(error)
        if self._cluster.in_log(error.topic) in DETECT_INPUTS:
            command = self._command(error.topic, error.partition, f"{error.first}-{error.last}")
            sentence += f" To make an empty dead letter of each and go on: {command}"
        raise LogError(sentence) from error

    def _command(self, topic: str, partition: int, offsets: str) -> str:
        return f"walletwatch run --step-over {self._cluster.in_log(topic)}/{partition}:{offsets}"
