"""What a worker prints about the states that it restores: its progress, and the time it took."""

from random import Random

import pytest

from tests.support.events.arrivals import in_order
from tests.support.events.traffic import live
from tests.support.random_runs import POLICY, run_plainly
from worker.cli.printing.restoring import Restoring
from worker.detect.stage import DETECT, detect
from worker.engine.loop import StageWorker
from worker.engine.stage import Pace
from worker.logs.memory import MemoryLog


def printed(
    log: MemoryLog, capsys: pytest.CaptureFixture[str], *, seconds_a_task: float
) -> list[str]:
    """Return what is said while a worker takes all tasks of detect."""
    times = iter(seconds_a_task * n for n in range(100))
    observer = Restoring(lambda: next(times))
    StageWorker(log, detect(POLICY), None, lambda: 0, Pace(), observer).close()
    return capsys.readouterr().err.splitlines()


def test_nothing_is_said_of_empty_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """A first start has nothing to restore."""
    assert printed(MemoryLog(partitions=3), capsys, seconds_a_task=0.1) == []


def test_a_restore_says_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, where it is quick."""
    log = run_plainly(in_order(live(Random(1))), 3)
    session = log.open_session(DETECT, (), range(3))
    keys = sum(len(dict(session.restore(number).states)) for number in range(3))
    session.close()
    assert keys > 3
    assert printed(log, capsys, seconds_a_task=0.5) == [
        f"Restored 3 tasks of detect: {keys:,} keys in 1.5 s."
    ]


def test_one_task_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    """Also if it takes long: nothing is printed before its end."""
    (said,) = printed(run_plainly(in_order(live(Random(1)))), capsys, seconds_a_task=9)
    assert said.startswith("Restored 1 task of detect: ")


def test_a_long_restore_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """So that the worker does not seem dead."""
    said = printed(run_plainly(in_order(live(Random(1))), 3), capsys, seconds_a_task=2)
    assert [line.partition(" tasks")[0] for line in said] == [
        "Restoring detect: 1 of 3",
        "Restoring detect: 2 of 3",
        "Restored 3",
    ]
