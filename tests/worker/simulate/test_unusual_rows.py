"""Disputes, balances told in part, several jumps: the truth is what the events show."""

from itertools import pairwise

import pytest

from schemas.truth import Plant
from tests.support.events.simulated_books import (
    Event,
    SimulatedBooks,
    at,
    cost,
    drift,
    major,
    minor,
    started,
)
from tests.support.events.simulated_rows import (
    group_of,
    known_before,
    neighbour,
    only_sets,
    orders,
)


def first_of(money: SimulatedBooks, plant: Plant, row: Event) -> Event:
    """The first row of the transaction of one of the account's rows."""
    name = row["transaction_id"]
    return next(other for other in money.before(plant) if other["transaction_id"] == name)


@pytest.mark.parametrize(
    ("variant", "types", "moves_back", "short"),
    [
        ("topup_taken_back", {"topup"}, 1, 0),
        ("provisional_credit", {"payment"}, 1, 0),
        ("dispute_without_money", {"payment"}, 0, 0),
        ("dispute_one_unit_short", {"payment"}, 1, 1),
        ("dispute_taken_twice", {"topup"}, 2, 0),
    ],
)
def test_a_dispute_moves_all_of_it_back_or_nothing(
    money: SimulatedBooks, variant: str, types: set[str], moves_back: int, short: int
) -> None:
    for plant in money.planted(variant):
        row = money.anchor(plant)
        first = first_of(money, plant, row)
        assert (first["status"], row["status"]) == ("completed", "disputed")
        assert {row["type"]} == types
        assert row["initiator"] == ("merchant" if types == {"payment"} else "customer")
        moved = minor(row, "balance_after") - minor(row, "balance_before")
        done = minor(first, "balance_after") - minor(first, "balance_before")
        assert moved == -moves_back * done - short
        wrong = abs(drift(row))
        assert plant.severity == (None if not wrong else severity_of(row, wrong))


def severity_of(row: Event, by: int) -> str:
    return "error" if by >= major(row) else "warning"


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [
        ("after_alone", 0, 0),
        ("after_alone_jump", 0, 1),
        ("after_alone_jump_major_unit", 1, 0),
        ("after_alone_unnumbered_jump", 0, 1),
    ],
)
def test_a_balance_after_alone_follows_from_what_the_row_moves(
    money: SimulatedBooks, variant: str, units: int, minors: int
) -> None:
    for plant in money.planted(variant):
        row = money.anchor(plant)
        assert "balance_before" not in row
        by = abs(started(row) - minor(neighbour(money, plant), "balance_after"))
        assert by == units * major(row) + minors
        assert plant.severity == (severity_of(row, by) if by else None)


def test_rows_that_only_set_the_balance_are_innocent(money: SimulatedBooks) -> None:
    for plant in money.planted("after_alone_of_a_failure", "both_of_a_failure"):
        row = money.anchor(plant)
        assert row["status"] == "failed"
        by = minor(row, "balance_after") - minor(neighbour(money, plant), "balance_after")
        assert by == major(row)
        assert only_sets(row) == (plant.expect == "silent")
    for plant in money.planted("after_alone_of_a_mixed_payment"):
        assert only_sets(money.anchor(plant))


def test_two_jumps_are_two_alerts_unless_of_one_group(money: SimulatedBooks) -> None:
    for plant in money.planted("nothing_moved_after_a_jump"):
        row = money.anchor(plant)
        by = minor(row, "balance_before") - minor(neighbour(money, plant), "balance_after")
        assert by == (4 if minor(row, "amount") == 0 else 3) * major(row)
    for plant in money.planted("wrong_row_after_a_jump"):
        row = money.anchor(plant)
        by = minor(row, "balance_before") - minor(neighbour(money, plant), "balance_after")
        assert min(by, drift(row)) >= major(row)
    for plant in money.planted("two_jumps_in_a_group", "jumps_that_cancel_out"):
        group = sorted(group_of(money, plant), key=lambda row: str(row["event_id"]))
        units = [
            (minor(right, "balance_before") - minor(left, "balance_after")) / major(right)
            for left, right in pairwise(group)
        ]
        assert units == ([1, 2] if plant.variant == "two_jumps_in_a_group" else [1, -1])
        assert not orders(known_before(money, group), group)
        assert plant.earliest_at == plant.at + 1_000


def test_money_that_is_moved_unreported_was_moved_before(money: SimulatedBooks) -> None:
    unreported = ("reversed_unreported", "topup_reversed_unreported", "topup_disputed_unreported")
    for plant in money.planted(*unreported, "refused_after_unreported"):
        event = money.anchor(plant)
        undone = [row for row in money.before(plant) if "balance_after" not in row][-1]
        done = next(
            row for row in money.before(plant) if row["transaction_id"] == undone["transaction_id"]
        )
        assert done["status"] == "completed"
        assert undone["status"] in ("reversed", "disputed")
        moved = minor(done, "balance_after") - minor(done, "balance_before")
        if plant.variant in unreported:
            assert minor(event, "balance_before") == minor(done, "balance_after") - moved


def test_what_never_moved_does_not_come_back(money: SimulatedBooks) -> None:
    for plant in money.planted("never_paid_and_back"):
        event = money.anchor(plant)
        failed = money.before(plant)[-1]
        assert failed["status"] == "failed"
        by = minor(event, "balance_before") - minor(neighbour(money, plant), "balance_after")
        assert by == cost(failed)
        assert failed["transaction_id"] not in {
            row["transaction_id"] for row in money.before(plant)[:-1]
        }
        assert plant.severity == severity_of(event, by)
    for plant in money.planted("refused_after_cancelled"):
        cancelled = money.before(plant)[-1]
        assert cancelled["status"] == "cancelled"
        assert first_of(money, plant, cancelled)["status"] == "pending"


UNDOING = {"failed", "cancelled", "expired", "reversed"}
AGAIN = {
    "reversed_twice": (["completed", "reversed"], 1, 0, "alert"),
    "reversed_twice_of_32": (["completed", "reversed"], 1, 31, "alert"),
    "reversed_twice_of_33": (["completed", "reversed"], 1, 32, "silent"),
    "reversal_told_again": (["completed", "reversed"], 0, 0, "silent"),
    "never_taken_and_back": (["pending"], 1, 0, "alert"),
    "hold_ended": (["pending"], 0, 0, "silent"),
    "captured_and_back": (["pending", "completed"], 1, 0, "silent"),
    "part_captured_and_back": (["pending", "completed"], 1, 0, "silent"),
    "released_twice": (["pending", "ended"], 1, 0, "alert"),
    "release_told_again": (["pending", "ended"], 0, 0, "silent"),
}


def earlier(money: SimulatedBooks, plant: Plant) -> list[Event]:
    """The rows of the anchor's transaction that came before it."""
    name = money.anchor(plant)["transaction_id"]
    rows = money.of_account(plant.account_id, "transaction")
    number = rows.index(money.anchor(plant))
    return [row for row in rows[:number] if row["transaction_id"] == name]


@pytest.mark.parametrize("variant", AGAIN)
def test_a_row_gives_back_what_its_transaction_had_or_nothing(
    money: SimulatedBooks, variant: str
) -> None:
    before, moves, others, expect = AGAIN[variant]
    for plant in money.planted(variant):
        row, known = money.anchor(plant), earlier(money, plant)
        status = "ended" if "release" in variant else ""
        assert [
            status if each["status"] in ("cancelled", "expired") else each["status"]
            for each in known
        ] == before
        assert row["status"] in UNDOING
        moved = minor(row, "balance_after") - minor(row, "balance_before")
        assert moved == moves * cost(row)
        between = [
            each
            for each in money.of_account(plant.account_id, "transaction")
            if at(known[-1]) < at(each) < at(row)
        ]
        assert len(between) == others
        assert plant.expect == expect
        assert plant.severity == (severity_of(row, moved) if expect == "alert" else None)


def test_nothing_is_given_back_twice_but_where_planted(money: SimulatedBooks) -> None:
    found = set()
    for account in money.by_account:
        statuses: dict[object, list[object]] = {}
        for row in money.of_account(account, "transaction"):
            known = statuses.setdefault(row["transaction_id"], [])
            moved = minor(row, "balance_after") - minor(row, "balance_before")
            twice = bool(UNDOING & set(known))
            never = row.get("balance_kind") == "posted" and set(known) == {"pending"}
            if row["status"] in UNDOING and moved and (twice or never):
                found.add(row["event_id"])
            known.append(row["status"])
    planted = money.planted(*(name for name in AGAIN if "twice" in name or "never" in name))
    assert found == {plant.event_ids[-1] for plant in planted}


def test_a_returned_payout_had_been_paid(money: SimulatedBooks) -> None:
    for plant in money.planted("payout_returned_unreported"):
        returned = money.before(plant)[-1]
        assert (returned["status"], "balance_after" in returned) == ("failed", False)
        assert first_of(money, plant, returned)["status"] == "completed"
        by = minor(money.anchor(plant), "balance_before")
        assert by - minor(neighbour(money, plant), "balance_after") == cost(returned)


@pytest.mark.parametrize(
    ("variant", "currency", "by"),
    [
        ("many_digits", "CHF", 0),
        ("many_digits_jump", "CHF", 1),
        ("withdrawn_currency", "BGN", 0),
        ("withdrawn_currency_jump", "HRK", 100),
    ],
)
def test_many_digits_and_withdrawn_currencies_are_exact(
    money: SimulatedBooks, variant: str, currency: str, by: int
) -> None:
    for plant in money.planted(variant):
        row, before = money.anchor(plant), neighbour(money, plant)
        assert row["currency"] == currency
        assert minor(row, "balance_before") - minor(before, "balance_after") == by
        assert (minor(row, "balance_after") > 10**35) == ("many" in variant)
        assert plant.severity == (severity_of(row, by) if by else None)
