"""What an account remembers of recent events, and when it forgets it."""

from rules.events import Login
from worker.detect.redelivery import begun, identity_of, known_as, without_old


def _row(event_id: str, at: int) -> bytes:
    event = Login(event_id, "acc-1", "login", "success", at)
    return identity_of(begun("logins"), event)


def test_the_oldest_rows_go_until_one_is_recent() -> None:
    """Their times are told, for a timer that waits for the newest."""
    ids = bytearray().join(_row(str(at), at) for at in (1, 2, 3))
    assert without_old(ids, 0) == (ids, [1, 2, 3])
    assert without_old(ids, 3) == (bytearray(_row("3", 3)), [3])
    assert without_old(ids, 4) == (bytearray(), [])


def test_an_old_row_that_came_late_goes_with_those_before_it() -> None:
    """Until then it counts as forgotten all the same."""
    late = _row("late", 1)
    kept, times = without_old(bytearray(_row("first", 5) + late), 5)
    assert times == [5, 1]
    assert known_as(kept, late, oldest=1)
    assert known_as(kept, late, oldest=5) is None
    assert without_old(kept, 6) == (bytearray(), [])
