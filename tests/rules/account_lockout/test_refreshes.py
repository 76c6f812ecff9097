"""A4: what opens an account, what only refreshes a session, and what shows that it did not open."""

from typing import Any

import pytest

from rules.account_lockout.state import AccountLockoutState
from rules.builders import at, clock, login, txn
from rules.events import LOGIN
from schemas.time import parse_time
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    SEEN,
    earned,
    failed,
    kinds,
    lock,
    refused,
    run,
    timed,
    unlock,
)

OLD = {"session_id": "old", "device_id": "phone"}
TIMED: dict[str, Any] = {"lock_until": at("10:15:00")}


def in_before(*events: Any, **params: Any) -> Any:
    """Give a session that logged in, five failures outside it, and a lock until 10:15."""
    return run(login("09:00:00", **OLD), *failed(*FIVE), lock(**TIMED), *events, **params)


# -- a refresh ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        OLD,
        {"session_id": "old"},
        {"session_id": "old", "device_id": "other"},
        {"session_id": "old", "channel": "app"},
    ],
)
def test_a_session_that_had_logged_in_before_opens_nothing(fields: dict[str, str]) -> None:
    """Whatever else it names."""
    scenario = in_before(login("10:02:00", **fields), refused("10:03:00"), refused("10:04:00"))
    assert scenario.steps == ["raised info"]
    scenario.give(txn("t1", "10:05:00", type="transfer_out"))
    assert scenario.steps == ["raised info", "updated error"]
    scenario.give(refused("10:50:00"))
    assert scenario.steps == ["raised info", "updated error", "cured error", "raised error"]
    assert kinds(scenario) == ["lock", "overdue"]


@pytest.mark.parametrize("fields", [{}, {"session_id": "new"}, {"device_id": "phone"}])
def test_another_session_or_none_opens(fields: dict[str, str]) -> None:
    """The owner has given the password."""
    assert in_before(login("10:02:00", **fields)).steps == ["raised info", "cured info"]


def test_a_session_that_only_failed_before_opens() -> None:
    """It had not been let in."""
    clicks = failed("09:59:00", "09:59:00.300", session_id="s-1")
    locked = lock(failures_counted=2, **TIMED)
    scenario = run(SEEN, *clicks, locked, login("10:10:00", session_id="s-1"))
    assert scenario.steps == ["raised warning", "cured warning"]


def test_a_session_whose_login_came_late_is_known_too() -> None:
    """It had been let in, whenever that was read."""
    scenario = run(SEEN, *failed(*FIVE), clock("09:59:00"))
    scenario.give(login("09:10:00", session_id="late"), late=True).give(lock(**TIMED))
    assert scenario.give(login("10:02:00", session_id="late")).steps == ["raised info"]


def test_a_late_refresh_opens_nothing() -> None:
    """Just as one in its order."""
    scenario = in_before(clock("10:10:00")).give(login("10:02:00", **OLD), late=True)
    assert scenario.steps == ["raised info"]
    assert scenario.state().lock is not None


def test_an_unlock_opens_whatever_session_it_names() -> None:
    """It is no login."""
    assert in_before(unlock("10:02:00", **OLD)).steps == ["raised info", "cured info"]


def test_many_refreshes_reset_no_count() -> None:
    """The failure after them is the sixth, as the service says."""
    refreshes = [login(f"10:0{n}:00", **OLD) for n in range(1, 6)]
    scenario = in_before(*refreshes, clock("10:16:30"), *failed("10:20:00"))
    scenario.give(lock("10:20:00.100", failures_counted=6)).give(clock("10:21:00"))
    assert "updated error" not in scenario.steps
    assert scenario.judged[-1]["failures_since_success"] == 6


@pytest.mark.parametrize("moment", ["09:51:00", "09:57:00", "09:59:00"])
def test_a_refresh_between_the_failures_resets_no_count(moment: str) -> None:
    """Somebody fails outside that session: a service that counts on is right."""
    events = sorted([*failed(*FIVE), login(moment, **OLD)], key=lambda e: str(e["occurred_at"]))
    scenario = run(login("09:00:00", **OLD), *events, lock(failures_counted=5), clock("10:01:00"))
    assert scenario.steps == ["raised info"]
    scenario = run(login("09:00:00", **OLD), *events, lock(), clock("10:01:00"))
    assert scenario.steps == ["raised info"]


@pytest.mark.parametrize(("session", "steps"), [("old", 2), ("other", 1), (None, 1)])
def test_where_the_session_itself_failed_before_its_success_is_a_login(
    session: str | None, steps: int
) -> None:
    """The owner mistyped in it, then got in: the counter should have been reset."""
    fields = {} if session is None else {"session_id": session}
    scenario = run(
        login("09:00:00", **OLD),
        *failed(*FIVE[:4], **fields),
        login("09:57:00", **OLD),
        *failed(FIVE[4], **fields),
        lock(failures_counted=5),
        clock("10:01:00"),
    )
    assert len(scenario.steps) == steps


def test_after_a_lock_what_failed_before_it_makes_no_login_of_a_refresh() -> None:
    """Whatever session had failed: no count is reset while the account is locked."""
    scenario = run(
        login("09:00:00", **OLD),
        *failed(*FIVE, **OLD),
        lock(**TIMED),
        login("10:02:00", **OLD),
        clock("10:16:30"),
        *failed("10:20:00", **OLD),
        lock("10:20:00.100", failures_counted=6),
        clock("10:21:00"),
    )
    assert scenario.steps == ["raised info", "cured info", "raised info"]


def test_a_refresh_after_the_end_of_a_lock_does_not_hide_that_it_lasts() -> None:
    """A refusal is overdue all the same."""
    scenario = in_before(clock("10:16:30"), login("10:20:00", **OLD), refused("10:30:00"))
    assert scenario.steps == ["raised info", "cured info", "raised error"]
    real = in_before(clock("10:16:30"), login("10:20:00"), refused("10:30:00"))
    assert real.steps == ["raised info", "cured info"]


# -- an opening that was none ---------------------------------------------------------------


@pytest.mark.parametrize(
    "opening", [login("10:02:00"), login("10:02:00", session_id="new"), unlock("10:02:00")]
)
@pytest.mark.parametrize(
    ("time", "restored"),
    [("10:02:00.001", True), ("10:15:00", True), ("10:15:00.001", False), ("10:40:00", False)],
)
def test_a_refusal_by_the_end_of_the_lock_restores_it(
    opening: Any, time: str, restored: bool
) -> None:
    """It is raised again, by the refusal, and cites what seemed to open it."""
    scenario = timed(opening, refused(time))
    assert scenario.steps == ["raised info", "cured info", *(["raised info"] if restored else [])]
    if not restored:
        return
    raised = scenario.raised[-1]
    assert raised.anchor == f"login-{time}"
    assert raised.verdict.at == parse_time(at(time))
    assert [role for _, role in raised.evidence] == ["lock", "opening", "refusal"]
    assert raised.title == "Account still locked (max retries), though it seemed to be open"
    said = scenario.rule.because(scenario.rule.Facts.of(scenario.judged[-1]))
    assert said[1].startswith("It seemed to be open 2 min after the lock, but ")


def test_a_restored_lock_goes_on_as_if_it_had_not_been_opened() -> None:
    """Money, its end, refusals after its end."""
    restored = (login("10:02:00"), refused("10:03:00"))
    assert timed(*restored, clock("10:16:00.001")).steps[-1] == "cured info"
    moved = timed(*restored, txn("t1", "10:05:00"))
    assert moved.steps == ["raised info", "cured info", "raised info", "updated error"]
    overdue = timed(*restored, refused("10:15:30"), refused("10:17:00"))
    assert overdue.steps == ["raised info", "cured info", "raised info", "updated error"]
    assert kinds(overdue) == ["lock", "overdue"]
    again = timed(*restored, clock("10:16:30"), refused("10:17:00"))
    assert again.steps[-2:] == ["cured info", "raised error"]
    opened = timed(*restored, login("10:04:00"))
    assert opened.steps[-1] == "cured info"
    assert opened.give(refused("10:05:00")).steps[-1] == "raised info"


def test_refusals_do_not_extend_a_lock() -> None:
    """It is overdue by the end that it was given."""
    while_locked = [refused(f"10:{minute:02}:00") for minute in range(1, 15)]
    scenario = timed(*while_locked, clock("10:16:00.001"))
    assert scenario.steps == ["raised info", "cured info"]
    restored = timed(login("10:02:00"), *while_locked[2:], clock("10:16:00.001"))
    assert restored.steps == ["raised info", "cured info", "raised info", "cured info"]
    until = restored.judged[-1]["lock_until_ms"]
    assert until == parse_time(at("10:15:00"))


def test_what_began_while_it_seemed_to_be_open_is_under_way() -> None:
    """Its completion moves no money that the lock should have kept; what begins later does."""
    for funding in ("balance", "card"):
        scenario = timed(
            login("10:02:00"),
            txn("t1", "10:02:30", "pending", funding=funding),
            txn("t0", "10:02:40", funding=funding),
            refused("10:03:00"),
            txn("t1", "10:04:00", funding=funding),
        )
        assert scenario.steps == ["raised info", "cured info", "raised info"]
        scenario.give(txn("t0", "10:04:30", event_id="second-capture", funding=funding))
        scenario.give(txn("t3", "10:02:50", "pending", funding=funding), late=True)
        scenario.give(txn("t3", "10:04:40", funding=funding))
        assert scenario.steps == ["raised info", "cured info", "raised info"]
        assert scenario.give(txn("t2", "10:05:00")).steps[-1] == "updated error"


def test_a_lock_without_an_end_is_not_restored() -> None:
    """Whoever refuses later may have locked anew."""
    scenario = earned(lock(), login("10:02:00"), refused("10:03:00"))
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.state().lock is None


def test_an_opening_that_comes_after_the_refusal_it_precedes_opens_nothing() -> None:
    """A late one; the end is the same as in their order: the lock is open."""
    scenario = timed(refused("10:03:00"), clock("10:05:00")).give(login("10:02:00"), late=True)
    assert scenario.steps == ["raised info"]
    later = timed(refused("10:03:00"), clock("10:05:00")).give(login("10:04:00"), late=True)
    assert later.steps == ["raised info", "cured info"]
    same = timed(refused("10:03:00"), clock("10:05:00"))
    same.give(login("10:03:00", event_id="same"), late=True)
    assert same.steps == ["raised info", "cured info"]


def test_a_late_opening_of_a_restored_lock_counts_from_its_return_on() -> None:
    """What came before the refusal was no opening."""
    for time, step in (("10:02:30", "raised info"), ("10:03:30", "cured info")):
        scenario = timed(login("10:02:00"), refused("10:03:00"), clock("10:05:00"))
        assert scenario.give(login(time), late=True).steps[-1] == step


def test_an_opened_lock_is_forgotten_when_it_would_have_ended() -> None:
    """Nothing of it stays but that it was."""
    scenario = timed(login("10:02:00"))
    assert scenario.timers()["until"] == (parse_time(at("10:15:00")), ())
    scenario.pass_time(parse_time(at("10:15:00")) + 1)
    assert scenario.state().lock is None
    scenario.pass_time(parse_time("2026-03-04T00:00:00Z"))
    assert scenario.state() == AccountLockoutState()
    assert scenario.timers() == {}


def test_a_restored_lock_awaits_logins_again() -> None:
    """Its end is judged by proof."""
    scenario = timed(login("10:02:00"), refused("10:03:00"))
    assert scenario.timers()["until"] == (parse_time(at("10:16:00")), (LOGIN,))


def test_a_new_lock_takes_the_place_of_one_that_was_opened() -> None:
    """A refusal is then what the new lock is for."""
    scenario = timed(login("10:02:00"), lock("10:03:00", "admin"), refused("10:04:00"))
    assert scenario.steps == ["raised info", "cured info", "raised warning"]


def test_failures_after_an_opening_may_derive_a_lock() -> None:
    """The one before is over."""
    more = [f"10:0{n}:00" for n in range(3, 8)]
    scenario = timed(login("10:02:00"), *failed(*more), **DERIVED)
    assert scenario.steps[-1] == "raised warning"
    assert kinds(scenario) == ["lock", "repeated"]
    assert scenario.judged[-1]["derived_failures"] == 5
