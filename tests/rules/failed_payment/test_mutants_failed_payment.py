"""A1 at the edges of its windows, judged from altered facts, and in its volumes."""

from typing import Any

import pytest

from rules.builders import balance, txn
from rules.failed_payment.rule import FailedPayment
from tests.support.rule_driver import Driver

REFUSED = {"failure_code": "insufficient_funds", "failure_code_system": "internal"}
TIMEOUT = {"failure_code": "timeout", "failure_code_system": "internal"}
POSTED = {"balance_before": "100.00", "balance_kind": "posted"}


def failing(*before: dict[str, Any], **fields: Any) -> Driver:
    """Refuse a payment of 60.00 at 10:00:00 with 100.00 before it."""
    driver = Driver(FailedPayment)
    for event in before:
        driver.give(event)
    return driver.give(txn("t9", "10:00:00", "failed", "60.00", **POSTED | REFUSED | fields))


@pytest.mark.parametrize(("time", "rival"), [("09:59:55.000", True), ("09:59:54.999", False)])
def test_its_own_pending_event_does_not_hide_a_rival(time: str, rival: bool) -> None:
    """A rival counts up to exactly concurrent_debit_ms before, whatever else came after it."""
    driver = failing(txn("t1", time, amount="1.00"), txn("t9", "10:00:00", "pending", "60.00"))
    assert driver.drafts[0].details["concurrent_debit"] is rival


def test_attempts_and_technical_failures_are_told_to_triage() -> None:
    """Per provider: what completed or failed is an attempt, what is pending is none yet."""
    acme = {"provider": "acme"}
    driver = failing(
        txn("t0", "09:00:00", "pending", **acme),
        txn("t0", "09:00:01", **acme),
        txn("t1", "09:00:02"),
        **acme,
    )
    assert driver.tallies == {("provider:acme", "attempts"): 2}
    driver.give(txn("t2", "10:01:00", "failed", **POSTED, **TIMEOUT, **acme), late=True)
    assert driver.tallies == {
        ("provider:acme", "attempts"): 3,
        ("provider:acme", "technical_failures"): 1,
    }


def test_no_parameters_make_an_unlisted_code_an_alert() -> None:
    """Judged again with other thresholds, silence of a family is obeyed, and of what is unknown."""
    driver = failing()
    (facts,) = driver.judged
    assert driver.rule.judge(facts) is not None
    assert driver.rule.judge({**facts, "failure_code": "no such code"}) is None
    silent = FailedPayment(FailedPayment.Params(silent_families=("insufficient_funds",)))
    assert silent.judge(facts) is None


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
    driver = Driver(FailedPayment)
    if told is not None:
        driver.give(told)
    driver.give(txn("t9", "10:00:00", "failed", "60.00", **REFUSED, **own))
    claims = driver.rule.otherwise(driver.judged[0])
    assert any("balance_at_ms" in claim.facts for claim in claims) is may_be_stale


@pytest.mark.parametrize(
    ("grace_ms", "severity"), [(119_999, "warning"), (120_000, "warning"), (120_001, "info")]
)
def test_a_longer_grace_than_was_waited_leaves_it_info(grace_ms: int, severity: str) -> None:
    """Judged again from the same facts: what is proven reaches exactly as far as it was waited."""
    driver = failing(**TIMEOUT).give(txn("t5", "10:05:00"))
    assert driver.steps == ["raised info", "updated warning"]
    verdict = FailedPayment(FailedPayment.Params(retry_grace_ms=grace_ms)).judge(driver.judged[-1])
    assert verdict is not None
    assert verdict.severity == severity


def test_money_that_others_hold_starts_no_waiting_for_a_retry() -> None:
    """Nothing was raised that could become worse."""
    hold = txn("t1", "09:50:00", "pending", "50.00")
    driver = failing(hold, **TIMEOUT)
    assert (driver.steps, driver.accounts["acc-1"].timers) == ([], {})


@pytest.mark.parametrize(
    ("time", "steps"), [("09:59:00.000", ["raised error"]), ("09:59:00.001", [])]
)
def test_an_available_balance_knows_the_holds_up_to_its_own_moment(
    time: str, steps: list[str]
) -> None:
    """One opened a millisecond later is taken off it."""
    driver = Driver(FailedPayment)
    driver.give(balance("09:59:00", "100.00", balance_kind="available"))
    driver.give(txn("t1", time, "pending", "50.00"))
    driver.give(txn("t9", "10:00:00", "failed", "60.00", **REFUSED))
    assert driver.steps == steps
