"""The drafts of A2's alerts: one function per check."""

from collections.abc import Sequence
from typing import Final

from rules.alerts import Draft
from rules.balance_mismatch.facts import ConflictFacts, RowFacts
from rules.balance_mismatch.ledger.book import BrokenGroup
from rules.balance_mismatch.ledger.chain import ChainBreak, Gap
from rules.balance_mismatch.ledger.group import MAX_REFS
from rules.balance_mismatch.ledger.reports import PendingReport
from rules.balance_mismatch.ledger.row import Before
from rules.events import Ref, Transaction
from rules.facts import Quote

_ROW: Final = (
    *("type", "status", "amount_minor", "fee_minor", "fee_mode", "funding"),
    *("funding_from_balance_minor", "currency", "exponent", "balance_kind"),
    *("balance_before_minor", "balance_after_minor", "ledger_sequence", "booked_at_ms"),
)
"""The facts of a row, in the order in which they are published."""
MAX_JUMPS: Final = 50
"""Jumps that an alert lists; of others it quotes the sum."""


def row_draft(event: Transaction, ref: Ref, drift: int, before: Before | None) -> Draft:
    """Return the draft for a row that moved its balance by `drift` minor units too much.

    `before`: what was known of its transaction, as `row.known_before`.
    """
    facts: list[Quote] = [
        ("check", "row", None),
        ("drift_minor", drift, None),
        *RowFacts.quote(event, ref, *_ROW),
        *([("transaction_before", before, None)] if before else []),
    ]
    return _draft(event.event_id, facts, [(ref, "entry")], event.transaction_id)


def chain_draft(event: Transaction, ref: Ref, found: ChainBreak) -> Draft:
    """Return the draft for two neighbours that do not join; the event showed it."""
    left, right = found.left, found.right
    candidates = (*left.balances, None, None)
    is_wrong = len(right.balances) > 1
    facts: list[Quote] = [
        ("check", "chain", None),
        ("drift_minor", found.drift, None),
        ("currency", event.currency, right.ref),
        ("exponent", event.exponent, right.ref),
        ("balance_kind", right.kind, right.ref),
        ("previous_balance_minor", candidates[0], left.ref),
        ("previous_balance_may_be_minor", candidates[1], None),
        ("previous_balance_may_also_be_minor", candidates[2], None),
        ("balance_before_minor", right.balances[0], right.ref),
        ("balance_before_may_be_minor", right.balances[1] if is_wrong else None, None),
        ("ledger_sequence", found.sequence, right.ref),
        ("booked_at_ms", right.ref.occurred_at, right.ref),
    ]
    evidence = [(left.ref, "entry_before"), (right.ref, "entry")]
    transactions = (event.transaction_id,) if right.ref == ref else ()
    anchor = right.ref.event_id  # that of the alert about the row by itself too
    return _draft(f"chain:{anchor}" if is_wrong else anchor, facts, evidence, *transactions)


def conflict_draft(event: Transaction, ref: Ref, first: Ref | None) -> Draft:
    """Return the draft for a second row with one number; `first` is the first, if still known."""
    names = ("currency", "ledger_sequence", "booked_at_ms")
    facts: list[Quote] = [
        ("check", "sequence_conflict", None),
        *ConflictFacts.quote(event, ref, *names),
    ]
    evidence = [*([(first, "first_entry")] if first else []), (ref, "entry")]
    return _draft(event.event_id, facts, evidence, event.transaction_id)


def gap_draft(
    anchor: str, currency: str, missing: Sequence[Gap], shown_at: int, missing_for_ms: int
) -> Draft:
    """Return the draft for missing numbers; `missing` is what is left of one gap, in order."""
    left, right = missing[0], missing[-1]
    facts: list[Quote] = [
        ("check", "missing_entries", None),
        ("currency", currency, left.left.ref),
        ("sequence_before_gap", left.first - 1, left.left.ref),
        ("sequence_after_gap", right.last + 1, right.right.ref),
        ("missing_count", sum(gap.last - gap.first + 1 for gap in missing), None),
        ("shown_at_ms", shown_at, None),
        ("missing_for_ms", missing_for_ms, None),
    ]
    return _draft(anchor, facts, [(left.left.ref, "before_gap"), (right.right.ref, "after_gap")])


def group_draft(currency: str, found: BrokenGroup) -> Draft:
    """Return the draft for rows without numbers that join in no order."""
    start, group, result = found.start, found.group, found.result
    newest = next((ref for ref in group.refs if ref.occurred_at == group.last_at), None)
    closing_rows = " ".join(f"{before}>{after}" for before, after in result.closing_rows)
    start_ref = start.ref if found.is_start_reported else None
    facts: list[Quote] = [
        ("check", "group", None),
        ("drift_minor", sum(result.jumps), None),
        ("jumps_minor", " ".join(map(str, result.jumps[:MAX_JUMPS])), None),
        ("other_jumps_minor", sum(result.jumps[MAX_JUMPS:]), None),
        ("largest_jump_minor", max(result.jumps, key=abs), None),
        ("currency", currency, group.refs[-1]),
        ("exponent", group.exponent, group.refs[-1]),
        ("balance_kind", start.kind, group.refs[-1]),
        ("previous_balance_minor", start.balances[0], start_ref),
        ("rows", len(group.steps) // 2, None),
        ("last_row_at_ms", group.last_at, newest),
        ("would_close_minor", closing_rows or None, None),
    ]
    evidence = [(start.ref, "entry_before"), *((ref, "entry") for ref in group.refs[:MAX_REFS])]
    return _draft(f"group:{group.refs[0].event_id}", facts, evidence)


def snapshot_draft(
    report: PendingReport, nearest: int, off_by_ms: int | None, judged_at: int, last: Ref | None
) -> Draft:
    """Return the draft for a report that differs from the rows.

    Args:
        nearest: the nearest balance that the rows had around the moment, in minor units.
        off_by_ms: how far from the moment they had the reported balance; None if never.
        last: the newest row.
    """
    ref = report.ref
    facts: list[Quote] = [
        ("check", "snapshot", None),
        ("drift_minor", report.balance - nearest, None),
        ("currency", report.currency, ref),
        ("exponent", report.exponent, ref),
        ("balance_kind", report.kind, ref),
        ("reported_balance_minor", report.balance, ref),
        ("chain_balance_minor", nearest, None),
        ("off_by_ms", off_by_ms, None),
        ("as_of_ms", report.as_of, ref),
        ("reported_at_ms", ref.occurred_at, ref),
        ("judged_at_ms", judged_at, None),
    ]
    evidence = [*([(last, "last_entry")] if last else []), (ref, "report")]
    return _draft(ref.event_id, facts, evidence)


def _draft(
    anchor: str, facts: Sequence[Quote], evidence: Sequence[tuple[Ref, str]], *transactions: str
) -> Draft:
    return Draft(
        anchor=anchor, cause="ledger", facts=facts, evidence=evidence, transaction_ids=transactions
    )
