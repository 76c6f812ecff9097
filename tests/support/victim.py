"""The walletwatch command, which notes on a page of shared memory what it does.

Environment: WALLETWATCH_TEST_PAGE names the file of the page; WALLETWATCH_TEST_COMMIT breaks the
atomicity of commits, so that the tests can show that they would see it; WALLETWATCH_TEST_HANG names
a phase at whose beginning it hangs; WALLETWATCH_TEST_SIGNAL ("STEP SIGNAL PID") names a call of the
producer before whose third time a process, the broker, gets a signal; WALLETWATCH_TEST_STOP
("SIGNAL CALLS FILE") sends itself a signal in the Python call of that number of its start, or at
its end, and writes the number of calls until then to the file; WALLETWATCH_TEST_LAYOUT is the
layout of accounts of a release that is still to come; WALLETWATCH_TEST_LOSE ("PARTS DECIDED") lets
it die in a commit as `lost_markers` describes.
"""

import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, Final, Literal, cast

import msgspec

import worker.cli.run as command
from rules.contract import AnyRule
from worker.cli import stopping
from worker.cli.app import main
from worker.config.load import Settings
from worker.detect import account
from worker.detect.account import Account
from worker.detect.account_upgrade import LAYOUT_FIELD
from worker.detect.dead_letter_limit import Ranges
from worker.engine.log import Log
from worker.engine.loop import COMMITTING, READING, RELEASING
from worker.engine.observer import Observer, Observers
from worker.engine.records import Commit
from worker.logs.sqlite.session import SqliteSession
from worker.run.runner import Runner
from worker.tokens import Tokens

LOADING: Final = "loading"
"""Python starts, the program is imported, the command line is read."""
RESTORING: Final = "restoring"
"""Tasks are taken and their states read."""
BETWEEN: Final = "between"
"""The first half of a broken commit is in the file, the second is not."""
PHASES: Final = (LOADING, RESTORING, READING, RELEASING, COMMITTING, BETWEEN)

Order = Literal["outputs first", "outputs last"]
_GAP_SECONDS: Final = 0.02
"""How long a broken commit is broken, so that the killer comes in time."""


class Page:
    """A file in shared memory: what a victim wrote is there after its death."""

    _SLOTS: Final = 4

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8 * self._SLOTS))
        with path.open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @property
    def phase(self) -> str:
        """What began last."""
        return PHASES[self._numbers[0]]

    @property
    def units(self) -> int:
        """How many units of work have begun, over all victims."""
        return self._numbers[1]

    @property
    def begun(self) -> int:
        """How many commits have begun, over all victims."""
        return self._numbers[2]

    @property
    def commits(self) -> int:
        """How many commits have ended, over all victims."""
        return self._numbers[3]

    def enter(self, phase: str) -> None:
        """Note that a phase begins, and so that the one before has ended."""
        self._numbers[3] += self.phase == COMMITTING and phase in (READING, RELEASING)
        self._numbers[1] += phase == READING
        self._numbers[2] += phase == COMMITTING
        self._numbers[0] = PHASES.index(phase)


class _Pages(Observer):
    """Notes every phase on a page, and hangs where the environment says so."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._hangs_at = os.environ.get("WALLETWATCH_TEST_HANG")

    def begins(self, phase: str) -> None:
        self._page.enter(phase)
        if phase == self._hangs_at:
            Event().wait()


def _watch(page: Page) -> None:
    def make(
        log: Log,
        settings: Settings,
        stages: Sequence[str],
        tasks: Sequence[int] | None,
        clock: Callable[[], int],
        accepted: Ranges,
        observer: Observer,
        tokens: Tokens,
    ) -> Runner:
        # Each log has a key of its own: with the public one, runs can be compared.
        page.enter(RESTORING)
        both = Observers(_Pages(page), observer)
        return Runner(log, settings, stages, tasks, clock, accepted, both)

    command.Runner = make  # type: ignore[assignment,attr-defined]


def _split_commits(order: str, page: Page) -> None:
    """Commit outputs in a transaction of their own, before or after all the rest."""
    whole = SqliteSession.commit

    def commit(self: SqliteSession, unit: Commit) -> None:
        outputs = Commit(unit.outputs)
        rest = Commit([], unit.states, unit.offsets, unit.metas)
        halves = (outputs, rest) if order == "outputs first" else (rest, outputs)
        whole(self, halves[0])
        if unit.outputs:
            page.enter(BETWEEN)
            time.sleep(_GAP_SECONDS)
        whole(self, halves[1])

    SqliteSession.commit = commit  # type: ignore[method-assign]


def _split_transactions(page: Page) -> None:
    """The same on Kafka: outputs in a transaction of their own, before all the rest."""
    from worker.logs.kafka.transaction import TransactionalProducer

    whole = TransactionalProducer.commit

    def commit(
        self: TransactionalProducer, records: Any, timestamp: int, offsets: Any, group: Any
    ) -> None:
        changelog = [each for each in records if each[0].topic.endswith("changelog")]
        outputs = [each for each in records if each not in changelog]
        whole(self, outputs, timestamp, {}, group)
        if outputs:
            page.enter(BETWEEN)
            time.sleep(_GAP_SECONDS)
        whole(self, changelog, timestamp, offsets, group)

    TransactionalProducer.commit = commit  # type: ignore[method-assign]


def _signal_before(step: str, number: int, pid: int) -> None:
    """Send a signal to a process before a call of the producer, once in the middle of the run."""
    from worker.logs.kafka.kafka_python.producer import KafkaPythonProducer

    whole, calls = getattr(KafkaPythonProducer, step), count(1)

    def call(self: KafkaPythonProducer, *arguments: object) -> object:
        if next(calls) == 3:
            os.kill(pid, number)
        return whole(self, *arguments)

    setattr(KafkaPythonProducer, step, call)


def _stop_within_start(number: int, calls: int, counted: Path) -> None:
    """Send this process a signal in a call of its start, once signals are handled."""
    whole = stopping.stop_signals

    @contextmanager
    def stop_signals() -> Iterator[stopping.StopRequest]:
        with whole() as stop:
            numbers, begin_work = count(1), stop.begin_work

            def send() -> None:
                sys.setprofile(None)
                counted.write_text(str(next(numbers)), "utf-8")
                os.kill(os.getpid(), number)

            def profile(frame: FrameType, event: str, argument: object) -> None:
                if event == "call" and next(numbers) == calls:
                    send()

            def begins() -> None:
                if sys.getprofile() is not None:
                    send()
                begin_work()

            stop.begin_work = begins  # type: ignore[method-assign]
            sys.setprofile(profile)
            yield stop

    command.stop_signals = stop_signals  # type: ignore[attr-defined]


def _save_in_layout(number: int) -> None:
    """Save accounts as a later release would, which also reads those of today."""
    today = account.layout_for

    def layout_for(rules: Sequence[AnyRule]) -> type[Account]:
        later = msgspec.defstruct(
            "Account", [], bases=(today(rules),), tag_field=LAYOUT_FIELD, tag=number
        )
        return cast(type[Account], later)

    account.LAYOUT = number  # type: ignore[misc]
    account.layout_for = layout_for


if __name__ == "__main__":
    shared = Page(Path(os.environ["WALLETWATCH_TEST_PAGE"]))
    _watch(shared)
    if "WALLETWATCH_TEST_LAYOUT" in os.environ:
        _save_in_layout(int(os.environ["WALLETWATCH_TEST_LAYOUT"]))
    if "WALLETWATCH_TEST_SIGNAL" in os.environ:
        call, *numbers = os.environ["WALLETWATCH_TEST_SIGNAL"].split()
        _signal_before(call, *map(int, numbers))
    if "WALLETWATCH_TEST_LOSE" in os.environ:
        from tests.support.lost_markers import die_losing

        lost, decided = os.environ["WALLETWATCH_TEST_LOSE"].split()
        die_losing(lost.split("+"), decided == "1")
    if "WALLETWATCH_TEST_STOP" in os.environ:
        sent, at, file = os.environ["WALLETWATCH_TEST_STOP"].split()
        _stop_within_start(int(sent), int(at), Path(file))
    if "WALLETWATCH_TEST_COMMIT" in os.environ:
        _split_commits(os.environ["WALLETWATCH_TEST_COMMIT"], shared)
        if "WALLETWATCH_KAFKA__PREFIX" in os.environ:
            _split_transactions(shared)
    main()
