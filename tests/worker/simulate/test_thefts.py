"""Stolen accounts in the simulator: each plant is as its name says, to the unit.

Everything is worked out again from the events alone; see theft_oracle.py.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from schemas.money import ISO_4217
from tests.support.events import lockout_oracle as lockings
from tests.support.events import theft_oracle as suspicion
from tests.support.events.simulated_accounts import THEFT, PlantedCase, SimulatedAccounts
from tests.support.events.theft_oracle import DAY, MINUTE, Event, at, is_debit, kilometres, minor
from worker.simulate import SimulateConfig
from worker.simulate.stories.assignment import STORIES


def test_a_second_opinion_suspects_the_planted_payments_and_no_others(
    security: SimulatedAccounts,
) -> None:
    found = {}
    for events in security.accounts.values():
        for event, who, money in suspicion.judged_payments(events):
            if suspicion.severity(who, money):
                found[event["event_id"]] = suspicion.severity(who, money)
    plants = security.plants(THEFT).values()
    assert found == {p.event_ids[-1]: p.severity for p in plants if p.expect == "alert"}


def test_no_payment_shares_its_millisecond_with_a_login_event_but_those_that_should(
    security: SimulatedAccounts,
) -> None:
    shared = set()
    for name, events in security.accounts.items():
        logins = {at(event) for event in events if event["kind"] == "login"}
        if any(is_debit(event) and at(event) in logins for event in events):
            shared.add(name)
    planted = ("payment_with_the_lock", "capture_with_the_lock", "paid_with_the_login")
    assert shared == {security.case(variant).plant.account_id for variant in planted}


@pytest.mark.parametrize(
    ("variant", "before_ms"), [("paid_with_the_login", 0), ("paid_1_ms_before_the_login", 1)]
)
def test_a_payment_is_sent_before_the_login_of_its_moment(
    security: SimulatedAccounts, variant: str, before_ms: int
) -> None:
    case = security.case(variant)
    login = next(
        e
        for e in case.events
        if e["kind"] == "login" and e["outcome"] == "success" and at(e) >= at(case.anchor)
    )
    assert at(login) - at(case.anchor) == before_ms
    assert str(case.anchor["event_id"]) < str(login["event_id"])


def test_nobody_is_suspected_in_a_week_without_stories() -> None:
    quiet = SimulatedAccounts(SimulateConfig(accounts=150, days=10, stories_per_variant=0), 1)
    for events in quiet.accounts.values():
        for _, who, money in suspicion.judged_payments(events):
            assert suspicion.severity(who, money) is None
        assert not list(lockings.findings(events))


POINTS = {
    "new_device_drained": (25, 40),
    "new_country_drained": (50, 40),
    "guessed_password": (60, 20),
    "credentials_changed": (55, 20),
    "impossible_travel": (90, 5),
    "stolen_session": (40, 20),
    "authorization_failed": (60, 5),
    "authorization_expired": (60, 20),
    "not_authorized": (55, 20),
    "held_then_captured": (50, 20),
    "disputed": (100, 0),
    "disputed_later": (100, 0),
    "who_alone": (50, 0),
    "who_alone_below_50": (47, 0),
    "total_50": (25, 25),
    "total_49": (24, 25),
    "total_80": (60, 20),
    "total_79": (59, 20),
    "drained_80_percent": (30, 20),
    "drained_less_1_unit": (30, 0),
    "drained_with_fee": (30, 25),
    "drained_with_fee_less_1_unit": (30, 5),
    "above_3_times_the_largest": (30, 20),
    "exactly_3_times_the_largest": (30, 0),
    "above_exempt": (30, 20),
    "exempt": (0, 20),
    "five_new_payees": (25, 50),
    "four_new_payees": (25, 20),
    "five_payees_in_30_minutes": (25, 50),
    "five_payees_in_30_minutes_and_1_ms": (25, 20),
    "five_logins": (25, 25),
    "four_logins": (0, 25),
    "ten_debits": (25, 25),
    "nine_debits": (0, 25),
    "travel_behind_a_vpn": (20, 20),
    "travel_behind_a_gateway": (20, 20),
    "device_24_hours": (25, 25),
    "device_24_hours_and_1_ms": (0, 25),
    "country_24_hours": (25, 25),
    "country_24_hours_and_1_ms": (0, 25),
    "guessed_24_hours": (35, 15),
    "guessed_24_hours_and_1_ms": (0, 15),
    "changed_24_hours": (30, 20),
    "changed_24_hours_and_1_ms": (0, 20),
    "travel_24_hours": (40, 15),
    "travel_24_hours_and_1_ms": (0, 15),
    "guesses_within_30_minutes": (35, 15),
    "guesses_within_30_minutes_and_1_ms": (0, 15),
    "five_guesses": (35, 15),
    "four_guesses": (0, 15),
    "paid_with_the_login": (35, 15),
    "paid_1_ms_before_the_login": (0, 15),
    "at_901_km_per_hour": (40, 15),
    "at_899_km_per_hour": (0, 15),
    "beyond_100_km": (40, 15),
    "within_100_km": (0, 15),
    "seven_days_known": (25, 25),
    "seven_days_less_1_ms": (0, 25),
    "ninety_days_of_sessions": (40, 20),
    "ninety_days_less_1_ms": (0, 20),
    "traveller": (25, 5),
    "new_phone": (25, 5),
    "relay_network": (32, 15),
    "new_payee_drained": (0, 40),
    "big_purchase": (0, 40),
    "typing_errors_then_drained": (0, 20),
    "typing_errors_then_usual": (35, 5),
    "own_change_then_usual": (30, 5),
    "salary_moved_on": (0, 25),
    "too_young": (0, 25),
}


PERHAPS = {"changed_24_hours": 20, "changed_24_hours_and_1_ms": 20, "salary_moved_on": 20}
"""Money that has come in, such as a salary, may make the payment large as well."""


def test_the_points_of_every_story_are_listed_here() -> None:
    listed = {*POINTS, "recurring_debit"}  # its debit is a merchant's, and is not judged
    assert {variant.name for variant in STORIES if variant.rule == THEFT} == listed


@pytest.mark.parametrize("variant", POINTS)
def test_a_payment_has_the_points_of_its_story(security: SimulatedAccounts, variant: str) -> None:
    case = security.case(variant)
    judged = suspicion.judged_payments(case.events)
    points = [(who, money) for event, who, money in judged if event == case.anchor]
    who, money = POINTS[variant]
    assert points in ([(who, money)], [(who, money + PERHAPS.get(variant, 0))])
    expected = suspicion.severity(who, money)
    assert case.plant.severity == expected
    assert case.plant.expect == ("silent" if expected is None else "alert")


def test_a_merchants_debit_is_not_the_owners(security: SimulatedAccounts) -> None:
    case = security.case("recurring_debit")
    assert case.anchor["initiator"] == "merchant"
    assert minor(case.anchor, "amount") * 100 >= 80 * minor(case.anchor, "available_balance")


def _home_and_there(case: PlantedCase) -> tuple[Event, Event]:
    return case.last("login"), case.anchor


def _km(case: PlantedCase) -> float:
    return kilometres(*_home_and_there(case))


def _km_per_hour(case: PlantedCase) -> float:
    return _km(case) * 3_600_000 / case.since(case.last("login"))


def _streak(case: PlantedCase) -> list[Event]:
    success = case.last("login")
    earlier = case.logins("login")[-2]
    failures = case.logins("login", outcome="failure")
    return [event for event in failures if at(earlier) < at(event) < at(success)]


def _guessing(case: PlantedCase) -> int:
    return at(case.last("login")) - at(_streak(case)[0])


def _spare(case: PlantedCase) -> int:
    """By how many minor units more than just drained the payment is."""
    cost = minor(case.anchor, "amount") + minor(case.anchor, "fee")
    available = minor(case.anchor, "available_balance")
    return cost - -(-80 * available // 100)


def _above_largest(case: PlantedCase) -> int:
    same = [e for e in case.debits() if e["currency"] == case.anchor["currency"]]
    return minor(case.anchor, "amount") - 3 * max(minor(e, "amount") for e in same[-50:])


def _above_exempt(case: PlantedCase) -> int:
    exempt: int = 50 * 10 ** ISO_4217[str(case.anchor["currency"])]
    return minor(case.anchor, "amount") - exempt


def _new_payees(case: PlantedCase) -> list[Event]:
    mine = [e for e in case.debits() if e.get("device_id") == case.anchor["device_id"]]
    return [*mine, case.anchor]


def _change(case: PlantedCase) -> Event:
    return case.last(*suspicion.CHANGES)


MEASURES: dict[str, tuple[Callable[[PlantedCase], object], object]] = {
    "device_24_hours": (lambda c: c.since(c.first_with("device_id")), DAY),
    "device_24_hours_and_1_ms": (lambda c: c.since(c.first_with("device_id")), DAY + 1),
    "country_24_hours": (lambda c: c.since(c.first_with("country")), DAY),
    "country_24_hours_and_1_ms": (lambda c: c.since(c.first_with("country")), DAY + 1),
    "guessed_24_hours": (lambda c: (c.since(c.last("login")), len(_streak(c))), (DAY, 5)),
    "guessed_24_hours_and_1_ms": (
        lambda c: (c.since(c.last("login")), len(_streak(c))),
        (DAY + 1, 5),
    ),
    "changed_24_hours": (lambda c: c.since(_change(c)), DAY),
    "changed_24_hours_and_1_ms": (lambda c: c.since(_change(c)), DAY + 1),
    "travel_24_hours": (lambda c: c.since(c.last("login")), DAY),
    "travel_24_hours_and_1_ms": (lambda c: c.since(c.last("login")), DAY + 1),
    "guesses_within_30_minutes": (_guessing, 30 * MINUTE),
    "guesses_within_30_minutes_and_1_ms": (_guessing, 30 * MINUTE + 1),
    "five_guesses": (lambda c: len(_streak(c)), 5),
    "four_guesses": (lambda c: len(_streak(c)), 4),
    "at_901_km_per_hour": (lambda c: round(_km_per_hour(c), 2), 901),
    "at_899_km_per_hour": (lambda c: round(_km_per_hour(c), 2), 899),
    "beyond_100_km": (lambda c: 100 < _km(c) < 100.5 and _km_per_hour(c) > 900, True),
    "within_100_km": (lambda c: 98.5 < _km(c) <= 100 and _km_per_hour(c) > 900, True),
    "drained_80_percent": (_spare, 0),
    "drained_less_1_unit": (_spare, -1),
    "drained_with_fee": (_spare, 0),
    "drained_with_fee_less_1_unit": (_spare, -1),
    "above_3_times_the_largest": (_above_largest, 1),
    "exactly_3_times_the_largest": (_above_largest, 0),
    "above_exempt": (_above_exempt, 1),
    "exempt": (_above_exempt, 0),
    "five_new_payees": (lambda c: len(_new_payees(c)), 5),
    "four_new_payees": (lambda c: len(_new_payees(c)), 4),
    "five_payees_in_30_minutes": (lambda c: c.since(_new_payees(c)[0]), 30 * MINUTE),
    "five_payees_in_30_minutes_and_1_ms": (
        lambda c: c.since(_new_payees(c)[0]),
        30 * MINUTE + 1,
    ),
    "five_logins": (lambda c: (len(c.logins("login")), len(c.debits()) < 10), (5, True)),
    "four_logins": (lambda c: (len(c.logins("login")), len(c.debits()) < 10), (4, True)),
    "ten_debits": (lambda c: (len(c.logins("login")), len(c.debits())), (4, 10)),
    "nine_debits": (lambda c: (len(c.logins("login")), len(c.debits())), (4, 9)),
    "seven_days_known": (lambda c: c.since(c.events[0]), 7 * DAY),
    "seven_days_less_1_ms": (lambda c: c.since(c.events[0]), 7 * DAY - 1),
    "ninety_days_of_sessions": (lambda c: c.since(c.logins("login")[0]), 90 * DAY),
    "ninety_days_less_1_ms": (lambda c: c.since(c.logins("login")[0]), 90 * DAY - 1),
}


@pytest.mark.parametrize("variant", MEASURES)
def test_a_threshold_is_met_or_missed_by_one_unit(
    security: SimulatedAccounts, variant: str
) -> None:
    measure, expected = MEASURES[variant]
    assert measure(security.case(variant)) == expected


def test_a_stolen_session_never_signed_in_and_others_did(security: SimulatedAccounts) -> None:
    case = security.case("stolen_session")
    sessions = {event.get("session_id") for event in case.events if event["kind"] == "login"}
    assert case.anchor["session_id"] not in sessions
    assert case.since(case.logins("login")[0]) > 90 * DAY


def test_the_traveller_is_no_faster_than_his_flight(security: SimulatedAccounts) -> None:
    case = security.case("traveller")
    home, away = case.logins("login")[-2:]
    assert not suspicion.too_fast(home, away)
    assert kilometres(home, away) > 100
    assert home["device_id"] == away["device_id"]
    assert home["country"] != away["country"] == case.anchor["country"]


def test_what_is_held_is_judged_once(security: SimulatedAccounts) -> None:
    case = security.case("held_then_captured")
    assert case.anchor["status"] == "pending"
    ids = [e["transaction_id"] for e, _, _ in suspicion.judged_payments(case.events)]
    assert max(Counter(ids).values()) == 1
