"""One commit as one transaction: outputs, changelog and positions, or nothing.

After any failure the producer is not used again, not even to abort: what it believes about its
transaction may be wrong (kafka-python forgets expired batches, and repeats stale offsets). The next
producer that initialises its transactional id aborts what is open.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.client import ClusterPartition, CommittedOffset, GroupMetadata, Outgoing
from worker.logs.kafka.client_errors import ClientError, RecordTooLarge, Replaced
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.hanging import Hanging
from worker.logs.kafka.limits import UNKNOWN, Limits

_FLUSH_SECONDS: Final = 15.0


class TransactionalProducer:
    """The producer of one transactional id."""

    def __init__(
        self,
        cluster: Cluster,
        transactional_id: str,
        written: dict[ClusterPartition, int],
        limits: Limits = UNKNOWN,
    ) -> None:
        """Take the id over: its last producer can commit no more.

        Args:
            written: receives, per partition, the offset after the last committed record. Readers
                see it a little later than `commit` returns; those of this process can wait for it.
            limits: of the topics that are written; a record above them fails before it is sent.

        Raises:
            LogError: the cluster did not answer, or does not allow it.
        """
        self.transactional_id = transactional_id
        self._written = written
        self._limits = limits
        self._producer = cluster.producer(transactional_id, limits)
        try:
            self._producer.init_transactions()
        except ClientError as error:
            self.close()
            raise LogError(f"{transactional_id}: cannot begin transactions: {error}") from error

    def commit(
        self,
        records: Sequence[Outgoing],
        timestamp: int,
        offsets: Mapping[ClusterPartition, CommittedOffset],
        group: GroupMetadata,
    ) -> None:
        """Commit records and offsets together.

        Args:
            timestamp: of the records, milliseconds, where the topic does not stamp them itself.
            group: the consumer's membership as it was when the records behind this were polled:
                the broker refuses the offsets if the group has moved on since.

        Raises:
            LogInDoubt: another worker has taken over; nothing was committed.
            LogError: it failed; the outcome may be unknown.
        """
        self._limits.check(records)
        try:
            self._producer.begin_transaction()
            written = self._producer.send(records, timestamp, _FLUSH_SECONDS)
            if offsets:
                self._producer.send_offsets(offsets, group)
            self._producer.commit_transaction()
        except ClientError as error:
            raise self._failure(error, records) from error
        self._written.update(written)

    def _failure(self, error: ClientError, records: Sequence[Outgoing]) -> LogError:
        """Return what a failed commit means."""
        if isinstance(error, Replaced):
            return LogInDoubt(
                f"{self.transactional_id}: the commit was refused, because another worker has "
                f"taken over its slot or its tasks ({error})."
            )
        if isinstance(error, RecordTooLarge):
            return self._limits.refusal(self._limits.largest_of(error.topic, records))
        return LogError(
            f"{self.transactional_id}: the commit failed: {error}. What was committed before is "
            "safe: start again."
        )

    def abort_hanging(
        self, hanging: Hanging, changelogs: Collection[ClusterPartition] = ()
    ) -> None:
        """Abort what its predecessors have left open; not within a commit.

        Args:
            changelogs: the partitions of the changelog where they have.

        Raises:
            ClientError: the cluster did not answer, or does not allow it.
        """
        hanging.abort(self._producer, changelogs)

    def close(self) -> None:
        """Close the connections. An open transaction is left to the successor."""
        self._producer.close()
