"""A1 beyond its examples: late events, what it remembers, what it says."""

import random
from typing import Any

import pytest

from rules.builders import balance, clock, txn
from rules.events import TRANSACTION, Transaction
from rules.failed_payment.failure_codes import FAMILIES, family
from rules.failed_payment.rule import FailedPayment
from rules.failed_payment.state import FailedPaymentState
from rules.testing import Scenario

REFUSED = {"failure_code": "insufficient_funds", "failure_code_system": "internal"}
TIMEOUT = {"failure_code": "timeout", "failure_code_system": "internal"}
WINDOW = 5_000
LATER = clock("10:00:06")
"""When a refusal of 10:00:00 has been judged."""


def refused(**fields: Any) -> dict[str, Any]:
    """Return a refused payment of 60.00 with 100.00 available."""
    return txn(
        "t9", "10:00:00", "failed", "60.00", **{"available_balance": "100.00"} | REFUSED | fields
    )


def technical(**fields: Any) -> dict[str, Any]:
    """Return a payment that failed in a timeout."""
    return refused(**TIMEOUT | fields)


@pytest.mark.parametrize(
    ("time", "expected"), [("10:00:30", "cured info"), ("09:59:59", "retracted info")]
)
def test_a_late_success_cures_or_retracts_and_ends_the_waiting(time: str, expected: str) -> None:
    """Whichever side of the failure it happened on; no warning follows."""
    scenario = Scenario(FailedPayment).give(technical()).give(clock("10:01:00"))
    scenario.give(txn("t9", time, amount="60.00"), late=True)
    assert scenario.timers() == {}
    assert scenario.give(clock("11:00:00")).steps == ["raised info", expected]


def test_the_warning_waits_for_proof_about_transactions() -> None:
    """It judges an absence."""
    scenario = Scenario(FailedPayment).give(technical())
    ((name, (_, awaits)),) = scenario.timers().items()
    assert (name, awaits) == ("retry:t9-failed", (TRANSACTION,))


def test_a_late_failure_is_counted_and_not_judged() -> None:
    """It may be cured already, and its balance is of the past."""
    scenario = Scenario(FailedPayment).give(refused(), late=True)
    assert scenario.steps == []
    assert scenario.counts["late_failure"] == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"available_balance": None}, "balance_unknown"),
        ({"failure_code": None}, "unknown_failure"),
        ({"funding": "bank"}, "not_balance_funded"),
        ({"funding": "mixed"}, "mixed_part_unknown"),
        ({"failure_code_system": "iso8583", "failure_code": "51"}, "not_balance_funded"),
    ],
)
def test_what_is_not_judged_is_counted(fields: dict[str, Any], reason: str) -> None:
    """Nothing is silent."""
    event = {name: value for name, value in refused(**fields).items() if value is not None}
    scenario = Scenario(FailedPayment).give(event)
    assert scenario.steps == []
    assert scenario.counts[reason] == 1


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (balance("09:54:59.999", "100.00"), "balance_too_old"),
        (balance("09:59:00", "100.00", currency="USD"), "other_currency"),
    ],
)
def test_a_balance_that_proves_nothing_is_counted(known: dict[str, Any], reason: str) -> None:
    """Too old, or of another currency."""
    event = refused()
    del event["available_balance"]
    scenario = Scenario(FailedPayment).give(known).give(event)
    assert scenario.steps == []
    assert scenario.counts[reason] == 1


def test_a_balance_of_exactly_the_greatest_age_still_counts() -> None:
    """The bound is included, and so is an amount equal to the balance."""
    event = refused()
    del event["available_balance"]
    scenario = Scenario(FailedPayment).give(balance("09:55:00", "60.00")).give(event)
    assert scenario.give(LATER).steps == ["raised error"]


@pytest.mark.parametrize("completed", ["withdrawal", "adjustment", "topup", "refund"])
def test_what_moves_money_and_reports_no_balance_makes_the_known_one_stale(completed: str) -> None:
    """Otherwise the money it took would seem to be there still, or what it brought not to be."""
    event = refused()
    del event["available_balance"]
    scenario = Scenario(FailedPayment).give(balance("09:58:00", "100.00"))
    scenario.give(txn("t1", "09:59:00", type=completed, amount="80.00")).give(event)
    assert scenario.steps == []
    assert scenario.counts["balance_unknown"] == 1


@pytest.mark.parametrize("fields", [{"funding": "card"}, {"type": "topup", "amount": "0.00"}])
def test_what_moves_nothing_of_the_balance_leaves_the_known_one(fields: dict[str, str]) -> None:
    """A card's payment, and nothing."""
    event = refused()
    del event["available_balance"]
    scenario = Scenario(FailedPayment).give(balance("09:58:00", "100.00"))
    scenario.give(txn("t1", "09:59:00", **{"amount": "80.00"} | fields)).give(event)
    assert scenario.give(LATER).raised


def test_the_window_of_the_rival_includes_its_edge() -> None:
    """Five seconds before is within five seconds."""
    for time, severity in (("09:59:55.000", "info"), ("09:59:54.999", "error")):
        event = refused(balance_before="100.00", balance_kind="available")
        del event["available_balance"]
        scenario = Scenario(FailedPayment).give(txn("t1", time, "pending")).give(event)
        assert scenario.give(LATER).steps == [f"raised {severity}"]


@pytest.mark.parametrize("seed", range(200))
def test_two_remembered_debits_suffice_to_find_a_rival(seed: int) -> None:
    """Against the whole history, on both sides of the refusal, on time and late."""
    rng = random.Random(seed)
    scenario, now = Scenario(FailedPayment), 1_000_000
    history: list[tuple[str, int]] = []
    failed: dict[str, tuple[str, int]] = {}
    for number in range(100, 160):
        now = max(now + rng.choice((0, 500, 1_500, 4_000, 6_000)), scenario.now)
        late = rng.random() < 0.2
        at = now - rng.randrange(1, 8_000) if late else now
        name = rng.choice("abcdefgh")
        if rng.random() < 0.3 and not late:
            scenario.give(_event(number, name, "failed", at))
            failed[f"e{number}"] = name, at
        else:
            name = rng.choice((name, f"other-{number}"))
            status = "pending" if len(name) == 1 else rng.choice(("pending", "completed"))
            scenario.give(_event(number, name, status, at), late=late)
            history.append((name, at))
    scenario.pass_time(now + 60_000)
    newest = {alert.anchor: alert for alert in scenario.alerts}
    for anchor, alert in newest.items():
        name, at = failed[anchor]
        rivals = [1 for other, seen in history if other != name and abs(seen - at) <= WINDOW]
        assert alert.details["concurrent_debit"] is bool(rivals)
    assert len(newest) > 3


def _event(number: int, name: str, status: str, at: int) -> Transaction:
    extra: dict[str, Any] = (
        {"balance_before": 100, "balance_kind": "available", **REFUSED}
        if status == "failed"
        else {}
    )
    return Transaction(f"e{number}", name, "acc-1", "payment", status, 10, "EUR", at, **extra)


def test_a_quiet_account_costs_little() -> None:
    """One mark and one time, and the time of the newest credit; nothing before."""
    scenario = Scenario(FailedPayment).give(txn("t0", "08:00:00", "pending", type="topup"))
    assert scenario.state() == FailedPaymentState()
    for minute in range(10, 40):
        scenario.give(txn(f"t{minute}", f"09:{minute}:00"))
        scenario.give(txn(f"u{minute}", f"09:{minute}:30", type="topup"))
    assert len(scenario.saved_state()) <= 34


@pytest.mark.parametrize(
    ("fields", "cause", "root"),
    [
        (REFUSED | {"provider": "acme-pay"}, "provider:acme-pay", "technical"),
        (TIMEOUT | {"provider": "acme-pay"}, "provider:acme-pay", "third_party"),
        (TIMEOUT, "payments", "technical"),
    ],
)
def test_cause_and_root_cause(fields: dict[str, str], cause: str, root: str) -> None:
    """The provider is the coarsest thing that may explain it."""
    (raised,) = Scenario(FailedPayment).give(refused(**fields)).give(LATER).raised
    assert (raised.draft.cause, raised.verdict.suspected_root_cause) == (cause, root)
    assert (raised.anchor, raised.draft.subject) == ("t9-failed", "t9")


def test_an_alert_quotes_the_balance_with_the_event_it_came_from() -> None:
    """And the holds taken off it."""
    event = refused(fee="0.50")
    del event["available_balance"]
    scenario = Scenario(FailedPayment)
    scenario.give(txn("t1", "09:50:00", "pending", "20.00")).give(balance("09:58:00", "100.00"))
    (raised,) = scenario.give(event).give(LATER).raised
    facts = {name: (value, ref and ref.event_id) for name, value, ref in raised.facts}
    assert facts["reported_balance_minor"] == (10_000, "balance-09:58:00")
    assert facts["holds_minor"] == (2_000, None)
    assert facts["fee_minor"] == (50, "t9-failed")
    assert [role for _, role in raised.evidence] == ["balance", "failure"]
    assert raised.title == (
        "Payment of 60.00 EUR refused for insufficient funds although the balance covers it"
    )


def test_silent_families_are_a_parameter() -> None:
    """Given as a list, as a file of thresholds does."""
    scenario = Scenario(FailedPayment, silent_families=["technical"]).give(technical())
    assert scenario.steps == []
    scenario = Scenario(FailedPayment, silent_families=[])
    scenario.give(refused(failure_code="limit"))
    assert scenario.steps == ["raised info"]


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        ("iso8583", "51", "insufficient_funds"),
        ("iso8583", "05", "unknown"),
        ("iso20022", "am04", "insufficient_funds"),
        ("iso20022", "MS03", "unknown"),
        ("stripe", "do_not_honor", "unknown"),
        ("adyen", "Not enough balance", "insufficient_funds"),
        ("adyen", "28", "limit"),
        ("internal", "timeout", "technical"),
        (None, "insufficient_funds", "insufficient_funds"),
        (None, "51", "unknown"),
        ("internal", None, "unknown"),
    ],
)
def test_families_of_codes(system: str | None, code: str | None, expected: str) -> None:
    """Raw code and its system give the family."""
    assert family(system, code) == expected


def test_no_code_has_two_families() -> None:
    """A code that stood in two places of the table would silently take the last."""
    from rules.failed_payment.failure_codes import _CODES

    listed = sum(len(codes.split()) for table in _CODES.values() for codes in table.values())
    assert listed == len(FAMILIES)


POSTED = {"balance_before": "100.00", "balance_kind": "posted"}


def failing(*before: dict[str, Any], **fields: Any) -> Scenario:
    """Refuse a payment of 60.00 at 10:00:00 with 100.00 before it."""
    scenario = Scenario(FailedPayment)
    for event in before:
        scenario.give(event)
    scenario.give(txn("t9", "10:00:00", "failed", "60.00", **POSTED | REFUSED | fields))
    return scenario.give(LATER)


@pytest.mark.parametrize(("time", "rival"), [("09:59:55.000", True), ("09:59:54.999", False)])
def test_its_own_pending_event_does_not_hide_a_rival(time: str, rival: bool) -> None:
    """A rival counts up to exactly concurrent_debit_ms before, whatever else came after it."""
    scenario = failing(txn("t1", time, amount="1.00"), txn("t9", "10:00:00", "pending", "60.00"))
    assert scenario.raised[0].details["concurrent_debit"] is rival


def test_attempts_and_technical_failures_are_told_to_triage() -> None:
    """Per provider: what completed or failed is an attempt, what is pending is none yet."""
    acme = {"provider": "acme"}
    scenario = failing(
        txn("t0", "09:00:00", "pending", **acme),
        txn("t0", "09:00:01", **acme),
        txn("t1", "09:00:02"),
        **acme,
    )
    scenario.give(clock("10:00:10"))
    assert scenario.tallies == {("provider:acme", "attempts"): 2}
    scenario.give(txn("t2", "10:01:00", "failed", **POSTED, **TIMEOUT, **acme), late=True)
    scenario.give(clock("10:01:11"))
    assert scenario.tallies == {
        ("provider:acme", "attempts"): 3,
        ("provider:acme", "technical_failures"): 1,
    }


def test_no_parameters_make_an_unlisted_code_an_alert() -> None:
    """Judged again with other thresholds, silence of a family is obeyed, and of what is unknown."""
    scenario = failing()
    (facts,) = scenario.judged
    assert scenario.rule.judge(scenario.rule.Facts.of(facts)) is not None
    assert (
        scenario.rule.judge(scenario.rule.Facts.of({**facts, "failure_code": "no such code"}))
        is None
    )
    silent = FailedPayment(FailedPayment.Params(silent_families=("insufficient_funds",)))
    assert silent.judge(silent.Facts.of(facts)) is None


@pytest.mark.parametrize(
    ("told", "may_be_stale"),
    [
        (txn("t1", "09:58:00", amount="1.00", balance_after="90.00", balance_kind="posted"), True),
        (balance("09:58:00", "90.00"), True),
        (None, False),
    ],
)
def test_only_a_balance_of_another_event_can_be_too_old(told: Any, may_be_stale: bool) -> None:
    """What the failed payment tells itself has no age."""
    own = POSTED if told is None else {}
    scenario = Scenario(FailedPayment)
    if told is not None:
        scenario.give(told)
    scenario.give(txn("t9", "10:00:00", "failed", "60.00", **REFUSED, **own)).give(LATER)
    claims = scenario.rule.otherwise(scenario.rule.Facts.of(scenario.judged[0]))
    assert any("balance_at_ms" in claim.facts for claim in claims) is may_be_stale


@pytest.mark.parametrize(
    ("grace_ms", "severity"), [(119_999, "warning"), (120_000, "warning"), (120_001, "info")]
)
def test_a_longer_grace_than_was_waited_leaves_it_info(grace_ms: int, severity: str) -> None:
    """Judged again from the same facts: what is proven reaches exactly as far as it was waited."""
    scenario = failing(**TIMEOUT).give(txn("t5", "10:05:00"))
    assert scenario.steps == ["raised info", "updated warning"]
    verdict = FailedPayment(FailedPayment.Params(retry_grace_ms=grace_ms)).judge(
        FailedPayment.Facts.of(scenario.judged[-1])
    )
    assert verdict is not None
    assert verdict.severity == severity


def test_money_that_others_hold_starts_no_waiting_for_a_retry() -> None:
    """Nothing was raised that could become worse."""
    hold = txn("t1", "09:50:00", "pending", "50.00")
    scenario = failing(hold, **TIMEOUT)
    assert (scenario.steps, scenario.timers()) == ([], {})


@pytest.mark.parametrize(
    ("time", "steps"), [("09:59:00.000", ["raised error"]), ("09:59:00.001", [])]
)
def test_an_available_balance_knows_the_holds_up_to_its_own_moment(
    time: str, steps: list[str]
) -> None:
    """One opened a millisecond later is taken off it."""
    scenario = Scenario(FailedPayment)
    scenario.give(balance("09:59:00", "100.00", balance_kind="available"))
    scenario.give(txn("t1", time, "pending", "50.00"))
    scenario.give(txn("t9", "10:00:00", "failed", "60.00", **REFUSED)).give(LATER)
    assert scenario.steps == steps
