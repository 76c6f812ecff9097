"""A4: what an alert quotes and cites, and what was under way at the very moment of the lock."""

from typing import Any

import pytest

from rules.account_lockout.rule import AccountLockout
from rules.builders import login, txn
from rules.contract import OpenAlert, Values
from rules.events import Ref
from tests.support.events.lockout_builders import (
    DERIVED,
    FIVE,
    SEEN,
    earned,
    failed,
    kinds,
    lock,
    run,
    unlock,
)
from tests.support.rule_driver import Account, Driver

TRANSFER = {"type": "transfer_out", "funding": "card"}


@pytest.mark.parametrize(
    ("time", "found"),
    [("10:00:00.000", ["lock"]), ("10:00:00.001", ["lock", "money_moved"])],
)
def test_a_late_reservation_of_the_moment_of_the_lock_was_under_way(
    time: str, found: list[str]
) -> None:
    """Its completion moves no money that the lock should have kept."""
    driver = earned(lock())
    driver.give(txn("t1", time, "pending", **TRANSFER), late=True)
    driver.give(txn("t1", "10:05:00", **TRANSFER))
    assert kinds(driver) == found


def test_a_derived_lock_quotes_its_first_failure() -> None:
    """Time and address are of the same event."""
    (draft,) = run(SEEN, *failed(*FIVE), **DERIVED).drafts
    facts = {name: (value, ref) for name, value, ref in draft.facts}
    value, ref = facts["first_failure_at_ms"]
    assert ref is not None
    assert (ref.event_id, ref.occurred_at) == ("login-09:50:00", value)
    assert facts["locked_at_ms"][1].event_id == "login-09:58:00"
    assert [ref.event_id for ref, _ in draft.evidence] == [f"login-{time}" for time in FIVE]
    assert [role for _, role in draft.evidence] == ["failure"] * 4 + ["lock"]


class _Roles(Driver):
    """Notes the part of the event that closes an alert."""

    role = ""

    def _settle(self, account: Account, which: OpenAlert | str, ref: Ref, role: str) -> None:
        self.role = role
        super()._settle(account, which, ref, role)


@pytest.mark.parametrize(
    ("event", "role"), [(unlock("10:05:00"), "unlock"), (login("10:05:00"), "success")]
)
def test_an_alert_says_what_opened_the_account(event: dict[str, Any], role: str) -> None:
    """An unlock, or a login that succeeded."""
    driver = _Roles(AccountLockout)
    for each in (SEEN, *failed(*FIVE), lock(), event):
        driver.give(each)
    assert (driver.steps[-1], driver.role) == ("cured info", role)


@pytest.mark.parametrize(
    ("failures", "cause"), [(None, "unknown"), (0, "unknown"), (1, "user_error")]
)
def test_only_failures_that_were_seen_are_the_owners_errors(
    failures: int | None, cause: str
) -> None:
    """Even where a single one is enough for a lock."""
    rule = AccountLockout(AccountLockout.Params(policy_limit=1))
    facts: Values = {"locked_at_ms": 1, "reason": "max_retries", "channel": "branch"}
    verdict = rule.judge({**facts, "failures_in_window": failures})
    assert verdict is not None
    assert verdict.suspected_root_cause == cause


def test_of_nine_open_alerts_the_oldest_expires() -> None:
    """Eight may be open; the newest lock is always told."""
    driver = run(SEEN, *(lock(f"10:0{minute}:00") for minute in range(9)))
    anchors = [alert.anchor for alert in driver.accounts["acc-1"].alerts]
    assert anchors == [f"lock-10:0{minute}:00" for minute in range(1, 9)]
    assert [step for step in driver.steps if step.startswith("expired")] == ["expired error"]


def test_a_dispute_does_not_end_what_is_under_way() -> None:
    """The card may still be charged after the lock: that is no new debit."""
    events = [txn("t1", "09:57:00", status, **TRANSFER) for status in ("pending", "disputed")]
    assert kinds(earned(*events, lock(), txn("t1", "10:05:00", **TRANSFER))) == ["lock"]


def test_a_debit_of_the_very_moment_of_the_lock_does_not_hide_a_later_one() -> None:
    """Only what begins after the lock moves money."""
    driver = earned(lock(), txn("t1", "10:00:00"))
    assert kinds(driver) == ["lock"]
    driver.give(txn("t2", "10:00:00.001"))
    assert kinds(driver) == ["lock", "money_moved"]
