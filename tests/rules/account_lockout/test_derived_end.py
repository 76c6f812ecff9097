"""A4: a lock that is derived from failures ends."""

from typing import Any

import msgspec
import pytest

from rules.account_lockout.rule import AccountLockout
from rules.account_lockout.state import AccountLockoutState, Lock
from rules.builders import at, clock, login, txn
from rules.events import LOGIN, Ref
from schemas.time import parse_time
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    earned,
    failed,
    kinds,
    on,
    refused,
    run,
)

END = "10:28:00"
"""Half an hour after the last of FIVE."""


@pytest.mark.parametrize(
    ("time", "steps"),
    [
        ("10:28:00", ["raised info", "updated error"]),
        ("10:28:00.001", ["raised info", "cured info"]),
        ("23:00:00", ["raised info", "cured info"]),
    ],
)
def test_money_moves_up_to_its_end(time: str, steps: list[str]) -> None:
    """Not 19 days later, nor a millisecond."""
    assert earned(txn("t1", time), **DERIVED).steps[:2] == steps


@pytest.mark.parametrize(("after_ms", "kinds_found"), [(0, 2), (1, 1)])
def test_what_is_judged_from_quotes_ends_with_it_too(after_ms: int, kinds_found: int) -> None:
    """By the parameter, as `explain` and other thresholds judge it."""
    rule = AccountLockout(AccountLockout.Params(derive_locks=True, derive_lock_ms=60_000))
    facts: dict[str, str | int | bool | None] = {
        "locked_at_ms": 1_000,
        "derived_failures": 5,
        "first_failure_at_ms": 1_000,
        "debit_at_ms": 61_000 + after_ms,
        "debit_type": "payment",
    }
    verdict = rule.judge(rule.Facts.of(facts))
    assert verdict is not None
    assert len(verdict.details["kinds"]) == kinds_found


def test_its_end_cures_and_leaves_no_lock_behind() -> None:
    """At its end, whatever is still to come of the logins."""
    scenario = earned(**DERIVED)
    assert scenario.timers()["until"] == (parse_time(at(END)), ())
    scenario.pass_time(parse_time(at(END)))
    assert scenario.steps == ["raised info"]
    scenario.pass_time(parse_time(at(END)) + 1)
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.state().lock is None


@pytest.mark.parametrize(("derive_lock_ms", "end"), [(60_000, "09:59:00"), (3_600_000, "10:58:00")])
def test_how_long_it_lasts_is_a_parameter(derive_lock_ms: int, end: str) -> None:
    """From the failure that completes it."""
    scenario = earned(**DERIVED, derive_lock_ms=derive_lock_ms)
    assert scenario.timers()["until"][0] == parse_time(at(end))


@pytest.mark.parametrize("derive_lock_ms", [59_999, 30 * 86_400_000 + 1])
def test_it_lasts_a_minute_to_thirty_days(derive_lock_ms: int) -> None:
    """Others are refused; both bounds are not."""
    for allowed in (60_000, 30 * 86_400_000):
        assert AccountLockout.Params(derive_lock_ms=allowed).derive_lock_ms == allowed
    with pytest.raises(ValueError, match="derive_lock_ms"):
        AccountLockout.Params(derive_lock_ms=derive_lock_ms)


def test_a_success_ends_it_before() -> None:
    """And a refresh of a session does not."""
    assert earned(login("10:05:00"), **DERIVED).steps == ["raised info", "cured info"]
    old = {"session_id": "old"}
    events = (login("09:00:00", **old), *failed(*FIVE), login("10:05:00", **old))
    scenario = run(*events, **DERIVED)
    assert scenario.steps == ["raised info"]
    assert scenario.give(txn("t1", "10:06:00")).steps == ["raised info", "updated error"]


@pytest.mark.parametrize("times", [("10:05:00",), ("10:27:59", "10:28:00"), ("10:40:00",)])
def test_refusals_neither_extend_it_nor_are_overdue(times: tuple[str, ...]) -> None:
    """How long the service really locks is not known."""
    scenario = earned(*map(refused, times), clock("10:50:00"), **DERIVED)
    assert scenario.steps == ["raised info", "cured info"]


def test_a_refusal_restores_it_after_an_opening() -> None:
    """As one that was sent."""
    scenario = earned(login("10:05:00"), refused("10:06:00"), **DERIVED)
    assert scenario.steps == ["raised info", "cured info", "raised info"]
    assert kinds(scenario) == ["lock"]
    assert scenario.give(clock(END + ".001")).steps[-1] == "cured info"


def test_after_its_end_failures_are_counted_anew() -> None:
    """Those that made the lock make no second one; a third within a day is repeated."""
    scenario = earned(**DERIVED)
    for hour in (11, 12):
        for minute in range(5):
            scenario.give(login(f"{hour}:{minute:02}:00", "failure"))
    assert scenario.steps == [
        "raised info",
        "cured info",
        "raised info",
        "cured info",
        "raised warning",
    ]
    assert kinds(scenario) == ["lock", "repeated"]


def test_typing_errors_of_weeks_ago_lock_nothing() -> None:
    """The input that showed it: five failures, no success, a payment 19 days later."""
    scenario = run(*failed(*(f"00:00:0{n}" for n in range(5))), **DERIVED)
    scenario.give(txn("t1", "p", **on(21, "00:00:00")))
    scenario.give(clock("c") | on(30, "00:00:00"))
    assert scenario.steps == ["raised info", "cured info"]


def test_a_late_success_ends_it_and_a_login_whose_proof_is_missing_does_too() -> None:
    """By the time that has passed."""
    scenario = earned(clock("10:10:00"), **DERIVED).give(login("10:00:00"), late=True)
    assert scenario.steps == ["raised info", "cured info"]
    scenario = earned(**DERIVED).leave_unproven(LOGIN).give(login("10:30:00", "failure"))
    assert scenario.steps == ["raised info", "cured info"]
    assert scenario.state().lock is None


def test_one_that_version_1_has_saved_gets_an_end() -> None:
    """It had none; a lock that was sent stays as it is."""
    ref = Ref(LOGIN, 1, "e1", 1_000)
    for derived, until in ((True, 1_000 + 30 * 60_000), (False, None)):
        quotes: list[Any] = [("locked_at_ms", 1_000, ref)]
        quotes += [("derived_failures", 5, None)] if derived else []
        saved = msgspec.to_builtins([[ref, "e1", quotes], [ref], [7]])
        state = AccountLockout.upgrade(1, saved)
        lock = Lock(ref, "e1", quotes, until, until or 0)
        assert state == AccountLockoutState(lock, [ref], [7])
