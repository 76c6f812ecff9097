"""Which inputs open transactions hold, and whose transactions these are."""

from collections.abc import Iterator
from typing import Final

from worker.engine.log import Log
from worker.logs.finding import Finding, Verdict
from worker.logs.kafka.client import Admin, ClusterPartition, OpenTransaction
from worker.logs.kafka.client_errors import Unsupported
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.ops.stages import READ

_CHECK: Final = "held"


def held_inputs(
    cluster: Cluster, admin: Admin, log: Log, now: int, limit: int
) -> Iterator[Finding]:
    """Yield one finding for each partition that is held, or one that none is.

    Args:
        now: wall time, milliseconds.
        limit: milliseconds for which a transaction may be open.

    Raises:
        ClientError: the cluster did not answer.
    """
    held = [
        ClusterPartition(cluster.topic(topic), number)
        for topic in READ
        for number, hidden in enumerate(log.hidden(topic))
        if hidden
    ]
    try:
        found = admin.open_transactions(held) if held else []
    except Unsupported:
        names = ", ".join(f"{at.topic}/{at.partition}" for at in held)
        text = f"open transactions hold {names}; brokers before Kafka 3.0 cannot name them"
        yield Finding(_CHECK, Verdict.WARN, text, "see what its producers do")
        return
    oldest: dict[ClusterPartition, OpenTransaction] = {}
    for transaction in found:
        oldest.setdefault(transaction.partition, transaction)
    for transaction in oldest.values():
        yield _finding(admin, transaction, now, limit)
    if not oldest:
        yield Finding(_CHECK, Verdict.OK, "no open transaction holds an input")


def _finding(admin: Admin, held: OpenTransaction, now: int, limit: int) -> Finding:
    (topic, number), first = held.partition, held.first_offset
    if held.transactional_id is None:
        age = now - held.last_append
        who = (
            f"a transaction of producer {held.producer_id} (this user may not see its "
            f"transactional id), whose last record is {_seconds(age)} old"
        )
    else:
        age = now - admin.transaction_start(held.transactional_id)
        who = f"a transaction of {held.transactional_id}, open for {_seconds(age)}"
    text = f"{topic}/{number} from offset {first} on, by {who}"
    if age < limit:
        return Finding(_CHECK, Verdict.OK, text)
    advice = (
        "let the producer commit more often; if it is dead, start it again under its "
        "transactional id, or abort its transaction: kafka-transactions abort "
        f"--topic {topic} --partition {number} --start-offset {first}"
    )
    return Finding(_CHECK, Verdict.WARN, text, advice)


def _seconds(milliseconds: int) -> str:
    return f"{max(0, milliseconds) / 1000:.0f} s"
