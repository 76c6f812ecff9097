"""A worker that dies in a commit of which the brokers lose end markers.

Killed brokers do that now and then. Here the parts named are written without the coordinator's
knowledge, so it ends the transaction without them; the broker must not check that
(`transaction.partition.verification.enable=false`).
"""

import os
import signal
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

from kafka import OffsetAndMetadata, TopicPartition
from kafka.producer.transaction_manager import AddOffsetsToTxnHandler
from kafka.structs import ConsumerGroupMetadata

from worker.logs.kafka.client import ClusterPartition, CommittedOffset, GroupMetadata, Outgoing
from worker.logs.kafka.kafka_python.producer import KafkaPythonProducer

RECORDS: Final = "records"
OFFSETS: Final = "offsets"
_COMMIT: Final = 3


def die_losing(parts: Sequence[str], decided: bool) -> None:
    """Let this process die in the third commit of detect.

    Args:
        parts: RECORDS, OFFSETS or both, which get no end marker.
        decided: commit what is left; else it stays open, for a successor to abort.
    """
    begin, send = KafkaPythonProducer.begin_transaction, KafkaPythonProducer.send
    commit, numbers = KafkaPythonProducer.commit_transaction, count(1)
    dying: list[KafkaPythonProducer] = []

    def begin_transaction(self: KafkaPythonProducer) -> None:
        begin(self)
        if ".detect." in self._client.config["transactional_id"] and next(numbers) == _COMMIT:
            dying.append(self)

    def send_records(
        self: KafkaPythonProducer, records: Sequence[Outgoing], timestamp: int, timeout: float
    ) -> dict[ClusterPartition, int]:
        if self in dying and RECORDS in parts:
            added = self._client._transaction_manager._partitions_in_transaction
            added.update(TopicPartition(*record[0]) for record in records)
        return send(self, records, timestamp, timeout)

    whole = KafkaPythonProducer.send_offsets

    def send_offsets(
        self: KafkaPythonProducer,
        offsets: Mapping[ClusterPartition, CommittedOffset],
        group: GroupMetadata,
    ) -> None:
        if self in dying and OFFSETS in parts:
            _send_unknown(self._client, offsets, group)
        else:
            whole(self, offsets, group)

    def commit_transaction(self: KafkaPythonProducer) -> None:
        if self in dying:
            if decided:
                commit(self)
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)

    KafkaPythonProducer.begin_transaction = begin_transaction  # type: ignore[method-assign]
    KafkaPythonProducer.send = send_records  # type: ignore[method-assign]
    KafkaPythonProducer.send_offsets = send_offsets  # type: ignore[method-assign]
    KafkaPythonProducer.commit_transaction = commit_transaction  # type: ignore[method-assign]


def _send_unknown(
    client: Any, offsets: Mapping[ClusterPartition, CommittedOffset], group: GroupMetadata
) -> None:
    """Send offsets as if the coordinator knew of them, and wait for the answer."""
    theirs = {
        TopicPartition(*at): OffsetAndMetadata(each.offset, each.metadata, -1)
        for at, each in offsets.items()
    }
    manager = client._transaction_manager
    handler = AddOffsetsToTxnHandler(manager, ConsumerGroupMetadata(*group[:4]), theirs)
    started = manager._transaction_started
    handler.handle_response(_Added())
    manager._transaction_started = started
    client._sender.wakeup()
    handler.result.wait(timeout_ms=30_000)
    assert handler.result.succeeded, handler.result.exception


class _Added:
    """What a coordinator answers that has taken note of a group."""

    error_code = 0
