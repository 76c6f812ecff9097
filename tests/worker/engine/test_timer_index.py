"""Which keys have a timer that is due, found without decoding any state."""

import random

import pytest

from worker.engine.keyed_state import Timer, pack
from worker.engine.timer_index import TimerIndex

LEFT = 1
"""As an awaited input."""


class Clock:
    """Says when absence is judged: at once up to what is proven, not beyond."""

    def __init__(self) -> None:
        self.proven = 0
        self.asked = 0

    def judged_at(self, due: int, awaits: int) -> int | None:
        """Return the due time if it is proven."""
        self.asked += 1
        return due if not awaits or due < self.proven else None


class Keys:
    """States of keys that have nothing but timers, and their index."""

    def __init__(self, **timers: list[Timer]) -> None:
        self.clock = Clock()
        self._states = {key.encode(): pack(each, b"") for key, each in timers.items()}
        self._timers = {key.encode(): each for key, each in timers.items()}
        self.index = TimerIndex(self._states)

    def fire(self, limit: int) -> list[str]:
        """Do as a unit of work: fire what can be fired; return the keys that it has looked at."""
        taken = self.index.take(limit, self.clock.judged_at)
        for key in taken:
            left = [each for each in self._timers[key] if not self._fires(each, limit)]
            self.set(key.decode(), left, limit)
        return sorted(key.decode() for key in taken)

    def _fires(self, timer: Timer, limit: int) -> bool:
        judged_at = self.clock.judged_at(timer.due, timer.awaits)
        return judged_at is not None and judged_at < limit

    def set(self, key: str, timers: list[Timer], limit: int) -> None:
        """Give a key other timers."""
        self._timers[key.encode()] = timers
        self._states[key.encode()] = pack(timers, b"")
        self.index.schedule(key.encode(), timers, limit)


def test_a_key_is_due_when_its_next_timer_is() -> None:
    """One entry serves all timers of a key: the next is found when it has fired."""
    keys = Keys(a=[Timer(10, "", "x"), Timer(30, "", "y")], b=[Timer(20, "", "x")], c=[])
    assert keys.index
    assert keys.fire(10) == []
    assert keys.fire(11) == ["a"]
    assert keys.fire(25) == ["b"]
    assert keys.fire(31) == ["a"]
    assert not keys.index


def test_what_was_set_anew_is_looked_at_only_when_it_is_due() -> None:
    """Its former entry is skipped."""
    keys = Keys(a=[Timer(10, "", "x")], b=[Timer(10, "", "x")])
    keys.set("a", [Timer(50, "", "x")], 0)
    keys.set("b", [], 0)
    assert keys.fire(40) == []
    assert keys.fire(51) == ["a"]


def test_a_key_that_waits_for_a_proof_is_looked_at_when_it_has_come() -> None:
    """Not at each unit of work before that."""
    keys = Keys(a=[Timer(10, "", "absence", LEFT)])
    assert keys.fire(20) == ["a"]
    assert keys.index
    for limit in (30, 40, 50):
        assert keys.fire(limit) == []
    keys.clock.proven = 11
    assert keys.fire(51) == ["a"]
    assert not keys.index


def test_a_key_that_waits_is_looked_at_for_its_other_timers() -> None:
    """Also for one that is set while it waits."""
    keys = Keys(a=[Timer(10, "", "absence", LEFT), Timer(40, "", "x")])
    assert keys.fire(20) == ["a"]
    assert keys.fire(30) == []
    assert keys.fire(41) == ["a"]
    keys.set("a", [Timer(10, "", "absence", LEFT), Timer(60, "", "y")], 41)
    assert keys.fire(50) == []
    assert keys.fire(61) == ["a"]
    keys.clock.proven = 11
    assert keys.fire(62) == ["a"]


def test_a_key_that_waits_no_more_is_forgotten() -> None:
    """What it waited for is not asked again."""
    keys = Keys(a=[Timer(10, "", "absence", LEFT)])
    keys.fire(20)
    keys.set("a", [], 20)
    asked = keys.clock.asked
    assert keys.fire(30) == []
    assert keys.clock.asked == asked
    assert not keys.index


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_what_looking_at_every_key_would_find(seed: int) -> None:
    """However far the due times lie apart, in whatever minute they are set anew."""
    draw = random.Random(seed)
    keys = Keys(**{f"k{n}": [] for n in range(20)})
    due: dict[str, int] = {}
    limit = -200_000
    for _ in range(300):
        key = f"k{draw.randrange(20)}"
        due[key] = limit + draw.choice((0, 1, 59_999, 60_000, 150_000))
        timers = [Timer(due[key], "", "x")]
        if draw.random() < 0.2:
            del due[key]
            timers = []
        keys.set(key, timers, limit)
        limit += draw.choice((0, 0, 1, 30_000, 60_000, 400_000))
        expected = sorted(key for key, at in due.items() if at < limit)
        assert keys.fire(limit) == expected
        due = {key: at for key, at in due.items() if at >= limit}
    assert bool(due) <= bool(keys.index)
