"""A2 decided: from the facts that an alert quotes, and nothing else."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec

from rules.balance_mismatch.checks.books import Grouped, Snapshot
from rules.balance_mismatch.checks.rows import Conflict, Junction, Missing, Row
from rules.balance_mismatch.facts import Case
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import OpenAlert, Value, Values, Verdict

CASES: Final[Mapping[Value, type[Case]]] = {
    "row": Row,
    "chain": Junction,
    "missing_entries": Missing,
    "sequence_conflict": Conflict,
    "group": Grouped,
    "snapshot": Snapshot,
}
"""By the fact `check`."""

QUOTED: Final[Mapping[str, Callable[[Any], Value]]] = {
    "type": attrgetter("type"),
    "status": attrgetter("status"),
    "amount_minor": attrgetter("amount"),
    "fee_minor": attrgetter("fee"),
    "fee_mode": attrgetter("fee_mode"),
    "funding": attrgetter("funding"),
    "funding_from_balance_minor": attrgetter("funding_from_balance"),
    "currency": attrgetter("currency"),
    "exponent": attrgetter("exponent"),
    "balance_kind": attrgetter("balance_kind"),
    "balance_before_minor": attrgetter("balance_before"),
    "balance_after_minor": attrgetter("balance_after"),
    "previous_balance_minor": attrgetter("balance_after"),
    "ledger_sequence": attrgetter("ledger_sequence"),
    "sequence_before_gap": attrgetter("ledger_sequence"),
    "sequence_after_gap": attrgetter("ledger_sequence"),
    "booked_at_ms": attrgetter("occurred_at"),
    "last_row_at_ms": attrgetter("occurred_at"),
    "reported_balance_minor": attrgetter("balance"),
    "reported_at_ms": attrgetter("occurred_at"),
    "as_of_ms": attrgetter("as_of"),
}

DECIDED_BY: Final = {
    "row_check": "check",
    "chain_check": "check",
    "group_check": "check",
    "snapshot_check": "check",
    "tolerance_minor": "drift_minor",
    "tolerance_minor_by_currency": "drift_minor",
    "drift_error_minor_by_currency": "drift_minor",
    "gap_info_ms": "missing_for_ms",
    "gap_error_ms": "missing_for_ms",
    "chain_slack_ms": "rows",
    "snapshot_slack_ms": "off_by_ms",
    "snapshot_history_ms": "as_of_ms",
}


def case_of(facts: Values) -> Case:
    """Return the facts of an alert as those of its check."""
    return msgspec.convert(facts, CASES[facts["check"]])


def case_of_alert(alert: OpenAlert) -> Case:
    """Return the facts that an open alert quotes as those of its check."""
    return case_of({name: value for name, value, _ in alert.facts})


def verdict_of(facts: Values, params: BalanceMismatchParams) -> Verdict | None:
    """Decide; None if nothing is wrong or the check is off."""
    case = case_of(facts)
    return case.verdict(params) if getattr(params, case.switch) else None
