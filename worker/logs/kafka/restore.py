"""Reading a task's changelog from its start to its end.

The end is after the newest record, committed or not: to stop at the last stable offset would
silently load an older state while a transaction is open.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from worker.errors import LogError
from worker.logs.kafka.blocks import Blocks
from worker.logs.kafka.client import Admin, ClusterPartition, Consumer

_SLICE_MS: Final = 200
_RECORDS: Final = 500
_FENCE_AFTER: Final = 0.5
_GIVE_UP_AFTER: Final = 60.0
_END_TIMEOUT_MS: Final = 5_000


def restore(
    consumer: Consumer,
    admin: Admin,
    changelog: ClusterPartition,
    blocks: Blocks,
    heartbeat: Callable[[], None],
    fence: Callable[[], object],
) -> None:
    """Apply what is committed in one partition of a changelog.

    Args:
        consumer: one without a group.
        heartbeat: called at least a few times per second: keeps the worker in its group.
        fence: aborts the open transactions of others; called once if reading makes no progress.

    Raises:
        LogError: reading has made no progress for a minute.
        ClientError: the cluster did not answer.
    """
    end = admin.end_offset(changelog, _END_TIMEOUT_MS)
    consumer.assign([changelog])
    position = consumer.beginning_offsets([changelog])[changelog]
    consumer.seek(changelog, position)
    moved_at, fenced = monotonic(), False
    while position < end:
        for record in consumer.poll(_SLICE_MS, _RECORDS).get(changelog, ()):
            blocks.apply(record.key, record.value)
        heartbeat()
        before, position = position, consumer.position(changelog)
        if position > before:
            moved_at = monotonic()
        elif not fenced and monotonic() - moved_at > _FENCE_AFTER:
            fenced = True
            fence()
        elif monotonic() - moved_at > _GIVE_UP_AFTER:
            raise LogError(
                f"The changelog {changelog.topic}/{changelog.partition} cannot be read beyond "
                f"offset {position} of {end}: is a transaction open there?"
            )
