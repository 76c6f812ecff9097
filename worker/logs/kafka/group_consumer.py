"""A worker's membership in the consumer group of a stage: its partitions, and their records.

The group's rebalances run inside `poll`, on the client's own thread, while this one waits there.
What a rebalance has assigned is paused until the session has restored it.

Three guards against a member that hangs for ever (kafka-python leaves a join that outlasts a poll
in the background; see `pending_join`): the topics' metadata is fetched before subscribing, a
pending join is kept for the next poll, and a consumer without a part in the group for
`SILENT_AFTER` seconds fails.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic
from typing import Final

from worker.engine.records import Record
from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.client import (
    Admin,
    ClusterPartition,
    CommittedOffset,
    Consumer,
    GroupMetadata,
    MemberState,
)
from worker.logs.kafka.client_errors import (
    AnswerTooLarge,
    ClientError,
    NoCoordinator,
    UnreadableBatch,
)
from worker.logs.kafka.cluster import Cluster, client_id, no_topic
from worker.logs.kafka.unreadable_records import UnreadableRecords

SILENT_AFTER: Final = 25.0
"""Seconds in which a consumer must have had a part in its group."""
_SLICE_MS: Final = 200
_HEARTBEAT_SECONDS: Final = 0.2
_EVERYTHING: Final = 1 << 30
"""Records per poll. kafka-python never again fetches a partition that is paused half drained."""

Offsets = dict[ClusterPartition, int]


class GroupConsumer:
    """One consumer in one group, by one instance id: a restart of the same slot is no rebalance."""

    def __init__(
        self,
        cluster: Cluster,
        admin: Admin,
        group: str,
        slot: str,
        topics: Collection[str],
        siblings: set["GroupConsumer"],
    ) -> None:
        """Subscribe; nothing is assigned before the first polls.

        Args:
            topics: names on the cluster.
            siblings: all group consumers of this process, of any group; this one adds itself.

        Raises:
            LogError: a topic does not exist, or no broker answered.
        """
        self._cluster = cluster
        self._admin = admin
        self._group = group
        self._topics = tuple(topics)
        self._slot = slot
        self._siblings = siblings
        self._consumer = cluster.consumer(
            client_id=client_id(),
            group_id=group,
            group_instance_id=slot,
            session_timeout_ms=cluster.timings.session,
            heartbeat_interval_ms=cluster.timings.session // 6,
            max_poll_interval_ms=cluster.timings.max_poll,
        )
        self._listener = _Listener(self._consumer)
        self._resumed: set[ClusterPartition] = set()
        self._in_group_at = self._polled_at = monotonic()
        self._unreadable = UnreadableRecords(cluster, self._consumer)
        self._failure: LogError | None = None
        """How a heartbeat failed; the next poll raises it."""
        self.group_metadata = GroupMetadata(group)
        """The membership as it was right after the last poll: what commits are checked against.

        A heartbeat is such a poll, too: with what the membership was before it, a join that the
        heartbeat has begun would not be waited for, and the next commit would be refused.
        """
        try:
            for topic in topics:
                self.partitions = self._consumer.partition_count(topic)
                if not self.partitions:
                    raise no_topic(topic)
            self._consumer.subscribe(self._topics, self._listener)
            self._siblings.add(self)
        except BaseException:
            self.close()
            raise

    @property
    def rebalances(self) -> int:
        """How many times partitions have been assigned, also when they were the same."""
        return self._listener.rebalances

    @property
    def assigned(self) -> frozenset[ClusterPartition]:
        """The partitions of the last assignment."""
        return self._listener.assigned

    @property
    def stable(self) -> bool:
        """Whether the last poll left this consumer in the group: else no commit is accepted."""
        return self.group_metadata.state is MemberState.STABLE

    def join(self, is_standby: Callable[[], bool]) -> None:
        """Poll until the group has decided what is assigned to this consumer.

        Args:
            is_standby: returns whether an empty assignment is right: the other members have every
                partition.

        Raises:
            LogError: the group has not decided in time.
        """
        while not (self.rebalances and self.stable):
            self.poll((), _SLICE_MS)
        while not self.assigned and not is_standby():
            self.poll((), _SLICE_MS)

    def poll(
        self, ready: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, list[Record]]:
        """Return what has been fetched of the partitions in `ready`, and nothing of others.

        Raises:
            LogInDoubt: the group has expelled this consumer.
            LogError: it has had no part in the group for too long; the log cannot be read.
        """
        if self._failure is not None:
            raise self._failure
        polled = self._unreadable.step_over(ready)
        for at, records in self._poll(self._unreadable.narrowed(ready), timeout_ms).items():
            polled.setdefault(at, []).extend(records)
        membership = self.group_metadata
        if monotonic() - self._in_group_at > SILENT_AFTER:
            raise LogError(
                f"Group {self._group} has assigned nothing to this worker for {SILENT_AFTER:.0f} s."
            )
        if polled and (membership.state is not MemberState.STABLE or membership.generation < 0):
            raise LogInDoubt(f"Group {self._group} is rebalancing while records came: start again.")
        for sibling in self._siblings - {self}:
            sibling.heartbeat()
        return polled

    def heartbeat(self) -> None:
        """Take part in the group while another consumer of this process is polled, or waits.

        Otherwise two workers would wait for each other, one in one group, one in the other. A
        failure is raised by the next poll.
        """
        if self._failure is None and monotonic() - self._polled_at > _HEARTBEAT_SECONDS:
            try:
                self._poll((), 0)
            except LogError as error:
                self._failure = error

    def _poll(
        self, ready: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, list[Record]]:
        with self._cluster.interruptible():
            pass  # here only: what the client has begun must not end anywhere
        self._resume_only(ready)
        try:
            polled = self._consumer.poll(timeout_ms, _EVERYTHING)
        except AnswerTooLarge as error:
            self._unreadable.look_for(error)
            polled = {}
        except UnreadableBatch as error:
            self._unreadable.refuse(error)
        except ClientError as error:
            raise LogError(f"Reading {', '.join(self._topics)} failed: {error}") from error
        membership = self.group_metadata = self._consumer.group_metadata()
        if membership.state is MemberState.STABLE and self.assigned:
            self._in_group_at = monotonic()
        elif membership.state is MemberState.REBALANCING:
            self._consumer.keep_join()
        if self._listener.lost:
            raise LogInDoubt(f"Group {self._group} went on without this worker: start again.")
        self._polled_at = monotonic()
        return polled

    def confirm_standby(self) -> None:
        """Accept an empty assignment: the other members have every partition."""
        self._in_group_at = monotonic()

    def position(self, at: ClusterPartition) -> int:
        """Return the offset that is fetched next; transaction markers give no records."""
        return self._consumer.position(at)

    def seek(self, at: ClusterPartition, offset: int) -> None:
        """Fetch from there on, once the partition is `ready` in a poll."""
        self._consumer.seek(at, offset)

    def end_offsets(self, partitions: Collection[ClusterPartition]) -> Offsets:
        """Return, as of now, the offset after the newest record, committed or not."""
        return self._ask(self._consumer.end_offsets, partitions)

    def stable_offsets(self, partitions: Collection[ClusterPartition]) -> Offsets:
        """Return, as of now, the offset before which everything committed can be read."""
        return self._ask(self._consumer.stable_offsets, partitions)

    def beginning_offsets(self, partitions: Collection[ClusterPartition]) -> Offsets:
        """Return the oldest offset of each partition that is still stored."""
        return self._ask(self._consumer.beginning_offsets, partitions)

    def committed(self, at: ClusterPartition) -> CommittedOffset | None:
        """Return offset and metadata last committed; None if there was no commit.

        Raises:
            ClientTimeout: a transaction that has not ended holds offsets of this group.
        """
        return self._consumer.committed(at, _SLICE_MS * 2)

    def leave(self) -> None:
        """Leave the group at once, instead of when the session times out, and close."""
        member = self._consumer.group_metadata().member_id
        self.close()
        with suppress(ClientError):  # then the group notices when the session times out
            if not (member or self.rebalances):
                member = self._joining()
            if member:
                # The member id too: a successor in the same slot must not be removed.
                self._admin.remove_member(self._group, member, self._slot, "stopped")

    def _joining(self) -> str:
        """Return the id under which a join of this consumer waits in the group; "" if none does."""
        members = self._admin.describe_group(self._group).members
        own = (member for member in members if member.client_id == client_id())
        return next((member.id for member in own if member.instance_id == self._slot), "")

    def close(self) -> None:
        """Close the connections; the group counts this worker as dead until it is back."""
        self._siblings.discard(self)
        self._consumer.close(timeout_ms=0)

    def _resume_only(self, ready: Collection[ClusterPartition]) -> None:
        assigned = self._consumer.assignment()
        if self._listener.paused_again:
            self._listener.paused_again = False
            self._resumed = set()
        wanted = assigned.intersection(ready)
        if surplus := (self._resumed - wanted) & assigned:
            self._consumer.pause(surplus)
        if missing := wanted - self._resumed:
            self._consumer.resume(missing)
        self._resumed = wanted

    def _ask(
        self,
        question: Callable[[Collection[ClusterPartition], int], Offsets],
        partitions: Collection[ClusterPartition],
    ) -> Offsets:
        try:
            return question(partitions, self._cluster.timings.request)
        except ClientError as error:
            raise LogError(
                f"The offsets of {', '.join(self._topics)} cannot be read: {error}"
            ) from error


def owners_of(admin: Admin, group: str) -> dict[int, str]:
    """Return the owner of each task of a stage: process id and host.

    Raises:
        ClientError: the cluster did not answer.
    """
    try:
        members = admin.describe_group(group).members
    except NoCoordinator:
        return {}  # a cluster that never had a group makes the place for groups only now
    return {
        number: member.client_id.removeprefix("walletwatch-")
        for member in members
        for number in member.partitions
    }


class _Listener:
    """Keeps what the group decides. Called on the client's thread: may do local things only."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.assigned: frozenset[ClusterPartition] = frozenset()
        self.rebalances = 0
        self.lost = False
        self.paused_again = False

    def partitions_assigned(self, assigned: frozenset[ClusterPartition]) -> None:
        """Pause, and set some position, so that the client looks for none by itself."""
        self._consumer.pause(assigned)
        for at in assigned:
            self._consumer.seek(at, 0)
        self.paused_again = True
        self.assigned = assigned
        self.rebalances += 1

    def partitions_lost(self) -> None:
        """The group has expelled this consumer: others may have committed since."""
        self.lost = True
