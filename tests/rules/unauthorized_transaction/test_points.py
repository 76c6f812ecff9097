"""A3: the points of each sign, and each threshold on both sides."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rules.builders import balance, login, txn
from rules.facts import Value, Values
from rules.testing import Scenario
from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts
from rules.unauthorized_transaction.points import points_of
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from rules.unauthorized_transaction.scenes import (
    ABROAD,
    KNOWN,
    KNOWN_PAYEE,
    LISBON,
    NEW_PAYEE,
    NOBODY,
    OWNER,
    STRANGER,
    TRANSFER,
    known_since,
    pay,
)
from tests.support.events.theft_builders import (
    AT,
    BASE,
    DAY,
    HOUR,
    MS,
    SUSPECT,
    TEN,
    TRAVEL,
    points,
    steps,
    when,
)

# -- points -----------------------------------------------------------------------------------

LOGINS_TRAVEL = {
    "logins_travel_m": 1_000_000,
    "logins_travel_ms": HOUR,
    "logins_travel_at_ms": AT,
}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {}),
        ({"disputed_at_ms": AT}, {"disputed": 100}),
        ({"authorization_result": "failed"}, {"authorization_failed": 60}),
        ({"authorization_result": "expired"}, {"authorization_failed": 60}),
        (
            {"authorization_result": "failed", "authorization_method": "none"},
            {"authorization_failed": 60},
        ),
        ({"authorization_method": "none"}, {"not_authorized": 30}),
        ({"authorization_result": "skipped"}, {"not_authorized": 30}),
        ({"authorization_method": "pin", "authorization_result": "passed"}, {}),
        ({"session_unknown_since_ms": AT - 90 * 24 * HOUR}, {"unknown_session": 40}),
        ({"session_unknown_since_ms": AT - 90 * 24 * HOUR + 1}, {}),
        ({"device_first_seen_ms": AT - 24 * HOUR}, {"new_device": 25}),
        ({"device_first_seen_ms": AT - 24 * HOUR - 1}, {}),
        ({"device_first_seen_ms": AT, "masked": True}, {"new_device": 12}),
        ({"country_first_seen_ms": AT - 24 * HOUR}, {"new_country": 25}),
        ({"country_first_seen_ms": AT - 24 * HOUR - 1}, {}),
        ({"country_first_seen_ms": AT, "masked": True}, {"new_country": 12}),
        (TRAVEL, {"travel": 40}),
        (TRAVEL | {"masked": True}, {"travel": 20}),
        (TRAVEL | {"travel_masked": True}, {"travel": 20}),
        (TRAVEL | {"travel_masked": True} | LOGINS_TRAVEL, {"travel": 40}),
        (LOGINS_TRAVEL, {"travel": 40}),
        (LOGINS_TRAVEL | {"logins_travel_masked": True}, {"travel": 20}),
        (LOGINS_TRAVEL | {"masked": True}, {"travel": 20}),
        (LOGINS_TRAVEL | {"logins_travel_at_ms": AT - 24 * HOUR}, {"travel": 40}),
        (LOGINS_TRAVEL | {"logins_travel_at_ms": AT - 24 * HOUR - 1}, {}),
        ({"travel_m": 900_000, "travel_ms": HOUR}, {}),
        ({"travel_m": 900_001, "travel_ms": HOUR}, {"travel": 40}),
        ({"travel_m": 100_000, "travel_ms": 0}, {}),
        ({"travel_m": 100_001, "travel_ms": 0}, {"travel": 40}),
        ({"guessed_at_ms": AT - 24 * HOUR, "guess_failures": 5}, {"guessed": 35}),
        ({"guessed_at_ms": AT - 24 * HOUR - 1, "guess_failures": 5}, {}),
        ({"guessed_at_ms": AT, "guess_failures": 4}, {}),
        ({"changed_at_ms": AT - 24 * HOUR, "changed_what": "mfa"}, {"changed": 30}),
        ({"changed_at_ms": AT - 24 * HOUR - 1, "changed_what": "mfa"}, {}),
        ({"counterparty_new": True}, {"new_counterparty": 15}),
        ({"largest_before_minor": 3_333}, {"large": 20}),
        ({"largest_before_minor": 3_334}, {}),
        ({"largest_before_minor": 0}, {}),
        ({"available_balance_minor": 12_500}, {"drained": 20}),
        ({"available_balance_minor": 12_501}, {}),
        ({"available_balance_minor": 1, "amount_minor": 1}, {"drained": 20}),
        ({"available_balance_minor": 0, "amount_minor": 0}, {}),
        ({"available_balance_minor": -1, "amount_minor": 1}, {}),
        ({"available_balance_minor": 0, "balance_before_minor": 10_000}, {}),
        ({"available_balance_minor": 99_999, "balance_before_minor": 10_000}, {}),
        ({"balance_before_minor": 12_625, "fee_minor": 100}, {"drained": 20}),
        ({"balance_before_minor": 12_626, "fee_minor": 100}, {}),
        ({"balance_before_minor": 10_000, "funding": "balance"}, {"drained": 20}),
        ({"balance_before_minor": 1, "funding": "card"}, {}),
        ({"balance_before_minor": 1, "funding": "mixed"}, {}),
        (
            {
                "balance_before_minor": 10_000,
                "funding": "mixed",
                "funding_from_balance_minor": 8_000,
                "fee_minor": 50,
            },
            {"drained": 20},
        ),
        (
            {
                "balance_before_minor": 10_000,
                "funding": "mixed",
                "funding_from_balance_minor": 7_999,
            },
            {},
        ),
        (
            {"known_balance_minor": 10_000, "known_balance_at_ms": AT - 300_000},
            {"drained": 20},
        ),
        ({"known_balance_minor": 10_000, "known_balance_at_ms": AT - 300_001}, {}),
        ({"known_balance_minor": 0, "known_balance_at_ms": AT}, {}),
        (
            {
                "known_balance_minor": 10_000,
                "known_balance_at_ms": AT,
                "balance_before_minor": 99_999,
            },
            {},
        ),
        ({"new_counterparties": 5}, {"burst": 30}),
        ({"new_counterparties": 4}, {}),
        ({"type": "withdrawal"}, {"sends_out": 5}),
        ({"type": "transfer_out"}, {"sends_out": 5}),
    ],
)
def test_points_of_each_sign_on_both_sides_of_its_threshold(
    facts: Values, expected: dict[str, int]
) -> None:
    """The table of the rule, sign by sign."""
    rule = UnauthorizedTransaction(UnauthorizedTransaction.Params())
    counted = points_of(UnauthorizedTransactionFacts.of({**BASE, **facts}), rule.params)
    assert counted.who | counted.money == expected


@pytest.mark.parametrize(
    ("history", "counts"),
    [
        ({"history_logins": 5}, True),
        ({"history_logins": 4}, False),
        ({"history_logins": 4, "history_debits": 10}, True),
        ({"history_logins": 4, "history_debits": 9}, False),
        ({"history_ms": 7 * 24 * HOUR - 1}, False),
    ],
)
def test_what_is_new_counts_only_in_an_account_that_is_known(history: Values, counts: bool) -> None:
    """Device, country, counterparty, amount and burst do; the rest needs no history."""
    new = {
        "device_first_seen_ms": AT,
        "country_first_seen_ms": AT,
        "counterparty_new": True,
        "largest_before_minor": 1,
        "new_counterparties": 5,
    }
    always: dict[str, Value] = {
        "type": "withdrawal",
        "session_unknown_since_ms": 0,
        "guessed_at_ms": AT,
        "guess_failures": 5,
        "changed_at_ms": AT,
        "available_balance_minor": 1,
        "authorization_method": "none",
        **TRAVEL,
    }
    rule = UnauthorizedTransaction(UnauthorizedTransaction.Params())
    found = points_of(
        UnauthorizedTransactionFacts.of({**BASE, **new, **always, **history}), rule.params
    )
    assert found.total == 40 + 35 + 30 + 20 + 30 + 40 + 5 + counts * (25 + 25 + 15 + 20 + 30)


@pytest.mark.parametrize(
    ("who", "money", "disputed", "expected"),
    [
        (49, 0, False, None),
        (50, 0, False, "info"),
        (100, 0, False, "info"),
        (0, 100, False, None),
        (48, 1, False, None),
        (49, 1, False, "warning"),
        (1, 49, False, "warning"),
        (78, 1, False, "warning"),
        (79, 1, False, "error"),
        (1, 79, False, "error"),
        (0, 0, True, "error"),
    ],
)
def test_both_sides_decide(who: int, money: int, disputed: bool, expected: str | None) -> None:
    """One side alone is nothing, or a note; a dispute needs nothing else."""
    rule = UnauthorizedTransaction(
        UnauthorizedTransaction.Params(points_changed=who, points_drained=money)
    )
    facts: dict[str, Any] = dict(BASE, changed_at_ms=AT, available_balance_minor=1)
    facts["disputed_at_ms"] = AT if disputed else None
    verdict = rule.judge(rule.Facts.of(facts))
    assert (verdict and verdict.severity) == expected


@pytest.mark.parametrize(
    ("currency", "exempt", "above"),
    [("EUR", "50.00", "50.01"), ("JPY", "50", "51"), ("BHD", "50.000", "50.001")],
)
def test_what_needs_no_approval_is_fifty_units_of_any_currency(
    currency: str, exempt: str, above: str
) -> None:
    """Unless a configuration says otherwise for one."""
    event = {**TRANSFER, **NEW_PAYEE, **NOBODY, "currency": currency}
    assert steps(*KNOWN, pay("t1", "10:00:00", exempt, **event)) == []
    assert steps(*KNOWN, pay("t1", "10:00:00", above, **event)) == ["raised warning"]
    other = {"exempt_amount_minor_by_currency": {currency: 10**6}}
    assert steps(*KNOWN, pay("t1", "10:00:00", above, **event), **other) == []


# -- thresholds through events ----------------------------------------------------------------


@pytest.mark.parametrize(("late", "counts"), [(DAY, True), (DAY + MS, False)])
@pytest.mark.parametrize(
    "sign",
    [
        (login("09:00:00", **STRANGER),),
        (login("09:00:00", **OWNER | {"country": "AT"}),),
        (login("09:00:00", action="mfa_disable"),),
        tuple(
            login(f"08:{55 + n}:00", "failure") if n < 5 else login("09:00:00") for n in range(6)
        ),
        (
            login("08:59:00", **OWNER),
            login("09:00:00", **OWNER | LISBON | {"country": "DE"}),
        ),
    ],
    ids=["device", "country", "changed", "guessed", "journey"],
)
def test_signs_of_a_login_count_for_a_day(
    sign: tuple[dict[str, Any], ...], late: timedelta, counts: bool
) -> None:
    """24 hours are within, a millisecond more is not."""
    seen = sign[-1]
    where = {name: seen[name] for name in ("device_id", "country") if name in seen}
    nowhere = {"latitude": None, "longitude": None}
    moment = when(TEN.replace(hour=9) + late)
    event = pay("t1", "10:00:00", **SUSPECT | where | nowhere | moment)
    assert bool(steps(*KNOWN, *sign, event)) == counts


@pytest.mark.parametrize(("extra", "guessed"), [(0 * MS, True), (MS, False)])
def test_failures_count_for_half_an_hour_before_the_success(
    extra: timedelta, guessed: bool
) -> None:
    """Exactly 30 minutes are within."""
    success = TEN.replace(hour=9)
    first = success - timedelta(minutes=30) - extra
    failures = (
        login("08:00:00", "failure", event_id=f"f{n}", **when(first + n * timedelta(minutes=7.5)))
        for n in range(5)
    )
    event = pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE)
    found = steps(*KNOWN, *failures, login("09:00:00", **OWNER), event)
    assert found == (["raised warning"] if guessed else [])


def test_failures_before_the_last_but_one_success_do_not_count() -> None:
    """Whoever got in has ended them."""
    failures = [login(f"09:4{n}:00", "failure") for n in range(5)]
    event = pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE)
    between = login("09:42:30", **OWNER)
    assert steps(*KNOWN, *failures, login("09:50:00", **OWNER), event) == ["raised warning"]
    assert steps(*KNOWN, *failures, between, login("09:50:00", **OWNER), event) == []


@pytest.mark.parametrize(("extra", "expected"), [(0 * MS, {"burst": 30}), (MS, {})])
def test_new_payees_count_for_half_an_hour(extra: timedelta, expected: dict[str, int]) -> None:
    """Exactly 30 minutes are within; an old payee in between is none."""
    times = [TEN - timedelta(minutes=30) - extra, *(TEN - n * MS for n in (3, 2, 1)), TEN]
    paid = [
        pay(f"t{n}", "10:00:00", "20.00", counterparty_id=f"mule-{n}", **STRANGER | when(time))
        for n, time in enumerate(times)
    ]
    old = pay("old", "10:00:00", "20.00", **KNOWN_PAYEE)
    scenario = Scenario(UnauthorizedTransaction).run((*KNOWN, *paid, old))
    found = [raised.details["points_money"] for raised in scenario.raised]
    assert found == ([{"new_counterparty": 15} | expected] if expected else [])


@pytest.mark.parametrize(("extra", "burst"), [(0 * MS, True), (MS, False)])
def test_a_payee_of_the_burst_counts_when_it_is_paid_again(extra: timedelta, burst: bool) -> None:
    """As long as it was first paid within the half hour itself."""
    times = [TEN - timedelta(minutes=30) - extra, *(TEN - n * MS for n in (5, 4, 3, 2))]
    paid = [
        pay(f"t{n}", "10:00:00", "20.00", counterparty_id=f"mule-{n}", **when(time))
        for n, time in enumerate(times)
    ]
    changed = login("10:00:00", action="mfa_disable", **when(TEN - MS))
    again = pay("again", "10:00:00", "20.00", counterparty_id="mule-0")
    scenario = Scenario(UnauthorizedTransaction).run((*KNOWN, *paid, changed, again))
    assert [raised.anchor for raised in scenario.raised] == ["again"] * burst


@pytest.mark.parametrize(("late", "kinds"), [(DAY, ["phone"]), (DAY + MS, [])])
def test_contact_data_is_told_as_changed_for_a_day(late: timedelta, kinds: list[str]) -> None:
    """24 hours are within; passwords are no contact data."""
    changed = [login("09:00:00", action=a, event_id=a) for a in ("phone_change", "password_change")]
    disputed = pay("t1", "10:00:00", status="disputed", **when(TEN.replace(hour=9) + late))
    (raised,) = Scenario(UnauthorizedTransaction).run((*changed, disputed)).raised
    assert raised.details["contact_changed"] == kinds


@pytest.mark.parametrize(
    ("first", "expected"),
    [(TEN - 90 * DAY, ["raised warning"]), (TEN - 90 * DAY + MS, [])],
)
def test_a_session_is_unknown_only_where_90_days_are_known(
    first: datetime, expected: list[str]
) -> None:
    """Before, it may have logged in before anybody looked."""
    event = pay("t1", "10:00:00", session_id="stolen", **TRANSFER | NEW_PAYEE)
    oldest = login("08:00:00", event_id="oldest", **when(first))
    assert steps(*KNOWN, oldest, event) == expected
    assert steps(*KNOWN, oldest, event | {"session_id": "session-1"}) == []
    known = login("09:59:00", session_id="stolen")
    assert steps(*KNOWN, oldest, known, event) == []


def test_an_account_is_known_after_seven_days() -> None:
    """A millisecond earlier nothing is new to it."""
    event = pay("t1", "10:00:00", **STRANGER | SUSPECT)
    for first, expected in ((7 * DAY, ["raised warning"]), (7 * DAY - MS, [])):
        oldest = login("08:00:00", event_id="oldest", **when(TEN - first))
        assert steps(oldest, *known_since(5), event) == expected


def test_the_debit_itself_is_not_part_of_the_history() -> None:
    """It would be the tenth."""
    event = pay("t1", "10:00:00", **STRANGER | SUSPECT)
    assert steps(*known_since(10, logins=4, debits=9), event) == []
    assert steps(*known_since(10, logins=4, debits=10), event) == ["raised warning"]
    assert steps(*known_since(10, logins=5, debits=0), event) == ["raised warning"]


@pytest.mark.parametrize("status", ["pending", "completed"])
def test_the_amount_is_compared_with_what_was_before_it(status: str) -> None:
    """Not with itself, and not with the other currency."""
    changed = login("09:30:00", action="phone_change")
    for amount, expected in (("240.00", []), ("240.01", ["raised warning"])):
        assert steps(*KNOWN, changed, pay("t1", "10:00:00", amount, status=status)) == expected
    other = pay("t1", "10:00:00", "900.00", status=status, currency="USD")
    assert steps(*KNOWN, changed, other) == []


def test_what_costs_nothing_is_compared_with_nothing() -> None:
    """Three times nothing is less than anything."""
    past = known_since(10, debits=0)
    free = pay("t0", "08:30:00", "0.00")
    changed = login("09:30:00", action="phone_change")
    assert steps(*past, free, changed, pay("t1", "10:00:00", "100.00")) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (balance("09:55:00", "100.00"), {"changed": 30, "drained": 20}),
        (balance("09:54:59.999", "100.00"), None),
        (balance("09:55:00", "100.00", currency="USD"), None),
    ],
)
def test_a_known_balance_counts_for_five_minutes(
    told: dict[str, Any], expected: dict[str, int] | None
) -> None:
    """Where the event tells none."""
    event = txn("t1", "10:00:00", "pending", "80.00", **OWNER | KNOWN_PAYEE)
    events = (*KNOWN, login("09:30:00", action="phone_change"), told, event)
    assert points(*events) == (expected or {"changed": 30})


def test_the_balance_an_event_leaves_is_not_the_one_before_it() -> None:
    """A row that tells only what it left does not tell what was there."""
    left = {"balance_after": "100.00", "balance_kind": "posted"}
    event = txn("t1", "10:00:00", "pending", "80.00", **OWNER | KNOWN_PAYEE | left)
    assert points(*KNOWN, login("09:30:00", action="phone_change"), event) == {"changed": 30}


@pytest.mark.parametrize("network", ["vpn", "relay"])
def test_masking_networks_halve_and_others_do_not(network: str) -> None:
    """Points are whole: 12 is half of 25."""
    there = pay("t1", "10:00:00", network=network, **ABROAD)
    assert points(*KNOWN, login("09:00:00", **OWNER), there) == {
        "new_device": 12,
        "new_country": 12,
        "travel": 20,
    }
    full = {"new_device": 25, "new_country": 25, "travel": 40}
    assert points(*KNOWN, login("09:00:00", **OWNER), there | {"network": "hosting"}) == full


@pytest.mark.parametrize("masked", [1, 3])
def test_a_journey_that_is_sure_counts_beside_one_that_is_not(masked: int) -> None:
    """Whichever came first, within the day."""
    nowhere: dict[str, Any] = {"latitude": None, "longitude": None}
    there = OWNER | LISBON | {"country": "DE"}
    events = [
        login("08:00:00", **OWNER),
        login("08:10:00", **there),
        login("09:00:00", **OWNER),
        login("09:10:00", **there),
    ]
    events[masked]["network"] = "vpn"
    assert points(*KNOWN, *events, pay("t1", "10:00:00", **nowhere)) == {"travel": 40}
    events[4 - masked]["network"] = "vpn"
    assert points(*KNOWN, *events, pay("t1", "10:00:00", **nowhere)) == {"travel": 20}
