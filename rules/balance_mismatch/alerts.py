"""What an alert of A2 quotes: one function per check, each returns a draft."""

from collections.abc import Sequence
from typing import Final

from rules.balance_mismatch.facts import Case
from rules.balance_mismatch.ledger.book import MAX_REFS, Found
from rules.balance_mismatch.ledger.chain import Break, Gap
from rules.balance_mismatch.ledger.reports import Report
from rules.contract import Draft
from rules.events import Ref, Transaction
from rules.facts import Quote

_ROW: Final = (
    *("type", "status", "amount_minor", "fee_minor", "fee_mode", "funding"),
    *("funding_from_balance_minor", "currency", "exponent", "balance_kind"),
    *("balance_before_minor", "balance_after_minor", "ledger_sequence", "booked_at_ms"),
)


def wrong_row(event: Transaction, ref: Ref, drift: int) -> Draft:
    """The row's balance moved by `drift` minor units too much."""
    facts: list[Quote] = [
        ("check", "row", None),
        ("drift_minor", drift, None),
        *_quote(event, ref, *_ROW),
    ]
    return _draft(event.event_id, facts, [(ref, "entry")], event.transaction_id)


def broken_chain(event: Transaction, ref: Ref, found: Break) -> Draft:
    """Two neighbours do not join; the event is the later known of the two."""
    left, right = found.left, found.right
    ends = (*left.balances, None, None)
    facts: list[Quote] = [
        ("check", "chain", None),
        ("drift_minor", found.drift, None),
        ("currency", event.currency, right.ref),
        ("exponent", event.exponent, right.ref),
        ("balance_kind", right.kind, right.ref),
        ("previous_balance_minor", ends[0], left.ref),
        ("previous_balance_may_be_minor", ends[1], None),
        ("previous_balance_may_also_be_minor", ends[2], None),
        ("balance_before_minor", right.balances[0], right.ref),
        ("ledger_sequence", found.sequence, right.ref),
        ("booked_at_ms", right.ref.occurred_at, right.ref),
    ]
    evidence = [(left.ref, "entry_before"), (right.ref, "entry")]
    mine = (event.transaction_id,) if right.ref == ref else ()
    return _draft(right.ref.event_id, facts, evidence, *mine)


def one_number_twice(event: Transaction, ref: Ref, first: Ref | None) -> Draft:
    """Another entry has the event's sequence number; `first` is it, where still known."""
    names = ("currency", "ledger_sequence", "booked_at_ms")
    facts: list[Quote] = [("check", "sequence_conflict", None), *_quote(event, ref, *names)]
    evidence = [*([(first, "first_entry")] if first else []), (ref, "entry")]
    return _draft(event.event_id, facts, evidence, event.transaction_id)


def missing_entries(
    anchor: str, currency: str, missing: Sequence[Gap], shown_at: int, for_ms: int
) -> Draft:
    """Numbers of the sequence have not come; `missing` is what is left of one gap."""
    left, right = missing[0], missing[-1]
    facts: list[Quote] = [
        ("check", "missing_entries", None),
        ("currency", currency, left.left.ref),
        ("sequence_before_gap", left.first - 1, left.left.ref),
        ("sequence_after_gap", right.last + 1, right.right.ref),
        ("missing_count", sum(gap.last - gap.first + 1 for gap in missing), None),
        ("shown_at_ms", shown_at, None),
        ("missing_for_ms", for_ms, None),
    ]
    return _draft(anchor, facts, [(left.left.ref, "before_gap"), (right.right.ref, "after_gap")])


def torn_group(currency: str, found: Found) -> Draft:
    """Rows without numbers do not close in any order."""
    known, group, torn = found.known, found.group, found.torn
    newest = next((ref for ref in group.refs if ref.occurred_at == group.last_at), None)
    links = " ".join(f"{before}>{after}" for before, after in torn.links)
    facts: list[Quote] = [
        ("check", "group", None),
        ("drift_minor", torn.drift, None),
        ("currency", currency, group.refs[-1]),
        ("exponent", group.exponent, group.refs[-1]),
        ("balance_kind", known.kind, group.refs[-1]),
        ("previous_balance_minor", known.balances[0], known.ref if found.told else None),
        ("rows", len(group.steps) // 2, None),
        ("last_row_at_ms", group.last_at, newest),
        ("would_close_minor", links or None, None),
    ]
    evidence = [(known.ref, "entry_before"), *((ref, "entry") for ref in group.refs[:MAX_REFS])]
    return _draft(f"group:{group.refs[0].event_id}", facts, evidence)


def wrong_report(
    report: Report, nearest: int, off_by: int | None, due: int, last: Ref | None
) -> Draft:
    """The rows told another balance; `last` is the newest of them."""
    ref = report.ref
    facts: list[Quote] = [
        ("check", "snapshot", None),
        ("drift_minor", report.balance - nearest, None),
        ("currency", report.currency, ref),
        ("exponent", report.exponent, ref),
        ("balance_kind", report.kind, ref),
        ("reported_balance_minor", report.balance, ref),
        ("chain_balance_minor", nearest, None),
        ("off_by_ms", off_by, None),
        ("as_of_ms", report.as_of, ref),
        ("reported_at_ms", ref.occurred_at, ref),
        ("judged_at_ms", due, None),
    ]
    evidence = [*([(last, "last_entry")] if last else []), (ref, "report")]
    return _draft(ref.event_id, facts, evidence)


def _quote(event: Transaction, ref: Ref, *names: str) -> list[Quote]:
    return Case.quote(event, ref, *names)


def _draft(
    anchor: str, facts: Sequence[Quote], evidence: Sequence[tuple[Ref, str]], *transactions: str
) -> Draft:
    return Draft(
        anchor=anchor, cause="ledger", facts=facts, evidence=evidence, transaction_ids=transactions
    )
