"""A4: several locks, several events in one millisecond, late events, derived locks."""

import pytest

from rules.account_lockout.facts import LOCK
from rules.account_lockout.outcome import MAX_OPEN
from rules.account_lockout.state import MAX_LOCKS, AccountLockoutState
from rules.builders import at, clock, login, txn
from schemas.alert import MAX_EVIDENCE
from schemas.time import parse_time
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    SEEN,
    earned,
    failed,
    lock,
    refused,
    run,
    timed,
    unlock,
)
from worker.detect.handler import Horizons


def test_a_newer_lock_takes_the_place_of_the_older_one() -> None:
    """Its end counts; a refusal after the older one's end is right, and an opening cures both."""
    scenario = timed(lock("10:04:00", lock_until=at("10:40:00")))
    scenario.give(refused("10:30:00")).give(txn("t1", "10:35:00"))
    assert scenario.steps == ["raised info", "raised info", "updated error"]
    alert = scenario.alerts[-1]
    assert alert.anchor == "lock-10:04:00"
    assert scenario.give(login("10:36:00")).steps[3:] == ["cured info", "cured error"]


def test_a_newer_lock_without_an_end_does_not_end_with_the_older_one() -> None:
    """The older one's timer is gone."""
    scenario = timed(lock("10:10:00", "admin"), clock("11:00:00"))
    assert scenario.steps == ["raised info", "raised warning"]


def test_open_alerts_and_remembered_locks_are_bounded() -> None:
    """Of many locks without an end the oldest alerts expire; evidence stays within bounds."""
    times = [f"10:{minute:02}:00" for minute in range(20)]
    scenario = earned(*(lock(time, "admin") for time in times))
    assert len(scenario.open_alerts()) == MAX_OPEN
    assert scenario.steps.count("expired warning") == len(times) - MAX_OPEN
    assert len(scenario.state().locks) == MAX_LOCKS
    assert all(len(raised.evidence) <= MAX_EVIDENCE for raised in scenario.raised)
    assert scenario.judged[-1]["locks_in_window"] == MAX_LOCKS
    assert scenario.raised[-1].title == "Account locked again (admin): 10 or more locks"
    assert len(scenario.saved_state()) < 2_000
    for time in times:
        scenario.give(lock(f"09:{time[3:]}", "admin"), late=True)
    assert len(scenario.open_alerts()) == MAX_OPEN


def test_an_unlock_in_the_millisecond_of_the_lock_takes_it_back_if_it_comes_after_it() -> None:
    """The order of event ids decides; before the lock it opens nothing."""
    scenario = earned(lock(), unlock("10:00:00"), clock("10:01:00"))
    assert scenario.steps == ["raised info", "retracted info"]
    assert scenario.state().lock is None
    scenario = earned(unlock("10:00:00", event_id="a"), lock(), clock("10:01:00"))
    assert scenario.steps == ["raised info"]


def test_an_unjustified_lock_that_is_taken_back_at_once_is_not_raised_further() -> None:
    """The account is open when the failures are counted."""
    scenario = run(SEEN, lock(), unlock("10:00:00"))
    assert set(scenario.timers()) == {"forget"}
    assert scenario.give(clock("10:01:00")).steps == ["raised info", "retracted info"]


def test_failures_in_the_millisecond_of_the_lock_count_in_either_order() -> None:
    """The failure that led to the lock often carries its time."""
    for before, after in (("10:00:00", ()), (None, ("10:00:00",))):
        first = failed(before) if before else []
        scenario = run(SEEN, *failed(*FIVE[:4]), *first, lock(), *failed(*after), clock("10:01:00"))
        assert "updated error" not in scenario.steps
        assert scenario.judged[-1]["failures_in_window"] == 5


@pytest.mark.parametrize(
    ("time", "expected", "is_locked"),
    [
        ("10:00:00.001", "cured info", False),
        ("10:00:00", "retracted info", False),
        ("09:59:59.999", "raised info", True),
    ],
)
@pytest.mark.parametrize("action", ["login", "unlock"])
def test_a_late_opening_closes_what_it_answers(
    action: str, time: str, expected: str, is_locked: bool
) -> None:
    """From the moment of the lock on."""
    scenario = earned(lock(), clock("10:30:00")).give(login(time, action=action), late=True)
    assert scenario.steps[-1] == expected
    assert (scenario.state().lock is not None) == is_locked


def test_a_late_opening_between_two_locks_closes_the_first_alone() -> None:
    """The second lock stands."""
    scenario = timed(lock("10:04:00", lock_until=at("10:40:00"))).give(
        unlock("10:02:00"), late=True
    )
    assert scenario.steps == ["raised info", "raised info", "cured info"]
    assert scenario.state().lock is not None
    assert scenario.give(refused("11:00:00")).steps[-1] == "raised error"


def test_a_late_lock_is_judged_by_what_it_says_itself() -> None:
    """Nothing that came after it speaks for it or against it."""
    for reason, severity in (("max_retries", "info"), ("suspicious", "warning")):
        scenario = run(SEEN, clock("11:00:00")).give(lock(reason=reason), late=True)
        assert scenario.steps == [f"raised {severity}"]
        assert set(scenario.judged[0]) == set(LOCK)
        assert scenario.state() == AccountLockoutState()
        assert scenario.give(txn("t1", "11:01:00")).give(unlock("11:02:00")).steps == [
            f"raised {severity}",
            f"cured {severity}",
        ]


def test_a_late_lock_ends_like_any_other() -> None:
    """By time; at once where a success since is known."""
    until = lock(lock_until=at("10:15:00"))
    for success, steps in (
        ("10:01:00", ["raised info", "cured info"]),
        ("10:00:00", ["raised info", "cured info"]),
        ("09:59:59.999", ["raised info"]),
    ):
        scenario = run(SEEN, login(success), clock("10:01:00")).give(until, late=True)
        assert scenario.give(clock("10:02:00")).steps == steps
    scenario = run(SEEN, clock("10:01:00")).give(until, late=True)
    end = parse_time(at("10:16:00"))
    assert scenario.pass_time(end).steps == ["raised info"]
    assert scenario.pass_time(end + 1).steps == ["raised info", "cured info"]
    scenario = run(SEEN, clock("10:01:00")).give(until, late=True).give(unlock("10:02:00"))
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.timers() == {}


def test_late_refusals_and_failures_count_nothing() -> None:
    """They would be judged against newer facts."""
    scenario = timed(clock("10:20:00")).give(refused("10:18:00"), late=True)
    assert scenario.steps == ["raised info", "cured info"]


def test_the_failure_that_completes_the_limit_is_taken_for_a_lock() -> None:
    """It is the anchor, and cites the others; the next failures are no further locks."""
    scenario = earned(*failed("09:59:00"), **DERIVED)
    assert scenario.steps == ["raised info"]
    (raised,) = scenario.raised
    assert raised.anchor == "login-09:58:00"
    assert [role for _, role in raised.evidence] == ["failure"] * 4 + ["lock"]
    assert raised.title == "Account taken to be locked after 5 failed logins"
    assert raised.details == {"kinds": ["lock"], "reason": "max_retries"}
    assert (raised.verdict.suspected_root_cause, len(scenario.signals)) == ("user_error", 1)


@pytest.mark.parametrize(("first", "count"), [("09:43:00", 1), ("09:42:59.999", 0)])
def test_the_window_of_a_derived_lock_includes_its_edge(first: str, count: int) -> None:
    """Fifteen minutes before the failure that completes it."""
    assert len(run(*failed(first, *FIVE[1:]), **DERIVED).steps) == count


def test_four_failures_or_five_with_one_of_the_service_are_no_lock() -> None:
    """And nothing is derived unless it is switched on."""
    assert run(*failed(*FIVE[1:]), **DERIVED).steps == []
    assert run(*failed(*FIVE[1:]), *failed("09:59:00", reason="timeout"), **DERIVED).steps == []
    assert earned().steps == []
    assert run(*failed(*FIVE[1:]), **DERIVED, derive_limit=4).steps == ["raised info"]


def test_after_a_derived_lock_is_opened_failures_are_counted_anew() -> None:
    """Those that made the lock make no second one."""
    scenario = earned(unlock("10:00:00"), *failed("10:01:00", "10:02:00"), **DERIVED)
    assert scenario.steps == ["raised info", "cured info"]
    for time in ("10:03:00", "10:04:00"):
        scenario.give(login(time, "failure"))
    assert scenario.steps == ["raised info", "cured info"]
    scenario.give(login("10:05:00", "failure"))
    assert scenario.steps == ["raised info", "cured info", "raised info"]


def test_money_moves_in_a_derived_lock_too() -> None:
    """Raised again, it cites the failures that made it, where its own alert is closed."""
    scenario = earned(txn("t1", "09:59:00"), **DERIVED)
    assert scenario.steps == ["raised info", "updated error"]
    scenario = earned(**DERIVED, horizons=Horizons(max_open=30_000))
    raised = scenario.give(txn("t1", "09:59:00")).raised[-1]
    assert [role for _, role in raised.evidence] == ["lock", "failure", "debit"]
