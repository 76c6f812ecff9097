"""A worker's session on Kafka: some or all tasks of its process's membership in a stage."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from worker.engine.log import TasksMoved
from worker.engine.records import Batch, Commit, NewRecord, Snapshot, TopicPartition
from worker.errors import LogError, LogInDoubt, TaskTaken
from worker.logs.kafka.client import Outgoing
from worker.logs.kafka.feed import Rebalanced
from worker.logs.kafka.group_consumer import SILENT_AFTER
from worker.logs.kafka.stage_membership import HANGS_AFTER, StageMembership
from worker.logs.reading import Reading

T = TypeVar("T")

_RESTORE_SECONDS: Final = 600.0
_POLL_SECONDS: Final = SILENT_AFTER + 3
"""A poll may wait for the group as long as the group consumer allows, whose error says more."""


class KafkaSession:
    """One hold on the tasks asked for, or on those that the group assigns.

    Args:
        wanted: these tasks, and no others; the session fails when the group revokes one. None: the
            tasks that the group assigns; `poll` and `restore` raise TasksMoved when they change.
        address: returns a record to append with its partition on the cluster.
        timestamp: the time for the records of a commit, in milliseconds.
        release: called once, when the session has ended.
    """

    def __init__(
        self,
        membership: StageMembership,
        wanted: Sequence[int] | None,
        address: Callable[[NewRecord], Outgoing],
        timestamp: Callable[[], int],
        release: Callable[["KafkaSession"], None],
    ) -> None:
        self._membership = membership
        self._wanted = wanted
        self._tasks = tuple(sorted(membership.assigned) if wanted is None else wanted)
        self._address = address
        self._timestamp = timestamp
        self._release = release
        self._reading = Reading()
        self._rebalances = membership.rebalances
        self._closed = False
        if not membership.assigned.issuperset(self._tasks):
            raise TaskTaken("Another worker has joined the stage, and has some of the tasks.")

    @property
    def tasks(self) -> Sequence[int]:
        """The tasks held."""
        return self._tasks

    def restore(self, task: int) -> Snapshot:
        """Return what was committed for the task and set its read positions to it."""
        what = f"restoring task {task}"
        snapshot, offsets = self._settled(
            what, _RESTORE_SECONDS, lambda: self._membership.restore(task)
        )
        self._reading.positions.update(offsets)
        self._reading.sequences[task] = 0
        return snapshot

    def poll(self, limit: int, paused: Collection[TopicPartition] = (), wait: float = 0) -> Batch:
        """Return up to `limit` records, shared evenly; see the port."""

        def read() -> Batch:
            self._membership.check_standby()
            batch = self._membership.feed.poll(self._reading.positions, limit, paused, wait)
            batch.notices = self._membership.topics.notices()
            return batch

        return self._settled("polling", wait + _POLL_SECONDS, read)

    def commit(self, unit: Commit) -> None:
        """Make the unit durable in one transaction; see the port."""
        with self._step("committing", HANGS_AFTER):
            touched = self._reading.touched(unit)
            outputs = [self._address(record) for record in unit.outputs]
            if not (touched or outputs):
                return
            # Outputs alone, too, may only be written by the owner of the tasks.
            touched = touched or set(self._reading.sequences)
            positions = self._reading.positions
            self._membership.commit(unit, touched, outputs, self._timestamp(), positions)
            for task in touched:
                self._reading.sequences[task] += 1

    def close(self) -> None:
        """Release the tasks. Uncommitted work is forgotten. May be called twice."""
        if not self._closed:
            self._closed = True
            self._release(self)

    @contextmanager
    def _step(self, what: str, seconds: float) -> Iterator[None]:
        if self._closed:
            raise LogError("This session of the log was closed: open a new one.")
        with self._membership.step(what, seconds):
            yield

    def _settled(self, what: str, seconds: float, act: Callable[[], T]) -> T:
        """Run a step in which the group may rebalance: then again, if the session can go on."""
        while True:
            try:
                with self._step(what, seconds):
                    if self._rebalances == self._membership.rebalances:
                        return act()
            except Rebalanced:
                pass
            self._follow()

    def _follow(self) -> None:
        """Continue with what the group has assigned.

        Raises:
            TasksMoved: if the session holds the tasks that the group assigns.
            LogInDoubt: if it has lost a task that it wants, or another worker committed for one.
        """
        with self._step("following the group", _RESTORE_SECONDS):
            kept = self._membership.follow()
        self._rebalances = self._membership.rebalances
        assigned, dropped = self._membership.assigned, self._reading.sequences.keys() - kept
        for task in dropped:
            del self._reading.sequences[task]
            for at in [at for at in self._reading.positions if at.partition == task]:
                del self._reading.positions[at]
        if self._wanted is None:
            self._tasks = tuple(sorted(assigned))
            raise TasksMoved(self._tasks, kept)
        if dropped or not assigned.issuperset(self._wanted):
            raise LogInDoubt("Another worker has, or has had, tasks of this session.")
