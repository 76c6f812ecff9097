"""A1: a payment fails although the balance that was to pay it is sufficient.

Finds: a debit of the owner (initiator customer or absent) that reaches `failed` while the wallet
balance covers amount and fee.

Why it matters: the owner sees the money and is refused; many at once are an outage, with one
provider or of the balance service.

What makes it wrong, and what is done about it:
- the available balance is what counts: open holds are taken off a posted balance, and those opened
  since off an available one;
- a stale balance proves nothing: older than `max_balance_age_ms`, or followed by a completed row
  without balance, it is not used;
- another debit at the same moment may have had the money, or a credit have brought it too late:
  within `concurrent_debit_ms` on either side a refusal is only info, unless the event has the
  available balance itself. So a refusal is judged that long after it happened, by what was known
  when it happened; where no transactions follow, heartbeats prove that none came;
- a failure of what has succeeded (the transaction, or one with its key or reference) is an old or
  repeated status, or money that came back: silent;
- limits, fraud, blocked accounts, duplicates and customers say no for good reasons: silent;
- a card or bank refuses for its own balance: judged only where the wallet's pays;
- another currency cannot be compared; the fee must be covered too;
- a technical failure is often retried with success: info at once, a warning only when no success
  is proven to have come within `retry_grace_ms`.

Cured by a completed debit with the same transaction_id, idempotency_key or external_reference; one
that comes before a refusal is judged leaves nothing to report. A late failure is counted but not
judged.

Details of an alert: `family`, `failure_code`, `failure_code_system`, `concurrent_debit`, and
`balance_from`: available_balance or balance_before (of the failed payment itself), balance_after
or reported_balance (of an earlier event).

Attempts and technical failures are counted per provider, for rules over many accounts.
"""

from collections.abc import Sequence

from rules.alerts import Draft, Verdict
from rules.contract import Otherwise, Rule
from rules.effects import Effects
from rules.events import CREDITS, DEBITS, TRANSACTION, Event, Ref, Transaction
from rules.facts import Quote
from rules.failed_payment import reasons
from rules.failed_payment.examples import EXAMPLES
from rules.failed_payment.facts import (
    FAILURE,
    KEYS,
    FailedPaymentFacts,
    keys_of,
    needed_of,
    verdict_of,
)
from rules.failed_payment.failure_codes import Family, family
from rules.failed_payment.params import FailedPaymentParams
from rules.failed_payment.spendable import Spendable, spendable_at
from rules.failed_payment.state import (
    MAX_WAITING,
    FailedPaymentState,
    Waiting,
    contest_waiting,
    is_contested,
    may_explain,
    raises_balance,
    remember_credit,
    remember_debit,
)
from rules.profile import Profile, mark_of


class FailedPayment(Rule[FailedPaymentParams, FailedPaymentState, FailedPaymentFacts]):
    """See the module."""

    id = "failed_payment_sufficient_balance"
    code = "A1"
    category = "payment"
    Params = FailedPaymentParams
    State = FailedPaymentState
    Facts = FailedPaymentFacts
    reads = {
        TRANSACTION: {
            "type": (*DEBITS, *CREDITS, "adjustment"),
            "status": ("pending", "completed", "failed"),
        }
    }
    EXAMPLES = EXAMPLES

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: FailedPaymentFacts) -> Verdict | None:
        """Compare what the balance was to pay with what could be spent."""
        return verdict_of(facts, self.params)

    def answers(self, facts: FailedPaymentFacts, event: Event) -> bool:
        """Return whether a completed debit is the payment, or a retry of it."""
        return (
            isinstance(event, Transaction)
            and event.status == "completed"
            and event.type in DEBITS
            and any(getattr(event, key) == getattr(facts, key) is not None for key in KEYS)
        )

    def because(self, facts: FailedPaymentFacts) -> Sequence[str]:
        """Return what was needed and what was there."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: FailedPaymentFacts) -> Sequence[Otherwise]:
        """Return how little, how old or how contested the balance would have had to be."""
        return reasons.otherwise(facts, self.params)

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: FailedPaymentState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a failed debit; let a completed one cure."""
        if event.type not in DEBITS:
            if raises_balance(event):
                self._handle_credit(state, event)
        elif event.status == "failed":
            self._handle_failure(state, event, profile, fx)
        else:
            self._handle_debit(state, event, fx)

    def late_transaction(
        self, state: FailedPaymentState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Let a late completed debit cure or retract, and what explains a refusal lower it."""
        if event.type not in DEBITS:
            if raises_balance(event):
                self._handle_credit(state, event)
                self._contest_alerts(event, fx)
        elif event.status == "failed":
            _count_attempt(event, family(event.failure_code_system, event.failure_code), fx)
            fx.count("late_failure")
        else:
            self._handle_debit(state, event, fx)
            self._contest_alerts(event, fx)

    def on_timer(
        self, state: FailedPaymentState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Judge a refusal that waited; raise a technical failure that no retry has cured."""
        for waiting in state.waiting:
            if name == _race_timer(waiting.draft.anchor):
                _remove(state, waiting)
                _raise(waiting.draft, waiting.is_contested, fx)
                return
        for alert in fx.open_alerts(name.partition(":")[2]):
            if name == _retry_timer(alert.anchor):
                fx.update(alert, [("no_retry_until_ms", due, None)])

    def _handle_failure(
        self, state: FailedPaymentState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        why = family(event.failure_code_system, event.failure_code)
        _count_attempt(event, why, fx)
        if event.initiator is None or event.initiator == "customer":
            self._judge_failure(state, event, why, profile, fx)

    def _handle_debit(self, state: FailedPaymentState, event: Transaction, fx: Effects) -> None:
        if event.status == "completed":
            _count_attempt(event, None, fx)
            self._cure(state, event, fx)
        within_ms = self.params.concurrent_debit_ms
        remember_debit(state, event, within_ms)
        if state.waiting:
            contest_waiting(state, event, within_ms)

    def _handle_credit(self, state: FailedPaymentState, event: Transaction) -> None:
        remember_credit(state, event)
        if state.waiting:
            contest_waiting(state, event, self.params.concurrent_debit_ms)

    def _judge_failure(
        self,
        state: FailedPaymentState,
        event: Transaction,
        why: Family,
        profile: Profile,
        fx: Effects,
    ) -> None:
        if why in self.params.silent_families:
            return
        if why == "unknown":
            fx.count("unknown_failure")
            return
        needed = needed_of(
            event.amount,
            event.fee,
            event.funding,
            event.funding_from_balance,
            event.failure_code_system,
            self.params.assume_balance_funded,
        )
        if isinstance(needed, str):
            fx.count(needed)
            return
        if profile.has_succeeded(event):
            fx.count("succeeded_before")
            return
        if _is_open(state, event, fx):
            fx.count("already_open")
            return
        limits = self.params.max_balance_age_ms, self.params.hold_ttl_ms
        spendable = spendable_at(event, profile, fx, *limits)
        if spendable is None or spendable.minor < needed:
            return
        draft = _draft(event, spendable, fx.ref)
        contested = is_contested(state, event, self.params.concurrent_debit_ms)
        if why == "insufficient_funds":
            self._wait(state, event, draft, contested, fx)
            return
        _raise(draft, contested, fx)
        due = event.occurred_at + self.params.retry_grace_ms
        fx.set_timer(_retry_timer(draft.anchor), due, (TRANSACTION,), alert=draft.anchor)

    def _wait(
        self,
        state: FailedPaymentState,
        event: Transaction,
        draft: Draft,
        contested: bool,
        fx: Effects,
    ) -> None:
        """Judge a refusal when all is known that happened at the same moment."""
        if len(state.waiting) >= MAX_WAITING:
            fx.count("judged_at_once")
            _raise(draft, contested, fx)
            return
        mark, at = mark_of(event.transaction_id), event.occurred_at
        state.waiting = (*state.waiting, Waiting(draft, mark, event.currency, at, contested))
        due = at + self.params.concurrent_debit_ms
        fx.set_timer(_race_timer(draft.anchor), due, (TRANSACTION,))

    def _cure(self, state: FailedPaymentState, event: Transaction, fx: Effects) -> None:
        for waiting in state.waiting:
            if self.answers(FailedPaymentFacts.of_quotes(waiting.draft.facts), event):
                _remove(state, waiting)
                fx.cancel_timer(_race_timer(waiting.draft.anchor))
        for alert in fx.open_alerts(*keys_of(event)):
            if self.answers(FailedPaymentFacts.of_quotes(alert.facts), event):
                fx.settle(alert, "success")
                fx.cancel_timer(_retry_timer(alert.anchor))

    def _contest_alerts(self, event: Transaction, fx: Effects) -> None:
        """Lower the alerts about refusals that a late debit or credit may explain."""
        mark, within_ms = mark_of(event.transaction_id), self.params.concurrent_debit_ms
        for alert in fx.open_alerts():
            facts = FailedPaymentFacts.of_quotes(alert.facts)
            failed = mark_of(facts.transaction_id or "")
            if may_explain(event, mark, failed, facts.currency, facts.failed_at_ms, within_ms):
                fx.update(alert, [("concurrent_debit", True, None)])


def _draft(event: Transaction, spendable: Spendable, ref: Ref) -> Draft:
    """Return the alert about a failure, as far as it is known when it happens."""
    source = spendable.ref
    known: Quote = (f"{spendable.fact}_minor", spendable.balance, source)
    balance = [(source, "balance")] if source != ref else []
    return Draft(
        anchor=event.event_id,
        cause=f"provider:{event.provider}" if event.provider else "payments",
        subject=event.transaction_id,
        evidence=[*balance, (ref, "failure")],
        facts=[
            *FailedPaymentFacts.quote(event, ref, *FAILURE),
            known,
            ("balance_at_ms", spendable.at, source),
            ("holds_minor", spendable.holds, None),
        ],
        transaction_ids=(event.transaction_id,),
        provider=event.provider,
    )


def _raise(draft: Draft, contested: bool, fx: Effects) -> None:
    draft.facts = [*draft.facts, ("concurrent_debit", contested, None)]
    fx.alert(draft)


def _is_open(state: FailedPaymentState, event: Transaction, fx: Effects) -> bool:
    """Return whether a failure of the transaction has an alert already, or waits for one."""
    mark, known = mark_of(event.transaction_id), fx.open_alerts(event.transaction_id)
    return any(waiting.transaction == mark for waiting in state.waiting) or any(
        alert.fact("transaction_id") == event.transaction_id for alert in known
    )


def _remove(state: FailedPaymentState, waiting: Waiting) -> None:
    state.waiting = tuple(each for each in state.waiting if each is not waiting)


def _race_timer(anchor: str) -> str:
    return f"race:{anchor}"


def _count_attempt(event: Transaction, why: Family | None, fx: Effects) -> None:
    if event.provider is not None:
        fx.tally(f"provider:{event.provider}", "attempts")
        if why == "technical":
            fx.tally(f"provider:{event.provider}", "technical_failures")


def _retry_timer(anchor: str) -> str:
    return f"retry:{anchor}"
