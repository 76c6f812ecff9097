""".ci/containers: what must hold where an engine runs fails there, and elsewhere says so loudly."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.commands import ROOT

SCRIPT: Final = ROOT / ".ci" / "containers"
LOUD: Final = "NOT CHECKED IN THIS RUN: CONTAINERS"
ENGINE: Final = """#!/bin/sh
echo "engine $1" >> "$CALLS"
case $1 in
up) exit "$UP" ;;
env)
    echo "export DOCKER_HOST=unix:///its.sock"
    echo "export PYTHON_IMAGE=p KAFKA_IMAGE=$KAFKA PROMETHEUS_IMAGE=m"
    ;;
esac
"""
PROGRAMS: Final = {
    "make": 'echo "make $1 on $DOCKER_HOST" >> "$CALLS"; exit "$TESTS"',
    "docker": 'exit "$ENGINE_ANSWERS"',
    "id": 'echo "$USER_ID"',
}
USUAL: Final = {
    "UP": "0", "TESTS": "0", "ENGINE_ANSWERS": "1", "USER_ID": "0", "DOCKER_HOST": "", "KAFKA": "k",
}  # fmt: skip
STARTED: Final = ["engine env", "engine up"]
TESTED: Final = ["make test-containers on unix:///its.sock"]
STOPPED: Final = ["engine down"]


class Ci:
    """A checkout with the script, beside an engine and programs that only note their calls."""

    def __init__(self, folder: Path) -> None:
        self._checkout = folder / "checkout"
        self._calls = folder / "calls"
        self._calls.touch()
        self._programs = folder / "bin"
        (self._checkout / ".ci").mkdir(parents=True)
        shutil.copy(SCRIPT, self._checkout / ".ci")
        self._programs.mkdir()
        for name, lines in PROGRAMS.items():
            _write(self._programs / name, f"#!/bin/sh\n{lines}\n")
        self.engine = folder / "shared" / "containers" / "engine.sh"
        self.engine.parent.mkdir(parents=True)
        _write(self.engine, ENGINE)

    def run(self, **changes: str) -> tuple[int, bool, list[str]]:
        """Return the exit code, whether it said that nothing was checked, and what it called."""
        path = f"{self._programs}:{os.environ['PATH']}"
        done = subprocess.run(
            [self._checkout / ".ci" / "containers"],
            env={"PATH": path, "CALLS": str(self._calls), **USUAL, **changes},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, LOUD in done.stderr, self._calls.read_text("utf-8").splitlines()


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)


@pytest.fixture
def ci(tmp_path: Path) -> Ci:
    """The checkout of one test."""
    return Ci(tmp_path)


def test_it_runs_the_tests_on_an_engine_of_its_own_and_stops_that(ci: Ci) -> None:
    assert ci.run() == (0, False, STARTED + TESTED + STOPPED)


def test_a_failure_of_the_tests_fails_it(ci: Ci) -> None:
    """And the engine is stopped all the same."""
    assert ci.run(TESTS="2") == (2, False, STARTED + TESTED + STOPPED)


def test_where_no_engine_can_start_it_says_so_and_succeeds(ci: Ci) -> None:
    """What had been started by then is stopped."""
    assert ci.run(UP="1") == (0, True, STARTED + STOPPED)


def test_without_root_it_starts_nothing(ci: Ci) -> None:
    assert ci.run(USER_ID="1000") == (0, True, [])


def test_files_that_name_no_image_fail_it(ci: Ci) -> None:
    """Nothing is started: stand-ins could not be made for what is not named."""
    assert ci.run(KAFKA="") == (1, False, ["engine env"])


def test_an_engine_that_already_ran_goes_on(ci: Ci) -> None:
    assert ci.run(ENGINE_ANSWERS="0") == (0, False, STARTED + TESTED)


def test_without_stand_ins_it_takes_the_engine_of_the_machine(ci: Ci) -> None:
    """If one answers; else it says so and succeeds."""
    ci.engine.unlink()
    assert ci.run() == (0, True, [])
    assert ci.run(ENGINE_ANSWERS="0") == (0, False, ["make test-containers on "])
