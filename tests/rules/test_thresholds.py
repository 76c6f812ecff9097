"""The thresholds are those that the specification names: nobody changes one by mistake."""

from typing import Any, Final

import pytest

from rules import habits, marks, profile
from rules.account_lockout import outcome as account_lockout
from rules.account_lockout import state as account_lockout_state
from rules.balance_mismatch.rule import BalanceMismatch
from rules.cannot_log_in import state as cannot_log_in_state
from rules.contract import AnyRule, Rule
from rules.registry import ALL
from rules.seen import Seen
from rules.unauthorized_transaction import state as unauthorized_transaction_state
from rules.unauthorized_transaction.rule import UnauthorizedTransaction

SECOND: Final = 1_000
MINUTE: Final = 60_000
DAY: Final = 86_400_000

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "A1": {
        "max_balance_age_ms": 5 * MINUTE,
        "hold_ttl_ms": 7 * DAY,
        "concurrent_debit_ms": 5 * SECOND,
        "retry_grace_ms": 2 * MINUTE,
        "assume_balance_funded": True,
        "silent_families": ("limit", "fraud", "account_state", "customer", "duplicate"),
    },
    "A2": {
        "row_check": True,
        "chain_check": True,
        "group_check": True,
        "snapshot_check": True,
        "tolerance_minor": 0,
        "tolerance_minor_by_currency": {},
        "drift_error_minor_by_currency": {},
        "gap_info_ms": MINUTE,
        "gap_error_ms": 15 * MINUTE,
        "chain_slack_ms": SECOND,
        "snapshot_slack_ms": 5 * SECOND,
        "snapshot_history_ms": 10 * MINUTE,
    },
    "A3": {
        "points_disputed": 100,
        "points_authorization_failed": 60,
        "points_not_authorized": 30,
        "points_unknown_session": 40,
        "points_new_device": 25,
        "points_new_country": 25,
        "points_travel": 40,
        "points_guessed": 35,
        "points_changed": 30,
        "points_new_counterparty": 15,
        "points_large": 20,
        "points_drained": 20,
        "points_burst": 30,
        "points_sends_out": 5,
        "warning_points": 50,
        "error_points": 80,
        "new_for_ms": DAY,
        "session_history_ms": 90 * DAY,
        "min_history_logins": 5,
        "min_history_debits": 10,
        "min_history_ms": 7 * DAY,
        "travel_kmh": 900,
        "travel_km": 100,
        "guess_failures": 5,
        "guess_window_ms": 30 * MINUTE,
        "exempt_amount_major": 50,
        "exempt_amount_minor_by_currency": {},
        "large_factor": 3,
        "drained_percent": 80,
        "max_balance_age_ms": 5 * MINUTE,
        "burst_counterparties": 5,
        "burst_window_ms": 30 * MINUTE,
    },
    "A4": {
        "policy_limit": 5,
        "policy_window_ms": 15 * MINUTE,
        "streaming_channels": ("app", "web"),
        "overdue_grace_ms": MINUTE,
        "repeated_locks": 3,
        "repeated_window_ms": DAY,
        "derive_locks": False,
        "derive_limit": 5,
        "derive_window_ms": 15 * MINUTE,
        "derive_lock_ms": 30 * MINUTE,
    },
    "A5": {
        "threshold": 5,
        "window_ms": 10 * MINUTE,
        "absence_ms": 10 * MINUTE,
        "quiet_ms": 30 * MINUTE,
        "service_percent": 50,
        "collapse_double_logging": True,
    },
}


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_defaults_are_those_of_the_specification(rule: type[AnyRule]) -> None:
    """Every one, in milliseconds, points and counts."""
    assert rule.Params().model_dump() == DEFAULTS[rule.code]


def test_state_is_as_small_as_was_promised() -> None:
    """How much of each thing an account may be remembered by; 8 KB hold all of it."""
    assert (habits.MAX_DEVICES, habits.MAX_COUNTRIES, habits.MAX_COUNTERPARTIES) == (32, 16, 64)
    assert (habits.MAX_SESSIONS, habits.MAX_FAILURES, habits.MAX_CURRENCIES) == (256, 20, 4)
    assert habits.DEBITS_COMPARED == 50
    assert (profile.MAX_HOLDS, profile.MAX_BALANCES) == (64, 16)
    assert marks.MARK_BYTES == 6
    one = Seen()
    one.see(b"6bytes", 1, 1)
    assert len(one.rows) == 12
    assert cannot_log_in_state.MAX_KEPT == 64
    assert (account_lockout_state.MAX_LOCKS, account_lockout_state.MAX_UNDER_WAY) == (10, 32)
    assert habits.MAX_FAILED == 255
    assert (account_lockout.MAX_OPEN, unauthorized_transaction_state.MAX_PENDING) == (8, 64)


def test_amounts_in_settings_are_at_most_ten_to_the_38() -> None:
    """Beyond that they are surely mistakes; it is the greatest amount of an event too."""
    for rule, name in (
        (UnauthorizedTransaction, "exempt_amount_minor_by_currency"),
        (BalanceMismatch, "drift_error_minor_by_currency"),
    ):
        rule.Params.model_validate({name: {"EUR": 10**38}})
        with pytest.raises(ValueError, match=name):
            rule.Params.model_validate({name: {"EUR": 10**38 + 1}})


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_a_rule_in_shadow_has_a_state_of_its_own(rule: type[AnyRule]) -> None:
    """Its code says so; versions begin at 1."""
    assert rule.version >= Rule.version == 1
    assert rule(rule.Params()).state_code == rule.code
    assert rule(rule.Params(), "shadow").state_code == f"{rule.code}_shadow"
