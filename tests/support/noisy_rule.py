"""A rule that alerts on every failed transaction: to open as many alerts as a test needs."""

from typing import Final

from rules import contract
from rules.alerts import Amount, Draft, Verdict
from rules.contract import Params, Rule
from rules.effects import Effects
from rules.events import Event, Transaction
from rules.facts import Facts, Quote
from rules.profile import Profile
from schemas.base import Severity


class NoisyFacts(Facts, kw_only=True):
    """One failed transaction."""

    at_ms: int
    transaction_id: str
    severity: str
    currency: str
    amount_minor: int


_SEVERITIES: dict[str, Severity] = {"info": "info", "warning": "warning", "error": "error"}


class Noisy(Rule[Params, contract.State, NoisyFacts]):
    """One alert per failed transaction, as severe as its failure_code says; cured by success."""

    id = "noisy"
    code = "X7"
    category = "payment"
    Params = Params
    State = contract.State
    Facts = NoisyFacts

    def on_transaction(
        self, state: contract.State, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Raise, or close what the transaction answers."""
        if event.status == "failed":
            facts: list[Quote] = [
                ("at_ms", event.occurred_at, None),
                ("transaction_id", event.transaction_id, None),
                ("severity", event.failure_code, None),
                ("currency", event.currency, None),
                ("amount_minor", event.amount, None),
            ]
            fx.alert(
                Draft(
                    anchor=event.event_id,
                    cause="payments",
                    facts=facts,
                    evidence=[(fx.ref, "failure")],
                    transaction_ids=(event.transaction_id,),
                )
            )
        elif event.status == "completed":
            for alert in fx.open_alerts(event.transaction_id):
                if self.answers(NoisyFacts.of_quotes(alert.facts), event):
                    fx.settle(alert, "success")

    late_transaction = on_transaction

    def answers(self, facts: NoisyFacts, event: Event) -> bool:
        """Whether it is the same transaction."""
        return isinstance(event, Transaction) and event.transaction_id == facts.transaction_id

    def judge(self, facts: NoisyFacts) -> Verdict:
        """Find what the event says."""
        return Verdict(
            at=facts.at_ms,
            severity=_SEVERITIES[facts.severity],
            title="A transaction failed",
            amount_at_stake=[Amount(facts.currency, facts.amount_minor, 2)],
        )


NOISY: Final = Noisy(Params())
