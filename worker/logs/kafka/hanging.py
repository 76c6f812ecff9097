"""Ending what dead workers have left open: transactions, and those that the brokers have forgotten.

An open transaction hides everything after it from readers of committed records: the worker that
takes over its task could not restore before the transaction's timeout. Initialising a producer
under the same transactional id aborts it at once, and fences the old worker should it wake.

A broker that was killed, and starts again, may complete a transaction at the coordinator and write
no end marker to partitions whose leader it does not know yet. No timeout ends such a transaction
any more: readers wait before it, and the offsets of the group that it has sent cannot be read. The
end marker of a later transaction of the same producer ends it too, on every partition that both
have written. So one that writes to all of them is aborted. That must come before the next commit,
which would commit what was left open. The offsets of the group may have got their marker: they are
set to the last commit that the changelog has kept, so that what was aborted is done again.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from time import time
from typing import Final

from schemas.topics import TOPICS
from worker.engine.records import TopicPartition
from worker.errors import LogError
from worker.logs.kafka.blocks import Blocks
from worker.logs.kafka.client import (
    Admin,
    ClusterPartition,
    CommittedOffset,
    GroupMetadata,
    Producer,
    Visibility,
)
from worker.logs.kafka.client_errors import Unsupported
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.commit_note import CommitNote, committer, read_note

_WRITE: Final = "WRITE"
_SEND_SECONDS: Final = 15.0
_SLICE_MS: Final = 200
_RECORDS: Final = 500
_KEY: Final = b"aborted"
"""No reader sees the records; compacted topics take none without a key."""


class Hanging:
    """What the transactions of a stage's workers have left open.

    Args:
        inputs: of the stage, names in the log.

    Attributes:
        heartbeat: called at least a few times per second while a changelog is read: keeps a worker
            in its group.
    """

    def __init__(self, cluster: Cluster, stage: str, admin: Admin, inputs: Collection[str]) -> None:
        self._cluster = cluster
        self._admin = admin
        self._group = GroupMetadata(cluster.group(stage))
        self._slots = cluster.transactional_id(stage, "")
        self._changelog = cluster.changelog(stage)
        self._written = [cluster.topic(each.name) for each in TOPICS if each.role != "input"]
        self.heartbeat: Callable[[], object] = lambda: None
        self._input = ClusterPartition(cluster.topic(next(iter(inputs))), 0)

    def open(
        self, changelogs: Collection[ClusterPartition] | None = None
    ) -> dict[str, list[ClusterPartition]]:
        """Return the partitions with an open transaction, per transactional id.

        Args:
            changelogs: where to look; None: on the whole changelog.

        Returns:
            nothing where brokers (before 3.0) cannot name them.

        Raises:
            ClientError: the cluster did not answer, or does not allow it.
        """
        places = self._places([self._changelog]) if changelogs is None else changelogs
        found: dict[str, list[ClusterPartition]] = {}
        try:
            for each in self._admin.open_transactions(places):
                if each.transactional_id:
                    found.setdefault(each.transactional_id, []).append(each.partition)
        except Unsupported:
            pass
        return found

    def abort(self, producer: Producer, changelogs: Iterable[ClusterPartition] = ()) -> None:
        """Abort whatever an initialised producer has left open.

        Args:
            changelogs: the partitions of the changelog where it has left something open.

        Raises:
            ClientError: the cluster did not answer, or does not allow it.
        """
        kept: dict[ClusterPartition, CommittedOffset] = {}
        for changelog in changelogs:
            if note := self._last_commit(changelog):
                kept |= self._offsets(note, changelog.partition)
        if kept:
            producer.begin_transaction()
            producer.send_offsets(kept, self._group)
            producer.commit_transaction()
        places = self._places([self._changelog, *self._written])
        producer.begin_transaction()
        producer.send([(at, _KEY, None, ()) for at in places], int(time() * 1000), _SEND_SECONDS)
        # One is enough, and is not committed: all offsets of a group are in one partition.
        producer.send_offsets({self._input: CommittedOffset(0)}, self._group)
        producer.abort_transaction()

    def fence(self, changelog: ClusterPartition, own: str) -> None:
        """Abort the open transactions on a partition that belongs to this worker alone now.

        Where brokers (before 3.0) cannot name them, their timeout has to pass.

        Args:
            own: this worker's transactional id, which is left alone.

        Raises:
            ClientError: the cluster did not answer, or does not allow it.
        """
        for transactional_id in sorted(self.open([changelog]).keys() - {own}):
            if transactional_id.startswith(self._slots):
                self._take_over(transactional_id)

    def fence_last(self, changelog: ClusterPartition, own: str) -> None:
        """The same for what the last committer has left open among the offsets of the group.

        Raises:
            ClientError: the cluster did not answer, or does not allow it.
        """
        note = self._last_commit(changelog)
        last = committer(note.metadata) if note else own
        if last != own and last.startswith(self._slots):
            self._take_over(last, everywhere=True)

    def _take_over(self, transactional_id: str, everywhere: bool = False) -> None:
        with closing(self._cluster.producer(transactional_id)) as successor:
            successor.init_transactions()
            left = self.open().get(transactional_id, [])
            if left or everywhere:
                self.abort(successor, left)

    def _last_commit(self, changelog: ClusterPartition) -> CommitNote | None:
        """Return the note of the last commit in a partition of the changelog."""
        blocks = Blocks()
        with closing(self._cluster.consumer()) as consumer:
            end = consumer.stable_offsets([changelog])[changelog]
            consumer.assign([changelog])
            consumer.seek(changelog, consumer.beginning_offsets([changelog])[changelog])
            while consumer.position(changelog) < end:
                for record in consumer.poll(_SLICE_MS, _RECORDS).get(changelog, ()):
                    blocks.apply(record.key, record.value)
                self.heartbeat()
        return read_note(blocks.note)

    def _offsets(self, note: CommitNote, task: int) -> dict[ClusterPartition, CommittedOffset]:
        return {
            ClusterPartition(self._cluster.topic(topic), task): CommittedOffset(
                each.offset, note.metadata
            )
            for topic, each in note.inputs.items()
        }

    def _places(self, topics: Collection[str]) -> list[ClusterPartition]:
        """Return the partitions of those topics that this user may write."""
        return [
            ClusterPartition(each.name, number)
            for each in self._admin.describe_topics(list(topics))
            if each.visibility is Visibility.VISIBLE and _WRITE in each.operations
            for number in range(each.partitions)
        ]


def unstable(group: str, at: TopicPartition, seconds: float) -> LogError:
    """Return the error about an offset of a group that a transaction has held for too long."""
    return LogError(
        f"The offset of group {group} for {at.topic}/{at.partition} is held by a transaction that "
        f"has not ended within {seconds:.0f} s. If a broker was killed while a worker with another "
        "kafka.slot committed, start one with that slot: it aborts what was left open. Else "
        "Kafka's own tool finds and aborts it: kafka-transactions.sh find-hanging --topic "
        "__consumer_offsets, for each --partition."
    )
