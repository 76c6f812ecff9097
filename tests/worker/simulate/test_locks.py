"""Locked and shut out accounts in the simulator: each plant is as its name says, to the unit.

Everything is worked out again from the events alone; see lockout_oracle.py.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from schemas.time import parse_time
from tests.support.events import lockout_oracle as lockings
from tests.support.events.simulated_accounts import LOCK, SHUT_OUT, PlantedCase, SimulatedAccounts
from tests.support.events.theft_oracle import DAY, MINUTE, Event, at, is_debit
from worker.simulate.stories.assignment import STORIES


def test_a_second_opinion_on_locks_is_the_truth(security: SimulatedAccounts) -> None:
    found = {
        f.event_id: f for events in security.accounts.values() for f in lockings.findings(events)
    }
    plants = security.plants(LOCK)
    assert found.keys() == plants.keys()
    for event_id, plant in plants.items():
        planted = plant.severity, plant.severity_at, plant.cured_at
        assert planted == found[event_id][1:], plant.variant


def _until(case: PlantedCase) -> int:
    return parse_time(str(case.anchor["lock_until"]))


def _debit_after(case: PlantedCase) -> Event:
    return next(e for e in case.events if is_debit(e) and at(e) >= at(case.anchor))


def _locks(case: PlantedCase) -> list[Event]:
    return [*case.logins("lock"), case.anchor]


def _failed(case: PlantedCase) -> list[Event]:
    return case.logins("login", outcome="failure")


def _refused(case: PlantedCase) -> list[Event]:
    return [e for e in case.after() if e.get("reason") == "account_locked"]


LOCKS: dict[str, tuple[Callable[[PlantedCase], object], object, str]] = {
    "locked_after_five": (lambda c: len(_failed(c)), 5, "info"),
    "locked_after_four": (lambda c: len(_failed(c)), 4, "error"),
    "locked_after_none": (lambda c: len(_failed(c)), 0, "error"),
    "failed_15_minutes_before": (lambda c: c.since(_failed(c)[-5]), 15 * MINUTE, "info"),
    "failed_15_minutes_and_1_ms_before": (
        lambda c: c.since(_failed(c)[-5]),
        15 * MINUTE + 1,
        "info",
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
def test_a_lock_is_at_its_threshold_by_one_unit(security: SimulatedAccounts, variant: str) -> None:
    measure, expected, severity = LOCKS[variant]
    case = security.case(variant)
    if variant.startswith("locked_after"):
        recent = [e for e in _failed(case) if case.since(e) <= 15 * MINUTE]
        case = case._replace(before=recent)
    assert measure(case) == expected
    assert case.plant.severity == severity


UNDER_WAY = {
    "second_capture_while_locked": (["pending", "completed"], ["completed"], "warning"),
    "second_capture_of_ended": (["pending", "completed"], ["completed"], "warning"),
    "capture_with_the_lock": (["pending", "completed"], ["completed"], "warning"),
    "completion_told_again": (["completed"], ["completed"], "warning"),
    "pending_told_late": (["completed"], ["pending"], "warning"),
    "paid_again_while_locked": ([], ["completed"], "error"),
    "reserved_while_locked": ([], ["pending", "completed"], "error"),
}


@pytest.mark.parametrize("variant", UNDER_WAY)
def test_a_debit_in_the_lock_was_told_before_it_or_was_not(
    security: SimulatedAccounts, variant: str
) -> None:
    before, after, severity = UNDER_WAY[variant]
    case = security.case(variant)
    debit = next(e for e in case.after() if is_debit(e) and at(e) > at(case.anchor))
    assert at(debit) <= _until(case)
    told = [e for e in case.events if e.get("transaction_id") == debit["transaction_id"]]
    assert [e["status"] for e in told if at(e) <= at(case.anchor)] == before
    assert [e["status"] for e in told if at(e) > at(case.anchor)] == after
    assert case.plant.severity == severity
    if variant == "capture_with_the_lock":
        assert at(case.anchor) in {at(e) for e in told}


COUNTED = {
    "counter_not_reset": (1, 5, "app", "error"),
    "counted_one_too_many": (5, 6, "app", "error"),
    "counted_as_many": (5, 5, "app", "info"),
    "counted_four": (4, 4, "app", "warning"),
    "counted_by_telephone": (1, 5, "phone", "info"),
}


@pytest.mark.parametrize("variant", COUNTED)
def test_a_lock_says_how_many_failures_were_counted(
    security: SimulatedAccounts, variant: str
) -> None:
    failures, counted, channel, severity = COUNTED[variant]
    case = security.case(variant)
    since = at(case.last("login"))
    failed = [at(event) for event in _failed(case) if at(event) > since]
    assert len(failed) == failures
    assert all(later - sooner == 12 * MINUTE for sooner, later in pairwise(failed))
    assert (case.anchor["failures_counted"], case.anchor["channel"]) == (counted, channel)
    assert case.plant.severity == severity


OPENINGS = {
    "refused_after_an_opening": (True, 2 * MINUTE, "warning"),
    "refused_at_the_end_after_an_opening": (True, 5 * MINUTE, "warning"),
    "refused_1_ms_after_the_end_after_an_opening": (False, 5 * MINUTE + 1, "warning"),
    "paid_after_a_refusal": (True, 2 * MINUTE, "error"),
}


@pytest.mark.parametrize("variant", OPENINGS)
def test_a_refusal_after_an_opening_restores_a_lock_that_lasts(
    security: SimulatedAccounts, variant: str
) -> None:
    restores, refused_ms, severity = OPENINGS[variant]
    case = security.case(variant)
    lock = case.last("lock") if restores else case.anchor
    (refused,) = (e for e in case.events if e.get("reason") == "account_locked")
    assert at(refused) - at(lock) == refused_ms
    assert (refused == case.anchor) == restores
    plants = [p for p in security.truth if p.account_id == case.plant.account_id]
    assert plants[0].event_ids == (lock["event_id"],)
    assert plants[0].cured_at == at(lock) + MINUTE
    assert len(plants) == (2 if restores else 1)
    assert case.plant.severity == severity


def test_a_refresh_is_of_a_session_of_before(security: SimulatedAccounts) -> None:
    for variant, is_refresh in (("paid_after_a_refresh", True), ("paid_after_a_sign_in", False)):
        case = security.case(variant)
        success = next(e for e in case.after() if e["kind"] == "login")
        assert (success["action"], success["outcome"]) == ("login", "success")
        known = {e.get("session_id") for e in case.logins("login")}
        assert (success["session_id"] in known) == is_refresh
        paid = _debit_after(case)
        assert at(success) < at(paid) <= _until(case)
        assert case.plant.severity == ("error" if is_refresh else "warning")


def test_a_second_capture_is_announced_or_not(security: SimulatedAccounts) -> None:
    for variant in ("second_capture_while_locked", "second_capture_of_ended"):
        case = security.case(variant)
        captured = [e for e in case.before if e.get("status") == "completed"][-1]
        assert ("hold_remaining" in captured) == (variant == "second_capture_while_locked")


def test_a_refusal_after_the_grace_is_an_alert_of_its_own(security: SimulatedAccounts) -> None:
    case = security.case("refused_after_the_end")
    lock = case.last("lock")
    overdue = at(case.anchor) - parse_time(str(lock["lock_until"]))
    assert (case.anchor["reason"], overdue) == ("account_locked", MINUTE + 1)
    assert security.plants(LOCK)[str(lock["event_id"])].cured_at == at(case.anchor) - 1


def _anchors(events: list[Event]) -> Iterator[tuple[str, int]]:
    """Yield the failures that complete five within ten minutes without a success, and when."""
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
    logged = set()
    for event in logins:
        if event["action"] == "login" and event["outcome"] == "failure":
            second = (event.get("session_id"), at(event) // 1_000)
            if second[0] is None or second not in logged:
                yield event
            logged.add(second)


def test_those_who_cannot_log_in_are_the_planted_ones(security: SimulatedAccounts) -> None:
    found = {
        event_id: when + 10 * MINUTE
        for events in security.accounts.values()
        for event_id, when in _anchors(events)
    }
    plants = security.plants(SHUT_OUT)
    alerts = {name: plant for name, plant in plants.items() if plant.expect == "alert"}
    assert found == {name: plant.earliest_at for name, plant in alerts.items()}
    cured = {plant.variant for plant in alerts.values() if plant.cured_at is not None}
    assert cured == {"max_retries_lock", "success_at_10_minutes_and_1_ms"}


def _next_success(case: PlantedCase) -> int:
    logins = [e for e in case.after() if e["kind"] == "login" and e["outcome"] == "success"]
    return at(logins[0]) - at(case.anchor)


def test_failures_and_successes_are_at_their_thresholds(security: SimulatedAccounts) -> None:
    for variant, span in (("five_in_10_minutes", 0), ("five_in_10_minutes_and_1_ms", 1)):
        moments = [plant.at for plant in security.truth if plant.variant == variant]
        events = security.case(variant).events
        first = next(
            e for e in events if e["event_id"] == security.case(variant).plant.event_ids[0]
        )
        assert moments == [at(first) + 10 * MINUTE + span]
    assert _next_success(security.case("success_at_10_minutes")) == 10 * MINUTE
    late = security.case("success_at_10_minutes_and_1_ms")
    assert _next_success(late) == 10 * MINUTE + 1
    assert late.plant.cured_at == at(late.anchor) + 10 * MINUTE + 1


def test_the_share_of_the_service_is_just_half_or_just_less(security: SimulatedAccounts) -> None:
    for variant, total in (("half_by_service", 6), ("less_than_half_by_service", 7)):
        case = security.case(variant)
        first = case.plant.event_ids[0]
        tries = [e for e in _failures_from(case.events, first) if at(e) < case.plant.at + DAY // 9]
        service = sum(event["reason"] != "bad_credentials" for event in tries)
        assert (service, len(tries)) == (3, total)
        assert case.plant.severity == ("warning" if total == 6 else "info")


def _failures_from(events: list[Event], first: str) -> list[Event]:
    number = [event["event_id"] for event in events].index(first)
    return [e for e in events[number:] if e.get("outcome") == "failure"]


def test_what_two_layers_tell_is_one_attempt_only_within_a_second(
    security: SimulatedAccounts,
) -> None:
    for variant, seconds in (("logged_twice", 4), ("logged_twice_across_seconds", 6)):
        case = security.case(variant)
        tries = _failures_from(case.events, case.plant.event_ids[0])
        in_session = [event for event in tries if "session_id" in event]
        assert len({event["session_id"] for event in in_session}) == 1
        assert len({at(event) // 1_000 for event in in_session}) == seconds
        assert all(at(b) - at(a) == 1 for a, b in list(pairwise(in_session))[::2])


def test_every_alert_of_the_truth_tells_all_about_itself(security: SimulatedAccounts) -> None:
    for plant in security.truth:
        if plant.expect == "silent":
            assert (plant.severity, plant.earliest_at, plant.severity_at) == (None, None, None)
            continue
        assert plant.severity is not None
        assert plant.earliest_at is not None
        assert plant.severity_at is not None
        assert plant.at <= plant.earliest_at <= plant.severity_at
        assert plant.rule in {variant.rule for variant in STORIES}
        known = {event["event_id"] for event in security.accounts[plant.account_id]}
        assert known >= set(plant.event_ids)
