"""The log port's contract: retention, which the brokers of a cluster keep themselves."""

import pytest

from tests.support.log_steps import (
    IN0,
    ORDERS,
    VISITS,
    Clock,
    everything,
    fill,
    new,
    session,
    values,
)
from worker.engine.log import Log, stored
from worker.engine.records import Commit, TopicPartition

EMBEDDED = pytest.mark.parametrize("world", ["memory", "sqlite"], indirect=True)


def age(log: Log, clock: Clock, topic: str = ORDERS) -> None:
    """Three records older than 1,000 ms and two younger ones."""
    log.append([new(b"old%d" % n, topic) for n in range(3)])
    clock.now += 1001
    log.append([new(b"young%d" % n, topic) for n in range(2)])


@EMBEDDED
def test_prune_drops_what_is_older_than_its_retention(log: Log, clock: Clock) -> None:
    """Of the topics named, and returns how many; offsets go on as before."""
    age(log, clock)
    age(log, clock, VISITS)
    after = log.offsets(ORDERS)[0][1]
    assert log.prune({ORDERS: 1000}, {}) == 3 + 2
    assert log.prune({ORDERS: 1000}, {}) == 0
    assert everything(log, ORDERS) == []
    assert len(everything(log, VISITS)) == 5
    assert log.offsets(ORDERS)[0] == (after, after)
    fill(log, 1)
    assert log.read(ORDERS, 0, 0, 1)[0].offset >= after


@EMBEDDED
def test_prune_keeps_the_young(log: Log, clock: Clock) -> None:
    """A record exactly as old as the retention is kept; reading begins at the oldest kept."""
    age(log, clock)
    assert log.prune({ORDERS: 1001}, {}) == 0
    assert log.prune({ORDERS: 1000}, {}) == 3
    assert everything(log, ORDERS) == [b"young0", b"young1"]
    assert log.offsets(ORDERS)[0][0] == log.read(ORDERS, 0, 0, 1)[0].offset
    worker = session(log)
    assert values(worker.poll(10)) == [b"young0", b"young1"]
    worker.close()


@EMBEDDED
def test_prune_waits_for_every_reader(log: Log, clock: Clock) -> None:
    """A record stays until each stage that reads it has committed an offset above it."""
    age(log, clock)
    clock.now += 10_000
    readers = {ORDERS: {"detect", "triage"}}
    detect, triage = session(log), session(log, stage="triage")
    offsets = [record.offset for record in detect.poll(10).records[IN0]]
    triage.poll(10)
    detect.commit(Commit(offsets={IN0: offsets[-1] + 1}))
    assert log.prune({ORDERS: 1000}, readers) == 0
    triage.commit(Commit(offsets={IN0: offsets[2]}))
    assert log.prune({ORDERS: 1000}, readers) == 2
    assert everything(log, ORDERS)[0] == b"old2"
    triage.commit(Commit(offsets={IN0: offsets[-1] + 1}))
    assert log.prune({ORDERS: 1000}, readers) == 3
    detect.close()
    triage.close()


@EMBEDDED
def test_prune_under_a_reading_session(log: Log, clock: Clock) -> None:
    """A session that is not asked for reads on at the oldest record left."""
    worker = session(log)
    age(log, clock)
    assert values(worker.poll(1)) == [b"old0"]
    assert log.prune({ORDERS: 1000}, {}) == 3
    batch = worker.poll(10)
    assert values(batch) == [b"young0", b"young1"]
    assert IN0 in batch.at_end
    worker.close()


@EMBEDDED
def test_prune_keeps_the_newest_of_each_key_of_a_compacted_topic(log: Log, clock: Clock) -> None:
    """However old; superseded records go, a tombstone with everything before it."""
    for key, value in [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"), (b"c", None)]:
        log.append([new(value, "cases", 0, key)])
    clock.now += 1001
    for key, value in [(b"d", b"1"), (b"d", b"2"), (b"b", None)]:
        log.append([new(value, "cases", 0, key)])
    assert log.prune({"cases": 1000}, {}) == 4
    left = [(record.key, record.value) for _, record in stored(log, "cases")]
    assert left == [(b"a", b"2"), (b"d", b"1"), (b"d", b"2"), (b"b", None)]
    worker = session(log, inputs=("cases",))
    batch = worker.poll(10)
    assert values(batch, TopicPartition("cases", 0)) == [b"2", b"1", b"2", None]
    assert TopicPartition("cases", 0) in batch.at_end
    worker.close()


@EMBEDDED
def test_a_gap_at_the_end_is_no_hindrance(log: Log, clock: Clock) -> None:
    """A compacted input whose newest records are gone is read to its end all the same."""
    log.append([new(b"1", "cases", 0, b"a"), new(None, "cases", 0, b"b")])
    clock.now += 1001
    log.prune({"cases": 1000}, {})
    worker = session(log, inputs=("cases",))
    batch = worker.poll(10)
    assert values(batch, TopicPartition("cases", 0)) == [b"1"]
    assert batch.at_end == {TopicPartition("cases", 0)}
    worker.close()
