"""Aborting the open transaction of a dead worker, instead of waiting until the broker does.

An open transaction hides everything after it from readers of committed records: the worker that
takes over its task could not restore before the transaction's timeout. Initialising a producer
under the same transactional id aborts it at once, and fences the old worker should it wake.
"""

from collections.abc import Collection
from contextlib import closing

from worker.logs.kafka.client import Admin, ClusterPartition
from worker.logs.kafka.client_errors import Unsupported
from worker.logs.kafka.cluster import Cluster


def fence(
    cluster: Cluster,
    admin: Admin,
    changelogs: Collection[ClusterPartition],
    prefix: str,
    own: str,
) -> list[str]:
    """Abort the open transactions on partitions that belong to this worker alone now.

    Args:
        changelogs: partitions of the changelog whose tasks are assigned to this worker.
        prefix: of the transactional ids that may be fenced: those of the stage's slots.
        own: this worker's transactional id, which is left alone.

    Returns:
        the transactional ids that were fenced; none where brokers (before 3.0) cannot name them:
            then the transactions' timeout has to pass.

    Raises:
        ClientError: the cluster did not answer, or does not allow it.
    """
    try:
        found = {each.transactional_id for each in admin.open_transactions(changelogs)}
    except Unsupported:
        return []
    fenced = sorted(each for each in found - {None, own} if each and each.startswith(prefix))
    for transactional_id in fenced:
        with closing(cluster.producer(transactional_id)) as successor:
            successor.init_transactions()
    return fenced
