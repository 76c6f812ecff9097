"""The sentences of A2: titles, why an alert was raised, and what would have avoided it.

Titles are published; the other sentences are those of `explain`. None has personal data.
"""

from collections.abc import Sequence
from typing import Final

from rules.balance_mismatch.facts import (
    BalanceMismatchFacts,
    ChainFacts,
    ConflictFacts,
    DriftFacts,
    GapFacts,
    GroupFacts,
    RowFacts,
    SnapshotFacts,
)
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Otherwise
from rules.facts import Value
from schemas.money import from_minor
from schemas.time import format_span

MAX_LISTED: Final = 3
"""Jumps of a group that a sentence names."""
_KNOWN_BEFORE: Final = {
    "undone": "It had been undone already: nothing was left to give back.",
    "held": "Its money had only been held: the posted balance had not been lowered.",
}
"""Why a row that undoes a transaction must not move its balance."""

# -- titles -------------------------------------------------------------------------------


def title_of(facts: BalanceMismatchFacts) -> str:
    """Return the published title of an alert."""
    match facts:
        case GapFacts():
            if facts.missing_count == 1:
                return f"A ledger entry is missing ({facts.currency})"
            return f"{facts.missing_count} ledger entries are missing ({facts.currency})"
        case ConflictFacts():
            return f"Two different ledger entries have one sequence number ({facts.currency})"
        case DriftFacts():
            return _drift_title(facts)
    raise NotImplementedError(facts.check)


def _drift_title(facts: DriftFacts) -> str:
    drift = _money(facts, facts.drift_minor)
    match facts:
        case RowFacts():
            expected = _money(facts, facts.moved - facts.drift_minor)
            return f"Balance moved by {_money(facts, facts.moved)} where {expected} was due"
        case ChainFacts():
            return f"Balance jumped by {drift} between two ledger entries"
        case GroupFacts():
            return _group_title(facts)
        case SnapshotFacts():
            return f"Reported balance differs by {drift} from the ledger"
    raise NotImplementedError(facts.check)


def _group_title(facts: GroupFacts) -> str:
    drift = _money(facts, facts.drift_minor)
    if facts.rows == 1:
        return f"Balance jumped by {drift} between two ledger entries"
    if len(facts.jumps) == 1:
        return f"Ledger entries of one moment leave {drift} unexplained in every order"
    largest = _money(facts, facts.largest_jump)
    return f"Ledger entries of one moment leave jumps in every order, the largest by {largest}"


# -- because ------------------------------------------------------------------------------


def because(facts: BalanceMismatchFacts, params: BalanceMismatchParams) -> Sequence[str]:
    """Return sentences that say why the alert was raised."""
    match facts:
        case RowFacts():
            return _because_of_row(facts)
        case ChainFacts():
            return _because_of_chain(facts)
        case GapFacts():
            return _because_of_gap(facts)
        case ConflictFacts():
            return [f"Entry {facts.ledger_sequence} came twice, with different contents."]
        case GroupFacts():
            return _because_of_group(facts, params)
        case SnapshotFacts():
            return _because_of_report(facts, params)
    raise NotImplementedError(facts.check)


def _because_of_row(facts: RowFacts) -> Sequence[str]:
    row = f"{facts.type.replace('_', ' ')} of {_money(facts, facts.amount_minor)}"
    before = _money(facts, facts.balance_before_minor)
    after = _money(facts, facts.balance_after_minor)
    off = f"{_money(facts, facts.size)} too {'much' if facts.drift_minor > 0 else 'little'}"
    known = _KNOWN_BEFORE.get(facts.transaction_before or "")
    return [
        (
            f"A {row} that is {facts.status} should have moved the {facts.balance_kind} balance by "
            f"{_money(facts, facts.moved - facts.drift_minor)}."
        ),
        *([known] if known else []),
        f"It went from {before} to {after}: {off}.",
    ]


def _because_of_chain(facts: ChainFacts) -> Sequence[str]:
    number, (end, start) = facts.ledger_sequence, facts.nearest
    is_as_reported = start == facts.balance_before_minor
    return [
        f"Entry {number - 1} left {_money(facts, end)}.",
        (
            f"Entry {number} {'starts' if is_as_reported else 'should have started'} at "
            f"{_money(facts, start)}: nothing between them explains "
            f"{_money(facts, facts.drift_minor)}."
        ),
    ]


def _because_of_gap(facts: GapFacts) -> Sequence[str]:
    return [
        (
            f"Between entries {facts.sequence_before_gap} and {facts.sequence_after_gap}, "
            f"{facts.missing_count} had not come after {format_span(facts.missing_for_ms)}."
        )
    ]


def _because_of_group(facts: GroupFacts, params: BalanceMismatchParams) -> Sequence[str]:
    slack = format_span(params.chain_slack_ms)
    if facts.rows == 1 and facts.closing_rows:
        before, after = facts.closing_rows[0]
        return [
            f"An entry left {_money(facts, before)}.",
            (
                f"The next one starts at {_money(facts, after)}: nothing between them explains "
                f"{_money(facts, facts.drift_minor)}."
            ),
        ]
    start = _money(facts, facts.previous_balance_minor)
    sentences = [
        (
            f"{facts.rows} entries without a number came each within {slack} of another "
            "(chain_slack_ms), so their order is not known."
        ),
        f"In no order do they lead on from {start} without a jump: {_jumps(facts)}.",
    ]
    if facts.closing_rows:
        before, after = facts.closing_rows[0]
        sentences.append(
            f"An entry from {_money(facts, before)} to {_money(facts, after)} would do it."
        )
    return sentences


def _jumps(facts: GroupFacts) -> str:
    """Return the jumps of a group as a part of a sentence, at most three by name."""
    drift = _money(facts, facts.drift_minor)
    if len(facts.jumps) == 1:
        return f"{drift} are unexplained"
    listed = [_money(facts, jump) for jump in facts.jumps[:MAX_LISTED]]
    is_all = len(facts.jumps) <= MAX_LISTED
    jumps = " and ".join([", ".join(listed[:-1]), listed[-1]]) if is_all else ", ".join(listed)
    return f"{jumps}{'' if is_all else ' and more'} are unexplained, {drift} together"


def _because_of_report(facts: SnapshotFacts, params: BalanceMismatchParams) -> Sequence[str]:
    slack = format_span(params.snapshot_slack_ms)
    sentences = [
        (
            f"{_money(facts, facts.reported_balance_minor)} were reported as the "
            f"{facts.balance_kind} balance."
        ),
        (
            f"Within {slack} of that moment (snapshot_slack_ms) the entries say otherwise; the "
            f"nearest is {_money(facts, facts.chain_balance_minor)}."
        ),
    ]
    if facts.off_by_ms is not None:
        sentences.append(f"They said so {format_span(facts.off_by_ms)} away from it.")
    return sentences


# -- otherwise ----------------------------------------------------------------------------


def otherwise(facts: BalanceMismatchFacts, params: BalanceMismatchParams) -> Sequence[Otherwise]:
    """Return what would have avoided the alert, or made it milder."""
    match facts:
        case DriftFacts():
            return [*_other_facts(facts, params), *_other_limits(facts, params)]
        case GapFacts():
            return _other_delays(facts, params)
        case ConflictFacts():
            sentence = "no alert if rows were not compared by number (chain_check)"
            return [Otherwise(sentence=sentence, params={"chain_check": False})]
    raise NotImplementedError(facts.check)


def _other_facts(facts: DriftFacts, params: BalanceMismatchParams) -> Sequence[Otherwise]:
    changed: dict[str, Value]
    match facts:
        case RowFacts():
            right = facts.balance_after_minor - facts.drift_minor
            sentence = f"no alert if the balance after it had been {_money(facts, right)}"
            changed = {"balance_after_minor": right, "drift_minor": 0}
        case ChainFacts():
            right, _ = facts.nearest
            sentence = f"no alert if the entry had started at {_money(facts, right)}"
            changed = {"balance_before_minor": right, "drift_minor": 0}
        case SnapshotFacts():
            return _other_reports(facts, params)
        case GroupFacts():
            sentence = "no alert if the entries could be put into an order without a jump"
            if facts.rows == 1:
                sentence = "no alert if the entry had started where the one before it ended"
            changed = dict.fromkeys(("drift_minor", "other_jumps_minor", "largest_jump_minor"), 0)
            changed["jumps_minor"] = ""
        case _:
            raise NotImplementedError(facts.check)
    return [Otherwise(sentence=sentence, facts=changed)]


def _other_reports(facts: SnapshotFacts, params: BalanceMismatchParams) -> Sequence[Otherwise]:
    right = facts.chain_balance_minor
    found = [
        Otherwise(
            sentence=f"no alert if {_money(facts, right)} had been reported",
            facts={"reported_balance_minor": right, "drift_minor": 0},
        ),
        Otherwise(
            sentence="no alert if it had been reported more than "
            f"{format_span(params.snapshot_history_ms)} after its moment (snapshot_history_ms)",
            facts={"reported_at_ms": facts.as_of_ms + params.snapshot_history_ms + 1},
        ),
    ]
    if facts.off_by_ms is not None:
        found.append(
            Otherwise(
                sentence="no alert if the entries had said so within "
                f"{format_span(params.snapshot_slack_ms)} (snapshot_slack_ms)",
                facts={"off_by_ms": params.snapshot_slack_ms},
            )
        )
    return found


def _other_limits(facts: DriftFacts, params: BalanceMismatchParams) -> Sequence[Otherwise]:
    off = facts.size
    allowed = {**params.tolerance_minor_by_currency, facts.currency: off}
    found = [
        Otherwise(
            sentence=f"no alert if {_money(facts, off)} of difference were tolerated "
            "(tolerance_minor_by_currency)",
            params={"tolerance_minor_by_currency": allowed},
        )
    ]
    if off >= params.error_from(facts.currency, facts.exponent) and not facts.is_only_warning:
        limits = {**params.drift_error_minor_by_currency, facts.currency: off + 1}
        found.append(
            Otherwise(
                sentence=f"only a warning if errors began above {_money(facts, off)} "
                "(drift_error_minor_by_currency)",
                params={"drift_error_minor_by_currency": limits},
            )
        )
    return found


def _other_delays(facts: GapFacts, params: BalanceMismatchParams) -> Sequence[Otherwise]:
    found = [
        Otherwise(
            sentence="no alert if they had come within "
            f"{format_span(params.gap_info_ms)} (gap_info_ms)",
            facts={"missing_for_ms": params.gap_info_ms - 1},
        )
    ]
    if facts.missing_for_ms >= params.gap_error_ms:
        found.append(
            Otherwise(
                sentence="only info if they had come within "
                f"{format_span(params.gap_error_ms)} (gap_error_ms)",
                facts={"missing_for_ms": params.gap_error_ms - 1},
            )
        )
    return found


def _money(facts: DriftFacts, minor: int) -> str:
    """Return minor units as text with the currency of the alert."""
    return f"{from_minor(minor, facts.exponent)} {facts.currency}"
