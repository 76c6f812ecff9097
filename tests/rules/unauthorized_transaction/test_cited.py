"""A3: journeys on mobile networks, and what an alert cites for what no single event shows."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from rules.builders import clock, login
from rules.events import LOGIN, Event, Ref
from rules.testing import Scenario
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from rules.unauthorized_transaction.scenes import (
    ABROAD,
    BERLIN,
    KNOWN,
    LISBON,
    NEW_PAYEE,
    OWNER,
    STRANGER,
    TRANSFER,
    guesses,
    pay,
)
from rules.unauthorized_transaction.state import Guess, Journey, UnauthorizedTransactionState
from tests.support.events.theft_builders import HOUR, SUSPECT, points, steps

NOWHERE: dict[str, Any] = {"latitude": None, "longitude": None, **TRANSFER, **NEW_PAYEE}
AWAY = OWNER | LISBON | {"country": "DE"}
"""The owner's phone, seen in Lisbon: no country is new."""


def journey(first: str | None, second: str | None, **fields: Any) -> tuple[Any, ...]:
    """Return two logins an hour apart, at home and in Lisbon, and a payment without a place."""
    networks = [{} if each is None else {"network": each} for each in (first, second)]
    return (
        *KNOWN,
        login("08:00:00", **OWNER | networks[0]),
        login("09:00:00", **AWAY | networks[1]),
        pay("t1", "10:00:00", **NOWHERE | fields),
    )


# -- mobile networks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "worth"),
    [
        (None, None, 40),
        ("residential", "residential", 40),
        ("hosting", "unknown", 40),
        ("mobile", None, 20),
        (None, "mobile", 20),
        ("mobile", "mobile", 20),
        ("mobile", "vpn", 20),
        ("relay", "mobile", 20),
        ("residential", "mobile", 20),
        ("mobile", "residential", 20),
    ],
)
def test_a_journey_with_an_end_on_a_mobile_network_counts_half(
    first: str | None, second: str | None, worth: int
) -> None:
    """Once, however many of its ends are; either of them."""
    assert points(*journey(first, second))["travel"] == worth


@pytest.mark.parametrize(
    ("start", "end", "worth"),
    [(None, None, 40), ("mobile", None, 20), (None, "mobile", 20), ("mobile", "mobile", 20)],
)
def test_so_does_the_journey_from_the_last_login_to_the_payment(
    start: str | None, end: str | None, worth: int
) -> None:
    """Whichever of them the gateway served."""
    at_home = OWNER | ({} if start is None else {"network": start})
    there = AWAY | ({} if end is None else {"network": end})
    paid = pay("t1", "10:00:00", **there | TRANSFER | NEW_PAYEE)
    assert points(*KNOWN, login("09:00:00", **at_home), paid)["travel"] == worth


def test_of_two_journeys_the_one_without_a_gateway_counts_in_full() -> None:
    """As with networks that hide where somebody is."""
    events = (
        *KNOWN,
        login("07:00:00", **OWNER),
        login("08:00:00", **AWAY),
        login("09:00:00", **OWNER | {"network": "mobile"}),
    )
    assert points(*events, pay("t1", "10:00:00", **NOWHERE))["travel"] == 40


def test_a_mobile_network_hides_neither_device_nor_country() -> None:
    """Their points are whole."""
    found = points(
        *KNOWN,
        login("09:00:00", **STRANGER | {"country": "AT", "network": "mobile"}),
        pay("t1", "10:00:00", **STRANGER | SUSPECT | {"country": "AT", "network": "mobile"}),
    )
    assert (found["new_device"], found["new_country"]) == (25, 25)


def test_a_mobile_payment_leaves_the_journey_of_two_logins_whole() -> None:
    """Its own network says nothing of them; one that hides the payer does."""
    assert points(*journey(None, None, network="mobile"))["travel"] == 40
    assert points(*journey(None, None, network="vpn"))["travel"] == 20


def test_the_same_cell_is_no_journey_on_any_network() -> None:
    """Nor is a slow one."""
    for network in ("mobile", "residential"):
        same = (login("08:00:00", **OWNER), login("08:00:01", **OWNER | {"network": network}))
        assert steps(*KNOWN, *same, pay("t1", "10:00:00", **NOWHERE)) == []


# -- what is cited --------------------------------------------------------------------------


def roles_of(scenario: Scenario) -> list[tuple[str, str]]:
    """Return what the one alert cites: roles and event_ids."""
    (raised,) = scenario.raised
    return [(role, ref.event_id) for ref, role in raised.evidence]


def run(*events: Any, **params: Any) -> Scenario:
    """Give events in order of time."""
    return Scenario(UnauthorizedTransaction, **params).run(events)


def test_a_journey_between_logins_cites_both() -> None:
    """The earlier one first, then the payment."""
    assert roles_of(run(*journey(None, None))) == [
        ("login_before", "login-08:00:00"),
        ("login", "login-09:00:00"),
        ("transaction", "t1-completed"),
    ]


def test_a_journey_to_the_payment_cites_the_login_it_began_at() -> None:
    """That is the last login with a place, not the last one."""
    scenario = run(
        *KNOWN,
        login("08:30:00", **OWNER),
        login("09:00:00", device_id="phone-1"),
        pay("t1", "10:00:00", **AWAY | TRANSFER | NEW_PAYEE),
    )
    assert roles_of(scenario) == [
        ("login_before", "login-08:30:00"),
        ("transaction", "t1-completed"),
    ]


def test_both_journeys_cite_three_logins_at_most() -> None:
    """One event is cited once, though it ends one journey and begins the other."""
    scenario = run(
        *KNOWN,
        login("08:00:00", **OWNER),
        login("09:00:00", **AWAY),
        pay("t1", "10:00:00", **OWNER | TRANSFER | NEW_PAYEE),
    )
    assert roles_of(scenario) == [
        ("login_before", "login-08:00:00"),
        ("login", "login-09:00:00"),
        ("transaction", "t1-completed"),
    ]


def test_events_between_the_logins_do_not_hide_the_first() -> None:
    """Payments, failures, logins without a place."""
    scenario = run(
        *KNOWN,
        login("08:00:00", **OWNER),
        pay("t0", "08:10:00"),
        login("08:20:00", "failure"),
        login("08:30:00", device_id="phone-1"),
        login("08:40:00", action="logout"),
        login("09:00:00", **AWAY),
        pay("t1", "10:00:00", **NOWHERE),
    )
    assert roles_of(scenario)[0] == ("login_before", "login-08:00:00")


@pytest.mark.parametrize(("times", "cited"), [(5, 5), (7, 7), (9, 9)])
def test_a_guessed_login_cites_its_failures(times: int, cited: int) -> None:
    """All of them, before it."""
    events = (*KNOWN, *guesses(times), pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE))
    roles = [role for role, _ in roles_of(run(*events))]
    assert roles == ["failed_login"] * cited + ["guessed_login", "transaction"]


@pytest.mark.parametrize(("first", "cited"), [("09:20:00", 6), ("09:19:59.999", 5)])
def test_only_failures_within_the_window_are_cited(first: str, cited: int) -> None:
    """Half an hour before the success, both ends included."""
    events = (*KNOWN, login(first, "failure"), *guesses(5))
    scenario = run(*events, pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE))
    assert [role for role, _ in roles_of(scenario)].count("failed_login") == cited
    assert scenario.judged[0]["guess_failures"] == cited


def test_failures_of_a_login_that_was_no_guess_are_not_cited() -> None:
    """Nor those of a guess of the day before."""
    changed = login("09:55:00", action="phone_change")
    scenario = run(*KNOWN, *guesses(4), changed, pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE))
    assert [role for role, _ in roles_of(scenario)] == ["credential_change", "transaction"]


def test_of_more_failures_than_are_remembered_the_newest_are_cited() -> None:
    """As many as are counted."""
    failed = [login(f"09:{30 + n // 2}:{n % 2 * 30:02}", "failure") for n in range(30)]
    events = (*KNOWN, *failed, login("09:50:00"), pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE))
    scenario = run(*events)
    assert [role for role, _ in roles_of(scenario)].count("failed_login") == 20
    assert scenario.judged[0]["guess_failures"] == 20


def test_a_late_success_cites_the_failures_before_it_too() -> None:
    """And a late failure is none of them."""
    scenario = run(*KNOWN, *guesses(5)[:-1], clock("09:52:00"))
    scenario.give(login("09:44:30", "failure"), late=True)
    scenario.give(login("09:50:00", **OWNER), late=True)
    scenario.give(pay("t1", "11:00:00", **TRANSFER | NEW_PAYEE))
    assert [role for role, _ in roles_of(scenario)].count("failed_login") == 5


# -- what the cited events prove ------------------------------------------------------------


def checked(scenario: Scenario, **changes: Any) -> list[str]:
    """Return what the cited events contradict when facts are changed."""
    (raised,) = scenario.raised
    facts = structs.replace(scenario.rule.Facts.of_quotes(raised.facts), **changes)
    sources = {name: scenario.event_at(ref) for name, _, ref in raised.facts if ref is not None}
    cited: list[tuple[str, Event]] = [
        (role, scenario.event_at(ref)) for ref, role in raised.evidence
    ]
    return list(scenario.rule.disproved(facts, sources, cited))


@pytest.mark.parametrize(
    "change",
    [
        {"logins_travel_m": 1},
        {"logins_travel_ms": 1},
        {"logins_travel_masked": True},
        {"travel_m": 2_000_000},
        {"travel_ms": 1},
        {"travel_masked": True},
        {"guess_failures": 6},
        {"guess_failures": 4},
        {"guessed_at_ms": 0},
    ],
)
def test_a_quoted_distance_span_or_count_proves_nothing_by_itself(change: dict[str, Any]) -> None:
    """The cited events do: what they do not give is named."""
    scenario = run(
        *KNOWN,
        login("08:00:00", **OWNER),
        *guesses(5),
        login("09:55:00", **AWAY),
        pay("t1", "10:00:00", **OWNER | TRANSFER | NEW_PAYEE),
    )
    assert checked(scenario) == []
    name = next(iter(change))
    whole = name.replace("_ms", "_m").replace("_masked", "_m")
    assert checked(scenario, **change) == ["guess_failures" if "guess" in name else whole]


@pytest.mark.parametrize("example", UnauthorizedTransaction.EXAMPLES, ids=lambda each: each.name)
def test_nothing_of_an_example_is_contradicted(example: Any) -> None:
    """In any order of its parts; `rules test` derives them too."""
    scenario = Scenario(UnauthorizedTransaction, **example.params).run(example.events)
    if len(scenario.raised) == 1:
        assert checked(scenario) == []


def test_what_was_saved_without_addresses_still_counts_and_cites_less() -> None:
    """Version 1 kept the end of a journey and the guessed login only."""
    ref = Ref(LOGIN, 1, "e1", 1_000)
    saved = msgspec.to_builtins([[7], [ref, 5], [[ref, 1_000_000, HOUR, False]]])
    assert UnauthorizedTransaction.upgrade(1, saved) == UnauthorizedTransactionState(
        [7], Guess(ref, 5), [Journey(ref, 1_000_000, HOUR, False)]
    )
    rule = UnauthorizedTransaction(UnauthorizedTransaction.Params())
    facts = rule.Facts.of(
        {
            "transaction_id": "t1",
            "type": "payment",
            "status": "completed",
            "amount_minor": 1,
            "currency": "EUR",
            "exponent": 2,
            "occurred_at_ms": HOUR,
            "authorization_method": None,
            "authorization_result": None,
            "travel_m": 1_000_000,
            "travel_ms": 1,
            "guess_failures": 5,
        }
    )
    assert list(rule.disproved(facts, {}, [])) == []


def test_texts_say_one_thing_as_one() -> None:
    """One point, one failure, no failure."""
    lenient = {"guess_failures": 1, "points_guessed": 1, "warning_points": 1, "error_points": 1}
    scenario = run(
        *KNOWN,
        login("09:40:00", "failure"),
        login("09:50:00"),
        pay("t1", "10:00:00", **TRANSFER),
        points_sends_out=1,
        **lenient,
    )
    facts = scenario.rule.Facts.of(scenario.judged[0])
    assert scenario.rule.because(facts)[:2] == [
        "A login succeeded 10 min before, after 1 failure: 1 point.",
        "It is a transfer out, not a payment: 1 point.",
    ]
    said = " ".join(each.sentence for each in scenario.rule.otherwise(facts))
    assert "no failure had gone before the login" in said


def test_a_journey_by_a_gateway_says_why_it_counts_half() -> None:
    """Where all of it does."""
    half = "through a network whose place is not that of its user: half"
    for network, says in (("mobile", True), ("residential", False)):
        scenario = run(*journey(None, network), warning_points=25)
        said = scenario.rule.because(scenario.rule.Facts.of(scenario.judged[0]))
        assert any(half in each for each in said) == says


def test_no_place_is_told() -> None:
    """The logins are cited, their places are not quoted."""
    scenario = run(*journey(None, None))
    told = repr(scenario.judged) + repr(scenario.alerts)
    for place in (*BERLIN.values(), *ABROAD.values()):
        if isinstance(place, float):
            assert str(place) not in told
