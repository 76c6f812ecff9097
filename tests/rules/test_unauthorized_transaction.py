"""A3 beyond its examples: every threshold from both sides, late events, what it remembers."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from rules import unauthorized_transaction_facts as noticed
from rules.contract import Effects, Otherwise, Rule, Values, Verdict
from rules.events import LOGIN, TRANSACTION, Authorization, Login, Ref, Transaction
from rules.examples import balance, clock, login, txn
from rules.profile import Facts, see
from rules.travel import is_impossible, metres_between, slowest_ms
from rules.unauthorized_transaction import MAX_PENDING, UnauthorizedTransaction
from rules.unauthorized_transaction_facts import UnauthorizedTransactionState
from rules.unauthorized_transaction_points import Case, score
from rules.unauthorized_transaction_scenes import (
    ABROAD,
    BERLIN,
    KNOWN,
    KNOWN_PAYEE,
    LISBON,
    NEW_PAYEE,
    NOBODY,
    OWNER,
    POOR,
    STRANGER,
    TRANSFER,
    guesses,
    known_since,
    pay,
)
from tests.rules.driver import Driver

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
_RANK = {None: 0, "info": 1, "warning": 2, "error": 3}
REFUSED = {"authorization": {"method": "otp", "result": "failed"}}
SUSPECT = {"type": "transfer_out", **NEW_PAYEE, **POOR}
"""40 points of the money."""


def when(time: datetime) -> dict[str, str]:
    """Return the field that moves an event to any moment."""
    return {"occurred_at": time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def steps(*events: dict[str, Any], **params: Any) -> list[str]:
    """Return what is published about these events."""
    return Driver(UnauthorizedTransaction, **params).run(events).steps


def points(*events: dict[str, Any]) -> dict[str, int]:
    """Return the points of the one alert that these events give."""
    (draft,) = Driver(UnauthorizedTransaction, warning_points=1).run(events).drafts
    return {**draft.details["points_who"], **draft.details["points_money"]}


# -- points -----------------------------------------------------------------------------------

AT = 10**12
HOUR = 3_600_000
BASE: dict[str, Any] = {
    "transaction_id": "t1",
    "type": "payment",
    "status": "completed",
    "amount_minor": 10_000,
    "currency": "EUR",
    "exponent": 2,
    "occurred_at_ms": AT,
    "authorization_method": None,
    "authorization_result": None,
    "history_ms": 7 * 24 * HOUR,
    "history_logins": 5,
    "history_debits": 0,
}
TRAVEL = {"travel_m": 1_000_000, "travel_ms": HOUR}
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
    counted = score(msgspec.convert({**BASE, **facts}, Case), rule.params)
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
    always = {
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
    found = score(msgspec.convert({**BASE, **new, **always, **history}, Case), rule.params)
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
    verdict = rule.judge(facts)
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
    driver = Driver(UnauthorizedTransaction).run((*KNOWN, *paid, old))
    found = [draft.details["points_money"] for draft in driver.drafts]
    assert found == ([{"new_counterparty": 15} | expected] if expected else [])


@pytest.mark.parametrize(("extra", "burst"), [(0 * MS, True), (MS, False)])
def test_a_payee_of_the_burst_counts_when_it_is_paid_again(extra: timedelta, burst: bool) -> None:
    """As long as it was first paid within the half hour itself."""
    times = [TEN - timedelta(minutes=30) - extra, *(TEN - n * MS for n in (4, 3, 2, 1))]
    paid = [
        pay(f"t{n}", "10:00:00", "20.00", counterparty_id=f"mule-{n}", **when(time))
        for n, time in enumerate(times)
    ]
    changed = login("10:00:00", action="mfa_disable", **when(TEN - MS))
    again = pay("again", "10:00:00", "20.00", counterparty_id="mule-0")
    driver = Driver(UnauthorizedTransaction).run((*KNOWN, *paid, changed, again))
    assert [draft.anchor for draft in driver.drafts] == ["again"] * burst


@pytest.mark.parametrize(("late", "kinds"), [(DAY, ["phone"]), (DAY + MS, [])])
def test_contact_data_is_told_as_changed_for_a_day(late: timedelta, kinds: list[str]) -> None:
    """24 hours are within; passwords are no contact data."""
    changed = [login("09:00:00", action=a, event_id=a) for a in ("phone_change", "password_change")]
    disputed = pay("t1", "10:00:00", status="disputed", **when(TEN.replace(hour=9) + late))
    (draft,) = Driver(UnauthorizedTransaction).run((*changed, disputed)).drafts
    assert draft.details["contact_changed"] == kinds


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


# -- once per transaction ---------------------------------------------------------------------


def test_a_transaction_is_judged_at_its_first_event_only() -> None:
    """What happens between reservation and capture changes nothing."""
    held = pay("t1", "09:00:00", status="pending", **SUSPECT)
    changed = login("09:30:00", action="password_change")
    captured = pay("t1", "10:00:00", **SUSPECT)
    assert steps(*KNOWN, held, changed, captured) == []
    assert steps(*KNOWN, changed, captured) == ["raised warning"]


def test_reservations_of_merchants_leave_no_mark() -> None:
    """They are not judged at all."""
    event = pay("t1", "09:00:00", status="pending", initiator="merchant")
    driver = Driver(UnauthorizedTransaction).give(event)
    assert driver.state() == UnauthorizedTransactionState()


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "reversed"])
def test_the_end_of_a_transaction_frees_its_mark(end: str) -> None:
    """Nothing is left of it, whoever ends it."""
    driver = Driver(UnauthorizedTransaction).give(pay("t1", "09:00:00", status="pending"))
    assert len(driver.state().pending) == 1
    driver.give(pay("t1", "09:00:00", status="pending", event_id="again"))
    assert len(driver.state().pending) == 1
    driver.give(pay("t1", "10:00:00", status=end, initiator="platform"))
    assert driver.state() == UnauthorizedTransactionState()


def test_reservations_that_never_end_are_bounded() -> None:
    """The oldest mark is forgotten."""
    driver = Driver(UnauthorizedTransaction)
    for number in range(MAX_PENDING + 10):
        driver.give(pay(f"t{number}", "09:00:00", status="pending"))
    assert len(driver.state().pending) == MAX_PENDING
    driver.give(pay(f"t{MAX_PENDING + 9}", "09:30:00"))
    assert len(driver.state().pending) == MAX_PENDING - 1


def test_signs_of_logins_are_forgotten_after_a_day() -> None:
    """An account without them keeps nothing."""
    driver = Driver(UnauthorizedTransaction).run((*KNOWN, *guesses(5, **STRANGER)))
    driver.give(login("09:55:00", **ABROAD))
    state = driver.state()
    assert state.guessed.failures == 5
    assert [journey.masked for journey in state.journeys] == [False]
    driver.pass_time(driver.now + 24 * HOUR + 1)
    assert driver.state() == UnauthorizedTransactionState()
    assert driver.accounts["acc-1"].timers == {}


# -- disputes and late events -----------------------------------------------------------------


def test_a_dispute_alone_is_an_error_whatever_the_parameters_of_the_money() -> None:
    """It has its own anchor; a second one of the same transaction is none."""
    driver = Driver(UnauthorizedTransaction)
    driver.give(pay("t1", "10:00:00", status="disputed"))
    driver.give(pay("t1", "10:30:00", status="disputed", event_id="again"))
    (draft,) = driver.drafts
    assert (draft.anchor, draft.severity) == ("t1-disputed", "error")
    assert driver.counts["already_open"] == 1
    assert draft.title == "Payment of 80.00 EUR disputed by the owner"


@pytest.mark.parametrize("late", [False, True])
def test_a_dispute_raises_the_alert_of_its_transaction(late: bool) -> None:
    """The facts of then stay, the dispute is added with its address."""
    driver = Driver(UnauthorizedTransaction)
    changed = login("09:30:00", action="email_change")
    driver.run((*KNOWN, changed, pay("t1", "10:00:00", **SUSPECT)))
    driver.give(pay("t1", "10:30:00", status="disputed"), late=late)
    assert driver.steps == ["raised warning", "updated error"]
    (alert,) = driver.accounts["acc-1"].alerts
    assert alert.anchor == "t1"
    assert alert.fact("changed_what") == "email"
    (dispute,) = (ref for name, _, ref in alert.facts if name == "disputed_at_ms")
    assert dispute is not None
    assert dispute.event_id == "t1-disputed"


@pytest.mark.parametrize(
    "fields", [{"initiator": "merchant"}, {"initiator": "support"}, {"type": "fee"}]
)
def test_only_the_customers_own_debits_are_judged(fields: dict[str, str]) -> None:
    """Disputed, unapproved, late or on time."""
    for status in ("pending", "completed", "disputed"):
        event = pay("t1", "10:00:00", status=status, **SUSPECT | REFUSED | fields)
        driver = Driver(UnauthorizedTransaction).give(event, late=True)
        assert driver.give(event | {"event_id": "again"}).log == []


def test_a_late_transaction_is_judged_by_its_approval_and_type_alone() -> None:
    """What is known of the account may be newer than it."""
    driver = Driver(UnauthorizedTransaction).run(
        (*KNOWN, login("09:00:00", **STRANGER), login("09:30:00", action="phone_change"))
    )
    driver.give(pay("t1", "09:45:00", **STRANGER | SUSPECT), late=True)
    assert driver.steps == []
    driver.give(pay("t2", "09:45:00", **STRANGER | SUSPECT | REFUSED), late=True)
    (draft,) = driver.drafts
    assert draft.severity == "warning"
    assert draft.details == {
        "points_who": {"authorization_failed": 60},
        "points_money": {"sends_out": 5},
        "total": 65,
        "contact_changed": ["phone"],
    }


def test_a_late_reservation_of_a_judged_transaction_is_no_second_alert() -> None:
    """It is open under the same anchor."""
    driver = Driver(UnauthorizedTransaction).give(pay("t1", "10:00:00", **TRANSFER | REFUSED))
    held = pay("t1", "09:59:00", status="pending", **TRANSFER | REFUSED)
    driver.give(held, late=True)
    assert driver.steps == ["raised warning"]
    assert driver.counts["already_open"] == 1
    assert driver.state() == UnauthorizedTransactionState()


@pytest.mark.parametrize(("newer", "expected"), [(False, ["raised warning"]), (True, [])])
def test_a_late_success_after_failures_counts_if_it_is_the_newest(
    newer: bool, expected: list[str]
) -> None:
    """Otherwise it is of the past."""
    driver = Driver(UnauthorizedTransaction).run((*KNOWN, *guesses(5)[:-1], clock("09:52:00")))
    if newer:
        driver.give(login("09:53:00", **OWNER))
        driver = _without_guess(driver)
    driver.give(login("09:50:00", **OWNER), late=True)
    driver.give(pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE))
    assert driver.steps == expected


def _without_guess(driver: Driver) -> Driver:
    driver.accounts["acc-1"].state = msgspec.msgpack.encode(UnauthorizedTransactionState())
    return driver


# -- what an alert says -----------------------------------------------------------------------


def test_an_alert_cites_every_event_its_facts_come_from() -> None:
    """Oldest first, the transaction last; each fact can be read again there."""
    events = (
        *KNOWN,
        *guesses(5, **STRANGER),
        login("09:52:00", action="password_change"),
        login("09:53:00", **ABROAD),
        balance("09:58:00", "100.00"),
        txn("t1", "10:00:00", "pending", "80.00", provider="acme", **ABROAD | NEW_PAYEE | TRANSFER),
    )
    (draft,) = Driver(UnauthorizedTransaction).run(events).drafts
    assert [(role, ref.event_id) for ref, role in draft.evidence] == [
        ("guessed_login", "login-09:50:00"),
        ("credential_change", "login-09:52:00"),
        ("login", "login-09:53:00"),
        ("balance", "balance-09:58:00"),
        ("transaction", "t1-pending"),
    ]
    assert (draft.cause, draft.subject, draft.anchor) == ("account:", None, "t1")
    assert (draft.transaction_ids, draft.provider) == (("t1",), "acme")
    assert draft.suspected_root_cause == "security"
    addressed = {name for name, _, ref in draft.facts if ref is not None}
    assert addressed <= set(UnauthorizedTransaction.QUOTED)


@pytest.mark.parametrize(
    ("events", "advice"),
    [
        ((pay("t1", "10:00:00", **TRANSFER | REFUSED),), ["contact_support"]),
        (
            (login("09:30:00", action="mfa_disable"), pay("t1", "10:00:00", **SUSPECT)),
            ["change_password", "contact_support"],
        ),
        (
            (pay("t1", "10:00:00", "60.00", **SUSPECT | NOBODY),),
            ["enable_mfa", "contact_support"],
        ),
        (
            (pay("t1", "10:00:00", **STRANGER | SUSPECT),),
            ["change_password", "review_devices", "enable_mfa", "contact_support"],
        ),
    ],
)
def test_advice_fits_the_signs(events: tuple[dict[str, Any], ...], advice: list[str]) -> None:
    """Support can always help."""
    (draft,) = Driver(UnauthorizedTransaction).run((*KNOWN, *events)).drafts
    assert draft.owner_advice == advice


@pytest.mark.parametrize(
    "example",
    [example for example in UnauthorizedTransaction.EXAMPLES if example.expect],
    ids=lambda example: example.name,
)
def test_what_would_have_been_milder_is_judged_so(example: Any) -> None:
    """And the reasons are sentences."""
    driver = Driver(UnauthorizedTransaction, **example.params).run(example.events)
    for facts in driver.judged:
        verdict = driver.rule.judge(facts)
        claims = driver.rule.otherwise(facts)
        assert claims
        for claim in claims:
            assert _rank(_judged(driver.rule, facts, claim)) < _rank(verdict), claim
        for reason in driver.rule.because(facts):
            assert reason[0].isupper()
            assert reason.endswith(".")


def _judged(rule: Rule[Any, Any], facts: Values, claim: Otherwise) -> Verdict | None:
    other = type(rule)(rule.params.model_copy(update=dict(claim.params)))
    return other.judge({**facts, **claim.facts})


def _rank(verdict: Verdict | None) -> int:
    return _RANK[verdict.severity if verdict else None]


def test_a_story_names_signs_and_thresholds() -> None:
    """As a support agent reads it."""
    driver = Driver(UnauthorizedTransaction)
    events = (*KNOWN, *guesses(5, **STRANGER), pay("t1", "10:00:00", **STRANGER | SUSPECT))
    (facts,) = driver.run(events).judged
    assert driver.rule.because(facts) == [
        "Its device was first seen 10 minutes before: 25 points.",
        "A login succeeded 10 minutes before, after 5 failures: 35 points.",
        "Its counterparty was never paid before: 15 points.",
        "It takes 80.00 EUR of the 100.00 EUR that were there: 20 points.",
        "It is a transfer out, not a payment: 5 points.",
        "Together 100 points, of who pays and of the money; 80 are enough (error_points).",
    ]
    assert [claim.sentence for claim in driver.rule.otherwise(facts)] == [
        "only warning if its device had been known more than 24 hours before (new_for_ms)",
        "only warning if 4 or fewer failures had gone before the login (guess_failures)",
        "no alert if login, device and approval had been as usual",
        "only info if the money had moved as usual",
        "only warning if 101 points had been needed (error_points)",
    ]


def test_titles_fit_and_name_the_strongest_signs_first() -> None:
    """Even of the largest amount in the longest words."""
    signs: dict[str, Any] = {
        "authorization_result": "failed",
        "session_unknown_since_ms": 0,
        "device_first_seen_ms": AT,
        "country_first_seen_ms": AT,
        "guessed_at_ms": AT,
        "guess_failures": 5,
        "changed_at_ms": AT,
        "type": "transfer_out",
        "amount_minor": 10**18 - 1,
        **TRAVEL,
    }
    rule = UnauthorizedTransaction(UnauthorizedTransaction.Params())
    verdict = rule.judge({**BASE, **signs})
    assert verdict is not None
    assert len(verdict.title) <= 130
    assert "may not be the owner's: its approval failed, unknown session" in verdict.title


def test_no_name_of_device_session_payee_or_place_leaves_the_events() -> None:
    """Not in facts, titles, details, reasons or saved state."""
    secret: dict[str, Any] = {
        "device_id": "device-secret",
        "session_id": "session-secret",
        "ip": "203.0.113.77",
        "latitude": 38.7223,
        "longitude": -9.1393,
        "country": "PT",
    }
    changed = login("09:30:00", action="phone_change", user_agent="agent-secret", **secret)
    event = pay("t1", "10:00:00", **SUSPECT | secret | {"counterparty_id": "payee-secret"})
    driver = Driver(UnauthorizedTransaction)
    driver.run((*KNOWN, *guesses(5, **secret), changed, event))
    driver.give(pay("t2", "10:01:00", status="disputed", **secret))
    said = repr(driver.log) + repr(driver.judged)
    for facts in driver.judged:
        said += repr((driver.rule.because(facts), driver.rule.otherwise(facts)))
    account = driver.accounts["acc-1"]
    saved = repr((account.state, msgspec.msgpack.encode((account.facts, account.alerts))))
    assert len(driver.drafts) == 2
    for text in (said, saved):
        for name in ("secret", "203.0.113", "38.7", "9.13"):
            assert name not in text


# -- against what is known without bounds -----------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_short_way_out_misses_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is_suspect lets go would not have been an alert either."""
    events = list(_random_life(random.Random(seed)))
    short = _run(events)
    monkeypatch.setattr(noticed, "is_suspect", lambda *_: True)
    assert _run(events) == short
    assert short


def _run(events: list[Transaction | Login]) -> list[tuple[str, str]]:
    driver = Driver(UnauthorizedTransaction)
    for event in events:
        driver.handle(LOGIN if isinstance(event, Login) else TRANSACTION, event)
        driver.accounts["acc-1"].alerts.clear()
    return [(draft.anchor, draft.severity) for draft in driver.drafts]


def _random_life(rng: random.Random) -> Any:
    now = AT
    for number in range(400):
        now += rng.choice((0, 1_000, 60_000, HOUR, 12 * HOUR))
        where: dict[str, Any] = {
            "device_id": rng.choice(("d", "d", "d", f"d{number}", None)),
            "session_id": rng.choice(("s", "s", f"s{number}", None)),
            "country": rng.choice(("DE", "DE", "DE", "AT", "PT", None)),
            "network": rng.choice((None, None, None, "vpn")),
        }
        if rng.random() < 0.8:
            where |= {"latitude": rng.choice((52.5, 52.5, 38.7)), "longitude": 13.4}
        if rng.random() < 0.4:
            outcome = rng.choice(("success", "failure"))
            action = rng.choice(("login",) * 9 + ("phone_change",))
            yield Login(f"l{number}", "acc-1", action, outcome, now, **where)
            continue
        approval = Authorization("otp", rng.choice(("passed",) * 9 + ("failed",)))
        yield Transaction(
            f"e{number}",
            f"t{number}",
            "acc-1",
            rng.choice(("payment", "transfer_out")),
            rng.choice(("pending", "completed")),
            rng.choice((100, 1_000, 10_000)),
            "EUR",
            now,
            balance_before=11_000,
            balance_kind="posted",
            counterparty_id=rng.choice(("p", "p", f"p{number}")),
            authorization=approval if rng.random() < 0.5 else None,
            **where,
        )


def test_an_account_with_very_many_devices_and_payees_stays_small_and_right() -> None:
    """10,000 of each: no more than 4 KB, and what was seen before is never called new."""
    rng, rule = random.Random(1), UnauthorizedTransaction(UnauthorizedTransaction.Params())
    facts, state, now = Facts(), UnauthorizedTransactionState(), AT
    devices, payees = dict[str, int](), set[str]()
    for number in range(10_000):
        now += rng.randrange(HOUR)
        event = Transaction(
            f"e{number}",
            f"t{number}",
            "acc-1",
            "transfer_out",
            rng.choice(("pending", "completed")),
            rng.randrange(10**6),
            "EUR",
            now,
            device_id=f"d{rng.randrange(number + 1)}",
            counterparty_id=f"p{rng.randrange(number + 1)}",
            session_id=f"s{number}",
            authorization=Authorization("otp", "failed"),
        )
        assert event.device_id is not None
        assert event.counterparty_id is not None
        fx = Effects(now, Ref(TRANSACTION, number, event.event_id, now), ())
        see(facts, event, fx, late=False)
        rule.on_transaction(state, event, facts, fx)
        devices.setdefault(event.device_id, now)
        told = {name: value for name, value, _ in fx.actions[0][1].facts}
        assert told.get("device_first_seen_ms") in (None, devices[event.device_id])
        assert not (told["counterparty_new"] and event.counterparty_id in payees)
        payees.add(event.counterparty_id)
    assert len(msgspec.msgpack.encode((facts, state))) <= 4_096


def test_parameters_refuse_what_makes_no_sense() -> None:
    """More failures than are remembered could never be counted."""
    with pytest.raises(ValueError, match="less than or equal to 20"):
        UnauthorizedTransaction.Params(guess_failures=21)
    with pytest.raises(ValueError, match="less than or equal to 100"):
        UnauthorizedTransaction.Params(points_travel=101)


def test_berlin_and_lisbon_are_as_far_apart_as_the_map_says() -> None:
    """2,314 km, within the cells' width."""
    berlin = round(BERLIN["latitude"] * 10), round(BERLIN["longitude"] * 10)
    lisbon = round(LISBON["latitude"] * 10), round(LISBON["longitude"] * 10)
    metres = metres_between(berlin, lisbon)
    assert abs(metres - 2_314_000) < 10_000
    assert metres_between(lisbon, berlin) == metres
    assert metres_between(berlin, berlin) == 0
    assert abs(metres_between((0, 0), (0, 1_800)) - 20_015_087) <= 1
    assert metres_between((0, 1_799), (0, -1_800)) < 12_000
    least = slowest_ms(metres, 900)
    assert not is_impossible(metres, least, 100, 900)
    assert is_impossible(metres, least - 1, 100, 900)
    assert is_impossible(metres, 0, 100, 900)
