"""Stolen and locked accounts in the simulator: each plant is where its name says, to the unit.

Everything is worked out again from the events alone; see suspicion.py and lockings.py.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest

from schemas.money import ISO_4217
from schemas.time import parse_time
from tests.worker import lockings, suspicion
from tests.worker.suspicion import DAY, MINUTE, Event, at, is_debit, kilometres, minor
from worker.simulate import Planted, SimulateConfig, Truth, simulate
from worker.simulate.stories import STORIES

THEFT, LOCK, SHUT_OUT = "unauthorized_transaction", "account_lockout", "cannot_log_in"
CONFIG = SimulateConfig(accounts=400, days=2, stories_per_variant=1)


class Run:
    """One simulation: its truth, and the events of each account once each in order."""

    def __init__(self, config: SimulateConfig, seed: int) -> None:
        self.truth: Truth = []
        accounts: dict[str, list[Event]] = defaultdict(list)
        for event in simulate(config, seed, self.truth):
            if "account_id" in event:
                accounts[str(event["account_id"])].append(event)
        self.accounts = {name: suspicion.in_order(events) for name, events in accounts.items()}

    def plants(self, rule: str) -> dict[str, Planted]:
        return {plant.event_ids[-1]: plant for plant in self.truth if plant.rule == rule}

    def case(self, variant: str) -> "Case":
        """The last plant of a variant, by its story's own rule."""
        plant = [plant for plant in self.truth if plant.variant == variant][-1]
        events = self.accounts[plant.account_id]
        number = [event["event_id"] for event in events].index(plant.event_ids[-1])
        return Case(plant, events, events[number], events[:number])


class Case(NamedTuple):
    """A plant among the events of its account."""

    plant: Planted
    events: list[Event]
    anchor: Event
    before: list[Event]

    def last(self, *actions: str, outcome: str = "success") -> Event:
        return self.logins(*actions, outcome=outcome)[-1]

    def logins(self, *actions: str, outcome: str = "success") -> list[Event]:
        return [
            event
            for event in self.before
            if event["kind"] == "login"
            and event["action"] in actions
            and event["outcome"] == outcome
        ]

    def debits(self) -> list[Event]:
        return [e for e in self.before if is_debit(e) and e["status"] == "completed"]

    def since(self, event: Event) -> int:
        return at(self.anchor) - at(event)

    def first_with(self, name: str) -> Event:
        return next(e for e in self.events if e.get(name) == self.anchor[name])

    def after(self) -> list[Event]:
        return self.events[len(self.before) + 1 :]


@pytest.fixture(scope="module", params=(1, 2, 3))
def run(request: pytest.FixtureRequest) -> Run:
    return Run(CONFIG, request.param)


def test_a_second_opinion_suspects_the_planted_payments_and_no_others(run: Run) -> None:
    found = {}
    for events in run.accounts.values():
        for event, who, money in suspicion.judged_payments(events):
            if suspicion.severity(who, money):
                found[event["event_id"]] = suspicion.severity(who, money)
    plants = run.plants(THEFT).values()
    assert found == {p.event_ids[-1]: p.severity for p in plants if p.expect == "alert"}


def test_no_payment_shares_its_millisecond_with_a_login_event_but_the_one_that_should(
    run: Run,
) -> None:
    """They are of two topics, whose order within a millisecond nobody has promised."""
    shared = set()
    for name, events in run.accounts.items():
        logins = {at(event) for event in events if event["kind"] == "login"}
        if any(is_debit(event) and at(event) in logins for event in events):
            shared.add(name)
    assert shared == {run.case("payment_with_the_lock").plant.account_id}


def test_nobody_is_suspected_in_a_week_without_stories() -> None:
    run = Run(SimulateConfig(accounts=150, days=10, stories_per_variant=0), 1)
    for events in run.accounts.values():
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
def test_a_payment_has_the_points_of_its_story(run: Run, variant: str) -> None:
    case = run.case(variant)
    judged = suspicion.judged_payments(case.events)
    points = [(who, money) for event, who, money in judged if event == case.anchor]
    who, money = POINTS[variant]
    assert points in ([(who, money)], [(who, money + PERHAPS.get(variant, 0))])
    expected = suspicion.severity(who, money)
    assert case.plant.severity == expected
    assert case.plant.expect == ("silent" if expected is None else "alert")


def test_a_merchants_debit_is_not_the_owners(run: Run) -> None:
    case = run.case("recurring_debit")
    assert case.anchor["initiator"] == "merchant"
    assert minor(case.anchor, "amount") * 100 >= 80 * minor(case.anchor, "available_balance")


def _home_and_there(case: Case) -> tuple[Event, Event]:
    return case.last("login"), case.anchor


def _km(case: Case) -> float:
    return kilometres(*_home_and_there(case))


def _km_per_hour(case: Case) -> float:
    return _km(case) * 3_600_000 / case.since(case.last("login"))


def _streak(case: Case) -> list[Event]:
    success = case.last("login")
    earlier = case.logins("login")[-2]
    failures = case.logins("login", outcome="failure")
    return [event for event in failures if at(earlier) < at(event) < at(success)]


def _guessing(case: Case) -> int:
    return at(case.last("login")) - at(_streak(case)[0])


def _spare(case: Case) -> int:
    """By how many minor units more than just drained the payment is."""
    cost = minor(case.anchor, "amount") + minor(case.anchor, "fee")
    available = minor(case.anchor, "available_balance")
    return cost - -(-80 * available // 100)


def _above_largest(case: Case) -> int:
    same = [e for e in case.debits() if e["currency"] == case.anchor["currency"]]
    return minor(case.anchor, "amount") - 3 * max(minor(e, "amount") for e in same[-50:])


def _above_exempt(case: Case) -> int:
    exempt: int = 50 * 10 ** ISO_4217[str(case.anchor["currency"])]
    return minor(case.anchor, "amount") - exempt


def _new_payees(case: Case) -> list[Event]:
    mine = [e for e in case.debits() if e.get("device_id") == case.anchor["device_id"]]
    return [*mine, case.anchor]


def _change(case: Case) -> Event:
    return case.last(*suspicion.CHANGES)


MEASURES: dict[str, tuple[Callable[[Case], object], object]] = {
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
def test_a_threshold_is_met_or_missed_by_one_unit(run: Run, variant: str) -> None:
    measure, expected = MEASURES[variant]
    assert measure(run.case(variant)) == expected


def test_a_stolen_session_never_signed_in_and_others_did(run: Run) -> None:
    case = run.case("stolen_session")
    sessions = {event.get("session_id") for event in case.events if event["kind"] == "login"}
    assert case.anchor["session_id"] not in sessions
    assert case.since(case.logins("login")[0]) > 90 * DAY


def test_the_traveller_is_no_faster_than_his_flight(run: Run) -> None:
    case = run.case("traveller")
    home, away = case.logins("login")[-2:]
    assert not suspicion.too_fast(home, away)
    assert kilometres(home, away) > 100
    assert home["device_id"] == away["device_id"]
    assert home["country"] != away["country"] == case.anchor["country"]


def test_what_is_held_is_judged_once(run: Run) -> None:
    case = run.case("held_then_captured")
    assert case.anchor["status"] == "pending"
    ids = [e["transaction_id"] for e, _, _ in suspicion.judged_payments(case.events)]
    assert max(Counter(ids).values()) == 1


def test_a_second_opinion_on_locks_is_the_truth(run: Run) -> None:
    found = {f.event_id: f for events in run.accounts.values() for f in lockings.findings(events)}
    plants = run.plants(LOCK)
    assert found.keys() == plants.keys()
    for event_id, plant in plants.items():
        told = plant.severity, plant.severity_at, plant.cured_at
        assert told == found[event_id][1:], plant.variant


def _until(case: Case) -> int:
    return parse_time(str(case.anchor["lock_until"]))


def _debit_after(case: Case) -> Event:
    return next(e for e in case.events if is_debit(e) and at(e) >= at(case.anchor))


def _locks(case: Case) -> list[Event]:
    return [*case.logins("lock"), case.anchor]


def _failed(case: Case) -> list[Event]:
    return case.logins("login", outcome="failure")


def _refused(case: Case) -> list[Event]:
    return [e for e in case.after() if e.get("reason") == "account_locked"]


LOCKS: dict[str, tuple[Callable[[Case], object], object, str]] = {
    "locked_after_five": (lambda c: len(_failed(c)), 5, "info"),
    "locked_after_four": (lambda c: len(_failed(c)), 4, "error"),
    "locked_after_none": (lambda c: len(_failed(c)), 0, "error"),
    "failed_15_minutes_before": (lambda c: c.since(_failed(c)[-5]), 15 * MINUTE, "info"),
    "failed_15_minutes_and_1_ms_before": (
        lambda c: c.since(_failed(c)[-5]),
        15 * MINUTE + 1,
        "error",
    ),
    "observed_for_15_minutes": (lambda c: c.since(c.events[0]), 15 * MINUTE, "info"),
    "observed_for_15_minutes_and_1_ms": (
        lambda c: c.since(c.events[0]),
        15 * MINUTE + 1,
        "error",
    ),
    "third_lock_in_24_hours": (
        lambda c: (len(_locks(c)), c.since(_locks(c)[0])),
        (3, DAY),
        "warning",
    ),
    "third_lock_in_24_hours_and_1_ms": (
        lambda c: (len(_locks(c)), c.since(_locks(c)[0])),
        (3, DAY + 1),
        "info",
    ),
    "refused_again_and_again": (
        lambda c: at(_refused(c)[-1]) - _until(c),
        MINUTE + 1,
        "error",
    ),
    "refused_within_the_grace": (lambda c: at(_refused(c)[-1]) - _until(c), MINUTE, "warning"),
    "refused_while_locked": (lambda c: at(_refused(c)[-1]) - _until(c), 0, "warning"),
    "payment_with_the_lock": (lambda c: at(_debit_after(c)) - at(c.anchor), 0, "warning"),
    "payment_1_ms_after_the_lock": (lambda c: at(_debit_after(c)) - at(c.anchor), 1, "error"),
    "payment_at_the_end": (lambda c: at(_debit_after(c)) - _until(c), 0, "error"),
    "payment_1_ms_after_the_end": (lambda c: at(_debit_after(c)) - _until(c), 1, "warning"),
}


@pytest.mark.parametrize("variant", LOCKS)
def test_a_lock_is_at_its_threshold_by_one_unit(run: Run, variant: str) -> None:
    measure, expected, severity = LOCKS[variant]
    case = run.case(variant)
    if variant.startswith("locked_after"):
        recent = [e for e in _failed(case) if case.since(e) <= 15 * MINUTE]
        case = case._replace(before=recent)
    assert measure(case) == expected
    assert case.plant.severity == severity


def test_a_refusal_after_the_grace_is_an_alert_of_its_own(run: Run) -> None:
    case = run.case("refused_after_the_end")
    lock = case.last("lock")
    overdue = at(case.anchor) - parse_time(str(lock["lock_until"]))
    assert (case.anchor["reason"], overdue) == ("account_locked", MINUTE + 1)
    assert run.plants(LOCK)[str(lock["event_id"])].cured_at == at(case.anchor) - 1


def _anchors(events: list[Event]) -> Iterator[tuple[str, int]]:
    """Yield the failures that complete five within ten minutes, if nobody gets in: with when."""
    logins = [event for event in events if event["kind"] == "login"]
    opened = [
        at(event)
        for event in logins
        if event["action"] in ("login", "unlock") and event["outcome"] == "success"
    ]
    failures = list(_once_a_second(logins))
    blocked_until = 0
    for first, fifth in zip(failures, failures[4:], strict=False):
        since, anchor = at(first), at(fifth)
        if anchor - since > 10 * MINUTE or anchor < blocked_until:
            continue
        if not any(since <= moment <= anchor + 10 * MINUTE for moment in opened):
            yield str(fifth["event_id"]), anchor
            blocked_until = anchor + 60 * MINUTE


def _once_a_second(logins: list[Event]) -> Iterator[Event]:
    told = set()
    for event in logins:
        if event["action"] == "login" and event["outcome"] == "failure":
            second = (event.get("session_id"), at(event) // 1_000)
            if second[0] is None or second not in told:
                yield event
            told.add(second)


def test_those_who_cannot_log_in_are_the_planted_ones(run: Run) -> None:
    found = {
        event_id: when + 10 * MINUTE
        for events in run.accounts.values()
        for event_id, when in _anchors(events)
    }
    plants = run.plants(SHUT_OUT)
    alerts = {name: plant for name, plant in plants.items() if plant.expect == "alert"}
    assert found == {name: plant.earliest_at for name, plant in alerts.items()}
    cured = {plant.variant for plant in alerts.values() if plant.cured_at is not None}
    assert cured == {"max_retries_lock", "success_at_10_minutes_and_1_ms"}


def _next_success(case: Case) -> int:
    logins = [e for e in case.after() if e["kind"] == "login" and e["outcome"] == "success"]
    return at(logins[0]) - at(case.anchor)


def test_failures_and_successes_are_at_their_thresholds(run: Run) -> None:
    for variant, span in (("five_in_10_minutes", 0), ("five_in_10_minutes_and_1_ms", 1)):
        moments = [plant.at for plant in run.truth if plant.variant == variant]
        events = run.case(variant).events
        first = next(e for e in events if e["event_id"] == run.case(variant).plant.event_ids[0])
        assert moments == [at(first) + 10 * MINUTE + span]
    assert _next_success(run.case("success_at_10_minutes")) == 10 * MINUTE
    late = run.case("success_at_10_minutes_and_1_ms")
    assert _next_success(late) == 10 * MINUTE + 1
    assert late.plant.cured_at == at(late.anchor) + 10 * MINUTE + 1


def test_the_share_of_the_service_is_just_half_or_just_less(run: Run) -> None:
    for variant, total in (("half_by_service", 6), ("less_than_half_by_service", 7)):
        case = run.case(variant)
        first = case.plant.event_ids[0]
        tries = [e for e in _failures_from(case.events, first) if at(e) < case.plant.at + DAY // 9]
        service = sum(event["reason"] != "bad_credentials" for event in tries)
        assert (service, len(tries)) == (3, total)
        assert case.plant.severity == ("warning" if total == 6 else "info")


def _failures_from(events: list[Event], first: str) -> list[Event]:
    number = [event["event_id"] for event in events].index(first)
    return [e for e in events[number:] if e.get("outcome") == "failure"]


def test_what_two_layers_tell_is_one_attempt_only_within_a_second(run: Run) -> None:
    for variant, seconds in (("logged_twice", 4), ("logged_twice_across_seconds", 6)):
        case = run.case(variant)
        tries = _failures_from(case.events, case.plant.event_ids[0])
        told = [event for event in tries if "session_id" in event]
        assert len({event["session_id"] for event in told}) == 1
        assert len({at(event) // 1_000 for event in told}) == seconds
        assert all(at(b) - at(a) == 1 for a, b in list(pairwise(told))[::2])


def test_every_alert_of_the_truth_tells_all_about_itself(run: Run) -> None:
    for plant in run.truth:
        if plant.expect == "silent":
            assert (plant.severity, plant.earliest_at, plant.severity_at) == (None, None, None)
            continue
        assert plant.severity is not None
        assert plant.earliest_at is not None
        assert plant.severity_at is not None
        assert plant.at <= plant.earliest_at <= plant.severity_at
        assert plant.rule in {variant.rule for variant in STORIES}
        known = {event["event_id"] for event in run.accounts[plant.account_id]}
        assert known >= set(plant.event_ids)
