"""How `run` stops, and who may run a task."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.crashing_worker import DEADLINE_SECONDS, Place, Process, wait_until
from tests.support.log_comparison import differences, outcome
from tests.support.producer import crowd
from worker.detect.stage import DETECT
from worker.engine.loop import RELEASING
from worker.triage.stage import TRIAGE

SEED = 7
EVENTS = 2_000
POLL = 50


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log with everything in it, on which no worker has run."""
    place = Place(tmp_path / "place", POLL)
    place.fill(crowd(SEED, EVENTS))
    return place


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever was started in here is dead after the test, stopped or not."""
    with ExitStack() as stack:
        yield stack


def ended(process: Process) -> int:
    """Return the exit code, when there is one."""
    return process.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_its_unit_of_work(
    number: signal.Signals, place: Place, tmp_path: Path
) -> None:
    """It exits 0 with every begun commit in the file; a later run ends as an undisturbed one."""
    whole = Place(tmp_path / "whole", POLL)
    whole.copy_log(place)
    whole.finish()
    with place.running("--until-ended") as process:
        place.await_phase(process, 11, RELEASING)  # detect and triage take turns: one of detect
        process.send_signal(number)
        assert ended(process) == 0
    # With so much to read, each unit of detect ends with a commit; those of triage need not.
    assert place.commits(DETECT) * 2 == place.page.units
    assert place.commits(DETECT) + place.commits(TRIAGE) == place.page.begun
    assert place.unread(DETECT) > EVENTS // 2
    place.finish()
    assert differences(outcome(place), outcome(whole)) == []


def test_a_task_is_run_by_one_process(place: Place, processes: ExitStack, tmp_path: Path) -> None:
    """Another one is refused while the first lives, at work or stopped, and starts after it."""
    first = processes.enter_context(place.running())
    wait_until(lambda: place.page.units > 0, "the first worker to begin")
    assert refusal(place) == f"Task 0 of stage detect is already run by process {first.pid}."
    first.send_signal(signal.SIGSTOP)
    assert refusal(place) == f"Task 0 of stage detect is already run by process {first.pid}."
    first.kill()
    assert ended(first) == -signal.SIGKILL
    place.finish()
    assert place.unread(DETECT) == place.unread(TRIAGE) == 0


def test_a_process_that_ends_in_peace_gives_its_tasks_free(
    place: Place, processes: ExitStack
) -> None:
    """The next one can start when it has exited."""
    first = processes.enter_context(place.running())
    wait_until(lambda: place.page.units > 0, "the first worker to begin")
    first.terminate()
    assert ended(first) == 0
    place.finish()
    assert place.unread(DETECT) == place.unread(TRIAGE) == 0


def test_only_the_same_tasks_of_the_same_stage_are_refused(
    place: Place, processes: ExitStack
) -> None:
    """One task too many is refused as a whole; other tasks and the other stage are free."""
    first = processes.enter_context(place.running("--stage", "detect", "--tasks", "0,1"))
    wait_until(lambda: place.page.units > 0, "the first worker to begin")
    taken = f"Task 1 of stage detect is already run by process {first.pid}."
    assert refusal(place, "--stage", "detect", "--tasks", "1-3") == taken
    with place.running("--stage", "detect", "--tasks", "2,3", "--until-ended") as second:
        assert ended(second) == 0
    with place.running("--stage", "triage") as third:
        wait_until(lambda: place.commits(TRIAGE) > 0, "triage to commit")
        third.terminate()
        assert ended(third) == 0


def refusal(place: Place, *options: str) -> str:
    """Return the output of a worker that is refused, which is one sentence."""
    with place.running(*options, "--until-ended") as process:
        assert ended(process) == 70
    head, sentence = place.errors.read_text().rstrip("\n").split(": ", 1)
    assert head == "walletwatch"
    assert "\n" not in sentence
    return sentence
