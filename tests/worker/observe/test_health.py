"""Alive while signs of life come when they are due; ready when every task is restored."""

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.topics import LOGINS
from worker.detect.stage import DETECT
from worker.engine.holds import Hold
from worker.engine.loop import COMMITTING, READING, RELEASING
from worker.engine.observer import Work
from worker.engine.records import TopicPartition
from worker.observe.health import ANSWER_SECONDS, RESTORE_SECONDS, Health
from worker.triage.stage import TRIAGE

PATIENCE = 60
LIMIT = 60_000


class Clock:
    """Stands still until it is set (seconds)."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health((DETECT, TRIAGE), PATIENCE, LIMIT, "kafka://one:9092", clock)


def task(number: int) -> Any:
    """Stand in for a restored task, of which only the number matters here."""
    return SimpleNamespace(number=number)


def test_a_loop_that_gives_no_sign_of_life_ails(health: Health, clock: Clock) -> None:
    """From the moment on at which the next was due, until it comes."""
    health.begins(READING)
    clock.now += PATIENCE - 1
    assert health.ailment() is None
    clock.now += 1
    assert health.ailment() == "The worker has given no sign of life for 60 s."
    health.begins(READING)
    assert health.ailment() is None


def test_starting_and_restoring_may_take_long(health: Health, clock: Clock) -> None:
    """But not for ever: each task has its time."""
    clock.now += RESTORE_SECONDS - 1
    assert health.ailment() is None
    health.moved(DETECT, (0, 1), ())
    for number in (0, 1):
        health.restoring(DETECT, number)
        clock.now += RESTORE_SECONDS - 1
        assert health.ailment() is None
        health.restored(DETECT, task(number))
    clock.now += PATIENCE
    assert health.ailment() == "The worker has given no sign of life for 60 s."


def test_ready_when_every_stage_has_tasks_and_restored_them(health: Health) -> None:
    """Before, it says what is missing."""
    told = [health.unreadiness()]
    health.moved(DETECT, (0, 2), ())
    told.append(health.unreadiness())
    health.restored(DETECT, task(0))
    told.append(health.unreadiness())
    health.restored(DETECT, task(2))
    told.append(health.unreadiness())
    health.moved(TRIAGE, (1,), ())
    health.restored(TRIAGE, task(1))
    assert told == [
        "Stage detect has no tasks.",
        "Stage detect has not restored all its tasks: 0, 2 to go.",
        "Stage detect has not restored all its tasks: 2 to go.",
        "Stage triage has no tasks.",
    ]
    assert health.unreadiness() is None


def test_an_input_that_is_held_for_long_makes_it_unready(health: Health) -> None:
    """With the partition, the time and what is hidden; until the transaction has ended."""
    for stage in (DETECT, TRIAGE):
        health.moved(stage, (0,), ())
        health.restored(stage, task(0))
    held = {TopicPartition(LOGINS, 0): Hold(1_000, range(7, 9))}
    health.worked(Work(DETECT, LIMIT + 999, (), (), held))
    health.worked(Work(TRIAGE, LIMIT + 999, (), ()))
    assert health.unreadiness() is None
    health.worked(Work(DETECT, LIMIT + 1_000, (), (), held))
    assert health.unreadiness() == (
        "wallet.logins/0 has been held for 60 s: an open transaction of a producer hides 2 offsets "
        "from 7 on. Its alerts wait; walletwatch doctor names the producer."
    )
    assert health.ailment() is None
    health.worked(Work(DETECT, LIMIT + 1_000, (), ()))
    assert health.unreadiness() is None


def test_tasks_that_move_make_it_unready(health: Health) -> None:
    """Until those that came are restored; those that it kept need not be."""
    for stage in (DETECT, TRIAGE):
        health.moved(stage, (0,), ())
        health.restored(stage, task(0))
    health.moved(TRIAGE, (0, 1), (0,))
    assert health.unreadiness() == "Stage triage has not restored all its tasks: 1 to go."
    health.restored(TRIAGE, task(1))
    assert health.unreadiness() is None
    health.moved(TRIAGE, (), ())
    assert health.unreadiness() == "Stage triage has no tasks."


def ready(health: Health) -> None:
    """Give each stage its task."""
    for stage in (DETECT, TRIAGE):
        health.moved(stage, (0,), ())
        health.restored(stage, task(0))


@pytest.mark.parametrize("phase", [READING, COMMITTING])
def test_a_log_that_does_not_answer_makes_it_unready(
    health: Health, clock: Clock, phase: str
) -> None:
    """From five seconds on, until it answers; with where the log is, and for how long."""
    ready(health)
    health.begins(phase)
    clock.now += ANSWER_SECONDS
    assert health.unreadiness() is None
    clock.now += 1
    assert health.unreadiness() == (
        f"The log kafka://one:9092 has not answered for 6 s: the worker waits in {phase}. "
        "Look at its brokers (walletwatch doctor), or at who locks its file."
    )
    assert health.ailment() is None
    health.begins(RELEASING)
    assert health.unreadiness() is None


def test_long_work_is_not_silence_of_the_log(health: Health, clock: Clock) -> None:
    """Neither judging nor restoring: both have limits of their own."""
    ready(health)
    health.begins(RELEASING)
    clock.now += PATIENCE - 1
    assert health.unreadiness() is None


def test_other_observers_may_wait_for_the_log_too(health: Health, clock: Clock) -> None:
    """They come after the unit of work, before the next one begins."""
    ready(health)
    health.begins(RELEASING)
    health.worked(Work(DETECT, 0, (), ()))
    clock.now += ANSWER_SECONDS + 1
    assert "waits in measuring its lag" in (health.unreadiness() or "")
