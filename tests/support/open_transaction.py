"""A transaction of a foreign producer, which stays open until the test decides."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tests.support.crashing_worker import wait_until
from worker.logs.kafka.client import ClusterPartition, Outgoing
from worker.logs.kafka.cluster import Cluster


class OpenTransaction:
    """One transaction of a producer of its own, open from the start.

    Args:
        seconds: after which brokers abort it.
    """

    has_offsets = True

    def __init__(self, cluster: Cluster, records: Sequence[Outgoing], seconds: int = 600) -> None:
        self.transactional_id = f"{cluster.prefix}payments-{uuid.uuid4().hex}"
        timings = replace(cluster.timings, transaction=1000 * seconds)
        self._producer = replace(cluster, timings=timings).producer(self.transactional_id)
        self._producer.init_transactions()
        self._producer.begin_transaction()
        self._admin = cluster.admin()
        self._ends: dict[ClusterPartition, int] = {}
        self.send(records)

    def send(self, records: Sequence[Outgoing]) -> None:
        """Append more records to the transaction."""
        self._ends |= self._producer.send(records, 1_000_000, 30)

    def commit(self) -> None:
        """Commit, and return when readers can see it."""
        self._producer.commit_transaction()
        self._close()

    def abort(self) -> None:
        """Abort, and return when readers can see what follows."""
        self._producer.abort_transaction()
        self._close()

    def kill(self) -> None:
        """Leave it open, as a producer does that dies."""
        self._producer.close()

    def await_end(self) -> None:
        """Return when the transaction has ended, in whatever way."""
        # The markers are written after the answer.
        for at, end in self._ends.items():
            wait_until(partial(self._is_marked, at, end), "the marker")
        self._admin.close()

    def _close(self) -> None:
        self.await_end()
        self._producer.close()

    def _is_marked(self, at: ClusterPartition, end: int) -> bool:
        return self._admin.end_offset(at, 10_000) > end
