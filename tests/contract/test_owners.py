"""The log port's contract: who has a task, and what happens to a session that has lost its own."""

from collections.abc import Callable

import pytest

from tests.support.log_steps import (
    IN0,
    INPUTS,
    everything,
    fill,
    last_offset,
    new,
    session,
    states,
    values,
)
from worker.engine.log import Log
from worker.engine.records import Commit, StateChange
from worker.errors import LogError, LogInDoubt, TaskTaken


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
    """The message names the task and the stage; the refused session holds none of the others."""
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
