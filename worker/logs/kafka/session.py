"""A worker's session on Kafka: some or all tasks of the seat that its process has in a stage."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from worker.engine.log import TasksMoved
from worker.engine.records import Batch, Commit, NewRecord, Snapshot, TopicPartition
from worker.errors import LogError, LogInDoubt, TaskTaken
from worker.logs.kafka.feed import Rebalanced
from worker.logs.kafka.group_consumer import SILENT_AFTER
from worker.logs.kafka.stage_membership import HANGS_AFTER, Seat
from worker.logs.kafka.transaction import Outgoing
from worker.logs.reading import Reading

T = TypeVar("T")

_RESTORE_SECONDS: Final = 600.0
_POLL_SECONDS: Final = SILENT_AFTER + 3
"""A poll waits for the group as long as the member itself allows, and that says more."""


class KafkaSession:
    """One hold on the tasks asked for, or on whatever the group gives.

    Args:
        wanted: these tasks, and no others; the session fails when the group takes one away.
            None: what the group gives; `poll` and `restore` tell when that changes.
        place: gives a record to append its address on the cluster.
        stamp: the time for the records of a commit, in milliseconds.
        release: called once, when the session has ended.
    """

    def __init__(
        self,
        seat: Seat,
        wanted: Sequence[int] | None,
        place: Callable[[NewRecord], Outgoing],
        stamp: Callable[[], int],
        release: Callable[["KafkaSession"], None],
    ) -> None:
        self._seat = seat
        self._wanted = wanted
        self._tasks = tuple(sorted(seat.given) if wanted is None else wanted)
        self._place = place
        self._stamp = stamp
        self._release = release
        self._reading = Reading()
        self._moves = seat.moves
        self._closed = False
        if not seat.given.issuperset(self._tasks):
            raise TaskTaken("Another worker has joined the stage, and has some of the tasks.")

    @property
    def tasks(self) -> Sequence[int]:
        """The tasks held."""
        return self._tasks

    def restore(self, task: int) -> Snapshot:
        """Return what was committed for the task and set its read positions to it."""
        what = f"restoring task {task}"
        snapshot, offsets = self._settled(what, _RESTORE_SECONDS, lambda: self._seat.restore(task))
        self._reading.positions.update(offsets)
        self._reading.sequences[task] = 0
        return snapshot

    def poll(self, limit: int, paused: Collection[TopicPartition] = (), wait: float = 0) -> Batch:
        """Return up to `limit` records, shared evenly; see the port."""

        def read() -> Batch:
            self._seat.stand_by()
            return self._seat.feed.poll(self._reading.positions, limit, paused, wait)

        return self._settled("polling", wait + _POLL_SECONDS, read)

    def commit(self, unit: Commit) -> None:
        """Make the unit durable in one transaction; see the port."""
        with self._step("committing", HANGS_AFTER):
            touched = self._reading.touched(unit)
            outputs = [self._place(record) for record in unit.outputs]
            if not (touched or outputs):
                return
            # Outputs alone, too, are only for the owner of the tasks to write.
            touched = touched or set(self._reading.sequences)
            self._seat.commit(unit, touched, outputs, self._stamp())
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
        with self._seat.step(what, seconds):
            yield

    def _settled(self, what: str, seconds: float, act: Callable[[], T]) -> T:
        """Run a step in which the group may assign the tasks anew; then again, if it may go on."""
        while True:
            try:
                with self._step(what, seconds):
                    if self._moves == self._seat.moves:
                        return act()
            except Rebalanced:
                pass
            self._follow()

    def _follow(self) -> None:
        """Find out what the group has decided.

        Raises:
            TasksMoved: if the session takes what it gets.
            LogInDoubt: if it has lost a task that it wants, or somebody else committed for one.
        """
        with self._step("following the group", _RESTORE_SECONDS):
            kept = self._seat.follow()
        self._moves = self._seat.moves
        given, dropped = self._seat.given, self._reading.sequences.keys() - kept
        for task in dropped:
            del self._reading.sequences[task]
            for at in [at for at in self._reading.positions if at.partition == task]:
                del self._reading.positions[at]
        if self._wanted is None:
            self._tasks = tuple(sorted(given))
            raise TasksMoved(self._tasks, kept)
        if dropped or not given.issuperset(self._wanted):
            raise LogInDoubt("Another worker has, or has had, tasks of this session.")
