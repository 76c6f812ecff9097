"""Runs both stages over arriving records in as many ways as a seed can think of.

Records are appended in slices between the units of work; tasks are split over workers; polls have
random sizes; workers crash before a commit, after it, or are closed, and are made anew.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, Literal

from rules.contract import AnyRule
from rules.registry import ALL
from tests.support.events.arrivals import Arrival
from worker.detect.stage import Policy, detect
from worker.engine.loop import StageWorker
from worker.engine.records import Commit, NewRecord
from worker.engine.stage import Pace, Stage
from worker.errors import LogError
from worker.logs.memory import MemoryLog, MemorySession
from worker.triage.stage import triage

_EVERY: Final[Sequence[type[AnyRule]]] = ALL
RULES: Final = tuple(rule(rule.Params()) for rule in _EVERY)
POLICY: Final = Policy(rules=RULES, known_rules=RULES, dead_letter_limit=None)
PLAIN: Final = Pace(poll_records=10**6, idle_advances=False, progress_interval=0)

Mishap = Literal["before", "after"]


class FragileLog(MemoryLog):
    """Fails at the next commit if `mishap` says so: before or after everything was written."""

    mishap: Mishap | None = None
    crashes = 0

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> MemorySession:
        """Open a session whose commits may fail."""
        session = super().open_session(stage, inputs, tasks)
        write = session.commit

        def commit(unit: Commit) -> None:
            mishap, self.mishap = self.mishap, None
            if mishap == "after":
                write(unit)
            if mishap:
                self.crashes += 1
                raise LogError("The test has pulled the plug.")
            write(unit)

        session.commit = commit  # type: ignore[method-assign]
        return session


class Crew:
    """Some tasks of one stage, worked on by one worker after the other."""

    def __init__(
        self, log: FragileLog, rng: Random, stage: Callable[[], Stage], tasks: Sequence[int] | None
    ) -> None:
        self._log = log
        self._rng = rng
        self._stage = stage
        self._tasks = tasks
        self._worker: StageWorker | None = None

    def work(self, mishaps: float) -> bool:
        """Do a unit of work, perhaps the last of this worker; say whether there was any."""
        worker = self._worker
        if worker is None:  # troubles seldom come alone
            worker, mishaps = self._hire(), 4 * mishaps
        fate = self._rng.random()
        if fate < mishaps:
            self._log.mishap = self._rng.choice(("before", "after"))
        try:
            return worker.run_once()
        except LogError:
            self.close()
            return True
        finally:
            self._log.mishap = None
            if mishaps <= fate < 1.5 * mishaps:
                self.close()

    def close(self) -> None:
        """Let the worker go; the log keeps what it has committed."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _hire(self) -> StageWorker:
        rng = self._rng
        pace = Pace(
            poll_records=rng.choice((rng.randint(1, 10), rng.randint(1, 500))),
            max_buffered=rng.choice((0, 5, 50, 20_000)),
            idle_advances=False,
            progress_interval=0,
        )
        self._worker = StageWorker(self._log, self._stage(), self._tasks, lambda: 0, pace)
        return self._worker


def endure(
    rng: Random, arrival: Arrival, mishaps: float = 0.06, policy: Policy = POLICY
) -> FragileLog:
    """Return the log of a run that was disturbed in every way that must not matter."""
    partitions = arrival.partitions
    log = FragileLog(partitions=partitions)
    crews = [
        Crew(log, rng, stage, tasks)
        for stage in (lambda: detect(policy), lambda: triage(policy, partitions))
        for tasks in _split(rng, partitions)
    ]
    for records in interleaved(rng, arrival):
        log.append(records)
        for crew in rng.sample(crews, rng.randint(0, len(crews))):
            crew.work(mishaps)
    while any(crew.work(mishaps) for crew in crews):
        pass
    for crew in crews:
        while crew.work(0):
            pass
        crew.close()
    return log


def run_plainly(
    records: Sequence[NewRecord], partitions: int = 1, policy: Policy = POLICY
) -> MemoryLog:
    """Return the log of an uninterrupted run with everything in one poll."""
    log = MemoryLog(partitions=partitions)
    log.append(records)
    for stage in (detect(policy), triage(policy, partitions)):
        worker = StageWorker(log, stage, range(partitions), lambda: 0, PLAIN)
        while worker.run_once():
            pass
        worker.close()
    return log


def interleaved(rng: Random, arrival: Arrival) -> Iterator[list[NewRecord]]:
    """Yield slices of the streams: at random, or so that all come along at about one pace."""
    streams = [list(reversed(stream)) for stream in arrival.streams.values()]
    lengths = {id(stream): len(stream) for stream in streams}
    at_one_pace = rng.random() < 0.5
    while streams:
        if at_one_pace:
            stream = max(streams, key=lambda stream: len(stream) / lengths[id(stream)])
        else:
            stream = rng.choice(streams)
        count = min(rng.choice((1, 7, 40, 40)), len(stream))
        yield [stream.pop() for _ in range(count)]
        if not stream:
            streams.remove(stream)


def _split(rng: Random, partitions: int) -> list[list[int]]:
    """Return the tasks, shuffled and split over one to `partitions` workers."""
    tasks = rng.sample(range(partitions), partitions)
    workers = rng.randint(1, partitions)
    return [tasks[n::workers] for n in range(workers)]
