"""Reported balances that wait to be compared with the rows. Pure."""

from typing import Final

from msgspec import Struct

from rules.events import Balance, Ref

MAX_REPORTS: Final = 16
"""Reports of one account that wait; beyond that the oldest is forgotten."""


class Report(Struct, array_like=True, frozen=True, gc=False):
    """A reported balance, in minor units."""

    currency: str
    kind: str
    balance: int
    as_of: int
    """Milliseconds: the moment it speaks of."""
    exponent: int
    ref: Ref


def report_of(event: Balance, ref: Ref) -> Report:
    """Return what is kept of a report."""
    return Report(
        event.currency, event.balance_kind, event.balance, event.as_of, event.exponent, ref
    )
