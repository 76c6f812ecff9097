"""Aborting what a dead worker has begun, instead of waiting until the broker does.

An open transaction hides everything after it from readers of committed records: whoever takes over
its task could not restore before the transaction's timeout. Initialising a producer under the same
transactional id aborts it at once, and refuses the old worker should it wake.
"""

from collections.abc import Collection

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import UnsupportedVersionError

from worker.logs.kafka.cluster import Cluster


def fence(
    cluster: Cluster,
    admin: KafkaAdminClient,
    changelogs: Collection[TopicPartition],
    prefix: str,
    own: str,
) -> list[str]:
    """Abort the open transactions on partitions that belong to nobody but this worker now.

    Args:
        changelogs: partitions of the changelog whose tasks this worker was given.
        prefix: of the transactional ids that may be fenced: those of the stage's slots.
        own: this worker's transactional id, which is left alone.

    Returns:
        the transactional ids that were fenced; none where brokers (before 3.0) cannot name them:
            then the transactions' timeout has to pass.

    Raises:
        KafkaError: the cluster did not answer, or does not allow it.
    """
    try:
        found = _open(admin, changelogs) - {own}
    except UnsupportedVersionError:
        return []
    fenced = sorted(each for each in found if each.startswith(prefix))
    for transactional_id in fenced:
        usurper = cluster.producer(
            transactional_id=transactional_id, transaction_timeout_ms=cluster.timings.transaction
        )
        try:
            usurper.init_transactions()
        finally:
            usurper.close(timeout=0)
    return fenced


def _open(admin: KafkaAdminClient, changelogs: Collection[TopicPartition]) -> set[str]:
    """Return the ids of the transactions that are open on the partitions."""
    producers = admin.describe_producers(changelogs)
    open_ids = {
        producer.producer_id
        for state in producers.values()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    }
    if not open_ids:
        return set()
    listed = admin.list_transactions(producer_id_filters=sorted(open_ids))
    return {listing.transactional_id for listings in listed.values() for listing in listings}
