"""Setting the offsets of a group to those that an operator has chosen."""

from collections.abc import Mapping
from contextlib import closing
from enum import StrEnum

from worker.errors import LogError, UsageError
from worker.logs.kafka.client import ClusterPartition
from worker.logs.kafka.client_errors import ClientError, HasMembers
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.names import Names
from worker.logs.kafka.ops.stages import INPUTS_OF, READ
from worker.logs.kafka.reader import Reader


class Start(StrEnum):
    """Where reading begins."""

    OLDEST = "oldest"
    NEWEST = "newest"


def accept(cluster: Cluster, what: str, start: Start) -> dict[str, int]:
    """Set where the group of a stage goes on, and return that per partition.

    Args:
        what: an input (`wallet.logins`), one partition of it (`wallet.logins/0`), or a changelog,
            which means all inputs of its stage.

    Raises:
        UsageError: it is none of these.
        LogError: the group has members, or the cluster did not answer.
    """
    name, _, number = what.partition("/")
    stage, inputs = _inputs_of(name)
    with closing(Reader(cluster, {})) as reader:
        partitions = []
        for topic in map(cluster.topic, inputs):
            count = reader.partitions(topic)
            partitions += [ClusterPartition(topic, task) for task in _tasks(what, number, count)]
        extents = reader.extents(partitions)
    offsets = {
        at: first if start is Start.OLDEST else end
        for at, (first, end) in zip(partitions, extents, strict=True)
    }
    _set(cluster, cluster.group(stage), offsets)
    return {f"{cluster.in_log(at.topic)}/{at.partition}": offset for at, offset in offsets.items()}


def _inputs_of(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the stage that reads a topic, and the topics whose offsets are meant."""
    for stage, inputs in INPUTS_OF.items():
        if name in inputs:
            return stage, (name,)
        if name == Names().changelog(stage):
            return stage, inputs
    known = [*READ, *map(Names().changelog, INPUTS_OF)]
    raise UsageError(f"{name} is none of the topics that a worker reads: {', '.join(known)}.")


def _tasks(what: str, number: str, count: int) -> range:
    if "/" not in what:
        return range(count)
    if number.isdecimal() and int(number) < count:
        return range(int(number), int(number) + 1)
    raise UsageError(f"{what}: the topic has partitions 0 to {count - 1}.")


def _set(cluster: Cluster, group: str, offsets: Mapping[ClusterPartition, int]) -> None:
    try:
        with closing(cluster.admin()) as admin:
            admin.set_offsets(group, offsets)
    except HasMembers as error:
        raise LogError(
            f"Group {group} has members: stop all workers of the stage first. One that was killed "
            "counts until kafka.session_timeout_ms has passed."
        ) from error
    except ClientError as error:
        raise LogError(f"The offsets of group {group} cannot be set: {error}") from error
