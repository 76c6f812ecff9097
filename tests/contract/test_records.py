"""The log port's contract: appending to a log and reading from it."""

import pytest

from tests.contract.conftest import World
from tests.support.log_steps import IN1, ORDERS, VISITS, Clock, Reopen, everything, fill, new
from worker.engine.cutting import fitting
from worker.engine.log import Log, stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord
from worker.errors import LogError


def test_records_come_back_as_appended(log: Log) -> None:
    """Key, value and headers survive as bytes, in append order, offsets rising."""
    headers = (("reason", b"schema"), ("reason", b""), ("pfad-\u00e4", b"\x00\xff"))
    log.append([NewRecord(ORDERS, b"k1", b"\x00v", 2, headers), new(b"two", ORDERS, 2, b"k2")])
    first, second = (record for _, record in stored(log, ORDERS))
    assert (first.key, first.value, first.headers) == (b"k1", b"\x00v", headers)
    assert (second.key, second.value, second.headers) == (b"k2", b"two", ())
    assert first.offset < second.offset


def test_a_record_of_the_limit_of_its_topic_is_taken(log: Log) -> None:
    """What is larger is cut to it."""
    limit = log.record_limit(ORDERS)
    assert limit >= 1_000_000
    large = NewRecord(ORDERS, b"k", b"v" * 3_000_000, 0, (("reason", b"schema"),))
    log.append([fitting(large, limit)])
    ((_, record),) = stored(log, ORDERS)
    assert limit - 1_000 < len(record.value or b"") < limit
    with pytest.raises(LogError, match="no topic nowhere"):
        log.record_limit("nowhere")


@pytest.mark.parametrize("key", [None, b""])
@pytest.mark.parametrize("value", [None, b""])
def test_none_and_empty_bytes_stay_different(
    log: Log, key: bytes | None, value: bytes | None
) -> None:
    """Neither a missing key nor a tombstone turns into empty bytes, or the other way round."""
    log.append([new(value, key=key)])
    ((_, record),) = stored(log, ORDERS)
    assert (record.key, record.value) == (key, value)


def test_the_key_chooses_the_partition(log: Log) -> None:
    """A record without a partition goes where Kafka's murmur2 puts its key."""
    keys = [b"account-%d" % n for n in range(50)] + [b""]
    log.append([NewRecord(ORDERS, key, b"v") for key in keys])
    found = {record.key: at.partition for at, record in stored(log, ORDERS)}
    assert found == {key: partition_of(key, log.partitions(ORDERS)) for key in keys}


def test_a_record_needs_a_key_or_a_partition(log: Log) -> None:
    """Nothing could choose the partition otherwise; nothing is appended."""
    with pytest.raises(ValueError, match="partition"):
        log.append([new(b"ok"), NewRecord(ORDERS, None, b"v")])
    assert everything(log, ORDERS) == []


@pytest.mark.parametrize("bad", [new(b"v", "nowhere"), new(b"v", ORDERS, 4), new(b"v", ORDERS, -1)])
def test_append_is_all_or_nothing(log: Log, bad: NewRecord) -> None:
    """A LogError means that none was appended; the log goes on to work."""
    with pytest.raises(LogError, match=r"nowhere|partition"):
        log.append([new(b"1"), new(b"2", VISITS), bad])
    assert everything(log, ORDERS) == everything(log, VISITS) == []
    log.append([new(b"3")])
    assert everything(log, ORDERS) == [b"3"]


def test_appending_nothing_is_fine(log: Log) -> None:
    """An empty append changes nothing."""
    log.append([])
    assert everything(log, ORDERS) == []


def test_append_time_is_the_clocks_and_never_falls(log: Log, clock: Clock) -> None:
    """Each record has the time at which the log took it; a clock set back does not show."""
    start = clock.now
    for now in (start, start + 5, start - 1000, start + 7):
        clock.now = now
        log.append([new(b"v")])
    times = [record.append_time for _, record in stored(log, ORDERS)]
    assert times == [start, start + 5, start + 5, start + 7]


def test_the_last_record_of_each_partition_is_known(world: World) -> None:
    """Behind whatever holds none: on Kafka markers of transactions, and aborted records."""
    log = world.log

    def last() -> list[bytes | None]:
        return [record.value if record else None for record in log.last_records(ORDERS)]

    assert last() == [None] * 4
    log.append([new(b"0"), new(b"1", ORDERS, 1), new(b"2", ORDERS, 1)])
    assert last() == [b"0", b"2", None, None]
    for _ in range(3):
        world.abort([new(b"aborted", ORDERS, number) for number in (1, 2)])
    world.abort([new(b"aborted", ORDERS, 1)] * 300)
    assert last() == [b"0", b"2", None, None]
    log = world.reopen()
    assert last() == [b"0", b"2", None, None]
    log.append([new(b"3", ORDERS, 3), new(b"4", ORDERS, 1)])
    world.abort([new(b"aborted", ORDERS, 1)])
    assert last() == [b"0", b"4", None, b"3"]
    assert log.last_records(ORDERS)[1] == log.read(ORDERS, 1, 0, 10)[-1]


def test_nothing_is_the_last_record_where_all_have_gone(world: World) -> None:
    """The oldest offset then differs from that of a partition that never had one."""
    world.log.append([new(b"0"), new(b"1", ORDERS, 1)])
    assert all(world.log.last_records(ORDERS)[:2])
    world.empty(ORDERS)
    assert world.log.last_records(ORDERS) == [None] * 4
    log = world.reopen()
    assert log.last_records(ORDERS) == [None] * 4
    assert [first > 0 for first, _ in log.offsets(ORDERS)] == [True, True, False, False]


def test_read_begins_at_the_first_stored_record_at_or_after(log: Log) -> None:
    """`read` needs no session, takes any offset, and respects its limit."""
    fill(log, 5)
    records = log.read(ORDERS, 0, 0, 10)
    assert [record.value for record in records] == [b"0", b"1", b"2", b"3", b"4"]
    assert log.read(ORDERS, 0, records[2].offset, 2) == records[2:4]
    assert log.read(ORDERS, 0, records[-1].offset + 1, 10) == []
    assert log.read(ORDERS, 1, 0, 10) == []


def test_offsets_are_the_oldest_and_the_next(log: Log) -> None:
    """Per partition, in order; the next is above every stored offset, equal to first if empty."""
    fill(log, 3, IN1)
    extents = log.offsets(ORDERS)
    assert len(extents) == log.partitions(ORDERS) == 4
    first, after = extents[1]
    records = log.read(ORDERS, 1, 0, 10)
    assert first == records[0].offset
    assert after > records[-1].offset
    assert extents[0][0] == extents[0][1]


def test_unknown_topics_and_partitions_are_named(log: Log) -> None:
    """Whoever asks for what is not there learns which."""
    for ask in (log.partitions, log.offsets, log.last_records):
        with pytest.raises(LogError, match="nowhere"):
            ask("nowhere")
    with pytest.raises(LogError, match="partition 9"):
        log.read(ORDERS, 9, 0, 1)
    with pytest.raises(LogError, match="nowhere"):
        log.open_session("detect", ["nowhere"], [0])
    with pytest.raises(LogError, match="partition 4"):
        log.open_session("detect", [ORDERS], [4])


def test_what_was_appended_survives_reopening(log: Log, reopen: Reopen) -> None:
    """Records, offsets and times are the log's, not the process's."""
    fill(log, 3)
    before = (list(stored(log, ORDERS)), log.offsets(ORDERS), log.last_records(ORDERS))
    log = reopen()
    assert (list(stored(log, ORDERS)), log.offsets(ORDERS)) == before[:2]
    assert log.last_records(ORDERS) == before[2]
    fill(log, 1, start=3)
    assert everything(log, ORDERS) == [b"0", b"1", b"2", b"3"]
