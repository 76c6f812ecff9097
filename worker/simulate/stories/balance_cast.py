"""The variants of balance_mismatch, and which stories need entries with or without numbers."""

from worker.simulate.stories import (
    after_alone,
    amounts,
    balances,
    book_stories,
    disputes,
    jumps,
    moments,
    sequences,
    undone,
    unreported,
)
from worker.simulate.stories.variant import in_turn, of

RULE = "balance_mismatch"

ANOMALIES = of(
    RULE,
    *in_turn(balances.ANOMALIES, sequences.ANOMALIES, book_stories.ANOMALIES),
    *disputes.ANOMALIES,
    *after_alone.ANOMALIES,
    *jumps.ANOMALIES,
    *amounts.ANOMALIES,
    *undone.ANOMALIES,
    *unreported.ANOMALIES,
)
INNOCENTS = of(
    RULE,
    *in_turn(balances.INNOCENTS, sequences.INNOCENTS, book_stories.INNOCENTS),
    *disputes.INNOCENTS,
    *after_alone.INNOCENTS,
    *amounts.INNOCENTS,
    *undone.INNOCENTS,
    *unreported.INNOCENTS,
)
NUMBERED = (
    *balances.NUMBERED,
    *sequences.NUMBERED,
    *after_alone.NUMBERED,
    *jumps.NUMBERED,
    *undone.NUMBERED,
    *unreported.NUMBERED,
)
"""They need entries that carry their ledger_sequence."""
UNNUMBERED = (
    *book_stories.UNNUMBERED,
    *after_alone.UNNUMBERED,
    *jumps.UNNUMBERED,
    *moments.UNNUMBERED,
    *undone.UNNUMBERED,
    *unreported.UNNUMBERED,
)
"""They need entries that carry no ledger_sequence."""
