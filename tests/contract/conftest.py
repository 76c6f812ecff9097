"""Every log under one roof: the suite asks for `log`, `reopen` and `usurp`, never for a kind."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from kafka import TopicPartition
from kafka.admin import MemberToRemove, NewTopic

from tests.support.kafka_broker import kafka_address  # noqa: F401 - a fixture
from tests.support.kafka_clients import library_client
from tests.support.open_transaction import OpenTransaction
from worker.engine.log import Log
from worker.engine.records import NewRecord
from worker.errors import LogError
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.log import KafkaLog
from worker.logs.memory import MemoryLog
from worker.logs.sqlite.log import SqliteLog
from worker.logs.topics import Cleanup

TOPICS: dict[str, Cleanup] = {
    "orders": "delete",
    "visits": "delete",
    "results": "delete",
    "cases": "compact",
}
STAGES = ("detect", "triage")


class Clock:
    """A wall clock that does not move until it is set (milliseconds)."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Pending(Protocol):
    """An append of another producer that is not decided yet."""

    has_offsets: bool
    """Whether its records have offsets already, which a log of one process gives last."""

    def commit(self) -> None:
        """Let the records be read."""

    def abort(self) -> None:
        """Let the records be none."""


class World(Protocol):
    """One log, and what happens to it from outside."""

    @property
    def log(self) -> Log:
        """The log."""

    def reopen(self) -> Log:
        """Close the log and open what it left behind."""

    def usurp(self) -> None:
        """Make the log believe that the owners of all tasks are gone although they live."""

    def abort(self, records: Sequence[NewRecord]) -> None:
        """Append records in a transaction that is aborted: they can never be read."""

    def begin(self, records: Sequence[NewRecord]) -> Pending:
        """Begin to append records of one partition, in a transaction that stays open."""

    def empty(self, topic: str) -> None:
        """Drop all records of a topic, as retention does."""

    def end(self) -> None:
        """Leave nothing behind."""


class Embedded:
    """A log of this process, which drops records itself."""

    log: Log
    _clock: Clock

    def abort(self, records: Sequence[NewRecord]) -> None:
        with pytest.raises(LogError, match="nowhere"):
            self.log.append([*records, NewRecord("nowhere", b"k", b"v")])

    def begin(self, records: Sequence[NewRecord]) -> Pending:
        return Unwritten(self, records)

    def empty(self, topic: str) -> None:
        self._clock.now += 1
        self.log.prune({topic: 0}, {})


class Unwritten:
    """An append that a log of one process has not begun."""

    has_offsets = False

    def __init__(self, world: Embedded, records: Sequence[NewRecord]) -> None:
        self._world = world
        self._records = records

    def commit(self) -> None:
        self._world.log.append(self._records)

    def abort(self) -> None:
        self._world.abort(self._records)


class MemoryWorld(Embedded):
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._memory = MemoryLog(TOPICS, clock=clock)
        self.log = self._memory

    def reopen(self) -> Log:
        self.log.close()
        return self.log

    def usurp(self) -> None:
        self._memory._held.clear()

    def end(self) -> None:
        self.log.close()


class SqliteWorld(Embedded):
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.log = self._open()

    def _open(self) -> Log:
        return SqliteLog(self._folder / "test.db", TOPICS, clock=self._clock)

    def reopen(self) -> Log:
        self.log.close()
        self.log = self._open()
        return self.log

    def usurp(self) -> None:
        for lock in (self._folder / "test.db.lock").iterdir():
            lock.unlink()

    def end(self) -> None:
        self.log.close()


class KafkaWorld:
    """Topics, groups and transactional ids under a prefix of its own, on a shared broker."""

    def __init__(self, address: str, clock: Clock) -> None:
        self._clock = clock
        self._cluster = Cluster(servers=(address,), prefix=f"{uuid.uuid4().hex[:12]}.")
        self._admin = library_client(self._cluster.admin())
        # The suite's clock is in 1970: nothing may be too old to be kept.
        keep = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
        cleanups = TOPICS | {self._cluster.changelog(stage): "compact" for stage in STAGES}
        self._topics = [name if "." in name else self._cluster.topic(name) for name in cleanups]
        self._admin.create_topics(
            [
                NewTopic(name, 4, 1, topic_configs={"cleanup.policy": cleanup, **keep})
                for name, cleanup in zip(self._topics, cleanups.values(), strict=True)
            ]
        )
        self._admin.wait_for_topics(self._topics)
        self.log = self._open()

    def _open(self) -> KafkaLog:
        return KafkaLog(self._cluster, "0", self._clock)

    def reopen(self) -> Log:
        self.log.close()
        self.log = self._open()
        return self.log

    def usurp(self) -> None:
        # The old member lives on in this process, where no heartbeat may take part in its group.
        self.log._memberships.clear()
        self.log._consumers.clear()
        for stage in STAGES:
            group = self._cluster.group(stage)
            for found in self._admin.describe_groups([group]).values():
                gone = [MemberToRemove(member["member_id"]) for member in found["members"]]
                if gone:
                    self._admin.remove_group_members(group, gone)

    def abort(self, records: Sequence[NewRecord]) -> None:
        self.begin(records).abort()

    def begin(self, records: Sequence[NewRecord]) -> OpenTransaction:
        return OpenTransaction(self._cluster, [self.log._address(each) for each in records])

    def empty(self, topic: str) -> None:
        name = self._cluster.topic(topic)
        partitions = range(self.log.partitions(topic))
        # -1: whatever can be read.
        self._admin.delete_records({TopicPartition(name, number): -1 for number in partitions})

    def end(self) -> None:
        self.log.close()
        self._admin.delete_topics(self._topics)
        self._admin.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "kafka"])
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[World]:
    world: World
    match request.param:
        case "kafka":
            world = KafkaWorld(request.getfixturevalue("kafka_address"), clock)
        case "sqlite":
            world = SqliteWorld(tmp_path, clock)
        case _:
            world = MemoryWorld(tmp_path, clock)
    yield world
    world.end()


@pytest.fixture
def log(world: World) -> Log:
    return world.log


@pytest.fixture
def reopen(world: World) -> Callable[[], Log]:
    return world.reopen


@pytest.fixture
def usurp(world: World) -> Callable[[], None]:
    return world.usurp
