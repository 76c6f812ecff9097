"""The log port's contract: what its docstrings promise holds on every log.

Offsets are never assumed to be dense or to begin at 0: only their order counts.
"""

from collections.abc import Callable, Iterable
from threading import Thread
from typing import Protocol

import pytest

from worker.errors import LogError, LogInDoubt, TaskTaken
from worker.logs.murmur2 import partition_of
from worker.logs.port import (
    Batch,
    Commit,
    Log,
    NewRecord,
    Record,
    Session,
    StateChange,
    TopicPartition,
    stored,
)

ORDERS, VISITS = "orders", "visits"
INPUTS = (ORDERS, VISITS)
IN0 = TopicPartition(ORDERS, 0)
IN1 = TopicPartition(ORDERS, 1)
Reopen = Callable[[], Log]


class Clock(Protocol):
    """The wall clock of the log under test (milliseconds)."""

    now: int


def new(
    value: bytes | None, topic: str = ORDERS, partition: int | None = 0, key: bytes | None = b"k"
) -> NewRecord:
    return NewRecord(topic, key, value, partition)


def fill(log: Log, count: int, at: TopicPartition = IN0, start: int = 0) -> None:
    log.append([new(b"%d" % n, *at) for n in range(start, start + count)])


def session(
    log: Log, tasks: Iterable[int] = (0,), stage: str = "detect", inputs: tuple[str, ...] = INPUTS
) -> Session:
    """A session on which every task is restored."""
    opened = log.open_session(stage, inputs, list(tasks))
    for task in opened.tasks:
        list(opened.restore(task).states)
    return opened


def values(batch: Batch, at: TopicPartition = IN0) -> list[bytes | None]:
    return [record.value for record in batch.records.get(at, [])]


def everything(log: Log, topic: str = "results") -> list[bytes | None]:
    return [record.value for _, record in stored(log, topic)]


def last_offset(batch: Batch, at: TopicPartition = IN0) -> int:
    return batch.records[at][-1].offset


def states(log: Log, task: int = 0, stage: str = "detect") -> dict[bytes, bytes]:
    """What is committed of a task whose session is closed."""
    opened = log.open_session(stage, INPUTS, [task])
    found = dict(opened.restore(task).states)
    opened.close()
    return found


# Appending and reading


def test_records_come_back_as_appended(log: Log) -> None:
    """Key, value and headers survive as bytes, in append order, offsets rising."""
    headers = (("reason", b"schema"), ("reason", b""), ("pfad-\u00e4", b"\x00\xff"))
    log.append([NewRecord(ORDERS, b"k1", b"\x00v", 2, headers), new(b"two", ORDERS, 2, b"k2")])
    first, second = (record for _, record in stored(log, ORDERS))
    assert (first.key, first.value, first.headers) == (b"k1", b"\x00v", headers)
    assert (second.key, second.value, second.headers) == (b"k2", b"two", ())
    assert first.offset < second.offset


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
    assert log.newest_append_time(ORDERS) is None


def test_append_time_is_the_clocks_and_never_falls(log: Log, clock: Clock) -> None:
    """Each record has the time at which the log took it; a clock set back does not show."""
    start = clock.now
    for now in (start, start + 5, start - 1000, start + 7):
        clock.now = now
        log.append([new(b"v")])
    times = [record.append_time for _, record in stored(log, ORDERS)]
    assert times == [start, start + 5, start + 5, start + 7]


def test_newest_append_time_is_over_all_partitions(log: Log, clock: Clock) -> None:
    """None before the first record; then the newest of any partition of that topic."""
    assert log.newest_append_time(ORDERS) is None
    log.append([new(b"v", ORDERS, 3)])
    first = clock.now
    clock.now += 10
    log.append([new(b"v", ORDERS, 1)])
    clock.now += 10
    log.append([new(b"v", VISITS)])
    assert log.newest_append_time(ORDERS) == first + 10


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
    for ask in (log.partitions, log.offsets, log.newest_append_time):
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
    before = (list(stored(log, ORDERS)), log.offsets(ORDERS), log.newest_append_time(ORDERS))
    log = reopen()
    assert (list(stored(log, ORDERS)), log.offsets(ORDERS)) == before[:2]
    assert log.newest_append_time(ORDERS) == before[2]
    fill(log, 1, start=3)
    assert everything(log, ORDERS) == [b"0", b"1", b"2", b"3"]


# Polling


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


# Committing and restoring


def test_a_task_that_never_committed(log: Log) -> None:
    """Has no meta, no states, and reads from the oldest stored record."""
    fill(log, 2)
    worker = log.open_session("detect", INPUTS, [0])
    snapshot = worker.restore(0)
    assert snapshot.meta is None
    assert list(snapshot.states) == []
    assert values(worker.poll(10)) == [b"0", b"1"]
    worker.close()


def test_a_commit_is_found_after_a_restart(log: Log, reopen: Reopen) -> None:
    """Outputs, states, metas and positions, per task."""
    fill(log, 4, IN0)
    fill(log, 4, IN1)
    worker = session(log, [0, 1])
    batch = worker.poll(4)
    worker.commit(
        Commit(
            outputs=[new(b"out", "results")],
            states=[StateChange(0, b"a", b"A0"), StateChange(1, b"a", b"A1")],
            offsets={IN0: last_offset(batch, IN0) + 1, IN1: last_offset(batch, IN1)},
            metas={0: b"meta0", 1: b"\x00"},
        )
    )
    worker.close()
    log = reopen()
    worker = log.open_session("detect", INPUTS, [1, 0])
    one, zero = worker.restore(1), worker.restore(0)
    assert (zero.meta, list(zero.states)) == (b"meta0", [(b"a", b"A0")])
    assert (one.meta, list(one.states)) == (b"\x00", [(b"a", b"A1")])
    batch = worker.poll(10)
    assert (values(batch, IN0), values(batch, IN1)) == ([b"2", b"3"], [b"1", b"2", b"3"])
    assert everything(log) == [b"out"]
    worker.close()


def test_positions_move_on_beyond_the_committed_offset(log: Log) -> None:
    """A commit says where to read after a restart, not where to read now."""
    fill(log, 4)
    worker = session(log)
    first = worker.poll(2)
    worker.commit(Commit(offsets={IN0: first.records[IN0][0].offset}))
    assert values(worker.poll(2)) == [b"2", b"3"]
    worker.close()
    worker = session(log)
    assert values(worker.poll(10)) == [b"0", b"1", b"2", b"3"]
    worker.close()


def test_later_commits_replace_what_they_name(log: Log) -> None:
    """And leave the rest: other keys, other metas, other positions."""
    fill(log, 2)
    worker = session(log, [0, 1])
    worker.poll(1)
    first = worker.poll(1)
    worker.commit(Commit(offsets={IN0: last_offset(first)}, metas={0: b"m", 1: b"n"}))
    worker.commit(Commit(states=[StateChange(0, b"a", b"1"), StateChange(0, b"b", b"1")]))
    worker.commit(Commit(states=[StateChange(0, b"a", b"2")], metas={1: b"n2"}))
    worker.close()
    worker = log.open_session("detect", INPUTS, [0, 1])
    zero, one = worker.restore(0), worker.restore(1)
    assert (zero.meta, dict(zero.states)) == (b"m", {b"a": b"2", b"b": b"1"})
    assert one.meta == b"n2"
    assert values(worker.poll(10)) == [b"1"]
    worker.close()


def test_empty_bytes_remove_a_key(log: Log) -> None:
    """Also within one unit, where the last change of a key counts; unknown keys do not matter."""
    worker = session(log)
    changes = [(b"a", b"1"), (b"b", b"1"), (b"c", b"")]
    worker.commit(Commit(states=[StateChange(0, *change) for change in changes]))
    changes = [(b"a", b""), (b"b", b""), (b"b", b"2"), (b"d", b"1"), (b"d", b"")]
    worker.commit(Commit(states=[StateChange(0, *change) for change in changes]))
    worker.close()
    assert states(log) == {b"b": b"2"}


def test_empty_and_binary_state_keys(log: Log) -> None:
    """A state key is any bytes."""
    keys = [b"", b"\x00", b"\x00\x00", b"\xff" * 300]
    worker = session(log)
    worker.commit(Commit(states=[StateChange(0, key, b"v" + key) for key in keys]))
    worker.close()
    assert states(log) == {key: b"v" + key for key in keys}


def test_every_state_is_restored(log: Log) -> None:
    """However many there are, each once."""
    many = {b"%07d" % n: b"%d" % n for n in range(20_001)}
    worker = session(log)
    worker.commit(Commit(states=[StateChange(0, key, value) for key, value in many.items()]))
    worker.close()
    worker = log.open_session("detect", INPUTS, [0])
    found = list(worker.restore(0).states)
    worker.close()
    assert len(found) == len(many)
    assert dict(found) == many


def test_uncommitted_work_is_forgotten(log: Log, reopen: Reopen) -> None:
    """Closing after a poll leaves everything as the last commit made it."""
    fill(log, 4)
    worker = session(log)
    batch = worker.poll(2)
    worker.commit(Commit(offsets={IN0: last_offset(batch) + 1}, metas={0: b"m"}))
    worker.poll(2)
    worker.close()
    worker = session(reopen())
    assert values(worker.poll(10)) == [b"2", b"3"]
    worker.close()


def test_outputs_are_visible_only_once_committed(log: Log) -> None:
    """To readers, and to a session whose input they are; then in order, with the clock's time."""
    detect = session(log)
    triage = session(log, stage="triage", inputs=("results",))
    unit = Commit(outputs=[new(b"%d" % n, "results") for n in range(3)])
    assert everything(log) == []
    assert triage.poll(10).records == {}
    detect.commit(unit)
    assert everything(log) == [b"0", b"1", b"2"]
    assert values(triage.poll(10), TopicPartition("results", 0)) == [b"0", b"1", b"2"]
    assert log.newest_append_time("results") == log.read("results", 0, 0, 1)[0].append_time
    detect.close()
    triage.close()


def test_a_failed_commit_commits_nothing(log: Log, reopen: Reopen) -> None:
    """Neither outputs, nor states, nor metas, nor positions of it are ever seen."""
    fill(log, 2)
    worker = session(log)
    worker.commit(Commit(states=[StateChange(0, b"a", b"1")], metas={0: b"m"}))
    batch = worker.poll(2)
    unit = Commit(
        outputs=[new(b"out", "results"), new(b"out", "nowhere")],
        states=[StateChange(0, b"a", b"2"), StateChange(0, b"b", b"2")],
        offsets={IN0: last_offset(batch) + 1},
        metas={0: b"m2"},
    )
    with pytest.raises(LogError):
        worker.commit(unit)
    worker.close()
    log = reopen()
    assert everything(log) == []
    worker = log.open_session("detect", INPUTS, [0])
    snapshot = worker.restore(0)
    assert (snapshot.meta, list(snapshot.states)) == (b"m", [(b"a", b"1")])
    assert values(worker.poll(10)) == [b"0", b"1"]
    worker.close()


def test_a_session_that_raised_is_dead(log: Log) -> None:
    """It neither polls nor commits again; a new one works."""
    fill(log, 1)
    worker = session(log)
    with pytest.raises(LogError):
        worker.commit(Commit(outputs=[new(b"out", "nowhere")]))
    with pytest.raises(LogError, match="new one"):
        worker.poll(1)
    with pytest.raises(LogError, match="new one"):
        worker.commit(Commit())
    worker.close()
    worker = session(log)
    assert values(worker.poll(1)) == [b"0"]
    worker.close()


def test_an_empty_commit_is_fine(log: Log) -> None:
    """A unit of work may change nothing."""
    worker = session(log)
    worker.commit(Commit())
    worker.close()
    assert states(log) == {}


@pytest.mark.parametrize(
    "unit",
    [
        Commit(offsets={IN0: 1 << 40}),
        Commit(offsets={IN1: 0}),
        Commit(offsets={TopicPartition("results", 0): 0}),
        Commit(states=[StateChange(1, b"k", b"v")]),
        Commit(metas={1: b"m"}),
    ],
    ids=[
        "above the position",
        "other partition",
        "no input",
        "other task's state",
        "other task's meta",
    ],
)
def test_a_unit_that_is_not_the_sessions_is_refused(log: Log, unit: Commit) -> None:
    """Committing what was not read, or for a task not restored, is a mistake of the caller."""
    unit.outputs = [new(b"out", "results")]
    worker = session(log)
    with pytest.raises(ValueError, match="commit"):
        worker.commit(unit)
    worker.close()
    assert everything(log) == []


# Owners


def test_stages_do_not_meet(log: Log) -> None:
    """Two stages may have the same tasks and keys; each has its own states and positions."""
    fill(log, 1)
    detect, triage = session(log), session(log, stage="triage")
    offset = last_offset(detect.poll(1)) + 1
    detect.commit(Commit(states=[StateChange(0, b"k", b"d")], offsets={IN0: offset}))
    triage.commit(Commit(states=[StateChange(0, b"k", b"t")]))
    detect.close()
    triage.close()
    assert (states(log), states(log, stage="triage")) == ({b"k": b"d"}, {b"k": b"t"})
    triage = session(log, stage="triage")
    assert values(triage.poll(1)) == [b"0"]
    triage.close()


def test_a_taken_task_is_refused_by_name(log: Log) -> None:
    """The message says which task of which stage; the refused session holds none of the others."""
    owner = session(log, [1])
    with pytest.raises(TaskTaken, match=r"[Tt]ask 1 of stage detect .* process \d+"):
        log.open_session("detect", INPUTS, [0, 1])
    other = session(log, [0, 2, 3])
    owner.commit(Commit(metas={1: b"m"}))
    other.close()
    owner.close()


def test_a_closed_session_gives_its_tasks_free(log: Log) -> None:
    """Also one that failed; closing twice is fine and does not touch the next owner."""
    first = session(log)
    first.close()
    second = session(log)
    first.close()
    with pytest.raises(TaskTaken):
        log.open_session("detect", INPUTS, [0])
    second.close()
    session(log).close()


def test_a_closed_session_does_nothing(log: Log) -> None:
    """Using it is a LogError."""
    worker = session(log)
    worker.close()
    with pytest.raises(LogError):
        worker.poll(1)
    with pytest.raises(LogError):
        worker.commit(Commit(metas={0: b"m"}))


def test_a_commit_after_another_owners_is_in_doubt(log: Log, usurp: Callable[[], None]) -> None:
    """The one that came first has lost: nothing of its unit is committed."""
    fill(log, 1)
    zombie = session(log, [0, 1])
    offset = last_offset(zombie.poll(1)) + 1
    usurp()
    owner = session(log, [1])
    owner.commit(Commit(metas={1: b"owner"}))
    unit = Commit([new(b"zombie", "results")], [StateChange(0, b"k", b"v")], {IN0: offset})
    with pytest.raises(LogInDoubt):
        zombie.commit(unit)
    zombie.close()
    owner.commit(Commit(metas={1: b"owner again"}))
    owner.close()
    assert everything(log) == []
    assert states(log) == {}


def test_closing_the_log_twice_is_fine(log: Log) -> None:
    """A second close does nothing."""
    log.close()
    log.close()


# Retention, which the brokers of a cluster keep themselves

EMBEDDED = pytest.mark.parametrize("world", ["memory", "sqlite"], indirect=True)


def age(log: Log, clock: Clock, topic: str = ORDERS) -> None:
    """Three records older than 1,000 ms and two younger ones."""
    log.append([new(b"old%d" % n, topic) for n in range(3)])
    clock.now += 1001
    log.append([new(b"young%d" % n, topic) for n in range(2)])


@EMBEDDED
def test_prune_drops_what_is_older_than_its_retention(log: Log, clock: Clock) -> None:
    """Of the topics named, and says how many; offsets go on as before."""
    age(log, clock)
    age(log, clock, VISITS)
    after = log.offsets(ORDERS)[0][1]
    assert log.prune({ORDERS: 1000}, {}) == 3 + 2
    assert log.prune({ORDERS: 1000}, {}) == 0
    assert everything(log, ORDERS) == []
    assert len(everything(log, VISITS)) == 5
    assert log.offsets(ORDERS)[0] == (after, after)
    assert log.newest_append_time(ORDERS) is not None
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
