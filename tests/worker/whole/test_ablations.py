"""Each part that keeps the answer the same is needed: without it the property of order fails.

Every test switches one part off and runs seeds of `test_order` until one differs (or the run
raises). So these tests show that `test_order` would fail.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest

from tests.support.events.arrivals import in_order
from tests.support.random_runs import endure, run_plainly
from tests.support.run_comparison import Comparable, comparable
from tests.worker.whole.test_order import story
from worker.detect.handler import AccountHandler
from worker.engine.event_time import BEGINNING, Source, SourceTime
from worker.engine.reorder import ORDER, Entry, ReorderBuffer
from worker.engine.task import Task
from worker.engine.timer_index import TimerIndex

SEEDS = range(30)


@lru_cache
def expected(seed: int) -> Comparable:
    """Return what the plain run finds; asked for before anything is switched off."""
    events, _, _ = story(seed)
    return comparable(run_plainly(in_order(events)))


def differs(seed: int) -> bool:
    """Return whether the endured run finds something else, or does not come to an end."""
    _, arrival, rng = story(seed)
    try:
        return comparable(endure(rng, arrival)) != expected(seed)
    except Exception:  # noqa: BLE001 - whatever a broken engine raises
        return True


@pytest.fixture
def unharmed() -> None:
    """Compute what is expected while everything is switched on."""
    for seed in SEEDS:
        expected(seed)


def assert_noticed() -> None:
    """At least one of the seeds shows that something is switched off."""
    assert any(differs(seed) for seed in SEEDS)


def test_with_everything_switched_on_no_seed_differs(unharmed: None) -> None:
    """The experiment itself is sound."""
    assert not any(differs(seed) for seed in SEEDS)


def test_reorder_buffer(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: events are released as they come."""

    def release(self: ReorderBuffer, watermark: int) -> list[Entry]:
        released, self._entries = self._entries, []
        return released

    monkeypatch.setattr(ReorderBuffer, "release", release)
    assert_noticed()


def test_dedup(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: a redelivered event is an event."""
    monkeypatch.setattr(AccountHandler, "_is_new", lambda *_: True)
    assert_noticed()


def test_tie_break(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: events of one order time are released as they came."""
    release = ReorderBuffer.release

    def by_time_only(self: ReorderBuffer, watermark: int) -> list[Entry]:
        self._entries.sort(key=lambda entry: entry[ORDER])
        self._sorted = True
        return release(self, watermark)

    monkeypatch.setattr(ReorderBuffer, "release", by_time_only)
    assert_noticed()


def test_saving_of_timers(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: a restart forgets what it waited for."""
    begin = TimerIndex.__init__

    def forgetful(self: TimerIndex, states: Mapping[bytes, bytes]) -> None:
        begin(self, states)
        self._later.clear()
        self._minutes.clear()

    monkeypatch.setattr(TimerIndex, "__init__", forgetful)
    assert_noticed()


def test_frontier_at_the_offset(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: saved are the inputs' times of the commit, not those at the offset to go on from."""
    save = Source.save

    def present(self: Source, oldest_buffered: int | None, watermark: int) -> SourceTime:
        saved = save(self, oldest_buffered, watermark)
        saved.inputs = [time.copy() for time in self.inputs]
        return saved

    monkeypatch.setattr(Source, "save", present)
    assert_noticed()


def test_skipping_what_was_applied(unharmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off: what is read again after a restart is applied again."""
    restore = Task.__init__

    def forgetful(self: Task, *args: Any, **kwargs: Any) -> None:
        restore(self, *args, **kwargs)
        self.applied_until = BEGINNING

    monkeypatch.setattr(Task, "__init__", forgetful)
    assert_noticed()


def test_what_was_read_before_a_second_restart(
    unharmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off: a restart in the middle of reading again forgets how far the first reading had come."""
    save = Source.save

    def so_far(self: Source, oldest_buffered: int | None, watermark: int) -> SourceTime:
        saved = save(self, oldest_buffered, watermark)
        saved.position = self.position
        return saved

    monkeypatch.setattr(Source, "save", so_far)
    assert_noticed()
