"""The findings of A2 about rows without numbers and about reported balances."""

from collections.abc import Sequence
from typing import Annotated, Any

from rules.balance_mismatch.facts import Drift
from rules.balance_mismatch.params import BalanceMismatchParams
from rules.contract import Otherwise, Verdict
from rules.events import Balance, Event, Transaction
from rules.facts import quoted
from schemas.time import format_span


class Grouped(Drift, kw_only=True):
    """Rows without numbers, close to each other in time."""

    name = "group"
    switch = "group_check"
    only_warns = True
    previous_balance_minor: Annotated[int, quoted("balance_after")]
    rows: Annotated[int, quoted(compared_with="chain_slack_ms")]
    last_row_at_ms: Annotated[int, quoted("occurred_at")]
    would_close_minor: str | None
    """Rows of which any single one would have closed the group: "8000>7000 6500>7000"."""

    @property
    def at(self) -> int:
        return self.last_row_at_ms

    def title(self) -> str:
        return (
            f"Ledger entries of one moment leave {self.money(self.drift_minor)} unexplained "
            f"in every order"
        )

    def details(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def links(self, event: Transaction) -> bool:
        """Say whether the event is the one row that was missing."""
        link = f"{event.balance_before}>{event.balance_after}"
        return self.same_book(event) and link in (self.would_close_minor or "").split()

    def answers(self, event: Event) -> bool:
        return (isinstance(event, Transaction) and self.links(event)) or Drift.answers(self, event)

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        said = [
            (
                f"{self.rows} entries without a number came each within "
                f"{format_span(params.chain_slack_ms)} of another (chain_slack_ms), so their "
                "order is not known."
            ),
            (
                f"In no order do they lead on from {self.money(self.previous_balance_minor)} "
                f"without a jump: {self.money(self.drift_minor)} are unexplained."
            ),
        ]
        if self.would_close_minor:
            before, after = map(int, self.would_close_minor.split()[0].split(">"))
            said.append(f"An entry from {self.money(before)} to {self.money(after)} would do it.")
        return said

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        return [
            Otherwise(
                sentence="no alert if the entries could be put into an order without a jump",
                facts={"drift_minor": 0},
            ),
            *Drift.otherwise(self, params),
        ]


class Snapshot(Drift, kw_only=True):
    """A reported balance against those that the rows told."""

    name = "snapshot"
    switch = "snapshot_check"
    corrected_by = 1
    reported_balance_minor: Annotated[int, quoted("balance")]
    chain_balance_minor: int
    """Of those that held around the moment, the nearest to what was reported."""
    off_by_ms: Annotated[int | None, quoted(compared_with="snapshot_slack_ms")]
    """How far from the moment the rows had the reported balance; None: never."""
    as_of_ms: Annotated[int, quoted("as_of", compared_with="snapshot_history_ms")]
    reported_at_ms: Annotated[int, quoted("occurred_at")]
    judged_at_ms: int

    @property
    def at(self) -> int:
        return self.judged_at_ms

    @property
    def drift(self) -> int:
        return self.reported_balance_minor - self.chain_balance_minor

    def verdict(self, params: BalanceMismatchParams) -> Verdict | None:
        too_old = self.as_of_ms < self.reported_at_ms - params.snapshot_history_ms
        near = self.off_by_ms is not None and self.off_by_ms <= params.snapshot_slack_ms
        return None if too_old or near else Drift.verdict(self, params)

    def title(self) -> str:
        return f"Reported balance differs by {self.money(self.drift_minor)} from the ledger"

    def explained_by(self, event: Transaction) -> bool:
        """Say whether a row told the reported balance, and not too late for it."""
        balances = (event.balance_before, event.balance_after)
        return (
            self.same_book(event)
            and self.reported_balance_minor in balances
            and event.occurred_at <= self.judged_at_ms
        )

    def answers(self, event: Event) -> bool:
        if isinstance(event, Balance):
            return self.same_book(event) and event.as_of > self.as_of_ms
        return isinstance(event, Transaction) and (
            self.explained_by(event) or self.corrected_by_row(event)
        )

    def because(self, params: BalanceMismatchParams) -> Sequence[str]:
        slack = format_span(params.snapshot_slack_ms)
        said = [
            (
                f"{self.money(self.reported_balance_minor)} were reported as the "
                f"{self.balance_kind} balance."
            ),
            (
                f"Within {slack} of that moment (snapshot_slack_ms) the entries say "
                f"otherwise; the nearest is {self.money(self.chain_balance_minor)}."
            ),
        ]
        if self.off_by_ms is not None:
            said.append(f"They said so {format_span(self.off_by_ms)} away from it.")
        return said

    def otherwise(self, params: BalanceMismatchParams) -> Sequence[Otherwise]:
        found = [
            Otherwise(
                sentence=f"no alert if {self.money(self.chain_balance_minor)} had been reported",
                facts={"reported_balance_minor": self.chain_balance_minor, "drift_minor": 0},
            ),
            Otherwise(
                sentence="no alert if it had been reported more than "
                f"{format_span(params.snapshot_history_ms)} after its moment "
                "(snapshot_history_ms)",
                facts={"reported_at_ms": self.as_of_ms + params.snapshot_history_ms + 1},
            ),
        ]
        if self.off_by_ms is not None:
            found.append(
                Otherwise(
                    sentence="no alert if the entries had said so within "
                    f"{format_span(params.snapshot_slack_ms)} (snapshot_slack_ms)",
                    facts={"off_by_ms": params.snapshot_slack_ms},
                )
            )
        return [*found, *Drift.otherwise(self, params)]
