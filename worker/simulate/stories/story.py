"""One story: the account in which it happens, and the truth that it records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from schemas.base import Severity
from schemas.truth import Plant
from worker.simulate.life.bookings import complete
from worker.simulate.life.orders import credit
from worker.simulate.world.account import MINUTE_MS, SimulatedAccount
from worker.simulate.world.ledger import Ledger

QUIET_MS = 55 * MINUTE_MS
"""Longer than any story of money."""


class StoryEvidence(NamedTuple):
    """The events that show it, the anchor last, and their transactions."""

    event_ids: tuple[str, ...]
    transaction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """One variant of one rule, planted in one account. Delays are in ms from now."""

    account: SimulatedAccount
    truth: list[Plant]
    rule: str
    variant: str

    def keep_quiet(self) -> None:
        """Let nothing of the account's ordinary life happen while the story lasts."""
        account = self.account
        account.no_visits_until = max(account.no_visits_until, account.agenda.now + QUIET_MS)

    def undisturbed(self, act: Callable[[Ledger], None]) -> None:
        """Let the owner have money in the home currency, then nothing happen, then act.

        Nothing: for longer than a balance counts as known, and until the story is over.
        """
        ledger = self.account.ledgers[0]
        self.keep_quiet()
        complete(self.account, credit(self.account, "topup", 300 * ledger.money.unit, ledger))
        self.account.soon(330, 600, act, ledger)

    def must_alert(
        self,
        severity: Severity,
        evidence: StoryEvidence,
        *,
        earliest_after: int = 0,
        severity_after: int | None = None,
        cured_after: int | None = None,
        rule: str | None = None,
    ) -> None:
        """Record that what happened now is an anomaly (severity_after: as earliest_after).

        `rule`: the rule that must alert, if it is not the story's.
        """
        now = self.account.agenda.now
        if severity_after is None:
            severity_after = earliest_after
        self.truth.append(
            Plant(
                expect="alert",
                rule=rule or self.rule,
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

    def must_stay_silent(self, evidence: StoryEvidence) -> None:
        """Record that what happened now is innocent, however it looks."""
        self.truth.append(
            Plant(
                expect="silent",
                rule=self.rule,
                variant=self.variant,
                account_id=self.account.account_id,
                event_ids=evidence.event_ids,
                transaction_ids=evidence.transaction_ids,
                at=self.account.agenda.now,
            )
        )
