"""Habits where two things meet: a new key and half a book, equal amounts, bytes of sessions."""

from typing import Any

import pytest

from rules.habits import _SESSION_BYTES, Spending, _session_at
from rules.profile import Profile
from tests.rules.test_habits import BOTH, NEW, OLD, paid, signed_in, teach


def test_equal_amounts_are_kept_once() -> None:
    """A subscription costs no more state than one debit."""
    spending = Spending("EUR")
    for _ in range(60):
        spending.add(500)
        assert len(spending.peaks) == 2
    assert (spending.peak, spending.peak_before, spending.count) == (500, 500, 60)


@pytest.mark.parametrize(
    ("event", "learnt_anew"),
    [
        (signed_in(1, device_id="d"), True),
        (paid(1, counterparty_id="p"), True),
        (signed_in(1), False),
    ],
)
def test_devices_alone_or_payees_alone_are_lost_with_a_key(event: Any, learnt_anew: bool) -> None:
    """Then the account is young again; where nothing was lost it is not."""
    profile = Profile()
    teach(profile, event, OLD)
    habits = teach(profile, signed_in(7), NEW)
    assert habits.since == (7 if learnt_anew else 1)
    assert habits.sessions_since is None


@pytest.mark.parametrize(
    "fields", [{"device_id": "d"}, {"session_id": "s"}, {"device_id": "d", "session_id": "s"}]
)
def test_whatever_the_former_key_knew_is_kept_while_it_is_active(fields: dict[str, str]) -> None:
    """Devices or sessions alone too; nothing has to be learnt anew."""
    profile = Profile()
    teach(profile, signed_in(1, **fields), OLD)
    habits = teach(profile, signed_in(5, device_id="other"), BOTH)
    assert habits.former is not None
    assert (habits.since, habits.sessions_since, habits.logins) == (1, None, 2)
    assert habits.knows_session("s", BOTH) is ("session_id" in fields)


def test_sessions_alone_are_lost_with_a_key() -> None:
    """From then on, sessions are unknown for a while; the account itself is not."""
    profile = Profile()
    teach(profile, signed_in(1, session_id="s"), OLD)
    habits = teach(profile, signed_in(7, session_id="t"), NEW)
    assert (habits.since, habits.sessions_since, habits.logins) == (1, 7, 2)


def test_without_a_former_book_an_unknown_session_is_unknown() -> None:
    """During a rotation as without one."""
    for marks in (BOTH, NEW):
        habits = teach(Profile(), signed_in(1, session_id="s"), marks)
        assert habits.knows_session("s", marks)
        assert not habits.knows_session("t", marks)


@pytest.mark.parametrize("offset", range(1, 8))
def test_bytes_that_begin_inside_a_session_are_no_session(offset: int) -> None:
    """Wherever they begin."""
    sessions = bytearray(range(1, 13))
    wanted = bytes(sessions[offset : offset + _SESSION_BYTES])
    found = _session_at(sessions, wanted + b"..")
    assert found == (offset if offset % _SESSION_BYTES == 0 else -1)


def test_a_session_is_found_right_before_bytes_that_look_like_it() -> None:
    """Zeros in a row, of which only some are whole."""
    assert _session_at(bytearray(b"\1\1\1\1" + bytes(4) + b"\0\0\0\2"), bytes(6)) == 4
    assert _session_at(bytearray(bytes(4) + b"\0\0\0\2"), bytes(6)) == 0
    assert _session_at(bytearray(b"\1\0\0\0" + b"\0\0\0\2"), bytes(6)) == -1


def test_a_late_success_of_the_same_moment_is_not_a_second_one() -> None:
    """The failures since the last but one stay known."""
    profile = Profile()
    teach(profile, signed_in(4, "failure"))
    teach(profile, signed_in(5))
    habits = teach(profile, signed_in(5), late=True)
    assert (habits.success_before, habits.success_at, habits.logins) == (None, 5, 2)
    assert len(habits.failures) == 1


def test_a_failure_of_the_same_moment_as_the_success_before_does_not_count() -> None:
    """Only what came after it does."""
    profile = Profile()
    teach(profile, signed_in(3))
    teach(profile, signed_in(3, "failure"))
    teach(profile, signed_in(4, "failure"))
    habits = teach(profile, signed_in(5))
    assert [failed.ref.occurred_at for failed in habits.failures] == [4]


def test_a_session_that_logs_in_again_is_kept_once() -> None:
    """It stands last then: the first to be forgotten is the one not used for longest."""
    profile = Profile()
    habits = teach(profile, signed_in(1, session_id="s"))
    first = bytes(habits.book.sessions)
    assert teach(profile, signed_in(2, session_id="s")).book.sessions == first
    teach(profile, signed_in(3, session_id="t"))
    habits = teach(profile, signed_in(4, session_id="s"))
    assert len(habits.book.sessions) == 8
    assert habits.book.sessions[4:] == first
