"""Planted stories of money: the truth says what the events show, to the unit.

Only stories of failed payments and of balances are told here. Every plant is checked from the
events; what it may be mistaken for, at the unit of the threshold.
"""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from schemas.time import parse_time
from tests.worker.simulated import MINUTE, Event, Run, at, cost, drift, major, minor
from tests.worker.suspicion import judged_payments
from worker.simulate import Planted, SimulateConfig, stories

MONEY = ("failed_payment_sufficient_balance", "balance_mismatch")
CODES = {
    "insufficient_funds": {"51", "insufficient_funds", "AM04"},
    "technical": {"91", "processing_error", "AB05"},
}
SEVEN_DAYS = 7 * 24 * 60 * MINUTE
OWNERS = {"payment", "transfer_out", "withdrawal"}


@pytest.fixture(scope="module", params=(1, 2))
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    told = tuple(variant for variant in stories.STORIES if variant.rule in MONEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "STORIES", told)
        yield Run(SimulateConfig(accounts=420, days=2, stories_per_variant=5), request.param)


def test_every_variant_is_told_as_often_as_asked(run: Run) -> None:
    told = {variant.name for variant in stories.STORIES}
    for name in told:
        assert len(run.planted(name)) == 5
    assert {plant.rule for plant in run.truth} == set(MONEY)
    assert len(run.told) == len(run.truth)


def test_what_must_stay_silent_has_no_times_and_what_must_alert_has(run: Run) -> None:
    for plant in run.truth:
        if plant.expect == "silent":
            assert (plant.severity, plant.earliest_at, plant.severity_at) == (None, None, None)
        else:
            assert plant.earliest_at is not None
            assert plant.severity_at is not None
            assert plant.at <= plant.earliest_at <= plant.severity_at
        assert plant.at == at(run.anchor(plant))


def test_everything_of_a_story_arrives_within_the_lateness(run: Run) -> None:
    newest = 0
    seen = set()
    for event in run.arrived:
        if event["kind"] != "heartbeat" and event["event_id"] not in seen:
            assert newest - at(event) < 5_000 or event["account_id"] not in run.told
            seen.add(event["event_id"])
        newest = max(newest, at(event))


def test_no_payment_of_these_accounts_looks_like_a_stranger(run: Run) -> None:
    judged = 0
    for account in run.told:
        for _, who, money in judged_payments(run.by_account[account]):
            assert who < 50
            assert not (who and money) or who + money < 50
            judged += 1
    assert judged > 1_000


# Failed payments


def spendable(run: Run, plant: Planted) -> int:
    """What the row itself and open holds say could be spent."""
    event = run.anchor(plant)
    if "available_balance" in event:
        return minor(event, "available_balance")
    open_holds: dict[object, int] = {}
    for row in run.before(plant):
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
    run: Run, variant: str, spare: int
) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        assert event["failure_code"] in CODES["insufficient_funds"]
        assert spendable(run, plant) - cost(event) == spare
        assert (plant.severity, plant.expect) == (
            ("error", "alert") if spare == 0 else (None, "silent")
        )


def test_a_fee_is_all_that_is_missing(run: Run) -> None:
    for plant in run.planted("fee_not_covered"):
        event = run.anchor(plant)
        assert minor(event, "available_balance") == minor(event, "amount") < cost(event)


def test_a_partial_capture_would_not_suffice_if_it_freed_nothing(run: Run) -> None:
    for plant in run.planted("partial_capture_frees"):
        captured = [
            (held, row)
            for held in run.before(plant)
            for row in run.before(plant)
            if held["status"] == "pending"
            and row["transaction_id"] == held["transaction_id"]
            and row["status"] == "completed"
            and minor(row, "amount") < minor(held, "amount")
        ]
        assert captured


def test_a_hold_counts_for_seven_days_and_no_millisecond_more(run: Run) -> None:
    for plant in run.planted("hold_of_seven_days", "hold_too_old"):
        counts = plant.variant == "hold_of_seven_days"
        event = run.anchor(plant)
        age = SEVEN_DAYS if counts else SEVEN_DAYS + 1
        held = [row for row in run.before(plant) if at(event) - at(row) == age]
        held = [row for row in held if row["status"] == "pending"]
        assert len(held) == 1
        assert plant.expect == ("silent" if counts else "alert")
        assert spendable(run, plant) - cost(event) == (-cost(held[0]) if counts else 0)


def rivals(run: Run, plant: Planted) -> list[int]:
    """How long before the anchor other debits of the account were pending or completed."""
    return [
        at(run.anchor(plant)) - at(row)
        for row in run.before(plant)
        if row["type"] in OWNERS and row["status"] in ("pending", "completed")
    ]


@pytest.mark.parametrize(
    ("variant", "ago", "severity"),
    [("concurrent_debit", 5_000, "info"), ("debit_just_before", 5_001, "error")],
)
def test_another_debit_within_five_seconds_makes_it_an_info(
    run: Run, variant: str, ago: int, severity: str
) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        assert "available_balance" not in event
        assert min(rivals(run, plant)) == ago
        assert spendable(run, plant) >= cost(event)
        assert plant.severity == severity


def test_no_other_alert_depends_on_a_debit_shortly_before(run: Run) -> None:
    for plant in run.truth:
        event = run.anchor(plant)
        if plant.rule == MONEY[0] and plant.expect == "alert" and "available_balance" not in event:
            assert min(rivals(run, plant)) >= 5_000


@pytest.mark.parametrize(
    ("variant", "age", "expect"),
    [("known_just_now", 300_000, "alert"), ("known_too_long", 300_001, "silent")],
)
def test_a_known_balance_counts_for_five_minutes(
    run: Run, variant: str, age: int, expect: str
) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        assert not {"balance_before", "available_balance"} & set(event)
        told = [
            other
            for other in run.by_account[plant.account_id]
            if at(other) < at(event) and ("balance_after" in other or other["kind"] == "balance")
        ]
        assert at(event) - at(told[-1]) == age
        assert minor(told[-1], "balance_after") >= cost(event)
        assert plant.expect == expect


def test_a_stale_snapshot_is_all_that_tells_of_the_money(run: Run) -> None:
    for plant in run.planted("stale_snapshot"):
        event = run.anchor(plant)
        assert not {"balance_before", "available_balance"} & set(event)
        told = [e for e in run.by_account[plant.account_id] if at(e) < at(event)]
        assert told[-1]["kind"] == "balance"
        assert at(event) - at(told[-1]) > 5 * MINUTE
        assert minor(told[-1], "balance") >= cost(event)


def test_another_currency_was_never_told(run: Run) -> None:
    for plant in run.planted("other_currency"):
        event = run.anchor(plant)
        others = [e for e in run.by_account[plant.account_id] if at(e) < at(event)]
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
    run: Run, variant: str, after: int | None, severity: str
) -> None:
    for plant in run.planted(variant):
        failed = run.anchor(plant)
        assert failed["failure_code"] in CODES["technical"]
        cures = [
            at(event)
            for event in run.of_account(plant.account_id, "transaction")
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


def test_innocent_declines_have_their_reasons(run: Run) -> None:
    for plant in run.planted("limit", "fraud", "unknown_code"):
        codes = CODES["insufficient_funds"] | CODES["technical"]
        assert run.anchor(plant)["failure_code"] not in codes
    for plant in run.planted("card_funded"):
        assert run.anchor(plant)["funding"] == "card"
    for plant in run.planted("merchant_initiated"):
        assert run.anchor(plant)["initiator"] == "merchant"
    for plant in run.planted("insufficient_then_retry", "held_funds"):
        event = run.anchor(plant)
        assert minor(event, "available_balance") < cost(event)


# Balances


def neighbour(run: Run, plant: Planted) -> Event:
    """The row booked just before the anchor."""
    event = run.anchor(plant)
    rows = run.books[plant.account_id, str(event["currency"])]
    ids = [row["event_id"] for row in rows]
    return rows[ids.index(event["event_id"]) - 1]


def test_no_row_is_wrong_but_where_planted(run: Run) -> None:
    wrong = {str(row["event_id"]) for rows in run.books.values() for row in rows if drift(row)}
    variants = ("row", "row_major_unit", "row_below_major_unit", "row_corrected", "undone_short")
    assert wrong == {plant.event_ids[-1] for plant in run.planted(*variants)}


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [("row", 0, 1), ("row_major_unit", 1, 0), ("row_below_major_unit", 1, -1)],
)
def test_a_row_is_an_error_from_one_major_unit(
    run: Run, variant: str, units: int, minors: int
) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        assert abs(drift(event)) == units * major(event) + minors
        assert plant.severity == ("error" if abs(drift(event)) >= major(event) else "warning")


def jumps(run: Run, *, numbered: bool) -> dict[str, int]:
    """Where a posted row does not start at the end of the one booked before, and by how much."""
    found = {}
    spoiled = {plant.account_id for plant in run.truth if "row" in plant.variant}
    for (account, _), rows in run.books.items():
        if ("ledger_sequence" in rows[0]) == numbered and account not in spoiled:
            for left, right in pairwise(rows):
                by = minor(right, "balance_before") - minor(left, "balance_after")
                if by:
                    found[str(right["event_id"])] = by
    return found


@pytest.mark.parametrize(
    ("variant", "units", "minors"),
    [("chain", 0, 1), ("chain_major_unit", 1, 0), ("chain_below_major_unit", 1, -1)],
)
def test_a_jump_is_an_error_from_one_major_unit(
    run: Run, variant: str, units: int, minors: int
) -> None:
    found = jumps(run, numbered=True)
    for plant in run.planted(variant):
        event = run.anchor(plant)
        by = abs(found[str(event["event_id"])])
        assert by == units * major(event) + minors
        assert plant.severity == ("error" if by >= major(event) else "warning")


def test_numbered_books_jump_only_where_planted(run: Run) -> None:
    told = run.planted("chain", "chain_major_unit", "chain_below_major_unit", "chain_corrected")
    gaps = run.planted("missing_entry")
    expected = {plant.event_ids[-1] for plant in told} | {p.event_ids[-1] for p in gaps}
    conflicts = {plant.account_id for plant in run.planted("sequence_conflict")}
    found = {i for i in jumps(run, numbered=True) if run.by_id[i]["account_id"] not in conflicts}
    assert found == expected


@pytest.mark.parametrize("variant", ["row_corrected", "chain_corrected"])
def test_an_adjustment_moves_exactly_the_drift_back(run: Run, variant: str) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        wrong = drift(event) or jumps(run, numbered=True)[str(event["event_id"])]
        adjusted = [
            row
            for row in run.of_account(plant.account_id, "transaction")
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
    run: Run, variant: str, after: int | None, severity: str | None
) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        number = int(str(event["ledger_sequence"])) - 1
        filled = [
            at(row) - at(event)
            for row in run.of_account(plant.account_id, "transaction")
            if row.get("ledger_sequence") == number and row["currency"] == event["currency"]
        ]
        assert filled == ([] if after is None else [after])
        assert plant.severity == severity
        if severity is None:
            continue
        assert plant.earliest_at == at(event) + 60_000
        assert plant.severity_at == at(event) + (900_000 if severity == "error" else 60_000)
        assert plant.cured_at == (None if after is None else at(event) + after)


def test_two_entries_share_a_number_where_planted(run: Run) -> None:
    shared = set()
    for (account, _), rows in run.books.items():
        numbers = [row["ledger_sequence"] for row in rows if "ledger_sequence" in row]
        if len(numbers) != len(set(numbers)):
            shared.add(account)
    assert shared == {plant.account_id for plant in run.planted("sequence_conflict")}


def group_of(run: Run, plant: Planted) -> list[Event]:
    """The balances' rows of the account around the anchor, each < 1 s after the one before."""
    anchor = run.anchor(plant)
    rows = [
        row
        for row in run.of_account(plant.account_id, "transaction")
        if row.get("balance_kind") == "posted" and row["currency"] == anchor["currency"]
    ]
    groups: list[list[Event]] = [[]]
    for row in rows:
        if groups[-1] and at(row) - at(groups[-1][-1]) >= 1_000:
            groups.append([])
        groups[-1].append(row)
    return next(group for group in groups if anchor in group)


def orders(known: int, rows: list[Event]) -> bool:
    """Whether some order of the rows makes one chain that starts at the known balance."""
    if not rows:
        return True
    return any(
        minor(row, "balance_before") == known
        and orders(minor(row, "balance_after"), rows[:index] + rows[index + 1 :])
        for index, row in enumerate(rows)
    )


def known_before(run: Run, group: list[Event]) -> int:
    rows = [
        row
        for row in run.of_account(str(group[0]["account_id"]), "transaction")
        if row.get("balance_kind") == "posted"
        and row["currency"] == group[0]["currency"]
        and at(row) < at(group[0])
    ]
    return minor(rows[-1], "balance_after")


def test_rows_of_a_group_fit_in_some_order_unless_planted(run: Run) -> None:
    silent = run.planted("group_joined", "same_instant_rows", "refund_in_group")
    broken = run.planted("unnumbered_break", "unnumbered_group_break", "group_split")
    for plant in silent + broken:
        group = group_of(run, plant)
        assert "ledger_sequence" not in group[0]
        assert set(plant.event_ids) <= {row["event_id"] for row in group}
        assert orders(known_before(run, group), group) == (plant in silent)
    for plant in broken:
        assert plant.severity == "warning"
        assert plant.earliest_at == max(at(row) for row in group_of(run, plant)) + 1_000


def test_one_millisecond_decides_whether_two_rows_are_one_group(run: Run) -> None:
    for plant in run.planted("group_joined", "group_split"):
        group = group_of(run, plant)
        refund = run.anchor(plant)
        payment = next(
            row
            for row in run.of_account(plant.account_id, "transaction")
            if row["transaction_id"] == refund["original_transaction_id"]
        )
        joined = plant.variant == "group_joined"
        assert at(payment) - at(refund) == (999 if joined else 1_000)
        assert (payment in group) == joined
        assert orders(known_before(run, group), [payment, refund])


def test_same_instant_rows_arrive_in_another_order_than_they_were_booked(run: Run) -> None:
    shuffled = 0
    arrived = [event.get("event_id") for event in run.arrived]
    for plant in run.planted("same_instant_rows"):
        assert len({at(run.by_id[event_id]) for event_id in plant.event_ids}) == 1
        places = [arrived.index(event_id) for event_id in plant.event_ids]
        shuffled += places != sorted(places)
    assert shuffled


def balances_within(run: Run, report: Event, slack: int) -> set[int]:
    """What the chain's balance was at some moment within the slack of as_of, ends included."""
    as_of = parse_time(str(report["as_of"]))
    rows = run.books[str(report["account_id"]), str(report["currency"])]
    held = {minor(row, "balance_after") for row in rows if abs(at(row) - as_of) <= slack}
    held |= {minor(row, "balance_before") for row in rows if abs(at(row) - as_of) <= slack}
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
    run: Run, variant: str, units: int, minors: int
) -> None:
    for plant in run.planted(variant):
        report = run.anchor(plant)
        (right,) = balances_within(run, report, 5_000)
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
    run: Run, variant: str, distance: int
) -> None:
    for plant in run.planted(variant):
        report = run.anchor(plant)
        as_of = parse_time(str(report["as_of"]))
        rows = run.of_account(plant.account_id, "transaction")
        assert distance in {as_of - at(row) for row in rows}
        forgiven = abs(distance) == 5_000
        assert (minor(report, "balance") in balances_within(run, report, 5_000)) == forgiven
        assert plant.expect == ("silent" if forgiven else "alert")
        if not forgiven:
            assert plant.severity == "error"
            assert plant.earliest_at == max(as_of + 5_000, at(report))


def test_a_snapshot_of_ten_minutes_ago_is_judged_and_no_older_one(run: Run) -> None:
    for plant in run.planted("old_snapshot_wrong", "stale_report"):
        report = run.anchor(plant)
        assert minor(report, "balance") not in balances_within(run, report, 5_000)
        judged = plant.expect == "alert"
        age = at(report) - parse_time(str(report["as_of"]))
        assert age == (600_000 if judged else 600_001)
        assert not judged or plant.earliest_at == at(report)


def test_no_other_report_is_wrong(run: Run) -> None:
    planted = {plant.event_ids[-1] for plant in run.truth}
    # Of these books, the order in which rows were booked is not that in which they are told.
    unclear = {"row", "row_major_unit", "row_below_major_unit", "row_corrected", "undone_short"}
    unclear |= {"group_joined", "group_split"}
    skipped = {plant.account_id for plant in run.truth if plant.variant in unclear}
    checked = 0
    for report in run.events:
        account = str(report["account_id"])
        if report["kind"] != "balance" or report["event_id"] in planted or account in skipped:
            continue
        rows = run.books.get((account, str(report["currency"])), [])
        if any(at(row) <= parse_time(str(report["as_of"])) for row in rows):
            assert minor(report, "balance") in balances_within(run, report, 0)
            checked += 1
    assert checked > 200


def test_holds_of_the_available_balance_stand_between_rows_of_the_posted_one(run: Run) -> None:
    for plant in run.planted("available_hold", "hold_row_wrong"):
        row = run.anchor(plant)
        assert (row["status"], row["balance_kind"]) == ("pending", "available")
        off = minor(row, "balance_before") - minor(row, "balance_after") - cost(row)
        assert off == (1 if plant.variant == "hold_row_wrong" else 0)
        assert plant.expect == ("alert" if off else "silent")


def test_other_innocent_rows_are_what_they_are_called(run: Run) -> None:
    for plant in run.planted("given_back"):
        row = run.anchor(plant)
        assert row["status"] in ("reversed", "cancelled", "expired")
        assert minor(row, "balance_after") - minor(row, "balance_before") == cost(row)
    for plant in run.planted("mixed_payment"):
        row = run.anchor(plant)
        assert minor(row, "balance_before") - minor(row, "balance_after") == cost(row)
        assert cost(row) < minor(row, "amount")
    for plant in run.planted("foreign_payment"):
        row = run.anchor(plant)
        own = [r for r in run.before(plant) if r["currency"] != row["currency"]]
        assert own
        assert neighbour(run, plant)["balance_after"] == row["balance_before"]
    for plant in run.planted("entry_without_balances"):
        assert "balance_before" not in run.anchor(plant)
    for plant in run.planted("partial_capture"):
        row = run.anchor(plant)
        held = next(r for r in run.before(plant) if r["transaction_id"] == row["transaction_id"])
        assert minor(row, "amount") < minor(held, "amount")
