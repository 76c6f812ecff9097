"""The log port's contract: chosen records go before their time, where the log is walletwatch's."""

import pytest

from tests.support.log_steps import (
    IN0,
    ORDERS,
    VISITS,
    everything,
    fill,
    new,
    session,
    states,
    values,
)
from worker.engine.log import Log, stored
from worker.engine.records import Commit, Record, StateChange, TopicPartition

EMBEDDED = pytest.mark.parametrize("world", ["memory", "sqlite"], indirect=True)
READERS = {ORDERS: {"detect"}}


def is_private(at: TopicPartition, record: Record) -> bool:
    """Choose what is private, but nothing of visits."""
    return at.topic != VISITS and b"private" in (record.value or b"")


def mixed(log: Log, topic: str = ORDERS) -> None:
    """Append private and other records in turn."""
    log.append(
        [new(b"%b%d" % (what, n), topic) for n in range(3) for what in (b"private", b"else")]
    )


@EMBEDDED
def test_the_chosen_go_and_the_others_keep_their_offsets(log: Log) -> None:
    for topic in (ORDERS, VISITS, "results"):
        mixed(log, topic)
    before = {record.offset: record.value for _, record in stored(log, ORDERS)}
    assert log.erase(is_private, {}) == 3 + 3
    assert log.erase(is_private, {}) == 0
    left = {record.offset: record.value for _, record in stored(log, ORDERS)}
    assert left == {at: value for at, value in before.items() if b"else" in (value or b"")}
    assert log.offsets(ORDERS)[0] == (min(left), max(before) + 1)
    assert everything(log, "results") == [b"else0", b"else1", b"else2"]
    assert len(everything(log, VISITS)) == 6


@EMBEDDED
def test_what_a_reader_has_not_passed_stays(log: Log) -> None:
    """A session reads on without a gap, from its committed offset and after a restart."""
    mixed(log)
    worker = session(log)
    offsets = [record.offset for record in worker.poll(10).records[IN0]]
    assert log.erase(is_private, READERS) == 0
    worker.commit(Commit(offsets={IN0: offsets[3]}))
    assert log.erase(is_private, READERS) == 2
    worker.close()
    worker = session(log)
    assert values(worker.poll(10)) == [b"else1", b"private2", b"else2"]
    worker.commit(Commit(offsets={IN0: offsets[-1] + 1}))
    assert log.erase(is_private, READERS) == 1
    fill(log, 1)
    assert values(worker.poll(10)) == [b"0"]
    worker.close()


@EMBEDDED
def test_a_partition_of_nothing_else_is_empty_and_goes_on(log: Log) -> None:
    log.append([new(b"private")] * 2)
    end = log.offsets(ORDERS)[0][1]
    assert log.erase(is_private, {}) == 2
    assert log.offsets(ORDERS)[0] == (end, end)
    worker = session(log)
    fill(log, 1)
    assert values(worker.poll(10)) == [b"0"]
    worker.close()


@EMBEDDED
def test_the_newest_of_a_key_stays_where_it_is_compacted(log: Log) -> None:
    """It may be chosen or not."""
    for value in (b"private1", b"private2", b"else"):
        log.append([new(value, "cases", 0, b"a")])
    log.append([new(value, "cases", 0, b"b") for value in (b"private3", b"private4")])
    assert log.erase(is_private, {}) == 3
    assert everything(log, "cases") == [b"else", b"private4"]
    worker = session(log, inputs=("cases",))
    assert values(worker.poll(10), TopicPartition("cases", 0)) == [b"else", b"private4"]
    worker.close()


@pytest.mark.parametrize("world", ["kafka"], indirect=True)
def test_brokers_keep_what_is_chosen(log: Log) -> None:
    """They know no removal of single records."""
    mixed(log)
    assert log.erase(is_private, {}) == 0
    assert len(everything(log, ORDERS)) == 6


def test_a_commit_that_erases_is_a_commit(log: Log) -> None:
    """The states are as after any other, now and restored anew."""
    worker = session(log)
    first = {b"a": b"1", b"b": b"1", b"c": b"1"}
    worker.commit(Commit(states=[StateChange(0, key, value) for key, value in first.items()]))
    changes = [StateChange(0, b"a", b""), StateChange(0, b"b", b"2")]
    worker.commit(Commit(states=changes, metas={0: b"meta"}, erase=True))
    worker.close()
    assert states(log) == {b"b": b"2", b"c": b"1"}
    worker = session(log)
    worker.commit(Commit(states=[StateChange(0, b"a", b"3"), StateChange(0, b"c", b"")]))
    worker.close()
    assert states(log) == {b"a": b"3", b"b": b"2"}
