"""The log port's contract: committing units of work, and restoring what was committed."""

import pytest

from tests.support.log_steps import (
    IN0,
    IN1,
    INPUTS,
    Reopen,
    everything,
    fill,
    last_offset,
    new,
    session,
    states,
    values,
)
from worker.engine.log import Log
from worker.engine.records import Commit, StateChange, TopicPartition
from worker.errors import LogError


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
    """A commit sets the position after a restart, not the present one."""
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
    assert log.last_records("results")[0] == log.read("results", 0, 0, 10)[-1]
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
