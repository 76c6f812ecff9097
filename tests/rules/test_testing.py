"""A scenario is the real engine: its order, its lateness, its proof, its bytes."""

from typing import Any, ClassVar

import pytest

from rules.builders import at, balance, clock, login, row, txn, wire_of
from rules.cannot_log_in.rule import CannotLogIn
from rules.contract import Params, Rule, State
from rules.effects import Effects
from rules.events import LOGIN, Balance, Event, Login, Transaction
from rules.facts import Facts
from rules.profile import Profile
from rules.testing import Scenario, event_of
from schemas.time import parse_time

FIVE = ("10:00:00", "10:01:00", "10:02:00", "10:03:00", "10:04:00")


def failed_five() -> Scenario:
    """Return a scenario with five failed logins."""
    scenario = Scenario(CannotLogIn)
    for time in FIVE:
        scenario.give(login(time, "failure"))
    return scenario


def test_an_event_that_comes_late_must_be_given_as_late() -> None:
    """Or else a test would judge it by the wrong handler."""
    scenario = failed_five()
    with pytest.raises(ValueError, match="login-10:03:59 is late by 1000 ms"):
        scenario.give(login("10:03:59"))
    assert scenario.counts == {}
    scenario.give(login("10:03:59", "failure"), late=True)
    assert scenario.counts == {"late_failure": 1}


def test_a_late_event_of_a_time_that_has_not_passed_is_late_all_the_same() -> None:
    """Time passes it first."""
    scenario = failed_five().give(login("10:20:00", "failure"), late=True)
    assert scenario.counts == {"late_failure": 1}
    assert scenario.now == parse_time(at("10:20:00")) + 2
    assert scenario.steps == ["raised info"]


def test_events_of_one_time_are_handled_in_the_order_of_their_ids() -> None:
    """Whatever the order in which they are given."""
    scenario = failed_five()
    for name in ("z", "a"):
        scenario.give(login("10:05:00", "failure", event_id=name))
    kept = [failure.ref.event_id for failure in scenario.state().failures]
    assert kept[-2:] == ["a", "z"]


def test_a_timer_that_awaits_an_input_fires_when_it_is_proven() -> None:
    """Not when time passes by the clock alone."""
    scenario = failed_five().leave_unproven(LOGIN).give(clock("10:15:00"))
    assert scenario.steps == []
    assert scenario.timers()["absence"][1] == (LOGIN,)
    assert scenario.prove().steps == ["raised info"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (txn("t1", "10:10:00", amount="ten"), "not a valid event"),
        (login(FIVE[4], "success", occurred_at=at("10:10:00")), "event_id_conflict"),
        (login(FIVE[4], "failure"), "login-10:04:00 is late"),
    ],
)
def test_an_event_that_the_rule_never_sees_is_an_error(event: dict[str, str], error: str) -> None:
    """A test that gives one has a mistake in it."""
    scenario = failed_five().pass_time(parse_time(at("10:09:00")))
    with pytest.raises(ValueError, match=error):
        assert scenario.give(event).steps


@pytest.mark.parametrize(
    "wire",
    [
        row(1, "10:00:00", "1.50", "9.00", "7.50", fee="0.05", expected_by=at("11:00:00")),
        txn("t1", "10:00:00", amount="100", currency="JPY", available_balance="-7"),
        login("10:00:00", "failure", lock_until=at("10:15:00"), latitude=1.5),
        balance("10:00:00", "0.01"),
    ],
)
def test_an_event_is_given_as_its_wire_record_says_it(wire: dict[str, str]) -> None:
    """All times and amounts come back."""
    event = event_of(wire)
    assert event_of(wire_of(event)) == event
    Noting.seen.clear()
    assert Scenario(Noting).give(event).steps == []
    assert Noting.seen == [event]


class Noting(Rule[Params, State, Facts]):
    """Notes every transaction and balance; raises on an unlock."""

    id = "noting"
    code = "X1"
    category = "security"
    Params = Params
    State = State
    Facts = Facts
    seen: ClassVar[list[Event]] = []

    def on_transaction(self, _s: Any, event: Transaction, _p: Profile, _fx: Effects) -> None:
        """Note the event."""
        self.seen.append(event)

    def on_balance(self, _s: Any, event: Balance, _p: Profile, _fx: Effects) -> None:
        """Note the event."""
        self.seen.append(event)

    def on_login(self, _s: Any, event: Login, _p: Profile, _fx: Effects) -> None:
        """Raise on an unlock."""
        if event.action == "unlock":
            raise KeyError(event.event_id)
        self.seen.append(event)


def test_what_a_rule_raises_is_raised() -> None:
    """Where a worker would publish it and go on."""
    with pytest.raises(KeyError, match="login-10:00:00"):
        _ = Scenario(Noting).give(login("10:00:00", action="unlock")).steps
