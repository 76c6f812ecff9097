"""A5 where the proof of an absence comes later than what follows it."""

import pytest

from rules.builders import login
from rules.cannot_log_in.rule import CannotLogIn
from rules.contract import OpenAlert, Value
from rules.events import Ref
from tests.support.rule_driver import Account, Driver


class _Waiting(Driver):
    """Fires no timer until it is told to: another input is behind."""

    proven = False
    cure = ""

    def pass_time(self, until: int) -> None:
        """Fire what is due, if that is proven."""
        if self.proven:
            super().pass_time(until)

    def _settle(self, account: Account, which: OpenAlert | str, ref: Ref, role: str) -> None:
        self.cure = ref.event_id
        super()._settle(account, which, ref, role)


def _waiting(*times: str) -> _Waiting:
    """Fail five times from 10:00 on, then succeed at these times."""
    driver = _Waiting(CannotLogIn)
    for minute in range(5):
        driver.give(login(f"10:0{minute}:00", "failure"))
    for time in times:
        driver.give(login(time))
    return driver


def _prove(driver: _Waiting) -> _Waiting:
    driver.proven = True
    driver.pass_time(driver.now + 2)
    return driver


def test_what_was_true_until_a_success_is_raised_and_cured_by_the_first() -> None:
    """Though the success was seen before the absence was proven."""
    driver = _prove(_waiting("10:14:00.001", "10:20:00", "10:16:00"))
    assert driver.steps == ["raised info", "cured info"]
    assert driver.cure == "login-10:14:00.001"
    assert driver.state().anchor == ""


def test_a_success_at_the_end_of_the_absence_prevents_the_alert() -> None:
    """Ten minutes after the anchor are within."""
    driver = _prove(_waiting("10:14:00"))
    assert (driver.steps, driver.state()) == ([], CannotLogIn.State())


def test_failures_after_the_cure_begin_anew() -> None:
    """They wait for an absence of their own."""
    driver = _waiting("10:15:00")
    for minute in range(5):
        driver.give(login(f"10:2{minute}:00", "failure"))
    _prove(driver)
    assert driver.steps == ["raised info", "cured info"]
    assert driver.state().anchor == "login-10:24:00"
    driver.give(login("10:50:00"))
    assert driver.steps == ["raised info", "cured info", "raised info", "cured info"]


def test_a_failure_of_the_same_moment_as_the_cure_came_before_it() -> None:
    """It does not wait for anything."""
    driver = _waiting("10:15:00").give(login("10:15:00", "failure", event_id="same"))
    assert isinstance(driver, _Waiting)
    assert _prove(driver).steps == ["raised info", "cured info"]
    assert driver.state() == CannotLogIn.State()


def test_a_late_success_before_all_failures_changes_nothing() -> None:
    """Nor how many are counted beyond those that are remembered."""
    driver = Driver(CannotLogIn)
    for second in range(70):
        driver.give(login(f"10:{second // 60:02}:{second % 60:02}", "failure"))
    driver.give(login("09:59:00"), late=True)
    driver.pass_time(driver.now + 3_600_000)
    assert driver.drafts[0].details["failures"] == 70


def test_when_an_alert_is_raised_the_failures_of_the_window_before_stay_known() -> None:
    """They tell which of two logs came first, and what a late success leaves."""
    driver = Driver(CannotLogIn)
    for minute in (0, 1, 2, 3, 4, 6, 8):
        driver.give(login(f"10:0{minute}:00", "failure"))
    driver.give(login("10:14:00.001", "failure", event_id="later"))
    assert driver.steps == ["raised info"]
    kept = [failure.ref.event_id for failure in driver.state().failures]
    assert kept == ["login-10:06:00", "login-10:08:00", "later"]


@pytest.mark.parametrize(("service", "severity"), [(100, "info"), (101, "warning")])
def test_half_of_the_failures_is_exactly_half(service: int, severity: str) -> None:
    """Of 202 failures 101 are enough."""
    facts: dict[str, Value] = {
        "failures": 202,
        "service_failures": service,
        "failures_timeout": service,
        "failures_bad_credentials": 202 - service,
        "first_at_ms": 0,
        "anchor_at_ms": 0,
        "no_success_until_ms": 600_000,
    }
    verdict = CannotLogIn(CannotLogIn.Params()).judge(facts)
    assert verdict is not None
    assert verdict.severity == severity
