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
from rules.events import TRANSACTION, Transaction
from tests.support.rule_driver import Driver

EFFECTS = {"payment": -1, "withdrawal": -1, "topup": 1, "refund": 1, "adjustment": 1}
KINDS = ("posted", "posted", "posted", "available")


def ledger(
    rng: random.Random, rows: int, kinds: tuple[str, ...] = ("posted",)
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


def found_by(driver: Driver) -> list[tuple[str, int, int]]:
    """Return (check, number, drift) of the alerts about balances."""
    return [
        (draft.details["check"], draft.details["ledger_sequence"], draft.details["drift_minor"])
        for draft in driver.drafts
        if draft.details["check"] in ("row", "chain")
    ]


@pytest.mark.parametrize("seed", range(60))
def test_one_alert_per_corruption_at_its_row_and_none_elsewhere(seed: int) -> None:
    """In order of number, posted balances: the promise of the issue, without a model."""
    rng = random.Random(seed)
    rows = ledger(rng, 80)
    wrong = rng.sample([event for event in rows if event.status == "completed"], 12)
    for event in wrong:
        corrupt(rng, event)
    driver = Driver(BalanceMismatch)
    for event in rows:
        driver.handle(TRANSACTION, event)
    blamed = [draft.anchor for draft in driver.drafts]
    assert sorted(blamed) == sorted(event.event_id for event in wrong)
    assert not [draft for draft in driver.drafts if abs(draft.details["drift_minor"]) != 1]


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
    driver = Driver(BalanceMismatch, row_check=row_check)
    for event in in_some_order(rng, kept, rng.choice((0, 3, 20))):
        driver.handle(TRANSACTION, event)
    found = found_by(driver)
    assert len(found) == len(set(found))
    assert set(found) == naive(kept, row_check)
    driver.pass_time(driver.now + 61_000)
    gaps = [draft.details for draft in driver.drafts if "count" in draft.details]
    assert sum(details["count"] for details in gaps) == len(gone)
    assert len(gaps) == len({details["first_missing"] for details in gaps})
    for details in gaps:
        assert {details["first_missing"] - 1, details["last_missing"] - 1} <= gone


@pytest.mark.parametrize("seed", range(40))
def test_a_correct_ledger_is_silent_in_any_order_and_however_late(seed: int) -> None:
    """The order of arrival gives no alert, and nothing stays open."""
    rng = random.Random(seed)
    driver = Driver(BalanceMismatch)
    rows = ledger(rng, 60, KINDS)
    late = set(rng.sample(range(1, 60), 15))
    on_time = [event for index, event in enumerate(rows) if index not in late]
    order = in_some_order(rng, on_time, rng.choice((0, 10)))
    for index in late:
        order.insert(rng.randrange(1, len(order)), rows[index])
    for event in order:
        is_late = event.occurred_at < 1_000_000
        driver.handle(TRANSACTION, event, late=is_late)
    driver.pass_time(driver.now + 10**8)
    assert driver.log == []
    (chain,) = driver.state().chains
    assert (chain.head, chain.gaps) == (60, [])
    assert driver.accounts["acc-1"].timers == {}


def test_as_many_gap_alerts_as_gaps() -> None:
    """Fifty missing rows, no two adjacent: fifty alerts, each with its number."""
    rows = ledger(random.Random(1), 400)
    gone = {4 + 7 * index for index in range(50)}
    driver = Driver(BalanceMismatch)
    for event in rows:
        if event.ledger_sequence not in gone:
            driver.handle(TRANSACTION, event)
    driver.pass_time(driver.now + 20 * 60_000)
    assert driver.steps.count("raised info") == len(driver.drafts) == 50
    assert {draft.details["first_missing"] for draft in driver.drafts} == gone


def test_a_row_of_a_gap_that_comes_late_closes_it_without_being_compared() -> None:
    """A late row may not be judged against newer ones: its balances are not looked at here."""
    driver = Driver(BalanceMismatch)
    for event in (row(1, "10:00:00", "1", "9", "8"), row(3, "10:00:02", "1", "7", "6")):
        driver.give(event)
    driver.give(clock("10:01:03"))
    assert driver.steps == ["raised info"]
    driver.give(row(2, "10:00:01", "1", "500", "499"), late=True)
    assert driver.steps == ["raised info", "retracted info"]
    driver.give(clock("11:00:00"))
    assert len(driver.steps) == 2


def test_a_late_row_is_judged_by_itself() -> None:
    """Row arithmetic needs no other row."""
    driver = Driver(BalanceMismatch).give(row(5, "10:00:00", "1", "9", "8"))
    driver.give(row(4, "09:00:00", "1", "10", "8"), late=True)
    assert driver.steps == ["raised error"]
    assert driver.counts["old_sequence"] == 1


def test_the_error_of_a_gap_names_what_is_still_missing() -> None:
    """A gap that shrinks stays one alert."""
    driver = Driver(BalanceMismatch, snapshot_check=False)
    driver.give(row(1, "10:00:00", "1", "9", "8")).give(row(5, "10:00:01", "1", "5", "4"))
    driver.give(row(3, "10:02:00", "1", "7", "6"))
    assert driver.drafts[0].anchor == "gap:EUR:2"
    driver.give(row(2, "10:03:00", "1", "8", "7")).give(clock("10:15:02"))
    assert driver.steps == ["raised info", "updated error"]
    driver.give(row(4, "10:16:00", "1", "6", "5"))
    assert driver.steps[-1] == "cured error"
    assert driver.accounts["acc-1"].timers == {}


def test_a_gap_that_closes_in_time_leaves_no_timer() -> None:
    """Nothing waits for what has come."""
    driver = Driver(BalanceMismatch, snapshot_check=False)
    driver.give(row(1, "10:00:00", "1", "9", "8")).give(row(3, "10:00:01", "1", "7", "6"))
    driver.give(row(2, "10:00:02", "1", "8", "7"))
    assert driver.accounts["acc-1"].timers == {}


def test_a_wrong_row_with_a_number_that_another_has_is_one_alert() -> None:
    """The row check comes first."""
    driver = Driver(BalanceMismatch)
    driver.give(row(1, "10:00:00", "1", "9", "8")).give(row(2, "10:00:01", "1", "8", "7"))
    driver.give(row(2, "10:00:02", "1", "8", "5", event_id="other"))
    assert [draft.details["check"] for draft in driver.drafts] == ["row"]


def test_currencies_have_chains_of_their_own() -> None:
    """Equal numbers in two currencies are no conflict."""
    driver = Driver(BalanceMismatch)
    for number in (1, 2):
        for currency in ("EUR", "USD"):
            extra = {"currency": currency, "event_id": f"{currency}-{number}"}
            driver.give(
                row(number, f"10:00:0{number}", "1", str(9 - number), str(8 - number), **extra)
            )
    assert driver.log == []
    assert [chain.head for chain in driver.state().chains] == [2, 2]


def test_a_number_may_jump_far_and_come_back() -> None:
    """One wrong number costs one gap; the rows after it are still compared."""
    driver = Driver(BalanceMismatch)
    driver.give(row(1, "10:00:00", "1", "9", "8"))
    driver.give(row(2**62, "10:00:01", "1", "8", "7"))
    driver.give(row(2, "10:00:02", "1", "7", "6"))
    driver.give(row(3, "10:00:03", "1", "5", "4"))
    assert found_by(driver) == [("chain", 2, -100), ("chain", 3, -100)]


def test_gap_pieces_are_bounded_and_the_forgotten_are_counted() -> None:
    """State does not grow with the number of holes."""
    driver = Driver(BalanceMismatch)
    for number in range(1, 200, 2):
        driver.handle(TRANSACTION, _plain(number))
    assert len(driver.state().chains[0].gaps) == ledger_chain.MAX_GAPS
    assert driver.counts["gap_forgotten"] == 99 - ledger_chain.MAX_GAPS


def test_a_duplicate_is_counted_and_a_conflict_is_reported_once_per_event() -> None:
    """Equal contents are the same entry, whatever the event id."""
    driver = Driver(BalanceMismatch)
    wrong = row(2, "10:00:01", "1", "8", "6.50")
    driver.give(row(1, "10:00:00", "1", "9", "8")).give(wrong)
    driver.give(wrong | {"event_id": "again"})
    assert driver.steps == ["raised warning"]
    assert driver.counts["repeated_entry"] == 1
    driver.give(row(2, "10:00:02", "1", "8", "7", event_id="other"))
    assert driver.drafts[1].details["check"] == "sequence_conflict"
    assert [role for _, role in driver.drafts[1].evidence] == ["first_entry", "entry"]


@pytest.mark.parametrize("drift", [-2, 2, -3, 3])
def test_a_tolerance_holds_for_both_checks_up_to_its_edge(drift: int) -> None:
    """Drift equal to the tolerance is none, one more is."""
    driver = Driver(BalanceMismatch, tolerance_minor=2)
    driver.give(
        row(
            1,
            "10:00:00",
            "1.00",
            "9.00",
            f"8.{drift % 100:02}" if drift > 0 else f"7.{drift % 100}",
        )
    )
    assert driver.steps == (["raised warning"] if abs(drift) > 2 else [])
    driver.give(row(10, "10:00:01", "1.00", "9.00", "8.00"))
    start = "8.0" + str(drift) if drift > 0 else f"7.{100 + drift}"
    driver.give(row(11, "10:00:02", "0.00", start, start))
    assert ("chain", 11, drift) in found_by(driver) or abs(drift) <= 2
    assert len(driver.steps) == (2 if abs(drift) > 2 else 0)


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
    driver = Driver(BalanceMismatch)
    driver.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    if type_ == "refund":
        amount = amount.lstrip("-")
    driver.give(txn("t2", time, amount=amount, type=type_), late=True)
    assert driver.steps[1:] == ([expected] if expected else [])


def test_a_correction_cures_only_when_completed() -> None:
    """Pending, it has moved nothing yet."""
    driver = Driver(BalanceMismatch)
    driver.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    driver.give(txn("t2", "10:00:01", "pending", "-0.01", type="adjustment"))
    assert driver.steps == ["raised warning"]
    driver.give(txn("t2", "10:00:02", amount="-0.01", type="adjustment"))
    assert driver.steps == ["raised warning", "cured warning"]


def test_the_oldest_of_equal_drifts_is_cured_first() -> None:
    """One correction closes one alert."""
    driver = Driver(BalanceMismatch)
    driver.give(txn("t1", "10:00:00", amount="1", **_balances("9.00", "8.01")))
    driver.give(txn("t2", "10:00:01", amount="1", **_balances("9.00", "8.01")))
    driver.give(txn("t3", "10:00:02", amount="-0.01", type="adjustment"))
    assert [alert.anchor for step, alert in driver.log if step.startswith("cured")] == [
        "t1-completed"
    ]


def test_an_alert_quotes_what_derives_it_and_no_account() -> None:
    """Facts with the events they came from; a title without personal data."""
    driver = Driver(BalanceMismatch)
    driver.give(row(1, "10:00:00", "1", "9", "8")).give(row(2, "10:00:01", "1", "7", "6"))
    (draft,) = driver.drafts
    quoted = {(name, value, ref.event_id) for name, value, ref in draft.facts if ref}
    assert quoted >= {
        ("previous_balance_minor", 800, "r1-completed"),
        ("balance_before_minor", 700, "r2-completed"),
        ("ledger_sequence", 2, "r2-completed"),
    }
    assert draft.title == "Balance jumped by -1.00 EUR between two ledger entries"
    assert [(a.currency, a.minor, a.exponent) for a in draft.amount_at_stake] == [("EUR", 100, 2)]
    assert (draft.cause, draft.suspected_root_cause) == ("ledger", "technical")


def test_the_error_of_a_gap_must_come_after_its_info() -> None:
    """Parameters that contradict each other are refused."""
    with pytest.raises(ValidationError, match="more than gap_info_ms"):
        BalanceMismatchParams(gap_info_ms=1_000, gap_error_ms=1_000)


def test_a_quiet_account_costs_little() -> None:
    """State after many ordinary rows: one chain, its end and four contents."""
    driver = Driver(BalanceMismatch)
    for event in ledger(random.Random(3), 50):
        driver.handle(TRANSACTION, event)
    driver.pass_time(driver.now + 24 * 3_600_000)
    assert driver.accounts["acc-1"].timers == {}
    assert len(driver.accounts["acc-1"].state) < 125


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
