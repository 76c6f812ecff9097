"""The log port's contract: an append of another producer that is not decided yet."""

import pytest

from tests.contract.conftest import World
from tests.support.log_steps import (
    IN0,
    IN1,
    ORDERS,
    VISITS,
    everything,
    fill,
    last_offset,
    new,
    session,
    values,
)
from worker.engine.records import TopicPartition

VISITS0 = TopicPartition(VISITS, 0)


def test_a_partition_is_not_at_its_end_before_all_of_it_is_decided(world: World) -> None:
    """What has offsets already is held, and is read once it is committed."""
    fill(world.log, 1)
    worker = session(world.log)
    append = world.begin([new(b"1"), new(b"2")])
    batch = worker.poll(10)
    assert values(batch) == [b"0"]
    assert (IN0 in batch.at_end) != append.has_offsets
    assert VISITS0 in batch.at_end
    for batch in (worker.poll(10), worker.poll(0), worker.poll(10, paused={IN0})):
        assert batch.records == {}
        assert VISITS0 in batch.at_end
        assert (IN0 in batch.at_end) != append.has_offsets
        assert [len(hidden) for hidden in batch.held.values()] == [2] * append.has_offsets
        assert batch.held.keys() == ({IN0} if append.has_offsets else set())
    append.commit()
    batch = worker.poll(10)
    assert values(batch) == [b"1", b"2"]
    assert batch.at_end == {IN0, VISITS0}
    assert batch.held == {}
    worker.close()


def test_what_is_aborted_is_passed_over(world: World) -> None:
    """The partition is at its end then, without a record."""
    fill(world.log, 1)
    worker = session(world.log)
    append = world.begin([new(b"aborted")] * 3)
    worker.poll(10)
    append.abort()
    batch = worker.poll(10)
    assert batch.records == {}
    assert batch.held == {}
    assert batch.at_end == {IN0, VISITS0}
    worker.close()


def test_the_order_of_offsets_is_kept(world: World) -> None:
    """Records with later offsets wait until those before them are decided."""
    worker = session(world.log)
    append = world.begin([new(b"undecided")])
    fill(world.log, 2)
    early = values(worker.poll(10))
    append.commit()
    expected = [b"undecided", b"0", b"1"] if append.has_offsets else [b"0", b"1", b"undecided"]
    assert early + values(worker.poll(10)) == expected
    worker.close()


def test_what_is_undecided_delays_no_other_partition(world: World) -> None:
    """Nor does it take a part of what a poll may return."""
    worker = session(world.log, [0, 1])
    append = world.begin([new(b"undecided")] * 20)
    worker.poll(10)
    fill(world.log, 20, IN1)
    assert len(values(worker.poll(10), IN1)) == 10
    fill(world.log, 5, IN1)
    assert len(values(worker.poll(100), IN1)) == 15
    append.abort()
    worker.close()


def test_a_waiting_poll_returns_what_is_committed(world: World) -> None:
    """It does not sleep out its time while a partition is held."""
    worker = session(world.log, [0, 1])
    append = world.begin([new(b"undecided")])
    assert worker.poll(10).records == {}
    fill(world.log, 1, IN1)
    assert values(worker.poll(10, wait=60), IN1) == [b"0"]
    append.commit()
    assert values(worker.poll(10, wait=60)) == [b"undecided"]
    worker.close()


def test_a_new_session_reads_what_was_held(world: World) -> None:
    """Nothing before the commit of another producer makes a position pass it."""
    worker = session(world.log)
    append = world.begin([new(b"undecided")])
    worker.poll(10)
    worker.close()
    log = world.reopen()
    worker = session(log)
    assert (IN0 in worker.poll(10).at_end) != append.has_offsets
    append.commit()
    batch = worker.poll(10)
    assert values(batch) == [b"undecided"]
    assert last_offset(batch) < log.offsets(ORDERS)[0][1]
    worker.close()


def test_offsets_count_what_is_undecided_and_readers_pass_it_over(world: World) -> None:
    """Reading outside any session ends at once with what can be read."""
    log = world.log
    fill(log, 2)
    assert everything(log, ORDERS) == [b"0", b"1"]  # so that its own marker is there
    ends = [end for _, end in log.offsets(ORDERS)]
    append = world.begin([new(b"2"), new(b"3")])
    hidden = 2 * append.has_offsets
    assert [end for _, end in log.offsets(ORDERS)] == [ends[0] + hidden, *ends[1:]]
    assert log.hidden(ORDERS) == [hidden, 0, 0, 0]
    assert [record.value for record in log.read(ORDERS, 0, 0, 10)] == [b"0", b"1"]
    assert everything(log, ORDERS) == [b"0", b"1"]
    last = log.last_records(ORDERS)[0]
    assert last is not None
    assert last.value == b"1"
    append.commit()
    assert log.hidden(ORDERS) == [0] * 4
    assert everything(log, ORDERS) == [b"0", b"1", b"2", b"3"]
    last = log.last_records(ORDERS)[0]
    assert last is not None
    assert last.value == b"3"


@pytest.mark.parametrize("commits", [True, False])
def test_a_log_closes_beside_an_open_transaction(world: World, commits: bool) -> None:
    """What it has appended itself is committed, though no reader can get it yet."""
    append = world.begin([new(b"undecided")])
    fill(world.log, 1)
    log = world.reopen()
    if commits:
        append.commit()
    else:
        append.abort()
    assert set(everything(log, ORDERS)) == ({b"undecided", b"0"} if commits else {b"0"})
