"""A worker's membership in the consumer group of a stage: its partitions, and their records.

The group's rebalances run inside `poll`, on the client's own thread, while this one waits there.
What a rebalance has given is paused until the session has restored it.

Three guards against a member that is silent for ever (kafka-python leaves a join that outlasts a
poll in the background, and then nobody takes its result, or it is thrown away and a new join
begun): the topics' metadata is fetched before subscribing, a pending join is kept for the next
poll, and who has no part in the group for `SILENT_AFTER` seconds fails.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaAdminClient, TopicPartition
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import CoordinatorNotAvailableError, KafkaError
from kafka.structs import MemberState

from worker.engine.records import Record
from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.cluster import Cluster, client_id, told
from worker.logs.kafka.decode import as_record

SILENT_AFTER: Final = 25.0
"""Seconds in which a member must have had a part in its group."""
_SLICE_MS: Final = 200
_ATTEND_SECONDS: Final = 0.2
_EVERYTHING: Final = 1 << 30
"""Records per poll. kafka-python never again fetches a partition that is paused half drained."""


class Member:
    """One consumer in one group, by one instance id: a restart of the same slot is no rebalance."""

    def __init__(
        self,
        cluster: Cluster,
        admin: KafkaAdminClient,
        group: str,
        slot: str,
        topics: Sequence[str],
        beside: set["Member"],
    ) -> None:
        """Join; nothing is assigned before the first polls.

        Args:
            topics: names on the cluster.
            beside: the members of this process, in whatever groups; this one joins them.

        Raises:
            LogError: a topic is not there, or no broker answered.
        """
        self._cluster = cluster
        self._admin = admin
        self._group = group
        self._topics = tuple(topics)
        self._slot = slot
        self._beside = beside
        self._consumer = cluster.consumer(
            client_id=client_id(),
            group_id=group,
            group_instance_id=slot,
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=cluster.timings.session,
            heartbeat_interval_ms=cluster.timings.session // 6,
            max_poll_interval_ms=cluster.timings.max_poll,
        )
        self._listener = _Listener(self._consumer)
        self._flowing: set[TopicPartition] = set()
        self._heard_at = self._polled_at = monotonic()
        self._failure: LogError | None = None
        """What came of attending; told by the next poll."""
        self.identity: Any = None
        """The group metadata as it was right after the last poll: what commits are checked by.

        Attending is such a poll, too: with what it was before, a join that attending has begun
        would not be waited for, and the next commit be refused.
        """
        try:
            for topic in topics:
                self.partitions = len(self._consumer.partitions_for_topic(topic))
                if not self.partitions:
                    raise LogError(
                        f"Topic {topic} does not exist, or may not be read: "
                        "walletwatch topics check says more."
                    )
            self._consumer.subscribe(topics=list(topics), listener=self._listener)
            self._beside.add(self)
        except BaseException:
            self.abandon()
            raise

    @property
    def moves(self) -> int:
        """How many times partitions have been assigned, also when they were the same."""
        return self._listener.moves

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions of the last assignment."""
        return self._listener.assigned

    @property
    def stable(self) -> bool:
        """Whether the last poll left this member in the group: else no commit would be taken."""
        return self.identity is not None and self.identity.state == MemberState.STABLE

    def join(self, standby: Callable[[], bool]) -> None:
        """Poll until the group has decided what this member gets.

        Args:
            standby: says whether getting nothing is right, because the others have everything.

        Raises:
            LogError: it has not decided in time.
        """
        while not (self.moves and self.stable):
            self.poll((), _SLICE_MS)
        while not self.assigned and not standby():
            self.poll((), _SLICE_MS)

    def poll(
        self, ready: Collection[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, list[Record]]:
        """Return what has been fetched of the partitions named, and nothing of others.

        Raises:
            LogInDoubt: this member was thrown out of the group.
            LogError: it has had no part in the group for too long; the log cannot be read.
        """
        if self._failure is not None:
            raise self._failure
        polled, identity = self._poll(ready, timeout_ms), self.identity
        if monotonic() - self._heard_at > SILENT_AFTER:
            raise LogError(
                f"Group {self._group} has given this worker nothing for {SILENT_AFTER:.0f} s."
            )
        if polled and (identity.state != MemberState.STABLE or identity.generation_id < 0):
            raise LogInDoubt(f"Group {self._group} is rebalancing while records came: start again.")
        for member in self._beside - {self}:
            member.attend()
        return {at: as_records(records) for at, records in polled.items()}

    def attend(self) -> None:
        """Take part in the group while another member of this process is polled, or waits.

        Two workers would else wait for each other: one in one group, one in the other. What comes
        of it, the next poll tells.
        """
        if self._failure is None and monotonic() - self._polled_at > _ATTEND_SECONDS:
            try:
                self._poll((), 0)
            except LogError as error:
                self._failure = error

    def _poll(self, ready: Collection[TopicPartition], timeout_ms: int) -> dict[Any, list[Any]]:
        self._let_flow(ready)
        try:
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms, _EVERYTHING)
        except KafkaError as error:
            raise LogError(f"Reading {', '.join(self._topics)} failed: {told(error)}") from error
        self.identity = self._consumer.group_metadata()
        if self.identity.state == MemberState.STABLE and self.assigned:
            self._heard_at = monotonic()
        elif self.identity.state == MemberState.REBALANCING:
            _keep_join(self._consumer._coordinator)
        if self._listener.lost:
            raise LogInDoubt(f"Group {self._group} went on without this worker: start again.")
        self._polled_at = monotonic()
        return polled

    def heard(self) -> None:
        """Having nothing to do is right: the others have everything."""
        self._heard_at = monotonic()

    def position(self, at: TopicPartition) -> int:
        """Return the offset that is fetched next; transaction markers give no records."""
        return int(self._consumer.position(at))

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Fetch from there on, once the partition is named in a poll."""
        self._consumer.seek(at, offset)

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return, as of now, the offset before which everything can be read."""
        return dict(self._ask(self._consumer.end_offsets, list(partitions)))

    def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the oldest offset of each partition that is still stored."""
        return dict(self._ask(self._consumer.beginning_offsets, list(partitions)))

    def committed(self, at: TopicPartition) -> tuple[int, str] | None:
        """Return offset and metadata last committed; None if nothing ever was.

        Raises:
            KafkaTimeoutError: a transaction that has not ended holds offsets of this group.
        """
        found = self._consumer.committed(at, metadata=True, timeout_ms=_SLICE_MS * 2)
        return None if found is None or found.offset < 0 else (found.offset, found.metadata or "")

    def leave(self) -> None:
        """Give everything back at once, instead of when the session times out."""
        identity = self.identity
        self.abandon()
        if identity is None or identity.generation_id < 0:
            return
        # The member id too: a successor in the same slot must not be thrown out.
        member = MemberToRemove(identity.member_id, self._slot, "stopped")
        with suppress(KafkaError):  # then the group finds out by itself
            self._admin.remove_group_members(self._group, [member])

    def abandon(self) -> None:
        """Close the connections; to the group this worker is dead, until it is back."""
        self._beside.discard(self)
        self._consumer.close(autocommit=False, timeout_ms=0)

    def _let_flow(self, ready: Collection[TopicPartition]) -> None:
        assigned = self._consumer.assignment()
        if self._listener.paused_again:
            self._listener.paused_again = False
            self._flowing = set()
        wanted = assigned.intersection(ready)
        if surplus := (self._flowing - wanted) & assigned:
            self._consumer.pause(*surplus)
        if missing := wanted - self._flowing:
            self._consumer.resume(*missing)
        self._flowing = wanted

    def _ask(self, question: Callable[..., Any], partitions: list[TopicPartition]) -> Any:
        try:
            return question(partitions, timeout_ms=self._cluster.timings.request)
        except KafkaError as error:
            raise LogError(f"The brokers did not tell the offsets: {told(error)}") from error


def owners_of(admin: KafkaAdminClient, group: str) -> dict[int, str]:
    """Return who has which task of a stage: process id and host.

    Raises:
        KafkaError: the cluster did not answer.
    """
    owners: dict[int, str] = {}
    try:
        members = admin.describe_groups([group])[group]["members"]
    except CoordinatorNotAvailableError:
        return owners  # a cluster that never had a group makes the place for them only now
    for member in members:
        process = member["client_id"].removeprefix("walletwatch-")
        for assigned in (member["member_assignment"] or {}).get("assigned_partitions", ()):
            owners.update(dict.fromkeys(assigned["partitions"], process))
    return owners


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the group decides. Called on the client's thread: may do local things only."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.moves = 0
        self.lost = False
        self.paused_again = False

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Eager: everything is given back before each join, and given anew after it."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Pause, and set some position, so that the client looks for none by itself."""
        self._consumer.pause(*assigned)
        for at in assigned:
            self._consumer.seek(at, 0)
        self.paused_again = True
        self.assigned = frozenset(assigned)
        self.moves += 1

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """The group has thrown this member out: others may have committed since."""
        self.lost = True


def _keep_join(coordinator: Any) -> None:
    """Let the next poll take the result of the join that is under way. (Private to the client.)"""
    coordinator.request_rejoin()
    task = coordinator._join_task
    if task is not None and not isinstance(task, _Join):
        coordinator._join_task = _Join(task)


class _Join:
    """A join that counts as under way until a poll has waited for it, or it has failed.

    For one that ended between two polls, the client would begin another, and with it a rebalance.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self.add_callback = task.add_callback
        self.add_errback = task.add_errback

    @property
    def is_done(self) -> bool:
        return self.failed()

    def failed(self) -> bool:
        return bool(self._task.failed())


def as_records(polled: Sequence[Any]) -> list[Record]:
    """Return what the client gave as records of the port."""
    if polled and isinstance(polled[0], Record):
        return list(polled)
    return [as_record(record) for record in polled]
