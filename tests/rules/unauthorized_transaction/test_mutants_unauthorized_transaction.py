"""A3: what is judged once, and what a late event may not do."""

from typing import Any

import pytest

from rules.builders import login, txn
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from rules.unauthorized_transaction.scenes import KNOWN, TRANSFER, pay
from tests.support.rule_driver import Driver

REFUSED: dict[str, Any] = {"authorization": {"method": "otp", "result": "failed"}}


def test_a_late_failure_without_approval_is_no_alert() -> None:
    """No money has moved."""
    driver = Driver(UnauthorizedTransaction).give(login("09:00:00"))
    driver.give(txn("t1", "10:00:00", "failed", **REFUSED | TRANSFER), late=True)
    assert (driver.steps, driver.counts) == ([], {})
    driver.give(txn("t2", "10:00:00", **REFUSED | TRANSFER), late=True)
    assert driver.steps == ["raised warning"]


def test_a_dispute_does_not_end_a_transaction() -> None:
    """Its completion is not judged a second time."""
    driver = Driver(UnauthorizedTransaction).give(pay("t1", "10:00:00", status="pending"))
    assert len(driver.state().pending) == 1
    driver.give(pay("t1", "10:01:00", status="disputed"))
    assert len(driver.state().pending) == 1
    driver.give(pay("t1", "10:02:00"))
    assert (len(driver.state().pending), driver.steps) == (0, ["raised error"])


def test_where_no_journey_is_told_none_is_counted() -> None:
    """Even where any distance at any speed would be one."""
    driver = Driver(UnauthorizedTransaction, warning_points=1, travel_km=0, travel_kmh=1)
    driver.give(txn("t1", "10:00:00", **REFUSED | TRANSFER))
    assert driver.drafts[0].details["points_who"] == {"authorization_failed": 60}


def test_a_dispute_tells_again_which_contacts_were_changed() -> None:
    """Those of the day before it, not of the day before the transaction."""
    driver = Driver(UnauthorizedTransaction).give(login("09:00:00"))
    driver.give(txn("t1", "10:00:00", **REFUSED | TRANSFER))
    (alert,) = driver.accounts["acc-1"].alerts
    assert alert.fact("contact_changed") == ""
    driver.give(login("10:30:00", action="email_change"))
    driver.give(txn("t1", "11:00:00", "disputed", **TRANSFER))
    assert alert.fact("contact_changed") == "email"
    assert driver.steps == ["raised warning", "updated error"]


@pytest.mark.parametrize(("new", "burst"), [(4, False), (5, True), (63, True), (64, False)])
def test_with_a_payee_forgotten_the_next_one_is_no_burst(new: int, burst: bool) -> None:
    """64 are known, the one of the past included: from the next on nobody is surely new."""
    payees = [
        pay(f"t{n}", f"10:{n // 60:02}:{n % 60:02}", counterparty_id=f"new-{n}") for n in range(new)
    ]
    payees[-1] |= REFUSED | TRANSFER
    driver = Driver(UnauthorizedTransaction).run([*KNOWN, *payees])
    assert ("burst" in driver.drafts[-1].details["points_money"]) is burst
