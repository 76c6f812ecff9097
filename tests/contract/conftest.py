"""Every log under one roof: the suite asks for `log`, `reopen` and `usurp`, never for a kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.logs.memory import MemoryLog
from worker.logs.port import Log
from worker.logs.sqlite import SqliteLog
from worker.logs.topics import Cleanup

TOPICS: dict[str, Cleanup] = {
    "orders": "delete",
    "visits": "delete",
    "results": "delete",
    "cases": "compact",
}


class Clock:
    """A wall clock that stands still until it is set (milliseconds)."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


class World:
    """One log, and what happens to it from outside."""

    def __init__(self, kind: str, folder: Path, clock: Clock) -> None:
        self._kind = kind
        self._folder = folder
        self._clock = clock
        self.log = self._open()

    def _open(self) -> Log:
        if self._kind == "memory":
            return MemoryLog(TOPICS, clock=self._clock)
        return SqliteLog(self._folder / "test.db", TOPICS, clock=self._clock)

    def reopen(self) -> Log:
        """Close the log and open what it left behind."""
        self.log.close()
        if self._kind != "memory":
            self.log = self._open()
        return self.log

    def usurp(self) -> None:
        """Make the log believe that the owners of all tasks are gone although they live."""
        if isinstance(self.log, MemoryLog):
            self.log._held.clear()
            return
        for lock in (self._folder / "test.db.lock").iterdir():
            lock.unlink()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[World]:
    world = World(request.param, tmp_path, clock)
    yield world
    world.log.close()


@pytest.fixture
def log(world: World) -> Log:
    return world.log


@pytest.fixture
def reopen(world: World) -> Callable[[], Log]:
    return world.reopen


@pytest.fixture
def usurp(world: World) -> Callable[[], None]:
    return world.usurp
