"""Planted stories of money: the truth is what the events show, to the unit. Balances."""

from itertools import pairwise

import pytest

from schemas.time import parse_time
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

WRONG_ROWS = (
    "row",
    "row_major_unit",
    "row_below_major_unit",
    "row_corrected",
    "undone_short",
    "dispute_one_unit_short",
    "dispute_taken_twice",
    "wrong_row_after_a_jump",
)


def test_no_row_is_wrong_but_where_planted(money: SimulatedBooks) -> None:
    wrong = {str(row["event_id"]) for rows in money.books.values() for row in rows if drift(row)}
    assert wrong == {plant.event_ids[-1] for plant in money.planted(*WRONG_ROWS)}


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [("row", 0, 1), ("row_major_unit", 1, 0), ("row_below_major_unit", 1, -1)],
)
def test_a_row_is_an_error_from_one_major_unit(
    money: SimulatedBooks, variant: str, units: int, minors: int
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        assert abs(drift(event)) == units * major(event) + minors
        assert plant.severity == ("error" if abs(drift(event)) >= major(event) else "warning")


SPOILED = (
    "row",
    "row_major_unit",
    "row_below_major_unit",
    "row_corrected",
    "wrong_row_after_a_jump",
)
"""Rows whose balances are wrong, so that their neighbours do not join them."""


def jumps(money: SimulatedBooks, *, numbered: bool) -> dict[str, int]:
    """Where a posted row does not start at the end of the one booked before, and by how much."""
    found = {}
    spoiled = {plant.account_id for plant in money.truth if plant.variant in SPOILED}
    for (account, _), rows in money.books.items():
        if ("ledger_sequence" in rows[0]) == numbered and account not in spoiled:
            for left, right in pairwise(rows):
                by = started(right) - minor(left, "balance_after")
                if by and not only_sets(right):
                    found[str(right["event_id"])] = by
    return found


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [("chain", 0, 1), ("chain_major_unit", 1, 0), ("chain_below_major_unit", 1, -1)],
)
def test_a_jump_is_an_error_from_one_major_unit(
    money: SimulatedBooks, variant: str, units: int, minors: int
) -> None:
    found = jumps(money, numbered=True)
    for plant in money.planted(variant):
        event = money.anchor(plant)
        by = abs(found[str(event["event_id"])])
        assert by == units * major(event) + minors
        assert plant.severity == ("error" if by >= major(event) else "warning")


NUMBERED_BREAKS = (
    "chain",
    "chain_major_unit",
    "chain_below_major_unit",
    "chain_corrected",
    "after_alone_jump",
    "after_alone_jump_major_unit",
    "both_of_a_failure",
    "nothing_moved_after_a_jump",
    "never_paid_and_back",
    "many_digits_jump",
    "withdrawn_currency_jump",
)


def test_numbered_books_jump_only_where_planted(money: SimulatedBooks) -> None:
    broken = money.planted(*NUMBERED_BREAKS)
    gaps = money.planted("missing_entry")
    expected = {plant.event_ids[-1] for plant in broken} | {p.event_ids[-1] for p in gaps}
    conflicts = {plant.account_id for plant in money.planted("sequence_conflict")}
    found = {
        i for i in jumps(money, numbered=True) if money.by_id[i]["account_id"] not in conflicts
    }
    assert found == expected


@pytest.mark.parametrize("variant", ["row_corrected", "chain_corrected"])
def test_an_adjustment_moves_exactly_the_drift_back(money: SimulatedBooks, variant: str) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        wrong = drift(event) or jumps(money, numbered=True)[str(event["event_id"])]
        adjusted = [
            row
            for row in money.of_account(plant.account_id, "transaction")
            if row["type"] == "adjustment"
        ]
        assert [minor(row, "amount") for row in adjusted] == [-wrong]
        assert [at(row) for row in adjusted] == [plant.cured_at]
        assert drift(adjusted[0]) == 0


@pytest.mark.parametrize(
    ("variant", "after", "severity"),
    [
        ("slow_outbox", 59_999, None),
        ("entry_just_told_missing", 60_001, "info"),
        ("entry_just_before_error", 899_999, "info"),
        ("entry_just_after_error", 900_001, "error"),
        ("missing_entry", None, "error"),
    ],
)
def test_a_missing_entry_is_told_after_a_minute_and_an_error_after_fifteen(
    money: SimulatedBooks, variant: str, after: int | None, severity: str | None
) -> None:
    for plant in money.planted(variant):
        event = money.anchor(plant)
        number = int(str(event["ledger_sequence"])) - 1
        filled = [
            at(row) - at(event)
            for row in money.of_account(plant.account_id, "transaction")
            if row.get("ledger_sequence") == number and row["currency"] == event["currency"]
        ]
        assert filled == ([] if after is None else [after])
        assert plant.severity == severity
        if severity is None:
            continue
        assert plant.earliest_at == at(event) + 60_000
        assert plant.severity_at == at(event) + (900_000 if severity == "error" else 60_000)
        assert plant.cured_at == (None if after is None else at(event) + after)


def test_two_entries_share_a_number_where_planted(money: SimulatedBooks) -> None:
    shared = set()
    for (account, _), rows in money.books.items():
        numbers = [row["ledger_sequence"] for row in rows if "ledger_sequence" in row]
        if len(numbers) != len(set(numbers)):
            shared.add(account)
    assert shared == {plant.account_id for plant in money.planted("sequence_conflict")}


def test_rows_of_a_group_fit_in_some_order_unless_planted(money: SimulatedBooks) -> None:
    silent = money.planted("group_joined", "same_instant_rows", "refund_in_group")
    broken = money.planted("unnumbered_break", "unnumbered_group_break", "group_split")
    for plant in silent + broken:
        group = group_of(money, plant)
        assert "ledger_sequence" not in group[0]
        assert set(plant.event_ids) <= {row["event_id"] for row in group}
        assert orders(known_before(money, group), group) == (plant in silent)
    for plant in broken:
        group = group_of(money, plant)
        by = sum(started(row) - minor(row, "balance_after") for row in group)
        by += minor(group[-1], "balance_after") - known_before(money, group)
        assert plant.severity == ("error" if abs(by) >= major(group[0]) else "warning")
        assert plant.earliest_at == max(at(row) for row in group) + 1_000


def test_one_millisecond_decides_whether_two_rows_are_one_group(money: SimulatedBooks) -> None:
    for plant in money.planted("group_joined", "group_split"):
        group = group_of(money, plant)
        refund = money.anchor(plant)
        payment = next(
            row
            for row in money.of_account(plant.account_id, "transaction")
            if row["transaction_id"] == refund["original_transaction_id"]
        )
        joined = plant.variant == "group_joined"
        assert at(payment) - at(refund) == (999 if joined else 1_000)
        assert (payment in group) == joined
        assert orders(known_before(money, group), [payment, refund])


def test_same_instant_rows_arrive_in_another_order_than_they_were_booked(
    money: SimulatedBooks,
) -> None:
    shuffled = 0
    arrived = [event.get("event_id") for event in money.arrived]
    for plant in money.planted("same_instant_rows"):
        assert len({at(money.by_id[event_id]) for event_id in plant.event_ids}) == 1
        places = [arrived.index(event_id) for event_id in plant.event_ids]
        shuffled += places != sorted(places)
    assert shuffled


def balances_within(money: SimulatedBooks, report: Event, slack: int) -> set[int]:
    """What the chain's balance was at some moment within the slack of as_of, ends included."""
    as_of = parse_time(str(report["as_of"]))
    rows = money.books[str(report["account_id"]), str(report["currency"])]
    held = {minor(row, "balance_after") for row in rows if abs(at(row) - as_of) <= slack}
    held |= {started(row) for row in rows if abs(at(row) - as_of) <= slack}
    earlier = [row for row in rows if at(row) <= as_of]
    return held | {minor(earlier[-1], "balance_after")}


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [
        ("snapshot_wrong", 0, 1),
        ("snapshot_major_unit", 1, 0),
        ("snapshot_below_major_unit", 1, -1),
    ],
)
def test_a_snapshot_is_an_error_from_one_major_unit(
    money: SimulatedBooks, variant: str, units: int, minors: int
) -> None:
    for plant in money.planted(variant):
        report = money.anchor(plant)
        (right,) = balances_within(money, report, 5_000)
        off = abs(minor(report, "balance") - right)
        assert off == units * major(report) + minors
        assert plant.severity == ("error" if off >= major(report) else "warning")
        assert plant.earliest_at == parse_time(str(report["as_of"])) + 5_000


@pytest.mark.parametrize(
    ("variant", "distance"),
    [
        ("read_late", 5_000),
        ("read_too_late", 5_001),
        ("read_early", -5_000),
        ("read_too_early", -5_001),
    ],
)
def test_a_snapshot_is_forgiven_up_to_five_seconds_from_the_movement(
    money: SimulatedBooks, variant: str, distance: int
) -> None:
    for plant in money.planted(variant):
        report = money.anchor(plant)
        as_of = parse_time(str(report["as_of"]))
        rows = money.of_account(plant.account_id, "transaction")
        assert distance in {as_of - at(row) for row in rows}
        forgiven = abs(distance) == 5_000
        assert (minor(report, "balance") in balances_within(money, report, 5_000)) == forgiven
        assert plant.expect == ("silent" if forgiven else "alert")
        if not forgiven:
            assert plant.severity == "error"
            assert plant.earliest_at == max(as_of + 5_000, at(report))


def test_a_snapshot_of_ten_minutes_ago_is_judged_and_no_older_one(money: SimulatedBooks) -> None:
    for plant in money.planted("old_snapshot_wrong", "stale_report"):
        report = money.anchor(plant)
        assert minor(report, "balance") not in balances_within(money, report, 5_000)
        judged = plant.expect == "alert"
        age = at(report) - parse_time(str(report["as_of"]))
        assert age == (600_000 if judged else 600_001)
        assert not judged or plant.earliest_at == at(report)


def test_no_other_report_is_wrong(money: SimulatedBooks) -> None:
    planted = {plant.event_ids[-1] for plant in money.truth}
    # In these books rows were booked in another order than they occurred, are wrong, or are none.
    unclear = {"row", "row_major_unit", "row_below_major_unit", "row_corrected", "undone_short"}
    unclear |= {"group_joined", "group_split", "refused_after_unreported"}
    skipped = {plant.account_id for plant in money.truth if plant.variant in unclear}
    checked = 0
    for report in money.events:
        account = str(report["account_id"])
        if report["kind"] != "balance" or report["event_id"] in planted or account in skipped:
            continue
        rows = money.books.get((account, str(report["currency"])), [])
        if any(at(row) <= parse_time(str(report["as_of"])) for row in rows):
            assert minor(report, "balance") in balances_within(money, report, 0)
            checked += 1
    assert checked > 200


def test_holds_of_the_available_balance_stand_between_rows_of_the_posted_one(
    money: SimulatedBooks,
) -> None:
    for plant in money.planted("available_hold", "hold_row_wrong"):
        row = money.anchor(plant)
        assert (row["status"], row["balance_kind"]) == ("pending", "available")
        off = minor(row, "balance_before") - minor(row, "balance_after") - cost(row)
        assert off == (1 if plant.variant == "hold_row_wrong" else 0)
        assert plant.expect == ("alert" if off else "silent")


def test_other_innocent_rows_are_what_they_are_called(money: SimulatedBooks) -> None:
    for plant in money.planted("given_back"):
        row = money.anchor(plant)
        assert row["status"] in ("reversed", "cancelled", "expired")
        assert minor(row, "balance_after") - minor(row, "balance_before") == cost(row)
    for plant in money.planted("mixed_payment"):
        row = money.anchor(plant)
        assert minor(row, "balance_before") - minor(row, "balance_after") == cost(row)
        assert cost(row) < minor(row, "amount")
    for plant in money.planted("foreign_payment"):
        row = money.anchor(plant)
        own = [r for r in money.before(plant) if r["currency"] != row["currency"]]
        assert own
        assert neighbour(money, plant)["balance_after"] == row["balance_before"]
    for plant in money.planted("entry_without_balances"):
        assert "balance_before" not in money.anchor(plant)
    for plant in money.planted("partial_capture"):
        row = money.anchor(plant)
        held = next(r for r in money.before(plant) if r["transaction_id"] == row["transaction_id"])
        assert minor(row, "amount") < minor(held, "amount")
