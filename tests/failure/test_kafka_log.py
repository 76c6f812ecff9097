"""What can go wrong between a session and its cluster, each with its sentence."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import TopicPartition as Place

from tests.contract.conftest import Clock, KafkaWorld
from tests.support.kafka_clients import library_client
from worker.engine.log import TasksMoved
from worker.engine.records import Commit, NewRecord, StateChange, TopicPartition
from worker.errors import ConfigError, LogError, TaskTaken
from worker.logs.kafka.client import ClusterPartition, MemberState
from worker.logs.kafka.client_errors import Replaced
from worker.logs.kafka.cluster import Cluster, Timings
from worker.logs.kafka.log import KafkaLog
from worker.logs.kafka.session import KafkaSession

INPUTS = ("orders", "visits")
IN0 = TopicPartition("orders", 0)


@pytest.fixture
def world(kafka_address: str) -> Iterator[KafkaWorld]:
    world = KafkaWorld(kafka_address, Clock())
    yield world
    world.end()


def opened(log: KafkaLog, tasks: list[int] | None, stage: str = "detect") -> KafkaSession:
    session = log.open_session(stage, INPUTS, tasks)
    for task in session.tasks:
        list(session.restore(task).states)
    return session


def results(log: KafkaLog) -> list[bytes | None]:
    return [record.value for record in log.read("results", 0, 0, 100)]


def test_an_output_that_is_too_large_is_named(world: KafkaWorld) -> None:
    """Nothing of its unit is committed; without it the next session goes on."""
    session = opened(world.log, [0])
    unit = Commit(
        [NewRecord("results", None, b"small", 0), NewRecord("results", None, b"v" * 3_000_000, 0)],
        [StateChange(0, b"k", b"v")],
    )
    with pytest.raises(LogError, match=r"results takes records of fewer bytes \(max"):
        session.commit(unit)
    session.close()
    session = opened(world.log, [0])
    session.commit(Commit([NewRecord("results", None, b"small", 0)]))
    session.close()
    assert results(world.log) == [b"small"]


def test_records_that_were_deleted_unread_stop_the_worker(world: KafkaWorld) -> None:
    """By their offsets, and with the command to go on; it never jumps over them silently."""
    world.log.append([NewRecord("orders", b"k", b"%d" % n, 0) for n in range(10)])
    session = opened(world.log, [0])
    session.poll(3)
    session.commit(Commit(offsets={IN0: 3}))
    session.close()
    world._admin.delete_records({Place(world._cluster.topic("orders"), 0): 7})
    session = world.log.open_session("detect", INPUTS, [0])
    with pytest.raises(
        ConfigError, match=r"orders/0: records 3 to 6 were deleted .*accept orders/0"
    ):
        session.restore(0)
    session.close()


def test_a_dead_workers_transaction_is_aborted_not_waited_for(world: KafkaWorld) -> None:
    """It would hold the end of the changelog for longer than a restore waits; it is fenced."""
    session = opened(world.log, [0])
    session.commit(Commit(states=[StateChange(0, b"k", b"1")], metas={0: b"meta"}))
    session.close()
    timings = Timings(transaction=600_000)
    slow = Cluster(servers=world._cluster.servers, timings=timings, prefix=world._cluster.prefix)
    dead = slow.producer(slow.transactional_id("detect", "dead"))
    dead.init_transactions()
    dead.begin_transaction()
    changelog = ClusterPartition(slow.changelog("detect"), 0)
    dead.send([(changelog, b"\0" * 7 + b"\7", b"x", ())], 1_000_000, 30)
    session = world.log.open_session("detect", INPUTS, [0])
    snapshot = session.restore(0)
    assert (snapshot.meta, list(snapshot.states)) == (b"meta", [(b"k", b"1")])
    session.commit(Commit(states=[StateChange(0, b"k", b"2")]))
    session.close()
    with pytest.raises(Replaced, match="Fenced"):
        dead.commit_transaction()
    dead.close()


def test_a_topic_deleted_under_a_session_ends_it(world: KafkaWorld) -> None:
    """With an error, not with silence."""
    session = opened(world.log, [0])
    session.poll(1)
    world._admin.delete_topics([world._cluster.topic(name) for name in INPUTS])
    with pytest.raises(LogError):
        _work_on(session)
    session.close()
    names = {world._cluster.topic(name) for name in INPUTS}
    world._topics = [name for name in world._topics if name not in names]


def test_another_worker_gets_a_part_and_gives_it_back(world: KafkaWorld) -> None:
    """What stays is kept with its state; what moved is restored as it was committed."""
    first = opened(world.log, None)
    assert list(first.tasks) == [0, 1, 2, 3]
    first.commit(Commit(states=[StateChange(task, b"k", b"%d" % task) for task in range(4)]))
    other = KafkaLog(world._cluster, "1", Clock())
    with ThreadPoolExecutor() as pool:
        joining = pool.submit(opened, other, None)
        moved = _moves(first)
        second = joining.result(60)
    assert moved.tasks == (0, 1)
    assert moved.kept == {0, 1}
    assert list(second.tasks) == [2, 3]
    first.commit(Commit(states=[StateChange(1, b"k", b"one")]))
    second.commit(Commit(states=[StateChange(3, b"k", b"three")]))
    second.close()
    moved = _moves(first)
    assert moved.tasks == (0, 1, 2, 3)
    assert moved.kept == {0, 1}
    found = {task: list(first.restore(task).states) for task in (2, 3)}
    assert found == {2: [(b"k", b"2")], 3: [(b"k", b"three")]}
    first.commit(Commit(states=[StateChange(task, b"k", b"") for task in range(4)]))
    first.close()
    other.close()


def test_a_worker_alone_joins_its_group_once(world: KafkaWorld) -> None:
    """Metadata that came after the join would let the group join, and the tasks restore, again."""
    for stage in ("triage", "detect"):  # the first group of a cluster is slow to be joined
        session = opened(world.log, None, stage)
        for _ in range(3):
            session.poll(1, wait=0.2)
    assert [consumer.rebalances for consumer in world.log._consumers] == [1, 1]


def test_asking_for_tasks_of_a_living_worker_is_refused(world: KafkaWorld) -> None:
    """Of another process, too: by its process id, before it is disturbed."""
    owner = opened(world.log, None)
    with pytest.raises(TaskTaken, match=r"Task 1 of stage detect .* process \d+@"):
        KafkaLog(world._cluster, "1", Clock()).open_session("detect", INPUTS, [1])
    owner.commit(Commit(metas={0: b"m"}))
    owner.close()


def test_who_waits_in_one_group_takes_part_in_another(world: KafkaWorld) -> None:
    """Else two workers with two stages each would wait for each other until both give up."""
    detecting, judging = opened(world.log, None), opened(world.log, None, "triage")
    other = KafkaLog(world._cluster, "1", Clock())
    with ThreadPoolExecutor() as pool:
        joining = pool.submit(opened, other, None, "triage")
        for _ in range(100):
            detecting.poll(1, wait=0.2)
            if joining.done():
                break
        assert list(joining.result(0).tasks) == [2, 3]
    assert _moves(judging).kept == {0, 1}
    detecting.commit(Commit(metas={0: b"m"}))
    judging.commit(Commit(metas={0: b"m"}))
    other.close()


def test_a_join_that_began_beside_another_group_is_waited_for(world: KafkaWorld) -> None:
    """Records that were fetched before it are not handed out: no commit would be taken for them."""
    world.log.append([NewRecord("orders", None, b"", partition) for partition in range(4)] * 10)
    detecting, judging = opened(world.log, None), opened(world.log, None, "triage")
    assert judging.poll(4, wait=5).records
    (consumer,) = (each for each in world.log._consumers if each._group.endswith("triage"))
    other = KafkaLog(world._cluster, "1", Clock())
    with ThreadPoolExecutor() as pool:
        joining = pool.submit(opened, other, None, "triage")
        for _ in range(300):
            detecting.poll(1, wait=0.1)
            if consumer._consumer.group_metadata().state is MemberState.REBALANCING:
                break
        with pytest.raises(TasksMoved):
            judging.poll(4)
        assert list(joining.result(30).tasks) == [2, 3]
    other.close()


@pytest.mark.parametrize("moment", ["before the first task", "between two tasks", "later"])
def test_a_rebalance_that_takes_nothing_stops_no_session(world: KafkaWorld, moment: str) -> None:
    """The group may assign anew at any time; what was asked for is restored and read then."""
    world.log.append([NewRecord("orders", None, b"", partition) for partition in (0, 1)])
    session = world.log.open_session("detect", INPUTS, [0, 1])
    (consumer,) = world.log._consumers
    rebalances = consumer.rebalances
    for task, before in ((0, "before the first task"), (1, "between two tasks"), (None, "later")):
        if moment == before:
            library_client(consumer._consumer)._coordinator.request_rejoin()
        if task is not None:
            list(session.restore(task).states)
    read: set[TopicPartition] = set()
    while len(read) < 2:
        read |= session.poll(10, wait=5).records.keys()
    assert consumer.rebalances > rebalances
    session.commit(Commit(metas={0: b"m", 1: b"m"}, offsets=dict.fromkeys(read, 1)))


def _moves(session: KafkaSession) -> TasksMoved:
    """Poll until the group moves tasks."""
    with pytest.raises(TasksMoved) as caught:
        _work_on(session, commit=False)
    return caught.value


def _work_on(session: KafkaSession, commit: bool = True) -> None:
    for _ in range(300):
        session.poll(1, wait=0.2)
        if commit:
            session.commit(Commit(metas={0: b"m"}))
