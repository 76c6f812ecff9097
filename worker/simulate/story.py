"""What a story is told with: the account it happens to, and the truth it leaves behind."""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.base import Severity
from worker.simulate.account import Account
from worker.simulate.truth import Planted, Truth


class Evidence(NamedTuple):
    """The events that show it, the anchor last, and the transactions they are of."""

    event_ids: tuple[str, ...]
    transaction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """One variant of one rule, planted in one account. Delays are in ms from now."""

    account: Account
    truth: Truth
    rule: str
    variant: str

    def must_alert(
        self,
        severity: Severity,
        evidence: Evidence,
        *,
        earliest_after: int = 0,
        severity_after: int | None = None,
        cured_after: int | None = None,
    ) -> None:
        """Write down that what happened now is an anomaly (severity_after: as earliest_after)."""
        now = self.account.agenda.now
        if severity_after is None:
            severity_after = earliest_after
        self.truth.append(
            Planted(
                expect="alert",
                rule=self.rule,
                variant=self.variant,
                account_id=self.account.account_id,
                event_ids=evidence.event_ids,
                transaction_ids=evidence.transaction_ids,
                severity=severity,
                at=now,
                earliest_at=now + earliest_after,
                severity_at=now + severity_after,
                cured_at=None if cured_after is None else now + cured_after,
            )
        )

    def must_stay_silent(self, evidence: Evidence) -> None:
        """Write down that what happened now is innocent, however it looks."""
        self.truth.append(
            Planted(
                expect="silent",
                rule=self.rule,
                variant=self.variant,
                account_id=self.account.account_id,
                event_ids=evidence.event_ids,
                transaction_ids=evidence.transaction_ids,
                at=self.account.agenda.now,
            )
        )
