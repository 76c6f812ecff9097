"""A bounded set of what was seen: small, and never sure of what it cannot know."""

import random

import pytest

from rules.marks import Marks
from rules.seen import Seen


def mark(number: int) -> bytes:
    """Return a mark."""
    return number.to_bytes(6, "big")


def test_what_is_seen_for_the_first_time_is_new_once() -> None:
    """Whoever sees it is told; since when it is known does not change."""
    seen = Seen()
    assert seen.see(mark(1), 1_000, 4)
    assert not seen.see(mark(1), 2_000, 4)
    assert seen.last_since() == 1_000


def test_a_late_event_moves_the_first_time_back() -> None:
    """It was known earlier than thought."""
    seen = Seen()
    seen.see(mark(1), 2_000, 4)
    assert not seen.see(mark(1), 1_000, 4)
    assert seen.last_since() == 1_000


def test_nothing_is_known_of_an_empty_set() -> None:
    """There is nothing that was seen last."""
    assert Seen().last_since() is None
    assert Seen().new_since(0) == 0
    assert Seen().take(mark(1)) is None


def test_what_was_not_seen_for_longest_is_forgotten() -> None:
    """Not what was first seen longest ago."""
    seen = Seen()
    for number, at in ((1, 1), (2, 2), (1, 3), (3, 4)):
        seen.see(mark(number), at, 2)
    assert len(seen) == 2
    assert seen.take(mark(1)) == 1
    assert seen.take(mark(2)) is None


def test_after_a_loss_nothing_first_seen_from_then_on_is_new() -> None:
    """It may be what was forgotten; what was known before the loss is still known."""
    seen = Seen()
    assert seen.see(mark(1), 10, 2)
    assert seen.see(mark(2), 20, 2)
    assert not seen.see(mark(3), 30, 2)
    assert seen.last_since() is None
    seen.see(mark(2), 40, 2)
    assert seen.last_since() == 20
    assert seen.new_since(20) == 1
    assert seen.new_since(21) == 0


def test_what_comes_back_late_after_a_loss_is_not_new_either() -> None:
    """Even if the late event is from before the loss."""
    seen = Seen()
    for number, at in ((1, 10), (2, 20), (3, 30)):
        seen.see(mark(number), at, 2)
    assert not seen.see(mark(1), 25, 2)
    assert seen.last_since() is None
    assert not seen.see(mark(1), 5, 2)
    assert seen.last_since() is None


def test_a_mark_is_not_found_across_the_border_of_two() -> None:
    """The end of one row and the beginning of the next may look like one."""
    seen = Seen()
    seen.see(b"\0\0\0\0\0\1", int.from_bytes(b"\0\0\0\2\3\4", "big"), 4)
    seen.see(b"\5\6\7\0\0\0", 1, 4)
    assert seen.see(b"\2\3\4\5\6\7", 2, 4)
    assert seen.see(b"\0\1\0\0\0\2", 3, 4)
    assert len(seen) == 4


@pytest.mark.parametrize("seed", range(50))
def test_it_agrees_with_an_unbounded_set_and_never_calls_old_things_new(seed: int) -> None:
    """On time and late; as long as nothing is forgotten it knows exactly."""
    rng = random.Random(seed)
    seen, first, most, now = Seen(), dict[int, int](), rng.choice((4, 16)), 0
    for _ in range(400):
        now += rng.randrange(3)
        at = now - rng.randrange(20) if rng.random() < 0.2 else now
        number = rng.randrange(rng.choice((3, 40)))
        new = seen.see(mark(number), at, most)
        if new or seen.blurred_at is None:
            assert new == (number not in first)
        first[number] = min(at, first.get(number, at))
        since = seen.last_since()
        assert since is None or since == first[number]
        assert seen.new_since(now - 10) <= sum(time >= now - 10 for time in first.values())
        assert len(seen) <= most


ROW = bytes(range(1, 13))
"""A mark of six bytes, and six of a time."""


@pytest.mark.parametrize("offset", range(1, 12))
def test_bytes_that_begin_inside_a_row_are_no_mark(offset: int) -> None:
    """Wherever they begin, in the first row or a later one."""
    for before in (0, 1):
        seen = Seen()
        for number in range(before):
            seen.see(bytes([100 + number] * 6), 0, 4)
        seen.see(ROW[:6], int.from_bytes(ROW[6:], "big"), 4)
        seen.see(bytes([200] * 6), int.from_bytes(bytes([0] * 6)), 4)
        inside = bytes(seen.rows[12 * before + offset :][:6])
        assert seen.see(inside, 1, 4)
        assert len(seen) == before + 3


def test_a_mark_is_found_right_behind_bytes_that_look_like_it() -> None:
    """It begins one byte after the end of a time whose last byte is its own first."""
    seen = Seen()
    assert seen.see(bytes([1] * 6), 256, 4)
    assert seen.see(bytes(6), 0, 4)
    assert seen.see(bytes([2] * 6), 0, 4)
    assert not seen.see(bytes(6), 0, 4)


def test_of_a_long_key_the_first_64_bytes_count() -> None:
    """A longer secret is no error."""
    key = bytes(range(70))
    mark = Marks("k", key[:64]).of("device")
    assert Marks("k", key).of("device") == mark != Marks("k", key[:63]).of("device")
    assert len(mark) == 6
