"""Runs `walletwatch run` on a SQLite log, kills it at chosen moments, and keeps count."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.support.commands import ROOT
from tests.support.events.arrivals import Arrival
from tests.support.producer import PARTITIONS
from tests.support.victim import LOADING, RESTORING, Order, Page
from worker.engine.log import Log
from worker.engine.loop import COMMITTING, READING, RELEASING
from worker.engine.records import NewRecord
from worker.logs.sqlite.log import SqliteLog

DEADLINE_SECONDS: Final = 120
"""For whatever a test waits for; only a bug takes so long."""
_LOOK_SECONDS: Final = 0.0005
_CONFIG: Final = """
[engine]
idle_advances = false
poll_records = {poll}
max_buffered = 50
progress_interval_ms = 50
"""

Process = subprocess.Popen[str]


class Place:
    """A folder with a log, a configuration, and the page of its victims."""

    def __init__(self, folder: Path, poll: int = 200) -> None:
        folder.mkdir()
        self.path = folder / "log.db"
        self.url = f"sqlite:///{self.path}"
        self.errors = folder / "stderr"
        self.config = folder / "walletwatch.toml"
        self.config.write_text(_CONFIG.format(poll=poll), "utf-8")
        self.environment: dict[str, str] = {}
        self._page = folder / "page"
        self.page = Page(self._page)

    def open(self) -> Log:
        """Open the log, to look at it or to append."""
        return SqliteLog(self.path, partitions=PARTITIONS)

    def fill(self, arrival: Arrival) -> None:
        """Append everything that arrives, ends included."""
        self.append([record for stream in arrival.streams.values() for record in stream])

    def append(self, records: list[NewRecord]) -> None:
        """Append some of what arrives."""
        with closing(self.open()) as log:
            log.append(records)

    def copy_log(self, other: "Place") -> None:
        """Take over the log of a place where no worker has been."""
        shutil.copy(other.path, self.path)

    @contextmanager
    def running(self, *options: str, commit: Order | None = None) -> Iterator[Process]:
        """Start `walletwatch run`; it is dead afterwards."""
        environment = {**os.environ, **self.environment, "WALLETWATCH_TEST_PAGE": str(self._page)}
        if commit is not None:
            environment["WALLETWATCH_TEST_COMMIT"] = commit
        arguments = ["run", "--config", str(self.config), "--log", self.url, *options]
        with (
            self.errors.open("w") as errors,
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.victim", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def finish(self, commit: Order | None = None) -> None:
        """Run to the end of all inputs."""
        with self.running("--until-ended", commit=commit) as process:
            assert process.wait(DEADLINE_SECONDS) == 0, self.errors.read_text()

    def await_phase(
        self,
        process: Process,
        unit: int,
        phase: str,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Return when the phase of that unit of work or a later one has begun."""

        what = f"{phase} of unit {unit}"

        def begun() -> bool:
            meanwhile()
            assert process.poll() is None, f"ended before {what}: {self.errors.read_text()}"
            return self.page.units >= unit and self.page.phase == phase

        wait_until(begun, what, _LOOK_SECONDS)

    def commits(self, stage: str) -> int:
        """Return how many commits of the stage's task 0 are in the file."""
        return self._number("SELECT sum(sequence) FROM tasks WHERE stage = ? AND task = 0", stage)

    def unread(self, stage: str) -> int:
        """Return how many records of their inputs the tasks of the stage have not passed yet."""
        return self._number(
            """
            SELECT sum(next - offset) FROM tasks JOIN offsets ON offsets.task = tasks.id
            JOIN partitions ON partitions.topic = offsets.topic AND partition = tasks.task
            WHERE stage = ?
            """,
            stage,
        )

    def _number(self, query: str, stage: str) -> int:
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute(query, (stage,)).fetchone()[0] or 0)


def wait_until(
    reached: Callable[[], bool], what: str, look: float = 0.02, limit: float = DEADLINE_SECONDS
) -> None:
    """Look every `look` seconds until it is so; fail after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not reached():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(look)


class Producer:
    """A producer in a process of its own, which appends its slices when it is told to."""

    def __init__(self, process: Process, slices: int) -> None:
        self._process = process
        self._slices = slices
        self._sent = 0

    def append(self, slices: int) -> None:
        """Let it have appended so many slices, if it has not yet."""
        assert self._process.stdin is not None
        more = max(0, min(slices, self._slices) - self._sent)
        self._sent += more
        self._process.stdin.write("\n" * more)
        self._process.stdin.flush()

    def append_rest(self) -> None:
        """Let it append the rest, ends included, and wait until it has."""
        self.append(self._slices)
        assert self._process.wait(DEADLINE_SECONDS) == 0


@contextmanager
def producing(
    place: Place, seed: int, events: int, slices: int, part: int = 0, parts: int = 1
) -> Iterator[Producer]:
    """Start a producer of a part of the traffic."""
    numbers = map(str, (seed, events, slices, part, parts))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.producer", str(place.path), *numbers],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Producer(process, slices)
        finally:
            process.kill()


class Kill(NamedTuple):
    """In which phase a victim died, and how many commits all victims had made until then."""

    phase: str
    commits: int


class Killer:
    """Starts victims one after the other and kills each at a moment that a seed chooses."""

    AIMS: Final = (READING, RELEASING, COMMITTING)
    DELAYS: Final = {READING: 0.003, RELEASING: 0.008, COMMITTING: 0.004}
    """About how long a phase lasts, in seconds."""

    def __init__(
        self,
        place: Place,
        rng: Random,
        *,
        commit: Order | None = None,
        feed: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `feed` is called over and over while a victim works."""
        self._place = place
        self._rng = rng
        self._commit = commit
        self._feed = feed
        self.kills: list[Kill] = []

    def kill(self, aim: str, within: int) -> None:
        """Kill the next victim somewhere in that phase of one of its first units of work."""
        page = self._place.page
        page.enter(LOADING)
        with self._place.running("--until-ended", commit=self._commit) as process:
            unit = page.units + (0 if aim == RESTORING else self._rng.randint(1, within))
            self._lie_in_wait(process, unit, aim)
            while aim in self.AIMS and page.phase != aim:  # too late: in a later unit, then
                self._lie_in_wait(process, unit, aim)
            process.kill()
            assert process.wait() == -signal.SIGKILL
            self.kills.append(Kill(page.phase, page.commits))

    def _lie_in_wait(self, process: Process, unit: int, aim: str) -> None:
        self._place.await_phase(process, unit, aim, self._feed)
        time.sleep(self.DELAYS.get(aim, 0) * self._rng.random())

    def plan(self, kills: int) -> list[str]:
        """Return as many aims, in an order that the seed chooses; one in twelve at a restart."""
        aims = [RESTORING if n % 12 == 5 else self.AIMS[n % 3] for n in range(kills)]
        self._rng.shuffle(aims)
        return aims

    @property
    def between(self) -> int:
        """How many kills there were between the first and the last commit."""
        return sum(0 < kill.commits < self._place.page.commits for kill in self.kills)

    @property
    def histogram(self) -> Counter[str]:
        """How many victims died in which phase."""
        return Counter(kill.phase for kill in self.kills)

    def report(self) -> str:
        """Return the histogram as a text."""
        page = self._place.page
        width = max(self.histogram.values())
        lines = [
            f"{phase:>12} {count:4} {'#' * (count * 50 // width)}"
            for phase, count in self.histogram.most_common()
        ]
        summary = (
            f"{len(self.kills)} kills, {self.between} between the first and the last of "
            f"{page.commits} commits, the last after {self.kills[-1].commits}; "
            f"{page.units} units of work begun"
        )
        return "\n".join([summary, *lines])
