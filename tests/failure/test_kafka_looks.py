"""On a real broker: what a running worker notices of its topics, a metadata refresh later."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

from tests.contract.conftest import Clock, KafkaWorld
from tests.support.crashing_worker import wait_until
from worker.engine.log import TasksMoved
from worker.engine.records import Commit, NewRecord, Notice, StateChange
from worker.errors import ConfigError
from worker.logs.kafka.client_errors import ClientTimeout
from worker.logs.kafka.cluster import Timings
from worker.logs.kafka.log import KafkaLog
from worker.logs.kafka.session import KafkaSession

INPUTS = ("orders", "visits")
OFTEN, NEVER = 100, 1_000_000_000
"""Milliseconds between two looks."""
Opened = Callable[[int], KafkaSession]


@pytest.fixture
def world(kafka_address: str) -> Iterator[KafkaWorld]:
    world = KafkaWorld(kafka_address, Clock())
    yield world
    world.end()


@pytest.fixture
def opened(world: KafkaWorld) -> Iterator[Opened]:
    """Opens restored sessions of all tasks, that look so often at their topics."""
    logs: list[KafkaLog] = []

    def open_session(every: int) -> KafkaSession:
        cluster = replace(world._cluster, timings=Timings(topics=every))
        log = KafkaLog(cluster, f"slot{len(logs)}", Clock())
        logs.append(log)
        session = log.open_session("detect", INPUTS, None)
        for task in session.tasks:
            list(session.restore(task).states)
        return session

    yield open_session
    for log in logs:
        log.close()


def remake(world: KafkaWorld, name: str) -> None:
    """Delete a topic and make it again, by its name on the cluster."""
    (before,) = world._admin.describe_topics([name])
    world._admin.delete_topics([name])
    wait_until(lambda: name not in world._admin.list_topics(), "the end of a topic")
    world._admin.create_topics([NewTopic(name, len(before["partitions"]), 1)])
    world._admin.wait_for_topics([name])


def poll_until_refused(session: KafkaSession) -> str:
    """Poll until the session ends, and return why."""
    for _ in range(600):
        try:
            try:
                session.poll(1, wait=0.1)
            except TasksMoved as moved:
                for task in set(moved.tasks) - moved.kept:
                    session.restore(task)
        except ConfigError as error:
            return str(error)
    raise AssertionError("the session goes on")


def test_an_input_made_again_under_a_worker_ends_it(world: KafkaWorld, opened: Opened) -> None:
    session = opened(OFTEN)
    session.poll(1)
    remake(world, world._cluster.topic("orders"))
    text = poll_until_refused(session)
    assert text.startswith(
        f"orders was deleted and made again while group {world._cluster.group('detect')} used it."
    )
    assert "walletwatch topics accept orders --from oldest" in text


def test_a_changelog_made_again_under_a_worker_ends_it(world: KafkaWorld, opened: Opened) -> None:
    session = opened(OFTEN)
    session.commit(Commit(states=[StateChange(0, b"k", b"v")]))
    remake(world, world._cluster.changelog("detect"))
    assert poll_until_refused(session).startswith("walletwatch.detect.changelog was deleted and")


def test_a_part_of_the_state_is_refused(world: KafkaWorld, opened: Opened) -> None:
    """What was committed after the changelog was made again, and before that was noticed."""
    session = opened(NEVER)
    session.commit(Commit(states=[StateChange(0, b"k", b"v")], metas={0: b"meta"}))
    remake(world, world._cluster.changelog("detect"))
    session.commit(Commit(states=[StateChange(0, b"l", b"w")], metas={0: b"meta"}))
    session.close()
    with pytest.raises(ConfigError, match=r"made again while group \S+ worked: it lacks the state"):
        opened(NEVER)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("every", [OFTEN, NEVER])
def test_partitions_added_under_a_worker_end_it(
    name: str, every: int, world: KafkaWorld, opened: Opened
) -> None:
    """At the next look, or when the group assigns them, whichever is first."""
    session = opened(every)
    world.log.append([NewRecord("orders", None, b"", number) for number in range(4)])
    session.poll(10, wait=1)
    topic = world._cluster.topic(name)
    world._admin.create_partitions({topic: NewPartitions(6)})
    if every == NEVER:
        for consumer in session._membership._consumer._siblings:
            _refresh(consumer)
    text = poll_until_refused(session)
    assert text.startswith(f"{name} has 6 partitions, and had 4.")
    assert "kafka.prefix" in text


def _refresh(consumer: Any) -> None:
    """Let the client refresh its metadata, as it does by itself every five minutes."""
    from tests.support.kafka_clients import library_client

    library_client(consumer._consumer)._manager.cluster.request_update()


def test_timestamps_by_producers_are_said_once_each_time(world: KafkaWorld, opened: Opened) -> None:
    """From then on an event's append time is what its producer says."""
    topic = world._cluster.topic("orders")

    def stamped(by: str) -> None:
        kind = {"message.timestamp.type": by}
        world._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, kind)])

    def found(session: KafkaSession) -> list[Notice]:
        notices: list[Notice] = []
        for _ in range(12):
            notices += session.poll(1, wait=0.1).notices
        return notices

    stamped("LogAppendTime")
    session = opened(OFTEN)
    assert found(session) == []
    for _ in range(2):
        stamped("CreateTime")
        (notice,) = found(session)
        assert notice.kind == "timestamps_by_producers"
        assert notice.text.startswith("orders has message.timestamp.type=CreateTime now")
        assert found(session) == []
        stamped("LogAppendTime")
        assert found(session) == []


def test_a_look_that_is_not_answered_ends_nothing(
    world: KafkaWorld, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next poll that reads fails if the brokers do not answer."""
    session = opened(OFTEN)
    asked = []

    def silent(names: object) -> None:
        asked.append(names)
        raise ClientTimeout("no answer")

    monkeypatch.setattr(session._membership._admin, "describe_topics", silent)
    while len(asked) < 3:
        assert session.poll(1, wait=0.1).notices == []
    monkeypatch.undo()
    remake(world, world._cluster.topic("orders"))
    assert "orders was deleted and made again" in poll_until_refused(session)
