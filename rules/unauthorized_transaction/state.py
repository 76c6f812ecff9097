"""What A3 remembers of one account: what it has judged, and signs that logins have left."""

from typing import Final

from msgspec import Struct

from rules.contract import State
from rules.events import TERMINAL, Ref, Transaction
from rules.profile import mark_of

MAX_PENDING: Final = 64


class Guess(Struct, array_like=True, gc=False):
    """A successful login after many failures."""

    ref: Ref
    failures: int
    failed: list[Ref] = []
    """Those failures; empty: version 1 has saved it."""


class Journey(Struct, array_like=True, gc=False):
    """A login that is an impossible way from the one before it."""

    ref: Ref
    metres: int
    ms: int
    masked: bool
    start: Ref | None = None
    """The login before; None: its address was not kept."""


class UnauthorizedTransactionState(State):
    """What was judged, and signs by which later transactions are judged."""

    pending: list[int] = []
    """Marks of transactions that were judged and have not ended, oldest first."""
    guessed: Guess | None = None
    """The newest."""
    journeys: list[Journey] = []
    """The newest one that is masked, and the newest one that is not."""


def is_customers(event: Transaction) -> bool:
    return event.initiator is None or event.initiator == "customer"


def is_first(state: UnauthorizedTransactionState, event: Transaction, *, late: bool) -> bool:
    """Say whether it is the transaction's first pending or completed event; keep account of it."""
    status, pending = event.status, state.pending
    if status == "pending" and is_customers(event):
        mark = mark_of(event.transaction_id)
        if mark in pending:
            return False
        if not late:  # its end may have been seen already
            state.pending = [*pending[1 - MAX_PENDING :], mark]
        return True
    if pending and status in TERMINAL:
        mark = mark_of(event.transaction_id)
        if mark in pending:
            pending.remove(mark)
            return False
    return status == "completed"
