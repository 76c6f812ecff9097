"""Which incident an alert about one transaction joins."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from rules.alerts import Draft
from rules.failed_payment.rule import FailedPayment
from schemas.topics import DETECT_INPUTS
from tests.support.random_runs import POLICY
from tests.support.saved_releases import FOLDER
from tests.worker.detect.test_state_releases import accounts_of
from worker.detect.account import SavedAccounts
from worker.detect.alerts import Publisher
from worker.detect.kept_alerts import KeptAlerts
from worker.tokens import PUBLIC

RULE = FailedPayment(FailedPayment.Params())
WHAT = f"{RULE.id}:transaction:"


NONE: Mapping[str, KeptAlerts] = {}


def dedup_key(account: str, transaction: str, others: Mapping[str, KeptAlerts] = NONE) -> str:
    """Return the key of a new alert about a transaction, beside the open ones of its account."""
    draft = Draft(anchor="later", cause="payments", facts=(), evidence=(), subject=transaction)
    context: Any = SimpleNamespace(key=account.encode(), now=0)
    return Publisher(DETECT_INPUTS, PUBLIC).dedup_key(RULE, draft, others, context)


def test_a_transaction_is_one_of_its_account() -> None:
    """Ids that repeat in another wallet, or that run into the account's, are others."""
    keys = [
        dedup_key(*names) for names in (("a", "1"), ("b", "1"), ("a", "2"), ("a1", ""), ("", "a1"))
    ]
    assert len(set(keys)) == len(keys)
    assert dedup_key("a", "1") == keys[0]
    assert all(key.startswith(WHAT) for key in keys[:3])


@pytest.mark.parametrize("folder", ["2", "2-together"])
def test_an_incident_that_is_open_under_the_key_of_before_takes_later_alerts(folder: str) -> None:
    """It names the transaction alone; read from what an older release has saved."""
    saved = SavedAccounts(POLICY.known_rules)
    joined = 0
    for key, payload in accounts_of(FOLDER / folder).items():
        alerts = saved.read(payload).alerts
        for opened in alerts.get(RULE.code, ()):
            if opened.dedup_key.startswith(WHAT):
                (transaction,) = opened.transaction_ids
                assert opened.dedup_key == WHAT + PUBLIC.of(transaction)
                assert dedup_key(key.decode(), transaction, alerts) == opened.dedup_key
                assert dedup_key(key.decode(), transaction) != opened.dedup_key
                joined += 1
    assert joined
