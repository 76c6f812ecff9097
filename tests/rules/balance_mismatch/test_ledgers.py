"""A2 beyond its examples: random ledgers against a naive model, late rows, bounds, cures."""

import random
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from rules.balance_mismatch.ledger import chain as ledger_chain
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import clock, row, txn
from rules.events import Transaction
from rules.testing import Scenario
from schemas.transaction import BalanceKind

EFFECTS = {"payment": -1, "withdrawal": -1, "topup": 1, "refund": 1, "adjustment": 1}
KINDS: tuple[BalanceKind, ...] = ("posted", "posted", "posted", "available")


def ledger(
    rng: random.Random, rows: int, kinds: tuple[BalanceKind, ...] = ("posted",)
) -> list[Transaction]:
    """Return a ledger without fault: one row a second, one balance per kind."""
    balances = dict.fromkeys(kinds, 100_000)
    found = []
    for number in range(1, rows + 1):
        kind, type_ = rng.choice(kinds), rng.choice(list(EFFECTS))
        status = rng.choice(("completed", "completed", "completed", "pending", "failed"))
        amount = rng.randrange(1, 5_000)
        effect = EFFECTS[type_] * amount if status == "completed" else 0
        if kind == "available":
            status, effect = "completed", rng.randrange(-50, 50)  # not judged by itself
        before = balances[kind]
        balances[kind] += effect
        found.append(
            Transaction(
                event_id=f"e{number}",
                transaction_id=f"t{number}",
                account_id="acc-1",
                type=type_,
                status=status,
                amount=amount,
                currency="EUR",
                occurred_at=number * 1_000,
                balance_before=before,
                balance_after=balances[kind],
                balance_kind=kind,
                ledger_sequence=number,
            )
        )
    return found


def corrupt(rng: random.Random, event: Transaction) -> None:
    """Change one of the numbers of a row by one minor unit."""
    fields = ["balance_before", "balance_after"]
    if event.status == "completed" and event.balance_kind == "posted":
        fields.append("amount")
    name = rng.choice(fields)
    setattr(event, name, getattr(event, name) + rng.choice((-1, 1)))


def in_some_order(rng: random.Random, rows: list[Transaction], reach: int) -> list[Transaction]:
    """Return the rows, each up to `reach` places away from its own; the first stays."""
    places = {id(event): index + rng.uniform(0, reach) for index, event in enumerate(rows)}
    order = [rows[0], *sorted(rows[1:], key=lambda event: places[id(event)])]
    for index, event in enumerate(order):
        event.occurred_at = 1_000_000 + index * 10
    return order


def ends_of(event: Transaction) -> tuple[int, int]:
    """Return the balances before and after a row that reports both."""
    assert event.balance_before is not None
    assert event.balance_after is not None
    return event.balance_before, event.balance_after


def number_of(event: Transaction) -> int:
    """Return the number of a row that has one."""
    assert event.ledger_sequence is not None
    return event.ledger_sequence


def drift_of(event: Transaction) -> int:
    """What the row moved wrongly."""
    if event.balance_kind == "available":
        return 0
    before, after = ends_of(event)
    effect = EFFECTS[event.type] * event.amount
    allowed = {"completed": [effect], "pending": [0], "failed": [0, -effect]}[event.status]
    return min((after - before - due for due in allowed), key=abs)


def naive(rows: list[Transaction], row_check: bool) -> set[tuple[str, int, int]]:
    """Return (check, number, drift) of everything wrong, from the rows in order of number."""
    drifts = [drift_of(event) if row_check else 0 for event in rows]
    found = {
        ("row", number_of(event), drift) for event, drift in zip(rows, drifts, strict=True) if drift
    }
    for (left, wrong), (right, blamed) in pairwise(zip(rows, drifts, strict=True)):
        if number_of(right) != number_of(left) + 1 or blamed:
            continue
        if right.balance_kind == left.balance_kind:
            (_, end), (start, _) = ends_of(left), ends_of(right)
            drift = min((start - end, start - end + wrong), key=abs)
            if drift:
                found.add(("chain", number_of(right), drift))
    return found


def found_by(scenario: Scenario) -> list[tuple[str, int, int]]:
    """Return (check, number, drift) of the alerts about balances."""
    return [
        (
            raised.details["check"],
            raised.details["ledger_sequence"],
            raised.details["drift_minor"],
        )
        for raised in scenario.raised
        if raised.details["check"] in ("row", "chain")
    ]


@pytest.mark.parametrize("seed", range(60))
def test_one_alert_per_corruption_at_its_row_and_none_elsewhere(seed: int) -> None:
    """In order of number, posted balances: the promise of the issue, without a model."""
    rng = random.Random(seed)
    rows = ledger(rng, 80)
    wrong = rng.sample([event for event in rows if event.status == "completed"], 12)
    for event in wrong:
        corrupt(rng, event)
    scenario = Scenario(BalanceMismatch)
    for event in rows:
        scenario.give(event)
    blamed = [raised.anchor for raised in scenario.raised]
    assert sorted(blamed) == sorted(event.event_id for event in wrong)
    assert not [raised for raised in scenario.raised if abs(raised.details["drift_minor"]) != 1]


@pytest.mark.parametrize("row_check", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_any_order_gives_what_the_naive_model_gives(seed: int, row_check: bool) -> None:
    """Both kinds of balance, rows shuffled, corrupted and missing."""
    rng = random.Random(seed)
    rows = ledger(rng, 80, KINDS)
    for event in rng.sample(rows, 10):
        corrupt(rng, event)
    gone = set(rng.sample(range(1, 79), rng.randrange(8)))
    kept = [event for index, event in enumerate(rows) if index not in gone]
    scenario = Scenario(BalanceMismatch, row_check=row_check)
    for event in in_some_order(rng, kept, rng.choice((0, 3, 20))):
        scenario.give(event)
    found = found_by(scenario)
    assert len(found) == len(set(found))
    assert set(found) == naive(kept, row_check)
    scenario.pass_time(scenario.now + 61_000)
    told = [raised.details for raised in scenario.raised if "count" in raised.details]
    assert sum(details["count"] for details in told) == len(gone)
    assert len(told) == len({details["first_missing"] for details in told})
    for details in told:
        assert {details["first_missing"] - 1, details["last_missing"] - 1} <= gone


@pytest.mark.parametrize("seed", range(40))
def test_a_correct_ledger_is_silent_in_any_order_and_however_late(seed: int) -> None:
    """The order of arrival gives no alert, and nothing stays open."""
    rng = random.Random(seed)
    scenario = Scenario(BalanceMismatch)
    rows = ledger(rng, 60, KINDS)
    late = set(rng.sample(range(1, 60), 15))
    on_time = [event for index, event in enumerate(rows) if index not in late]
    order = in_some_order(rng, on_time, rng.choice((0, 10)))
    for index in late:
        order.insert(rng.randrange(1, len(order)), rows[index])
    for event in order:
        is_late = event.occurred_at < 1_000_000
        scenario.give(event, late=is_late)
    scenario.pass_time(scenario.now + 10**8)
    assert scenario.steps == []
    (chain,) = scenario.state().chains
    assert (chain.head, chain.gaps) == (60, [])
    assert scenario.timers() == {}


def test_as_many_gap_alerts_as_gaps() -> None:
    """Fifty missing rows, no two adjacent: fifty alerts, each with its number."""
    rows = ledger(random.Random(1), 400)
    gone = {4 + 7 * index for index in range(50)}
    scenario = Scenario(BalanceMismatch)
    for event in rows:
        if event.ledger_sequence not in gone:
            scenario.give(event)
    scenario.pass_time(scenario.now + 20 * 60_000)
    assert scenario.steps.count("raised info") == len(scenario.raised) == 50
    assert {raised.details["first_missing"] for raised in scenario.raised} == gone


def test_a_row_of_a_gap_that_comes_late_closes_it_without_being_compared() -> None:
    """A late row may not be judged against newer ones: its balances are not looked at here."""
    scenario = Scenario(BalanceMismatch)
    for event in (row(1, "10:00:00", "1", "9", "8"), row(3, "10:00:02", "1", "7", "6")):
        scenario.give(event)
    scenario.give(clock("10:01:03"))
    assert scenario.steps == ["raised info"]
    scenario.give(row(2, "10:00:01", "1", "500", "499"), late=True)
    assert scenario.steps == ["raised info", "retracted info"]
    scenario.give(clock("11:00:00"))
    assert len(scenario.steps) == 2


def test_a_late_row_is_judged_by_itself() -> None:
    """Row arithmetic needs no other row."""
    scenario = Scenario(BalanceMismatch).give(row(5, "10:00:00", "1", "9", "8"))
    scenario.give(row(4, "09:00:00", "1", "10", "8"), late=True)
    assert scenario.steps == ["raised error"]
    assert scenario.counts["old_sequence"] == 1


def test_the_error_of_a_gap_names_what_is_still_missing() -> None:
    """A gap that shrinks stays one alert."""
    scenario = Scenario(BalanceMismatch, snapshot_check=False)
    scenario.give(row(1, "10:00:00", "1", "9", "8")).give(row(5, "10:00:01", "1", "5", "4"))
    scenario.give(row(3, "10:02:00", "1", "7", "6"))
    assert scenario.raised[0].anchor == "gap:EUR:2"
    scenario.give(row(2, "10:03:00", "1", "8", "7")).give(clock("10:15:02"))
    assert scenario.steps == ["raised info", "updated error"]
    scenario.give(row(4, "10:16:00", "1", "6", "5"))
    assert scenario.steps[-1] == "cured error"
    assert scenario.timers() == {}


def test_a_gap_that_closes_in_time_leaves_no_timer() -> None:
    """Nothing waits for what has come."""
    scenario = Scenario(BalanceMismatch, snapshot_check=False)
    scenario.give(row(1, "10:00:00", "1", "9", "8")).give(row(3, "10:00:01", "1", "7", "6"))
    scenario.give(row(2, "10:00:02", "1", "8", "7"))
    assert scenario.timers() == {}


def test_a_wrong_row_with_a_number_that_another_has_is_one_alert() -> None:
    """The row check comes first."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(row(1, "10:00:00", "1", "9", "8")).give(row(2, "10:00:01", "1", "8", "7"))
    scenario.give(row(2, "10:00:02", "1", "8", "5", event_id="other"))
    assert [raised.details["check"] for raised in scenario.raised] == ["row"]


def test_currencies_have_chains_of_their_own() -> None:
    """Equal numbers in two currencies are no conflict."""
    scenario = Scenario(BalanceMismatch)
    for number in (1, 2):
        for currency in ("EUR", "USD"):
            extra = {"currency": currency, "event_id": f"{currency}-{number}"}
            scenario.give(
                row(number, f"10:00:0{number}", "1", str(9 - number), str(8 - number), **extra)
            )
    assert scenario.steps == []
    assert [chain.head for chain in scenario.state().chains] == [2, 2]


def test_a_number_may_jump_far_and_come_back() -> None:
    """One wrong number costs one gap; the rows after it are still compared."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(row(1, "10:00:00", "1", "9", "8"))
    scenario.give(row(2**62, "10:00:01", "1", "8", "7"))
    scenario.give(row(2, "10:00:02", "1", "7", "6"))
    scenario.give(row(3, "10:00:03", "1", "5", "4"))
    assert found_by(scenario) == [("chain", 2, -100), ("chain", 3, -100)]


def test_gap_pieces_are_bounded_and_the_forgotten_are_counted() -> None:
    """State does not grow with the number of holes."""
    scenario = Scenario(BalanceMismatch)
    for number in range(1, 200, 2):
        scenario.give(_plain(number))
    assert len(scenario.state().chains[0].gaps) == ledger_chain.MAX_GAPS
    assert scenario.counts["gap_forgotten"] == 99 - ledger_chain.MAX_GAPS


def test_a_duplicate_is_counted_and_a_conflict_is_reported_once_per_event() -> None:
    """Equal contents are the same entry, whatever the event id."""
    scenario = Scenario(BalanceMismatch)
    wrong = row(2, "10:00:01", "1", "8", "6.50")
    scenario.give(row(1, "10:00:00", "1", "9", "8")).give(wrong)
    scenario.give(wrong | {"event_id": "again"})
    assert scenario.steps == ["raised warning"]
    assert scenario.counts["repeated_entry"] == 1
    scenario.give(row(2, "10:00:02", "1", "8", "7", event_id="other"))
    assert scenario.raised[1].details["check"] == "sequence_conflict"
    assert [role for _, role in scenario.raised[1].evidence] == ["first_entry", "entry"]


@pytest.mark.parametrize("drift", [-2, 2, -3, 3])
def test_a_tolerance_holds_for_both_checks_up_to_its_edge(drift: int) -> None:
    """Drift equal to the tolerance is none, one more is."""
    scenario = Scenario(BalanceMismatch, tolerance_minor=2)
    scenario.give(
        row(
            1,
            "10:00:00",
            "1.00",
            "9.00",
            f"8.{drift % 100:02}" if drift > 0 else f"7.{drift % 100}",
        )
    )
    assert scenario.steps == (["raised warning"] if abs(drift) > 2 else [])
    scenario.give(row(10, "10:00:01", "1.00", "9.00", "8.00"))
    start = "8.0" + str(drift) if drift > 0 else f"7.{100 + drift}"
    scenario.give(row(11, "10:00:02", "0.00", start, start))
    assert ("chain", 11, drift) in found_by(scenario) or abs(drift) <= 2
    assert len(scenario.steps) == (2 if abs(drift) > 2 else 0)


@pytest.mark.parametrize(
    ("time", "amount", "type_", "expected"),
    [
        ("10:00:01", "-0.01", "adjustment", "cured warning"),
        ("10:00:00", "-0.01", "adjustment", None),
        ("10:00:01", "0.01", "adjustment", None),
        ("10:00:01", "0.01", "reversal", None),
        ("10:00:01", "-0.01", "refund", None),
    ],
)
def test_only_a_later_correction_of_exactly_the_drift_cures(
    time: str, amount: str, type_: str, expected: str | None
) -> None:
    """A correction that came before cannot have been for this drift; it proves nothing."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    if type_ == "refund":
        amount = amount.lstrip("-")
    scenario.give(txn("t2", time, amount=amount, type=type_), late=True)
    assert scenario.steps[1:] == ([expected] if expected else [])


def test_a_correction_cures_only_when_completed() -> None:
    """Pending, it has moved nothing yet."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    scenario.give(txn("t2", "10:00:01", "pending", "-0.01", type="adjustment"))
    assert scenario.steps == ["raised warning"]
    scenario.give(txn("t2", "10:00:02", amount="-0.01", type="adjustment"))
    assert scenario.steps == ["raised warning", "cured warning"]


def test_the_oldest_of_equal_drifts_is_cured_first() -> None:
    """One correction closes one alert."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    scenario.give(txn("t2", "10:00:01", amount="1", **_balances("9.00", "8.01")))
    scenario.give(txn("t3", "10:00:02", amount="-0.01", type="adjustment"))
    assert [alert.anchor for alert in scenario.alerts if alert.kind == "cured"] == ["t1-completed"]


def test_an_alert_quotes_what_derives_it_and_no_account() -> None:
    """Facts with the events they came from; a title without personal data."""
    scenario = Scenario(BalanceMismatch)
    scenario.give(row(1, "10:00:00", "1", "9", "8")).give(row(2, "10:00:01", "1", "7", "6"))
    (raised,) = scenario.raised
    quoted = {(name, value, ref.event_id) for name, value, ref in raised.facts if ref}
    assert quoted >= {
        ("previous_balance_minor", 800, "r1-completed"),
        ("balance_before_minor", 700, "r2-completed"),
        ("ledger_sequence", 2, "r2-completed"),
    }
    assert raised.title == "Balance jumped by -1.00 EUR between two ledger entries"
    assert [(a.currency, a.minor, a.exponent) for a in raised.verdict.amount_at_stake] == [
        ("EUR", 100, 2)
    ]
    assert (raised.draft.cause, raised.verdict.suspected_root_cause) == ("ledger", "technical")


def test_the_error_of_a_gap_must_come_after_its_info() -> None:
    """Parameters that contradict each other are refused."""
    with pytest.raises(ValidationError, match="more than gap_info_ms"):
        BalanceMismatchParams(gap_info_ms=1_000, gap_error_ms=1_000)


def test_a_quiet_account_costs_little() -> None:
    """State after many ordinary rows: one chain, its end and four contents."""
    scenario = Scenario(BalanceMismatch)
    for event in ledger(random.Random(3), 50):
        scenario.give(event)
    scenario.pass_time(scenario.now + 24 * 3_600_000)
    assert scenario.timers() == {}
    assert len(scenario.saved_state()) < 125


def _plain(number: int) -> Transaction:
    return Transaction(
        event_id=f"e{number}",
        transaction_id=f"t{number}",
        account_id="acc-1",
        type="payment",
        status="completed",
        amount=1,
        currency="EUR",
        occurred_at=number,
        ledger_sequence=number,
    )


def _balances(before: str, after: str) -> dict[str, Any]:
    return {"balance_before": before, "balance_after": after, "balance_kind": "posted"}
