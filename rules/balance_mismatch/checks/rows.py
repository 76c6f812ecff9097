"""The findings of A2 about single rows and about rows that carry numbers."""

from collections.abc import Sequence
from typing import Annotated, Any

from rules.balance_mismatch.facts import Case, Drift
from rules.balance_mismatch.ledger.row import drift_of, effect_of
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Otherwise, Verdict
from rules.events import Event, Transaction
from rules.facts import quoted
from schemas.time import format_span


class Row(Drift, kw_only=True):
    """A row by itself."""

    name = "row"
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

    @property
    def at(self) -> int:
        return self.booked_at_ms

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
        judged = drift_of(event, effect_of(event))
        return judged[0] if judged else 0

    @property
    def moved(self) -> int:
        """What the row moved of its balance."""
        return self.balance_after_minor - self.balance_before_minor

    def title(self) -> str:
        due = self.money(self.moved - self.drift_minor)
        return f"Balance moved by {self.money(self.moved)} where {due} was due"

    def details(self) -> dict[str, Any]:
        number = self.ledger_sequence
        return {} if number is None else {"ledger_sequence": number}

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        what = f"{self.type.replace('_', ' ')} of {self.money(self.amount_minor)}"
        due = self.moved - self.drift_minor
        return [
            (
                f"A {what} that is {self.status} should have moved the {self.balance_kind} "
                f"balance by {self.money(due)}."
            ),
            (
                f"It went from {self.money(self.balance_before_minor)} to "
                f"{self.money(self.balance_after_minor)}: {self.money(self.drift_minor)} too much."
            ),
        ]

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        return [
            self.corrected("no alert if the balance after it had been {}", "balance_after_minor"),
            *Drift.otherwise(self, params),
        ]


class Junction(Drift, kw_only=True):
    """A row against the one before, by their numbers."""

    name = "chain"
    switch = "chain_check"
    previous_balance_minor: Annotated[int, quoted("balance_after")]
    previous_balance_may_be_minor: int | None
    previous_balance_may_also_be_minor: int | None
    balance_before_minor: Annotated[int, quoted("balance_before")]
    ledger_sequence: Annotated[int, quoted("ledger_sequence")]
    booked_at_ms: Annotated[int, quoted("occurred_at")]

    @property
    def at(self) -> int:
        return self.booked_at_ms

    @property
    def drift(self) -> int:
        ends = (
            self.previous_balance_minor,
            self.previous_balance_may_be_minor,
            self.previous_balance_may_also_be_minor,
        )
        return min((self.balance_before_minor - end for end in ends if end is not None), key=abs)

    def title(self) -> str:
        return f"Balance jumped by {self.money(self.drift_minor)} between two ledger entries"

    def details(self) -> dict[str, Any]:
        return {"ledger_sequence": self.ledger_sequence}

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        left = self.balance_before_minor - self.drift_minor
        number = self.ledger_sequence
        return [
            f"Entry {number - 1} left {self.money(left)}.",
            (
                f"Entry {number} starts at {self.money(self.balance_before_minor)}: nothing "
                f"between them explains {self.money(self.drift_minor)}."
            ),
        ]

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        return [
            self.corrected("no alert if the entry had started at {}", "balance_before_minor"),
            *Drift.otherwise(self, params),
        ]


class Missing(Case, kw_only=True):
    """Numbers of the sequence that have not come."""

    name = "missing_entries"
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

    def verdict(self, params: BalanceMismatchParams) -> Verdict | None:
        if self.missing_for_ms < params.gap_info_ms:
            return None
        verdict = self.found(
            "error" if self.missing_for_ms >= params.gap_error_ms else "info",
            f"Missing ledger entries: {self.missing_count} ({self.currency})",
            first_missing=self.sequence_before_gap + 1,
            last_missing=self.sequence_after_gap - 1,
            count=self.missing_count,
        )
        verdict.at += params.gap_info_ms
        return verdict

    def answers(self, event: Event) -> bool:
        return (
            isinstance(event, Transaction)
            and event.currency == self.currency
            and event.ledger_sequence is not None
            and self.sequence_before_gap < event.ledger_sequence < self.sequence_after_gap
        )

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        return [
            (
                f"Between entries {self.sequence_before_gap} and {self.sequence_after_gap}, "
                f"{self.missing_count} had not come after {format_span(self.missing_for_ms)}."
            ),
        ]

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        found = [
            Otherwise(
                sentence="no alert if they had come within "
                f"{format_span(params.gap_info_ms)} (gap_info_ms)",
                facts={"missing_for_ms": params.gap_info_ms - 1},
            )
        ]
        if self.missing_for_ms >= params.gap_error_ms:
            found.append(
                Otherwise(
                    sentence="only info if they had come within "
                    f"{format_span(params.gap_error_ms)} (gap_error_ms)",
                    facts={"missing_for_ms": params.gap_error_ms - 1},
                )
            )
        return found


class Conflict(Case, kw_only=True):
    """One number on two rows."""

    name = "sequence_conflict"
    switch = "chain_check"
    ledger_sequence: Annotated[int, quoted("ledger_sequence")]
    booked_at_ms: Annotated[int, quoted("occurred_at")]

    @property
    def at(self) -> int:
        return self.booked_at_ms

    def verdict(self, params: BalanceMismatchParams) -> Verdict | None:
        return self.found(
            "warning",
            f"Two different ledger entries have one sequence number ({self.currency})",
            ledger_sequence=self.ledger_sequence,
        )

    def answers(self, event: Event) -> bool:
        return False

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        return [f"Entry {self.ledger_sequence} came twice, with different contents."]

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        return [
            Otherwise(
                sentence="no alert if rows were not compared by number (chain_check)",
                params={"chain_check": False},
            )
        ]
