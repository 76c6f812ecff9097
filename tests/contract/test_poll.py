"""The log port's contract: polling a session."""

from threading import Thread

import pytest

from tests.support.log_steps import IN0, IN1, INPUTS, ORDERS, VISITS, fill, new, session, values
from worker.engine.log import Log
from worker.engine.records import Record, TopicPartition
from worker.logs import memory
from worker.logs.kafka import feed
from worker.logs.sqlite import session as session_on_sqlite


def test_poll_reads_each_record_once_in_offset_order(log: Log) -> None:
    """Successive polls go on where the last one ended."""
    fill(log, 10)
    worker = session(log)
    seen: list[Record] = []
    for _ in range(4):
        seen += worker.poll(3).records.get(IN0, [])
    assert [record.value for record in seen] == [b"%d" % n for n in range(10)]
    assert [record.offset for record in seen] == sorted({record.offset for record in seen})
    assert worker.poll(3).records == {}
    worker.close()


def test_task_i_reads_partition_i_of_every_input(log: Log) -> None:
    """And nothing else: no other partition, no other topic."""
    for topic in (*INPUTS, "results"):
        log.append([new(b"%d" % n, topic, n) for n in range(4)])
    worker = session(log, [1, 3])
    assert list(worker.tasks) == [1, 3]
    batch = worker.poll(100)
    expected = {TopicPartition(topic, n) for topic in INPUTS for n in (1, 3)}
    assert batch.records.keys() == batch.at_end == expected
    worker.close()


def test_at_end_says_when_nothing_more_was_there(log: Log) -> None:
    """Empty partitions are at their end, unread ones are not, an append undoes it."""
    fill(log, 3)
    worker = session(log)
    assert worker.poll(2).at_end == {TopicPartition(VISITS, 0)}
    assert worker.poll(2).at_end == {IN0, TopicPartition(VISITS, 0)}
    fill(log, 1, start=3)
    assert worker.poll(0).at_end == {TopicPartition(VISITS, 0)}
    batch = worker.poll(1)
    assert values(batch) == [b"3"]
    assert IN0 in batch.at_end
    worker.close()


def test_few_large_records_are_returned_at_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a unit of work fits into memory: by their bytes, but always one at least."""
    for module in (memory, session_on_sqlite, feed):
        monkeypatch.setattr(module, "UNIT_BYTES", 100_000)
    sizes = [30_000, 30_000, 30_000, 30_000, 400_000, 10, 99_000, 10, 10]
    contents = [b"%d" % n + b"x" * size for n, size in enumerate(sizes)]
    log.append([new(content, ORDERS, 0) for content in contents])
    worker = session(log)
    polls = []
    while batch := values(worker.poll(100)):
        polls.append(batch)
    assert [len(batch) for batch in polls] == [3, 1, 1, 4]
    assert [content for batch in polls for content in batch] == contents
    assert IN0 in worker.poll(100).at_end
    worker.close()


def test_large_records_of_one_partition_leave_room_for_the_others(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is held back of the one does not grow."""
    for module in (memory, session_on_sqlite, feed):
        monkeypatch.setattr(module, "UNIT_BYTES", 100_000)
    log.append([new(b"%02d" % n + b"x" * 40_000, ORDERS, 0) for n in range(30)])
    log.append([new(b"%02d" % n, ORDERS, 1) for n in range(9)])
    worker = session(log, [0, 1])
    batch, seen = worker.poll(4), 0
    assert {at: len(records) for at, records in batch.records.items()} == {IN0: 1, IN1: 2}
    while batch.records:
        records = [record for each in batch.records.values() for record in each]
        assert sum(len(record.value or b"") for record in records) <= 100_000
        seen += len(records)
        batch = worker.poll(40)
    assert seen == 39
    worker.close()


def test_paused_partitions_return_nothing_but_may_be_at_end(log: Log) -> None:
    """What is skipped while paused comes after."""
    fill(log, 2, IN0)
    fill(log, 2, IN1)
    worker = session(log, [0, 1])
    batch = worker.poll(10, paused={IN0, TopicPartition(VISITS, 0)})
    assert batch.records.keys() == {IN1}
    assert batch.at_end == {IN1, TopicPartition(VISITS, 0), TopicPartition(VISITS, 1)}
    assert values(worker.poll(10)) == [b"0", b"1"]
    worker.close()


def test_partitions_with_records_share_the_limit_evenly(log: Log) -> None:
    """What a short partition leaves goes to those with more; the limit is never exceeded."""
    for partition, count in enumerate((100, 2, 100, 0)):
        fill(log, count, TopicPartition(ORDERS, partition))
    worker = session(log, range(4), inputs=(ORDERS,))
    counts = {at.partition: len(found) for at, found in worker.poll(30).records.items()}
    assert counts == {0: 14, 1: 2, 2: 14}
    worker.close()


def test_a_limit_below_the_number_of_partitions_starves_none(log: Log) -> None:
    """Partitions then take turns."""
    for partition in range(4):
        fill(log, 100, TopicPartition(ORDERS, partition))
    worker = session(log, range(4), inputs=(ORDERS,))
    counts = dict.fromkeys(range(4), 0)
    for _ in range(8):
        batch = worker.poll(2)
        assert sum(map(len, batch.records.values())) == 2
        for at, records in batch.records.items():
            counts[at.partition] += len(records)
    assert counts == dict.fromkeys(range(4), 4)
    worker.close()


def test_records_appended_during_a_session_are_seen(log: Log) -> None:
    """A session reads what comes, not what was there when it opened."""
    worker = session(log)
    assert worker.poll(10).records == {}
    fill(log, 1)
    assert values(worker.poll(10)) == [b"0"]
    worker.close()


def test_poll_waits_no_longer_than_told(log: Log) -> None:
    """With nothing to return it returns nothing, at its end."""
    worker = session(log)
    batch = worker.poll(10, wait=0.03)
    assert batch.records == {}
    assert IN0 in batch.at_end
    worker.close()


def test_a_waiting_poll_returns_what_comes(log: Log) -> None:
    """It wakes for the first records instead of sleeping out its time."""
    worker = session(log)
    producer = Thread(target=fill, args=(log, 2))
    producer.start()
    batch = worker.poll(10, wait=60)
    producer.join()
    assert values(batch) == [b"0", b"1"]
    worker.close()
