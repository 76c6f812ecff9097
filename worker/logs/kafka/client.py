"""The seam to a client of Kafka: the calls that walletwatch makes. Pure.

`kafka_python` implements the protocols. Nothing here or in the rest of the log knows that library.
Every call raises ClientError if it fails, but `close`, which never fails: an error there would hide
the one before it. `client_errors` lists the kinds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from worker.engine.records import Headers, Record


class ClusterPartition(NamedTuple):
    """One partition; the topic is named as on the cluster, prefix included."""

    topic: str
    partition: int


Outgoing = tuple[ClusterPartition, bytes | None, bytes | None, Headers]
"""A record to append: partition, key, value, headers."""


class CommittedOffset(NamedTuple):
    """A position that a group has committed: the offset of the next record, and a free text."""

    offset: int
    metadata: str = ""


class MemberState(Enum):
    """How far a consumer is in joining its group."""

    UNJOINED = "unjoined"
    REBALANCING = "rebalancing"
    STABLE = "stable"


class GroupMetadata(NamedTuple):
    """A consumer's membership of its group at one moment; brokers check commits against it."""

    group: str | None
    generation: int = -1
    """Negative: not a member."""
    member_id: str = ""
    instance_id: str | None = None
    state: MemberState = MemberState.UNJOINED


class GroupMember(NamedTuple):
    """One member of a group, as the coordinator describes it."""

    client_id: str
    partitions: tuple[int, ...]
    """Assigned partition numbers, of all topics."""
    id: str = ""
    """Given by the coordinator, also to a member whose join still waits."""
    instance_id: str | None = None


class GroupDescription(NamedTuple):
    """A group, as its coordinator describes it."""

    members: tuple[GroupMember, ...] = ()
    operations: Collection[str] = ()
    """What this user may do with it, in Kafka's names (`READ`)."""
    error: str | None = None
    """Why the group cannot be described."""


class Visibility(Enum):
    """Whether a topic exists, as far as this user may see."""

    VISIBLE = "visible"
    HIDDEN = "hidden"
    MISSING = "missing"


class TopicDescription(NamedTuple):
    """A topic, as the cluster describes it; counts are 0 unless it is visible."""

    name: str
    visibility: Visibility
    partitions: int = 0
    replication: int = 0
    """Replicas of the partition that has fewest."""
    operations: Collection[str] = ()
    """What this user may do with it, in Kafka's names (`DESCRIBE_CONFIGS`)."""
    id: str = ""
    """As Kafka's own tools print it; another one when the topic was deleted and made again. Empty
    if the brokers give none (before Kafka 2.8)."""


class NewTopic(NamedTuple):
    """A topic to create."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]


class TopicCreation(NamedTuple):
    """What became of a topic to create."""

    name: str
    created: bool
    error: str | None = None
    """Why the cluster refused; None also if the topic existed already."""


class OpenTransaction(NamedTuple):
    """A transaction on one partition that has not ended."""

    partition: ClusterPartition
    first_offset: int
    """Its first one on the partition."""
    producer_id: int
    last_append: int
    """When its producer has appended last, milliseconds."""
    transactional_id: str | None
    """None if this user may not see it."""


class RebalanceListener(Protocol):
    """Receives rebalances on the client's own thread, inside `Consumer.poll`.

    May call `pause` and `seek` of the consumer, and nothing that needs an answer of a broker.
    """

    def partitions_assigned(self, assigned: frozenset[ClusterPartition]) -> None:
        """Receive the whole new assignment."""

    def partitions_lost(self) -> None:
        """Receive that the group has expelled this consumer: others may have committed since."""


class Consumer(Protocol):
    """A consumer of committed records that commits no offsets by itself."""

    @property
    def broker_version(self) -> tuple[int, ...]:
        """The release whose requests the first broker understands.

        The last releases before it may look like it, if no request has changed.
        """

    def partition_count(self, topic: str) -> int:
        """Return how many partitions the topic has; 0 if it is missing or may not be read."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group of this consumer with the next `poll`."""

    def assign(self, partitions: Collection[ClusterPartition]) -> None:
        """Read these partitions, outside any group."""

    def assignment(self) -> set[ClusterPartition]:
        """Return the partitions that are assigned."""

    def poll(self, timeout_ms: int, limit: int) -> dict[ClusterPartition, list[Record]]:
        """Return up to `limit` records, and take part in the group for at most this time."""

    def pause(self, partitions: Iterable[ClusterPartition]) -> None:
        """Fetch nothing of these partitions."""

    def resume(self, partitions: Iterable[ClusterPartition]) -> None:
        """Fetch these partitions again."""

    def seek(self, partition: ClusterPartition, offset: int) -> None:
        """Set the offset that is fetched next."""

    def position(self, partition: ClusterPartition) -> int:
        """Return the offset that is fetched next; transaction markers give no records."""

    def beginning_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        """Return the oldest stored offset of each partition."""

    def end_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        """Return the offset of each partition after its newest record, committed or not."""

    def stable_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int | None = None
    ) -> dict[ClusterPartition, int]:
        """Return the offset of each partition before which all committed records can be read.

        It is where the oldest open transaction begins: what follows is hidden until that ends.
        """

    def committed(self, partition: ClusterPartition, timeout_ms: int) -> CommittedOffset | None:
        """Return what the group has committed last; None if nothing.

        Raises:
            ClientTimeout: a transaction that has not ended holds offsets of the group.
        """

    def group_metadata(self) -> GroupMetadata:
        """Return the membership as it is now."""

    def keep_join(self) -> None:
        """Let the next `poll` take the result of a join that is under way."""

    def close(self, timeout_ms: int | None = None) -> None:
        """Close the connections, without a commit. None: wait for one request at most."""


class Producer(Protocol):
    """A producer of one transactional id. After any error it can only be closed."""

    @property
    def broker_version(self) -> tuple[int, ...]:
        """See Consumer."""

    def init_transactions(self) -> None:
        """Take over the transactional id: abort its open transaction, fence its last producer."""

    def begin_transaction(self) -> None:
        """Begin a transaction."""

    def send(
        self, records: Sequence[Outgoing], timestamp: int, timeout: float
    ) -> dict[ClusterPartition, int]:
        """Append records and wait until every one is acknowledged.

        Args:
            timestamp: of the records, milliseconds, where the topic does not stamp them itself.
            timeout: seconds to wait for the acknowledgements.

        Returns:
            per partition the offset after its last record.
        """

    def send_offsets(
        self, offsets: Mapping[ClusterPartition, CommittedOffset], group: GroupMetadata
    ) -> None:
        """Commit positions of a group with the transaction.

        The brokers refuse it if the group has had another generation since `group` was taken.
        """

    def commit_transaction(self) -> None:
        """Commit the transaction."""

    def abort_transaction(self) -> None:
        """Abort the transaction; readers see a little later than this returns that it has ended."""

    def close(self) -> None:
        """Close the connections at once. An open transaction stays open."""


class Admin(Protocol):
    """Questions about a cluster, and changes of its topics and groups."""

    @property
    def broker_version(self) -> tuple[int, ...]:
        """See Consumer."""

    def brokers(self) -> list[str]:
        """Return host:port of all brokers, as the cluster advertises them."""

    def cluster_id(self) -> str:
        """Return the id of the cluster."""

    def describe_group(self, group: str) -> GroupDescription:
        """Return the members of a group, and what this user may do with it."""

    def remove_member(self, group: str, member_id: str, instance_id: str, reason: str) -> None:
        """Remove one member from a group at once."""

    def set_offsets(self, group: str, offsets: Mapping[ClusterPartition, int]) -> None:
        """Set positions of a group without members, with no metadata.

        Raises:
            HasMembers: the group has some.
        """

    def end_offset(self, partition: ClusterPartition, timeout_ms: int) -> int:
        """Return the offset after the newest record, committed or not."""

    def open_transactions(self, partitions: Collection[ClusterPartition]) -> list[OpenTransaction]:
        """Return the open transactions on the partitions, the oldest of each partition first.

        Raises:
            Unsupported: brokers before Kafka 3.0 cannot name them.
        """

    def transaction_start(self, transactional_id: str) -> int:
        """Return when its open transaction began, by its coordinator's clock, milliseconds.

        Raises:
            Unsupported: brokers before Kafka 3.0 do not say.
        """

    def describe_topics(self, names: Sequence[str]) -> list[TopicDescription]:
        """Return how each of these topics is."""

    def topic_configs(self, wanted: Mapping[str, Collection[str]]) -> dict[str, dict[str, str]]:
        """Return per topic the values of the settings named; none that this user may not see."""

    def create_topics(self, topics: Sequence[NewTopic]) -> list[TopicCreation]:
        """Create topics; what the cluster refuses is in the answer."""

    def wait_for_topics(self, names: Sequence[str]) -> None:
        """Wait until every partition of these topics has a leader."""

    def close(self) -> None:
        """Close the connections."""
