"""Check `row`: each row by itself."""

from rules.balance_mismatch import alerts
from rules.balance_mismatch.closing import is_corrected_by
from rules.balance_mismatch.facts import DriftFacts, alerts_with_facts
from rules.balance_mismatch.ledger.row import CORRECTIONS, Before, drift_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.effects import Effects
from rules.events import Transaction


def check_row(
    event: Transaction,
    effect: int | None,
    before: Before | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> int | None:
    """Raise an alert if the row is wrong, else cure one that it corrects.

    `before`: what was known of its transaction, as `row.known_before`.

    Returns what a wrong row should have moved, in minor units; None if its move is right.
    """
    drift, expected = _drift_beyond_tolerance(event, effect, before, params, fx)
    if drift:
        fx.alert(alerts.row_draft(event, fx.ref, drift, before))
        return expected
    if event.type in CORRECTIONS and fx.open_alerts():
        _cure_corrected(event, fx)
    return None


def _drift_beyond_tolerance(
    event: Transaction,
    effect: int | None,
    before: Before | None,
    params: BalanceMismatchParams,
    fx: Effects,
) -> tuple[int, int]:
    """Return (drift, expected move) of a row; the drift is 0 if it is tolerated or not judged."""
    if not params.row_check:
        return 0, 0
    judged = drift_of(event, effect, before)
    if judged is None:
        fx.count("mixed_part_unknown")
        return 0, 0
    drift, expected = judged
    return (drift if abs(drift) > params.tolerance(event.currency) else 0), expected


def _cure_corrected(event: Transaction, fx: Effects) -> None:
    """Cure the oldest alert whose drift this row corrects."""
    for alert, facts in alerts_with_facts(fx):
        if isinstance(facts, DriftFacts) and is_corrected_by(facts, event):
            fx.settle(alert, "correction")
            return
