"""Which events close an alert of A2, by the facts that it quotes."""

from rules.balance_mismatch.facts import (
    BalanceMismatchFacts,
    DriftFacts,
    GapFacts,
    GroupFacts,
    SnapshotFacts,
)
from rules.balance_mismatch.ledger.row import CORRECTIONS, effect_of, start_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.events import Balance, Event, Transaction


def is_closed_by(facts: BalanceMismatchFacts, event: Event, params: BalanceMismatchParams) -> bool:
    """Return whether the event closes the alert."""
    match facts, event:
        case DriftFacts(), Transaction():
            tolerance = params.tolerance(facts.currency)
            return is_corrected_by(facts, event) or _is_missing_row(facts, event, tolerance)
        case DriftFacts(), Balance():
            since = facts.as_of_ms if isinstance(facts, SnapshotFacts) else facts.at
            return is_same_balance(facts, event) and event.as_of > since
        case GapFacts(), Transaction():
            return _is_in_gap(facts, event)
    return False


def is_corrected_by(facts: DriftFacts, event: Transaction) -> bool:
    """Return whether the row is a later correction of exactly the drift."""
    return (
        event.type in CORRECTIONS
        and facts.drift_minor != 0
        and event.status == "completed"
        and event.occurred_at > facts.at
        and effect_of(event) == facts.correction_factor * facts.drift_minor
        and event.currency == facts.currency
        and event.balance_kind in (None, facts.balance_kind)
    )


def _is_missing_row(facts: DriftFacts, event: Transaction, tolerance: int) -> bool:
    match facts:
        case GroupFacts():
            return is_completed_by(facts, event, tolerance)
        case SnapshotFacts():
            return is_explained_by(facts, event)
    return False


def is_completed_by(facts: GroupFacts, event: Transaction, tolerance: int) -> bool:
    """Return whether the row is one that would have completed the group.

    `tolerance`: what may lie between two rows that join, in minor units.
    """
    before, after = start_of(event), event.balance_after
    if before is None or after is None or not is_same_balance(facts, event):
        return False
    return any(
        abs(before - start) <= tolerance and abs(after - end) <= tolerance
        for start, end in facts.closing_rows
    )


def is_explained_by(facts: SnapshotFacts, event: Transaction) -> bool:
    """Return whether the row has the reported balance and is not after the judgement."""
    return (
        is_same_balance(facts, event)
        and facts.reported_balance_minor in (start_of(event), event.balance_after)
        and event.occurred_at <= facts.judged_at_ms
    )


def _is_in_gap(facts: GapFacts, event: Transaction) -> bool:
    return (
        event.currency == facts.currency
        and event.ledger_sequence is not None
        and facts.sequence_before_gap < event.ledger_sequence < facts.sequence_after_gap
    )


def is_same_balance(facts: DriftFacts, event: Transaction | Balance) -> bool:
    """Return whether the event reports the same balance: of one currency and kind."""
    return (event.currency, event.balance_kind) == (facts.currency, facts.balance_kind)
