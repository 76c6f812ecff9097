"""Planted stories of money: the truth is what the events show, to the unit. Failed payments.

Every plant is checked from the events; what it may be mistaken for, at the unit of the threshold.
"""

import pytest

from schemas.truth import Plant
from tests.support.events.simulated_books import MINUTE, MONEY, SimulatedBooks, at, cost, minor
from tests.support.events.theft_oracle import judged_payments
from worker.simulate.stories.assignment import STORIES

CODES = {
    "insufficient_funds": {"51", "insufficient_funds", "AM04"},
    "technical": {"91", "processing_error", "AB05"},
}
SEVEN_DAYS = 7 * 24 * 60 * MINUTE
OWNERS = {"payment", "transfer_out", "withdrawal"}


def test_every_variant_is_told_as_often_as_asked(money: SimulatedBooks) -> None:
    names = {variant.name for variant in STORIES if variant.rule in MONEY}
    for name in names:
        assert len(money.planted(name)) == 5 * PLANTS.get(name, 1)
    assert {plant.rule for plant in money.truth} == set(MONEY)
    assert len(money.accounts_with_stories) == 5 * len(names)


PLANTS = {"wrong_row_after_a_jump": 2, "nothing_moved_after_a_jump": 2, "nine_refusals": 9}
"""How many alerts the stories have that have several."""


def test_what_must_stay_silent_has_no_times_and_what_must_alert_has(money: SimulatedBooks) -> None:
    for plant in money.truth:
        if plant.expect == "silent":
            assert (plant.severity, plant.earliest_at, plant.severity_at) == (None, None, None)
        else:
            assert plant.earliest_at is not None
            assert plant.severity_at is not None
            assert plant.at <= plant.earliest_at <= plant.severity_at
        assert plant.at == at(money.anchor(plant))


def test_everything_of_a_story_arrives_within_the_lateness(money: SimulatedBooks) -> None:
    newest = 0
    seen = set()
    for event in money.arrived:
        if event["kind"] != "heartbeat" and event["event_id"] not in seen:
            assert (
                newest - at(event) < 5_000 or event["account_id"] not in money.accounts_with_stories
            )
            seen.add(event["event_id"])
        newest = max(newest, at(event))


def test_no_payment_of_these_accounts_looks_like_a_stranger(money: SimulatedBooks) -> None:
    judged = 0
    for account in money.accounts_with_stories:
        for _, who, spending in judged_payments(money.by_account[account]):
            assert who < 50
            assert not (who and spending) or who + spending < 50
            judged += 1
    assert judged > 1_000


def spendable(money: SimulatedBooks, plant: Plant) -> int:
    """What could be spent, by the row itself and open holds."""
    event = money.anchor(plant)
    if "available_balance" in event:
        return minor(event, "available_balance")
    open_holds: dict[object, int] = {}
    for row in money.before(plant):
        if row["currency"] == event["currency"] and row["type"] in OWNERS:
            if row["status"] != "pending":
                open_holds.pop(row["transaction_id"], None)
            elif at(event) - at(row) <= SEVEN_DAYS:
                open_holds[row["transaction_id"]] = cost(row)
    return minor(event, "balance_before") - sum(open_holds.values())


@pytest.mark.parametrize(
    ("variant", "spare"),
    [
        ("covered_exactly", 0),
        ("one_unit_short", -1),
        ("hold_leaves_enough", 0),
        ("hold_leaves_too_little", -1),
        ("partial_capture_frees", 0),
        ("partial_capture_short", -1),
        ("mixed_covered", 0),
        ("mixed_short", -1),
    ],
)
def test_the_money_is_just_there_or_one_minor_unit_short(
    money: SimulatedBooks, variant: str, spare: int
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        assert event["failure_code"] in CODES["insufficient_funds"]
        assert spendable(money, plant) - cost(event) == spare
        assert (plant.severity, plant.expect) == (
            ("error", "alert") if spare == 0 else (None, "silent")
        )


def test_a_fee_is_all_that_is_missing(money: SimulatedBooks) -> None:
    for plant in money.planted("fee_not_covered"):
        event = money.anchor(plant)
        assert minor(event, "available_balance") == minor(event, "amount") < cost(event)


def test_a_partial_capture_would_not_suffice_if_it_freed_nothing(money: SimulatedBooks) -> None:
    for plant in money.planted("partial_capture_frees"):
        captured = [
            (held, row)
            for held in money.before(plant)
            for row in money.before(plant)
            if held["status"] == "pending"
            and row["transaction_id"] == held["transaction_id"]
            and row["status"] == "completed"
            and minor(row, "amount") < minor(held, "amount")
        ]
        assert captured


def test_a_hold_counts_for_seven_days_and_no_millisecond_more(money: SimulatedBooks) -> None:
    for plant in money.planted("hold_of_seven_days", "hold_too_old"):
        counts = plant.variant == "hold_of_seven_days"
        event = money.anchor(plant)
        age = SEVEN_DAYS if counts else SEVEN_DAYS + 1
        held = [row for row in money.before(plant) if at(event) - at(row) == age]
        held = [row for row in held if row["status"] == "pending"]
        assert len(held) == 1
        assert plant.expect == ("silent" if counts else "alert")
        assert spendable(money, plant) - cost(event) == (-cost(held[0]) if counts else 0)


def rivals(money: SimulatedBooks, plant: Plant) -> list[int]:
    """How long before the anchor other debits of the account were pending or completed."""
    return [
        at(money.anchor(plant)) - at(row)
        for row in money.before(plant)
        if row["type"] in OWNERS and row["status"] in ("pending", "completed")
    ]


@pytest.mark.parametrize(
    ("variant", "ago", "severity"),
    [("concurrent_debit", 5_000, "info"), ("debit_just_before", 5_001, "error")],
)
def test_another_debit_within_five_seconds_makes_it_an_info(
    money: SimulatedBooks, variant: str, ago: int, severity: str
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        assert "available_balance" not in event
        assert min(rivals(money, plant)) == ago
        assert spendable(money, plant) >= cost(event)
        assert plant.severity == severity


@pytest.mark.parametrize(
    ("variant", "age", "expect"),
    [("known_just_now", 300_000, "alert"), ("known_too_long", 300_001, "silent")],
)
def test_a_known_balance_counts_for_five_minutes(
    money: SimulatedBooks, variant: str, age: int, expect: str
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        assert not {"balance_before", "available_balance"} & set(event)
        known = [
            other
            for other in money.by_account[plant.account_id]
            if at(other) < at(event) and ("balance_after" in other or other["kind"] == "balance")
        ]
        assert at(event) - at(known[-1]) == age
        assert minor(known[-1], "balance_after") >= cost(event)
        assert plant.expect == expect


def test_a_stale_snapshot_is_all_that_tells_of_the_money(money: SimulatedBooks) -> None:
    for plant in money.planted("stale_snapshot"):
        event = money.anchor(plant)
        assert not {"balance_before", "available_balance"} & set(event)
        before = [e for e in money.by_account[plant.account_id] if at(e) < at(event)]
        assert before[-1]["kind"] == "balance"
        assert at(event) - at(before[-1]) > 5 * MINUTE
        assert minor(before[-1], "balance") >= cost(event)


def test_another_currency_was_never_told(money: SimulatedBooks) -> None:
    for plant in money.planted("other_currency"):
        event = money.anchor(plant)
        others = [e for e in money.by_account[plant.account_id] if at(e) < at(event)]
        assert event["currency"] not in {other.get("currency") for other in others}


@pytest.mark.parametrize(
    ("variant", "after", "severity"),
    [
        ("technical_uncured", None, "warning"),
        ("technical_cured", None, "info"),
        ("retried_just_in_time", 120_000, "info"),
        ("retried_just_too_late", 120_001, "warning"),
    ],
)
def test_a_technical_failure_is_a_warning_unless_retried_within_two_minutes(
    money: SimulatedBooks, variant: str, after: int | None, severity: str
) -> None:
    for plant in money.planted(variant):
        failed = money.anchor(plant)
        assert failed["failure_code"] in CODES["technical"]
        cures = [
            at(event)
            for event in money.of_account(plant.account_id, "transaction")
            if event["status"] == "completed"
            and event.get("external_reference") == failed["external_reference"]
        ]
        assert plant.severity == severity
        assert cures == ([] if plant.cured_at is None else [plant.cured_at])
        assert (plant.severity_at == at(failed) + 120_000) == (severity == "warning")
        if after is not None:
            assert cures == [at(failed) + after]
        if variant == "technical_cured":
            assert cures[0] < at(failed) + 120_000


def test_innocent_declines_have_their_reasons(money: SimulatedBooks) -> None:
    for plant in money.planted("limit", "fraud", "unknown_code"):
        codes = CODES["insufficient_funds"] | CODES["technical"]
        assert money.anchor(plant)["failure_code"] not in codes
    for plant in money.planted("card_funded"):
        assert money.anchor(plant)["funding"] == "card"
    for plant in money.planted("merchant_initiated"):
        assert money.anchor(plant)["initiator"] == "merchant"
    for plant in money.planted("insufficient_then_retry", "held_funds"):
        event = money.anchor(plant)
        assert minor(event, "available_balance") < cost(event)
