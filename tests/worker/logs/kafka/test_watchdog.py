"""The watchdog ends a process whose call hangs, and no other."""

import os
import subprocess
import sys
from threading import Event

from worker.logs.kafka.watchdog import Watchdog

HANGS = """
import threading
from worker.logs.kafka.watchdog import Watchdog
with Watchdog().limit("committing", 0.2):
    threading.Event().wait()
"""


def test_a_call_that_hangs_ends_the_process() -> None:
    """With exit code 70 and a sentence; for developers with where every thread stood."""
    for debug, stacks in (("0", False), ("1", True)):
        done = subprocess.run(
            [sys.executable, "-c", HANGS],
            env={**os.environ, "WALLETWATCH_DEBUG": debug},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 70
        said = done.stderr.splitlines()
        assert said[-1].startswith("walletwatch: committing: no answer since 2")
        assert ("in wait" in done.stderr, len(said) > 1) == (stacks, stacks)


def test_calls_that_come_back_in_time_are_left_alone() -> None:
    """One after the other, and nothing is watched between them."""
    ended = Event()
    dog = Watchdog(lambda what, seconds: ended.set())
    for _ in range(100):
        with dog.limit("polling", 60):
            pass
    assert not ended.wait(0.1)
    dog.close()


def test_a_call_that_raises_is_not_watched_any_more() -> None:
    """Its limit ends with it."""
    ended = Event()
    dog = Watchdog(lambda what, seconds: ended.set())
    try:
        with dog.limit("polling", 0.05):
            raise ValueError
    except ValueError:
        assert not ended.wait(0.2)
    dog.close()


def test_it_says_what_hung() -> None:
    """And for how long."""
    told: list[tuple[str, float]] = []
    ended = Event()

    def bark(what: str, seconds: float) -> None:
        told.append((what, seconds))
        ended.set()

    dog = Watchdog(bark)
    with dog.limit("committing", 0.05):
        assert ended.wait(30)
    assert told == [("committing", 0.05)]
    dog.close()
