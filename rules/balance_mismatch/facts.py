"""The facts that alerts of A2 quote: one struct per check, with what follows from the facts alone.

All amounts are in minor units, all times in milliseconds.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Self

import msgspec

from rules.alerts import OpenAlert
from rules.balance_mismatch.ledger.row import Before, drift_of, effect_of, start_of
from rules.effects import Effects
from rules.events import Transaction
from rules.facts import Facts, Value, Values, quoted
from schemas.transaction import BalanceKind


class BalanceMismatchFacts(Facts, kw_only=True):
    """The facts that all checks have in common."""

    switch: ClassVar[str]
    """The parameter that turns the check off."""
    check: Annotated[
        str, quoted(compared_with=("row_check", "chain_check", "group_check", "snapshot_check"))
    ]
    currency: Annotated[str, quoted("currency")]

    @classmethod
    def of(cls, values: Values) -> Self:
        """Return the facts of an alert as the struct of its check.

        Raises msgspec.ValidationError if a value is missing or of another type, KeyError if the
        check is unknown.
        """
        struct: type[Any] = _STRUCTS[values["check"]]
        facts: Self = msgspec.convert(values, struct)
        return facts

    @property
    def at(self) -> int:
        """When what was found was true."""
        raise NotImplementedError


class DriftFacts(BalanceMismatchFacts, kw_only=True):
    """A balance that differs by `drift_minor` from what it should be."""

    correction_factor: ClassVar[int] = -1
    """A correction moves the drift times this."""
    exponent: Annotated[int, quoted("exponent")]
    balance_kind: Annotated[BalanceKind, quoted("balance_kind")]
    drift_minor: Annotated[
        int,
        quoted(
            compared_with=(
                "tolerance_minor",
                "tolerance_minor_by_currency",
                "drift_error_minor_by_currency",
            )
        ),
    ]

    @property
    def drift(self) -> int:
        """The difference as it follows from the other facts."""
        return self.drift_minor

    @property
    def size(self) -> int:
        """What limits are compared with: the difference, without its sign."""
        return abs(self.drift_minor)

    @property
    def is_only_warning(self) -> bool:
        """Whether it is no error however large it is."""
        return False


class RowFacts(DriftFacts, kw_only=True):
    """Check `row`: a row that moved its balance wrongly."""

    switch = "row_check"
    type: Annotated[str, quoted("type")]
    status: Annotated[str, quoted("status")]
    amount_minor: Annotated[int, quoted("amount")]
    fee_minor: Annotated[int | None, quoted("fee")]
    fee_mode: Annotated[str | None, quoted("fee_mode")]
    funding: Annotated[str | None, quoted("funding")]
    funding_from_balance_minor: Annotated[int | None, quoted("funding_from_balance")]
    balance_before_minor: Annotated[int, quoted("balance_before")]
    balance_after_minor: Annotated[int, quoted("balance_after")]
    ledger_sequence: Annotated[int | None, quoted("ledger_sequence")]
    booked_at_ms: Annotated[int, quoted("occurred_at")]
    transaction_before: Annotated[Before | None, quoted()] = None
    """What was known of its transaction before a row that undoes it."""

    @property
    def at(self) -> int:
        return self.booked_at_ms

    @property
    def moved(self) -> int:
        """What the row moved of its balance."""
        return self.balance_after_minor - self.balance_before_minor

    @property
    def drift(self) -> int:
        event = Transaction(
            event_id="",
            transaction_id="",
            account_id="",
            type=self.type,
            status=self.status,
            amount=self.amount_minor,
            currency=self.currency,
            occurred_at=self.booked_at_ms,
            fee=self.fee_minor,
            fee_mode=self.fee_mode,
            funding=self.funding,
            funding_from_balance=self.funding_from_balance_minor,
            balance_before=self.balance_before_minor,
            balance_after=self.balance_after_minor,
            balance_kind=self.balance_kind,
        )
        judged = drift_of(event, effect_of(event), self.transaction_before)
        return judged[0] if judged else 0


class ChainFacts(DriftFacts, kw_only=True):
    """Check `chain`: a numbered row that starts at another balance than the row before left."""

    switch = "chain_check"
    previous_balance_minor: Annotated[int, quoted("balance_after")]
    previous_balance_may_be_minor: int | None
    previous_balance_may_also_be_minor: int | None
    balance_before_minor: Annotated[int, quoted(start_of)]
    balance_before_may_be_minor: int | None = None
    """Of a row that is wrong in itself: by its balance after, which may be the right one."""
    ledger_sequence: Annotated[int, quoted("ledger_sequence")]
    booked_at_ms: Annotated[int, quoted("occurred_at")]

    @property
    def at(self) -> int:
        return self.booked_at_ms

    @property
    def drift(self) -> int:
        end, start = self.nearest
        return start - end

    @property
    def nearest(self) -> tuple[int, int]:
        """The balances before and after the jump: the nearest of all that may be right."""
        ends = (
            self.previous_balance_minor,
            self.previous_balance_may_be_minor,
            self.previous_balance_may_also_be_minor,
        )
        starts = self.balance_before_minor, self.balance_before_may_be_minor
        pairs = [(e, s) for e in ends for s in starts if e is not None and s is not None]
        return min(pairs, key=lambda pair: abs(pair[1] - pair[0]))


class GapFacts(BalanceMismatchFacts, kw_only=True):
    """Check `missing_entries`: numbers of the sequence that have not arrived."""

    switch = "chain_check"
    sequence_before_gap: Annotated[int, quoted("ledger_sequence")]
    sequence_after_gap: Annotated[int, quoted("ledger_sequence")]
    missing_count: int
    shown_at_ms: int
    """The order time of the row that showed the gap."""
    missing_for_ms: Annotated[int, quoted(compared_with=("gap_info_ms", "gap_error_ms"))]

    @property
    def at(self) -> int:
        return self.shown_at_ms


class ConflictFacts(BalanceMismatchFacts, kw_only=True):
    """Check `sequence_conflict`: two different rows with one number."""

    switch = "chain_check"
    ledger_sequence: Annotated[int, quoted("ledger_sequence")]
    booked_at_ms: Annotated[int, quoted("occurred_at")]

    @property
    def at(self) -> int:
        return self.booked_at_ms


class GroupFacts(DriftFacts, kw_only=True):
    """Check `group`: rows without numbers, close in time, that join in no order.

    Alerts of releases before jumps were listed quote none: they have one, the drift, and were
    warnings.
    """

    switch = "group_check"
    jumps_minor: str | None = None
    """From one row to the next, in their order: "4000 -1000"; at most 50."""
    other_jumps_minor: int = 0
    """The sum of those that are not listed."""
    largest_jump_minor: int | None = None
    """The largest in either direction, with its sign."""
    previous_balance_minor: Annotated[int, quoted("balance_after")]
    rows: Annotated[int, quoted(compared_with="chain_slack_ms")]
    last_row_at_ms: Annotated[int, quoted("occurred_at")]
    would_close_minor: str | None
    """Rows any one of which would have completed the group: "8000>7000 6500>7000"."""

    @property
    def at(self) -> int:
        return self.last_row_at_ms

    @property
    def drift(self) -> int:
        return sum(self.jumps) + self.other_jumps_minor

    @property
    def size(self) -> int:
        return abs(self.largest_jump)

    @property
    def is_only_warning(self) -> bool:
        return self.jumps_minor is None

    @property
    def jumps(self) -> list[int]:
        """The jumps that are listed."""
        if self.jumps_minor is None:
            return [self.drift_minor]
        return [int(jump) for jump in self.jumps_minor.split()]

    @property
    def largest_jump(self) -> int:
        """The jump that decides the severity."""
        if self.largest_jump_minor is None:
            return self.drift_minor
        return self.largest_jump_minor

    @property
    def closing_rows(self) -> list[tuple[int, int]]:
        """The rows of `would_close_minor`: (before, after)."""
        rows = (row.split(">") for row in (self.would_close_minor or "").split())
        return [(int(before), int(after)) for before, after in rows]


class SnapshotFacts(DriftFacts, kw_only=True):
    """Check `snapshot`: a reported balance that differs from the rows."""

    switch = "snapshot_check"
    correction_factor = 1
    reported_balance_minor: Annotated[int, quoted("balance")]
    chain_balance_minor: int
    """The nearest to the report among the balances that held around its moment."""
    off_by_ms: Annotated[int | None, quoted(compared_with="snapshot_slack_ms")]
    """How far from the moment the rows had the reported balance; None if never."""
    as_of_ms: Annotated[int, quoted("as_of", compared_with="snapshot_history_ms")]
    reported_at_ms: Annotated[int, quoted("occurred_at")]
    judged_at_ms: int

    @property
    def at(self) -> int:
        return self.judged_at_ms

    @property
    def drift(self) -> int:
        return self.reported_balance_minor - self.chain_balance_minor


_STRUCTS: Final[Mapping[Value, type[BalanceMismatchFacts]]] = {
    "row": RowFacts,
    "chain": ChainFacts,
    "missing_entries": GapFacts,
    "sequence_conflict": ConflictFacts,
    "group": GroupFacts,
    "snapshot": SnapshotFacts,
}
"""By the fact `check`."""


def alerts_with_facts(
    fx: Effects, check: str | None = None
) -> Iterator[tuple[OpenAlert, BalanceMismatchFacts]]:
    """Yield the open alerts of A2 on the account with the facts that they quote, oldest first.

    Args:
        check: those of other checks may be left out; None: leave out none.
    """
    for alert in fx.open_alerts(check):
        yield alert, BalanceMismatchFacts.of_quotes(alert.facts)
