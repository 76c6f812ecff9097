"""The variants of failed_payment_sufficient_balance: anomalies and innocents."""

from worker.simulate.stories import (
    amounts,
    available,
    ended,
    holds,
    moments,
    payments,
    races,
    unreported,
)
from worker.simulate.stories.variant import Plot, Variant, Variants, of

RULE = "failed_payment_sufficient_balance"


def _lasting(days: int, *plots: Plot) -> Variants:
    """Return stories that begin as many days before their end."""
    return tuple(Variant(rule=RULE, plot=plot, history_days=8, begins_early=days) for plot in plots)


ANOMALIES = (
    *of(RULE, *payments.ANOMALIES, *available.ANOMALIES),
    *_lasting(7, available.hold_too_old),
    *of(
        RULE,
        *races.ANOMALIES,
        *ended.ANOMALIES,
        *holds.ANOMALIES,
        *unreported.PAYMENT_ANOMALIES,
        *amounts.PAYMENT_ANOMALIES,
        moments.captured_with_its_pending,
    ),
    *_lasting(3, ended.payout_failed),
)
INNOCENTS = (
    *of(RULE, *payments.INNOCENTS, *available.INNOCENTS),
    *_lasting(7, available.hold_of_seven_days),
    *of(
        RULE,
        *races.INNOCENTS,
        *ended.INNOCENTS,
        *holds.INNOCENTS,
        *unreported.PAYMENT_INNOCENTS,
        *amounts.PAYMENT_INNOCENTS,
        moments.captured_with_its_pending_short,
    ),
    *_lasting(3, ended.payout_returned),
)
