"""A bounded set does not take bytes of two neighbours for a mark."""

import pytest

from rules.marks import Marks
from rules.seen import Seen

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
