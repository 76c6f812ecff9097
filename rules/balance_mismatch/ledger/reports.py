"""Reported balances that wait to be compared with the rows. Pure."""

from typing import Final

from msgspec import Struct

from rules.events import Balance, Ref

MAX_REPORTS: Final = 16
"""Pending reports per account; beyond that the oldest is dropped."""


class PendingReport(Struct, array_like=True, frozen=True, gc=False):
    """A reported balance that is not judged yet, in minor units."""

    currency: str
    kind: str
    balance: int
    as_of: int
    """Milliseconds: the moment for which the balance is reported."""
    exponent: int
    ref: Ref


def pending_report(event: Balance, ref: Ref) -> PendingReport:
    """Return what is kept of a report."""
    return PendingReport(
        event.currency, event.balance_kind, event.balance, event.as_of, event.exponent, ref
    )
