"""Records that are too large to be read: how they are found, and stepped over.

Brokers answer a fetch with a whole batch, however large it is. An answer that the client refuses
names all partitions of the fetch: from then on one partition is fetched at a time, until the
refused one is known.
"""

from collections.abc import Collection

from worker.engine.records import Record
from worker.errors import LogError
from worker.logs.kafka.client import ClusterPartition, Consumer
from worker.logs.kafka.client_errors import AnswerTooLarge
from worker.logs.kafka.cluster import ANSWER_MAX_BYTES, Cluster


class LargeRecords:
    """The records of one consumer that are too large to be read."""

    def __init__(self, cluster: Cluster, consumer: Consumer) -> None:
        self._cluster = cluster
        self._consumer = consumer
        self._fetches = 0
        """How often one partition was fetched alone; 0 while no answer was too large."""

    def step_over(
        self, ready: Collection[ClusterPartition]
    ) -> dict[ClusterPartition, list[Record]]:
        """Return an empty record in place of each to step over that would be fetched next."""
        found = {}
        for at, offset in self._cluster.stepped_over:
            if at in ready and self._consumer.position(at) == offset:
                self._consumer.seek(at, offset + 1)
                found[at] = [Record(offset, None, None, None)]
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
            "this record alone and go on: walletwatch run --step-over "
            f"{self._cluster.in_log(topic)}/{number}:{offset}"
        )
