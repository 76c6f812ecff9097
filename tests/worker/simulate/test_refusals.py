"""Refused payments beside other money: the truth is what the events show, to the unit."""

import pytest

from schemas.truth import Plant
from tests.support.events import refusal_oracle as refusals
from tests.support.events.simulated_books import DEBITS, MONEY, SimulatedBooks, at, cost, minor
from tests.support.events.theft_oracle import DAY, Event, in_order


def events_of(money: SimulatedBooks, plant: Plant) -> list[Event]:
    return in_order(money.by_account[plant.account_id])


def spare(money: SimulatedBooks, plant: Plant) -> int:
    """What could be spent above what the refused payment needed."""
    event = money.anchor(plant)
    spendable = refusals.books_before(events_of(money, plant), event).spendable(event)
    assert spendable is not None
    return spendable - cost(event)


def test_a_second_opinion_on_refusals_is_the_truth(money: SimulatedBooks) -> None:
    found = {}
    for events in map(in_order, money.by_account.values()):
        for event in filter(refusals.is_refusal, events):
            found[event["event_id"]] = refusals.severity(events, event)
    planted = {plant.event_ids[-1]: plant for plant in money.truth if plant.rule == MONEY[0]}
    for event_id, severity in found.items():
        plant = planted.get(str(event_id))
        assert severity == (plant and plant.severity), plant and plant.variant
        if plant and severity:
            waits = not refusals.is_crowded(events_of(money, plant), money.anchor(plant))
            assert plant.earliest_at == plant.at + (5_000 if waits else 0)
    refused = {p.event_ids[-1] for p in planted.values() if refusals.is_refusal(money.anchor(p))}
    assert refused == found.keys() & planted.keys()


BESIDE = {
    "concurrent_debit": ("debit", -5_000, "info"),
    "debit_just_before": ("debit", -5_001, "error"),
    "rival_5_s_after": ("debit", 5_000, "info"),
    "rival_5_s_and_1_ms_after": ("debit", 5_001, "error"),
    "rival_though_available": ("debit", 1_000, "error"),
    "credit_5_s_before": ("credit", -5_000, "info"),
    "credit_5_s_and_1_ms_before": ("credit", -5_001, "error"),
    "credit_5_s_after": ("credit", 5_000, "info"),
    "credit_5_s_and_1_ms_after": ("credit", 5_001, "error"),
    "succeeds_5_s_after": ("debit", 5_000, None),
    "succeeds_5_s_and_1_ms_after": ("debit", 5_001, "error"),
}


@pytest.mark.parametrize("variant", BESIDE)
def test_what_is_beside_a_refusal_is_as_near_as_its_name_says(
    money: SimulatedBooks, variant: str
) -> None:
    kind, distance, severity = BESIDE[variant]
    for plant in money.planted(variant):
        event = money.anchor(plant)
        near = refusals.beside(events_of(money, plant), event, 10_000)
        found = {at(e) - at(event) for e in near if (e["type"] in DEBITS) == (kind == "debit")}
        assert distance in found
        assert min(map(abs, found)) == abs(distance)
        assert plant.severity == severity


def test_the_ninth_refusal_does_not_wait_for_a_rival(money: SimulatedBooks) -> None:
    plants: dict[str, list[Plant]] = {}
    for plant in money.planted("nine_refusals"):
        plants.setdefault(plant.account_id, []).append(plant)
    for nine in plants.values():
        assert [plant.severity for plant in nine] == ["info"] * 8 + ["error"]
        assert nine[-1].at - nine[0].at == 800
        near = refusals.beside(events_of(money, nine[-1]), money.anchor(nine[-1]))
        assert [at(event) - nine[0].at for event in near] == [2_000]


def test_two_rivals_cannot_both_have_the_money(money: SimulatedBooks) -> None:
    for plant in money.planted("rival_5_s_after", "rival_5_s_and_1_ms_after"):
        event = money.anchor(plant)
        (rival,) = refusals.beside(events_of(money, plant), event, 6_000)
        assert 0 <= spare(money, plant) < cost(rival)


def test_money_that_came_just_before_was_needed(money: SimulatedBooks) -> None:
    for plant in money.planted("credit_5_s_before", "credit_5_s_and_1_ms_before"):
        event = money.anchor(plant)
        (come,) = refusals.beside(events_of(money, plant), event, 6_000)
        assert 0 <= spare(money, plant) < minor(come, "amount")


def test_money_of_another_currency_is_beside_on_both_sides(money: SimulatedBooks) -> None:
    for plant in money.planted("credit_in_another_currency"):
        event = money.anchor(plant)
        near = [
            at(row) - at(event)
            for row in money.of_account(plant.account_id, "transaction")
            if row["type"] == "transfer_in" and row["currency"] != event["currency"]
        ]
        assert {-1_000, 1_000} <= set(near)
        assert plant.severity == "error"


ENOUGH = (
    "rest_held_enough",
    "nothing_remains",
    "all_captured",
    "raised_hold_enough",
    "lowered_hold_enough",
    "increment_enough",
    "raised_hold_captured",
    "pending_after_completed",
    "pending_after_cancelled",
    "captured_with_its_pending",
    "many_digits_covered",
)
SHORT = (
    "rest_held_short",
    "one_unit_remains",
    "raised_hold_short",
    "lowered_hold_short",
    "increment_short",
    "pending_after_another",
    "captured_with_its_pending_short",
    "many_digits_short",
)


@pytest.mark.parametrize("variant", ENOUGH + SHORT)
def test_what_is_not_held_is_just_enough_or_one_minor_unit_short(
    money: SimulatedBooks, variant: str
) -> None:
    for plant in money.planted(variant):
        assert spare(money, plant) == (0 if variant in ENOUGH else -1)
        assert plant.severity == ("error" if variant in ENOUGH else None)


def statuses(money: SimulatedBooks, plant: Plant) -> list[tuple[object, int, int | None]]:
    """Status, amount and what remains held, of the newest transaction that came before."""
    event = money.anchor(plant)
    rows = [e for e in events_of(money, plant) if e["kind"] == "transaction" and at(e) < at(event)]
    return [
        (
            row["status"],
            minor(row, "amount"),
            minor(row, "hold_remaining") if "hold_remaining" in row else None,
        )
        for row in rows
        if row["transaction_id"] == rows[-1]["transaction_id"]
    ]


def test_holds_change_as_their_names_say(money: SimulatedBooks) -> None:
    for plant in money.planted("rest_held_enough", "rest_held_short", "captured_with_its_pending"):
        (_, total, _), (status, amount, remains) = statuses(money, plant)
        assert (status, remains is not None) == ("completed", True)
        assert 0 < amount <= total - (remains or 0)
    for plant in money.planted("nothing_remains", "one_unit_remains"):
        assert statuses(money, plant)[1][2] == (0 if plant.variant == "nothing_remains" else 1)
    for plant in money.planted("all_captured"):
        pending, first, second = statuses(money, plant)
        assert (second[1], second[2]) == (first[2], 0)
        assert pending[0] == "pending"
    for plant in money.planted("raised_hold_short", "lowered_hold_short"):
        (one, total, _), (two, changed, _) = statuses(money, plant)
        assert one == two == "pending"
        assert (changed > total) == (plant.variant == "raised_hold_short")
    for plant in money.planted("increment_short"):
        (_, total, _), (status, more, remains) = statuses(money, plant)
        assert (status, remains) == ("pending", total + more)
    for plant in money.planted("pending_after_completed", "pending_after_cancelled"):
        ends = plant.variant.removeprefix("pending_after_")
        assert [status for status, _, _ in statuses(money, plant)] == [ends, "pending"]


def test_a_capture_and_its_pending_status_are_of_one_moment(money: SimulatedBooks) -> None:
    for plant in money.planted("captured_with_its_pending"):
        rows = [row for row in money.before(plant) if "hold_remaining" in row]
        captured = rows[-1]
        (pending,) = (
            row
            for row in money.before(plant)
            if row["transaction_id"] == captured["transaction_id"] and row["status"] == "pending"
        )
        assert at(pending) == at(captured)
        assert str(pending["event_id"]) > str(captured["event_id"])
        assert "ledger_sequence" not in captured


def test_the_rest_that_is_refused_is_held_for_it(money: SimulatedBooks) -> None:
    for plant in money.planted("rest_refused"):
        event = money.anchor(plant)
        first = [r for r in money.before(plant) if r["transaction_id"] == event["transaction_id"]]
        assert [row["status"] for row in first] == ["pending", "completed"]
        assert minor(first[1], "hold_remaining") == minor(event, "amount")
        assert plant.severity == "error"


STALE = {
    "stale_failure": "transaction_id",
    "stale_failure_of_key": "idempotency_key",
    "stale_failure_of_reference": "external_reference",
}


@pytest.mark.parametrize("variant", STALE)
def test_a_stale_failure_shares_one_thing_with_a_success(
    money: SimulatedBooks, variant: str
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        done = next(
            row
            for row in money.before(plant)
            if row["status"] == "completed" and row.get(STALE[variant]) == event[STALE[variant]]
        )
        assert at(event) - at(done) == 120_000
        shared = {name for name in STALE.values() if done.get(name) == event[name]}
        assert variant == "stale_failure" or shared == {STALE[variant]}


def test_another_payment_shares_nothing_with_the_first(money: SimulatedBooks) -> None:
    for plant in money.planted("another_payment_refused"):
        event = money.anchor(plant)
        for row in money.before(plant):
            assert not [name for name in STALE.values() if row.get(name) == event[name]]


MEMORY = {
    "thirty_two_ended": (31, None),
    "thirty_three_ended": (32, "error"),
    "sixty_four_payouts": (63, None),
    "sixty_five_payouts": (64, "error"),
    "eight_paid": (7, None),
    "nine_paid": (8, "error"),
}


@pytest.mark.parametrize("variant", MEMORY)
def test_as_many_ended_since_a_success_as_its_name_says(
    money: SimulatedBooks, variant: str
) -> None:
    others, severity = MEMORY[variant]
    shared = "idempotency_key" if "paid" in variant else "transaction_id"
    for plant in money.planted(variant):
        event, rows = money.anchor(plant), money.before(plant)
        done = next(n for n, row in enumerate(rows) if row.get(shared) == event[shared])
        assert rows[done]["status"] == "completed"
        since = rows[done + 1 :]
        assert len({row["transaction_id"] for row in since}) == len(since) == others
        payouts = {"transfer_out"} if "payouts" in variant else {"payment"}
        assert {row["type"] for row in since} == payouts
        assert plant.severity == severity


def test_a_failure_told_again_raises_once(money: SimulatedBooks) -> None:
    for plant in money.planted("failure_told_again"):
        event = money.anchor(plant)
        told = [
            at(row)
            for row in money.of_account(plant.account_id, "transaction")
            if row["transaction_id"] == event["transaction_id"]
        ]
        assert plant.cured_at is not None
        assert told == [plant.at, plant.cured_at + 1, plant.at + 300_000]
        assert plant.severity == "info"


def test_a_payout_comes_back_after_three_days_only_if_it_was_paid(money: SimulatedBooks) -> None:
    for plant in money.planted("payout_returned", "payout_failed"):
        event = money.anchor(plant)
        (first,) = (
            row for row in money.before(plant) if row["transaction_id"] == event["transaction_id"]
        )
        returned = plant.variant == "payout_returned"
        assert at(event) - at(first) == 3 * DAY
        assert (first["status"], first["type"]) == (
            "completed" if returned else "pending",
            "transfer_out",
        )
        moved = minor(event, "balance_after") - minor(event, "balance_before")
        assert moved == (cost(first) if returned else 0)
        assert plant.severity == (None if returned else "warning")


def test_ids_repeat_across_wallets_where_planted(money: SimulatedBooks) -> None:
    plants = money.planted("numbered_per_wallet")
    assert {plant.transaction_ids for plant in plants} == {("txn-000001",)}
    assert len({plant.account_id for plant in plants}) == len(plants) > 1
