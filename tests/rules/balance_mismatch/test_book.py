"""A2 for books without numbers and for reports: order, lateness, bounds, reasons."""

import random
from itertools import pairwise, permutations
from typing import Any

import pytest

from rules.balance_mismatch.group_examples import FIRST, entry, hold
from rules.balance_mismatch.ledger import group as ledger_group
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import balance, clock, row, txn
from rules.events import TRANSACTION, Transaction
from rules.testing import Scenario, event_of
from schemas.time import format_time

MINUTE = 60_000


def moves(rng: random.Random, groups: int, largest: int) -> list[list[Transaction]]:
    """Return groups of right rows, each a minute after the one before."""
    now, found, number = 100_000, [], 0
    for group in range(1, groups + 1):
        rows = []
        for _ in range(rng.randrange(1, largest + 1)):
            number += 1
            amount = rng.randrange(1, 5_000)
            found_type = rng.choice(("payment", "topup"))
            before, now = now, now + (amount if found_type == "topup" else -amount)
            rows.append(_booked(number, found_type, amount, group * MINUTE, before, now))
        found.append(rows)
    return found


def _booked(number: int, type_: str, amount: int, at: int, before: int, after: int) -> Transaction:
    return Transaction(
        event_id=f"e{number}",
        transaction_id=f"t{number}",
        account_id="acc-1",
        type=type_,
        status="completed",
        amount=amount,
        currency="EUR",
        occurred_at=at,
        balance_before=before,
        balance_after=after,
        balance_kind="posted",
    )


def run(groups: list[list[Transaction]], rng: random.Random, **params: Any) -> Scenario:
    """Handle groups, each in random order and within the slack, and let all timers fire."""
    scenario = Scenario(BalanceMismatch, **params)
    for rows in groups:
        rng.shuffle(rows)
        later = 0
        for place, event in enumerate(rows):
            later += rng.choice((0, 1))
            event.occurred_at += later
            event.event_id = f"{place}{event.event_id}"  # decides between rows of one time
            scenario.give(event)
    scenario.pass_time(scenario.now + 24 * 60 * MINUTE)
    return scenario


@pytest.mark.parametrize("seed", range(40))
def test_any_order_within_groups_is_silent(seed: int) -> None:
    """And leaves no group and no timer behind."""
    rng = random.Random(seed)
    groups = moves(rng, 15, 8)
    last = groups[-1][-1].balance_after
    scenario = run(groups, rng, row_check=bool(seed % 2))
    assert scenario.steps == []
    assert scenario.counts == {}
    (book,) = scenario.state().books
    assert book.group is None
    assert book.end.balances == (last,)
    assert book.history[1::2] == [last]
    assert scenario.timers() == {}


@pytest.mark.parametrize("row_check", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_one_corruption_of_one_minor_unit_is_one_alert(seed: int, row_check: bool) -> None:
    """About the row where rows are judged, else about its group or, for a last end, the next."""
    rng = random.Random(seed)
    groups = moves(rng, 12, 8)
    index = rng.randrange(1, 11)
    event = rng.choice(groups[index])
    name = rng.choice(("balance_before", "balance_after"))
    is_last_end = name == "balance_after" and event is groups[index][-1]
    setattr(event, name, getattr(event, name) + rng.choice((-1, 1)))
    at = groups[index + is_last_end][0].occurred_at
    scenario = run(groups, rng, row_check=row_check)
    (raised,) = scenario.raised
    assert abs(raised.details["drift_minor"]) == 1
    assert raised.verdict.severity == "warning"
    if row_check:
        assert (raised.details["check"], raised.anchor) == ("row", event.event_id)
    else:
        assert raised.details["check"] == "group"
        assert at <= raised.verdict.at < at + 10


@pytest.mark.parametrize("seed", range(60))
def test_a_group_of_up_to_six_rows_alerts_exactly_if_no_order_closes(seed: int) -> None:
    """Against all permutations, over so few balances that much coincides."""
    rng = random.Random(seed)
    balances = [rng.randrange(5) for _ in range(rng.randrange(2, 8))]
    rows = [[a, b] for a, b in pairwise(balances)]
    if rng.random() < 0.7:
        rng.choice(rows)[rng.randrange(2)] = rng.randrange(5)
    closes = any(
        order[0][0] == balances[0] and all(left[1] == right[0] for left, right in pairwise(order))
        for order in permutations(rows)
    )
    first = _booked(1, "payment", 1, MINUTE, 9, balances[0])
    group = [_booked(2 + i, "payment", 1, 2 * MINUTE, *row) for i, row in enumerate(rows)]
    scenario = run([[first], group], rng, row_check=False)
    assert scenario.steps == ([] if closes else ["raised warning"])


def test_a_thousand_rows_are_judged_at_once_and_the_rest_goes_on_from_there() -> None:
    """The state stays bounded; the alert cites what is left of the addresses."""
    rng = random.Random(1)
    (rows,) = moves(rng, 1, 1)
    now = rows[0].balance_after
    assert now is not None
    scenario = Scenario(BalanceMismatch, row_check=False).give(rows[0])
    for number in range(2, 1_503):
        at = 2 * MINUTE + number
        event = _booked(number, "payment", 1, at, now, now - 1)
        now -= 1
        if number == 700:
            event.balance_before = now + 2
        scenario.give(event)
        assert len(scenario.saved_state()) < 24_000
    assert scenario.steps == ["raised warning"]
    (raised,) = scenario.raised
    assert (raised.details["rows"], raised.details["drift_minor"]) == (
        ledger_group.MAX_ROWS,
        1,
    )
    assert len(raised.evidence) == 1 + ledger_group.MAX_REFS <= 50
    scenario.pass_time(scenario.now + MINUTE)
    assert len(scenario.steps) == 1
    assert scenario.state().books[0].end.balances == (now,)


def test_the_timers_wait_for_proof_about_transactions() -> None:
    """A missing row, or one that explains a report, may be held back."""
    scenario = Scenario(BalanceMismatch).leave_unproven(TRANSACTION)
    scenario.give(FIRST).give(entry("gap", "10:00:00.500", "5.00", "42.00", "37.00"))
    scenario.give(balance("10:00:01", "1.00"))
    timers = scenario.timers()
    assert {name: awaits for name, (_, awaits) in timers.items()} == {
        "group:EUR:posted": (TRANSACTION,),
        "idle": (),
        "report:balance-10:00:01": (TRANSACTION,),
    }


def broken() -> Scenario:
    """Return a scenario in which a row from 90.00 to 70.00 is missing, with an alert about it."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    scenario.give(entry("c", "10:01:00", "10.00", "70.00", "60.00")).give(clock("10:02:00"))
    assert scenario.steps == ["raised error"]
    return scenario


@pytest.mark.parametrize("time", ["10:00:30", "10:01:00", "09:59:00"])
def test_a_late_row_that_closes_a_broken_group_retracts_it(time: str) -> None:
    """Whenever before it the row happened; the book continues at its end."""
    scenario = broken().give(entry("b", time, "20.00", "90.00", "70.00"), late=True)
    assert scenario.steps[1:] == ["retracted error"]
    scenario.give(entry("d", "10:03:00", "10.00", "60.00", "50.00")).give(clock("10:04:00"))
    assert len(scenario.steps) == 2


def test_a_late_row_that_does_not_close_it_is_counted() -> None:
    """It proves nothing."""
    scenario = broken().give(entry("b", "10:00:30", "19.00", "90.00", "71.00"), late=True)
    assert scenario.steps == ["raised error"]
    assert scenario.counts["late_row_unplaced"] == 1


def test_a_late_row_joins_the_group_that_waits() -> None:
    """What is known in time prevents the alert."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    scenario.give(entry("c", "10:01:00", "10.00", "70.00", "60.00"))
    scenario.give(entry("b", "10:00:59.500", "20.00", "90.00", "70.00"), late=True)
    assert scenario.give(clock("10:02:00")).steps == []
    assert scenario.state().books[0].end.balances == (6_000,)


def test_a_late_row_may_be_the_last_of_what_was_judged() -> None:
    """The next row may go on from it, or not: neither is an alert."""
    for start, end in (("70.00", "60.00"), ("90.00", "80.00")):
        scenario = Scenario(BalanceMismatch).give(FIRST).give(clock("10:00:30"))
        scenario.give(entry("b", "10:00:02", "20.00", "90.00", "70.00"), late=True)
        scenario.give(entry("c", "10:01:00", "10.00", start, end)).give(clock("10:02:00"))
        assert scenario.steps == []


def test_a_late_row_explains_a_report() -> None:
    """Its balance held around the moment of the report, even if it is much older."""
    for time in ("10:00:10", "10:05:00", "10:05:04.999"):
        scenario = Scenario(BalanceMismatch).give(FIRST).give(balance("10:05:00", "70.00"))
        scenario.give(clock("10:06:00"))
        scenario.give(entry("b", time, "20.00", "90.00", "70.00"), late=True)
        assert scenario.steps == ["raised error", "retracted error"]


def test_a_late_row_of_another_time_explains_no_report() -> None:
    """After the slack, or no longer in force."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    scenario.give(entry("b", "10:04:00", "10.00", "90.00", "80.00"))
    scenario.give(balance("10:05:00", "70.00")).give(clock("10:06:00"))
    scenario.give(entry("x", "10:02:00", "20.00", "90.00", "70.00"), late=True)
    scenario.give(entry("y", "10:05:05.001", "10.00", "80.00", "70.00"), late=True)
    assert scenario.steps == ["raised error"]


def test_a_late_report_cures_but_is_not_judged() -> None:
    """It is of the past."""
    scenario = Scenario(BalanceMismatch).give(FIRST).give(balance("10:05:00", "70.00"))
    scenario.give(clock("10:10:00"))
    scenario.give(balance("10:06:00", "71.00"), late=True)
    scenario.give(balance("10:07:00", "90.00"), late=True)
    assert scenario.steps == ["raised error", "cured error"]
    assert scenario.counts["late_snapshot"] == 1


@pytest.mark.parametrize(("age", "judged"), [(600_000, True), (600_001, False)])
def test_a_report_is_judged_up_to_its_history(age: int, judged: bool) -> None:
    """The balance before the last rows is still known then."""
    scenario = Scenario(BalanceMismatch).give(entry("a", "09:00:00", "1.00", "9.00", "8.00"))
    for minute in range(10, 21):
        start = f"{18 - minute}.00" if minute < 19 else f"-{minute - 18}.00"
        end = f"{17 - minute}.00" if minute < 18 else f"-{minute - 17}.00"
        scenario.give(entry(f"m{minute}", f"10:{minute}:00", "1.00", start, end))
    report = balance("10:20:00", "77.00")
    as_of = format_time(event_of(report).occurred_at - age)
    scenario.give(report | {"as_of": as_of}).give(clock("11:00:00"))
    assert scenario.steps == (["raised error"] if judged else [])
    assert scenario.counts["snapshot_too_old"] == (not judged)


def test_reports_that_wait_are_bounded() -> None:
    """The oldest is forgotten, and counted."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    for n in range(20):
        scenario.give(balance("10:00:30", f"{n}.00", event_id=f"report-{n}"))
    assert len(scenario.state().reports) == 16
    assert scenario.counts["snapshot_forgotten"] == 4
    scenario.give(clock("10:01:00"))
    assert scenario.steps == ["raised error"] * 16
    assert scenario.state().reports == ()


def test_books_are_bounded() -> None:
    """An account that pays in ever new currencies keeps the last ones."""
    scenario = Scenario(BalanceMismatch)
    for n in range(20):
        code = "EUR USD GBP CHF SEK NOK DKK PLN CZK HUF RON THB TRY INR CAD AUD NZD ZAR MXN BRL"
        scenario.give(entry(f"t{n}", "10:00:00", "1.00", "9.00", "8.00", currency=code.split()[n]))
    scenario.pass_time(scenario.now + MINUTE)
    assert len(scenario.state().books) == 16
    assert scenario.counts["book_forgotten"] == 4


def test_numbers_that_begin_to_come_end_the_guessing() -> None:
    """Rows without one are not compared with those that have one."""
    scenario = Scenario(BalanceMismatch).give(FIRST)
    scenario.give(row(7, "10:01:00", "10.00", "50.00", "40.00"))
    scenario.give(entry("b", "10:02:00", "20.00", "90.00", "70.00"))
    scenario.give(row(8, "10:03:00", "10.00", "40.00", "30.00")).give(clock("10:04:00"))
    assert scenario.steps == []


def test_rows_close_to_an_unreported_move_are_not_judged() -> None:
    """In whatever order the two came."""
    for times in (("10:01:00", "10:01:00.500"), ("10:01:00.500", "10:01:00")):
        scenario = Scenario(BalanceMismatch)
        events = [
            FIRST,
            txn("u", times[0]),
            entry("b", times[1], "20.00", "77.00", "57.00"),
            entry("c", "10:02:00", "20.00", "33.00", "13.00"),
        ]
        scenario.run([*events, clock("10:03:00")])
        assert scenario.steps == []
        assert scenario.counts["group_unknown"] == 1
        (book,) = scenario.state().books
        assert (book.end, book.group.in_order, book.group.steps) == (None, True, [3_300, 1_300])


def test_many_wrong_rows_in_one_group_have_only_alerts_of_their_own() -> None:
    """The end of their group is unknown: the next group sets it."""
    wrong = [entry(f"w{n}", "10:01:00", "1.00", f"{90 - n}.00", f"{88 - n}.00") for n in range(4)]
    after = entry("c", "10:02:00", "20.00", "33.00", "13.00")
    scenario = Scenario(BalanceMismatch).run([FIRST, *wrong, after, clock("10:03:00")])
    assert [raised.details["check"] for raised in scenario.raised] == ["row"] * 4
    assert scenario.counts["group_with_many_wrong_rows"] == 1


def test_a_posted_row_makes_the_available_balance_unknown() -> None:
    """A capture moves the available balance without reporting it."""
    events = [
        hold("h1", "10:00:00", "pending", "60.00", "100.00", "40.00"),
        entry("h1", "10:01:00", "60.00", "100.00", "40.00"),
        hold("h2", "10:02:00", "pending", "5.00", "47.00", "42.00"),
    ]
    assert Scenario(BalanceMismatch).run([*events, clock("10:03:00")]).steps == []


@pytest.mark.parametrize("example", BalanceMismatch.EXAMPLES, ids=lambda example: example.name)
def test_what_is_quoted_said_and_settled_holds(example: Any) -> None:
    """Facts are those of the events cited; what settles an alert answers it; claims are true."""
    scenario = Scenario(BalanceMismatch, **example.params).run(example.events)
    order = ["info", "warning", "error"]
    for settled in scenario.alerts:
        if settled.kind in ("cured", "retracted"):
            ((closing, _),) = settled.evidence
            answered = scenario.rule.Facts.of(settled.values)
            assert scenario.rule.answers(answered, scenario.event_at(closing))
    for raised in scenario.raised:
        for name, value, ref in raised.facts:
            if ref is not None:
                assert BalanceMismatch.Facts.readers()[name](scenario.event_at(ref)) == value, name
    for facts in scenario.judged:
        verdict = scenario.rule.judge(scenario.rule.Facts.of(facts))
        assert verdict is not None
        assert all(scenario.rule.because(scenario.rule.Facts.of(facts)))
        claims = scenario.rule.otherwise(scenario.rule.Facts.of(facts))
        assert claims
        for claim in claims:
            params = scenario.rule.params.model_dump() | dict(claim.params)
            other = BalanceMismatch(BalanceMismatchParams(**params))
            milder = other.judge(other.Facts.of({**facts, **claim.facts}))
            assert milder is None or order.index(milder.severity) < order.index(verdict.severity)
            assert (milder is None) == claim.sentence.startswith("no alert"), claim.sentence


def test_every_parameter_is_decided_by_a_fact() -> None:
    """`rules diff` can name it."""
    assert set(BalanceMismatch.Facts.deciding()) == set(BalanceMismatchParams.model_fields)


def test_a_quiet_book_costs_little() -> None:
    """After many groups: one balance, and where it came from."""
    rng = random.Random(5)
    scenario = run(moves(rng, 30, 8), rng)
    assert len(scenario.saved_state()) < 80
