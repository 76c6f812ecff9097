"""Facts about one account that several rules need, updated once per event before the rules run.

A late event sets a fact only if it is newer than the event the fact came from; closing a hold
always applies. Facts about a balance come from rows that carry one and from reported balances; a
completed debit or adjustment that tells no balance makes what was known before it stale: forgotten.
"""

from msgspec import Struct

from rules.events import BALANCE, CREDITS, DEBITS, TERMINAL, TRANSACTION, Balance, Ref, Transaction

MAX_HOLDS = 64
"""Open holds remembered per account; beyond that the oldest is forgotten."""


class Known(Struct, array_like=True, gc=False):
    """A balance as last seen."""

    currency: str
    balance_kind: str
    minor: int
    at: int
    """Milliseconds: the moment the balance speaks of."""
    offset: int
    """Where it was read: the event's offset in its input."""
    event_id: str
    source: int
    """The kind of that event."""
    occurred_at: int

    def ref(self) -> Ref:
        """The address of the event that told."""
        return Ref(self.source, self.offset, self.event_id, self.occurred_at)


class Hold(Struct, array_like=True, gc=False):
    """Money that a pending debit keeps from being spent."""

    transaction_id: str
    currency: str
    minor: int
    opened_at: int


class Facts(Struct, array_like=True, omit_defaults=True, gc=False):
    """The projection of one account."""

    balances: list[Known] = []
    holds: list[Hold] = []

    def known(self, currency: str) -> Known | None:
        """The newest balance known in this currency, of whatever kind."""
        newest: Known | None = None
        for known in self.balances:
            if known.currency == currency and (newest is None or known.at >= newest.at):
                newest = known
        return newest

    def held(self, currency: str, since: int, but: str) -> int:
        """Minor units held by debits opened at or after `since`, but for one transaction."""
        return sum(
            hold.minor
            for hold in self.holds
            if hold.currency == currency and hold.opened_at >= since and hold.transaction_id != but
        )


def paid_by_balance(event: Transaction) -> int | None:
    """What the wallet balance pays of a debit, fee in the row included, in minor units.

    None where a mixed funding does not tell its part.
    """
    if event.funding is None or event.funding == "balance":
        fee = event.fee
        return event.amount + fee if fee and event.fee_mode != "separate" else event.amount
    if event.funding == "mixed":
        return event.funding_from_balance
    return 0


def see_transaction(facts: Facts, event: Transaction, offset: int, late: bool) -> None:
    """Take over what a transaction event tells of balance and holds."""
    if event.balance_after is not None:
        assert event.balance_kind is not None
        at = event.occurred_at
        source = (offset, event.event_id, TRANSACTION, at)
        _set_known(
            facts, Known(event.currency, event.balance_kind, event.balance_after, at, *source)
        )
    elif facts.balances and _lowers_untold(event):
        _forget_known(facts, event.currency, event.occurred_at)
    if event.type in DEBITS:
        if event.status in TERMINAL:
            if facts.holds:
                _close_hold(facts, event.transaction_id)
        elif event.status == "pending" and not late:  # its end may have been seen already
            _open_hold(facts, event)


def see_balance(facts: Facts, event: Balance, offset: int) -> None:
    """Take over a reported balance."""
    source = (offset, event.event_id, BALANCE, event.occurred_at)
    _set_known(
        facts, Known(event.currency, event.balance_kind, event.balance, event.as_of, *source)
    )


def _set_known(facts: Facts, new: Known) -> None:
    for index, known in enumerate(facts.balances):
        if known.currency == new.currency and known.balance_kind == new.balance_kind:
            if new.at >= known.at:
                facts.balances[index] = new
            return
    facts.balances.append(new)


def _lowers_untold(event: Transaction) -> bool:
    """Say whether the balance has gone down (or may have) without a word to what."""
    return event.status == "completed" and event.type not in CREDITS and paid_by_balance(event) != 0


def _forget_known(facts: Facts, currency: str, until: int) -> None:
    facts.balances = [
        known for known in facts.balances if known.currency != currency or known.at > until
    ]


def _open_hold(facts: Facts, event: Transaction) -> None:
    minor = paid_by_balance(event)
    if not minor:
        return
    _close_hold(facts, event.transaction_id)
    facts.holds.append(Hold(event.transaction_id, event.currency, minor, event.occurred_at))
    if len(facts.holds) > MAX_HOLDS:
        del facts.holds[0]


def _close_hold(facts: Facts, transaction_id: str) -> None:
    facts.holds = [hold for hold in facts.holds if hold.transaction_id != transaction_id]
