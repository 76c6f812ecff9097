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
- another debit at the same moment may have had the money: within `concurrent_debit_ms` a refusal
  is only info, unless the event tells the available balance itself;
- limits, fraud, blocked accounts, duplicates and customers say no for good reasons: silent;
- a card or bank refuses for its own balance: judged only where the wallet's pays;
- another currency cannot be compared; the fee must be covered too;
- a technical failure is often retried with success: info at once, a warning only when no success
  is proven to have come within `retry_grace_ms`.

Cured by a completed debit with the same transaction_id, idempotency_key or external_reference. A
late failure is counted but not judged.

Details of an alert: `family`, `failure_code`, `failure_code_system`, `balance_from`
(available_balance, balance_before or known), `concurrent_debit`.
"""

from collections.abc import Sequence
from typing import Annotated, Final
from zlib import crc32

from pydantic import Field

from rules.contract import Amount, Draft, Effects, Params, Rule, State
from rules.events import DEBITS, TRANSACTION, Ref, Transaction
from rules.failed_payment_examples import EXAMPLES
from rules.failure_codes import NOT_THE_WALLET, Family, family
from rules.profile import Facts
from rules.spendable import Spendable, spendable_at
from schemas.base import RootCause, Severity
from schemas.money import from_minor

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
DAY: Final = 24 * 60 * MINUTE


class FailedPaymentParams(Params):
    """Thresholds and switches of A1."""

    max_balance_age_ms: int = Field(
        5 * MINUTE,
        ge=0,
        le=DAY,
        description="milliseconds; an older balance does not prove that the money was there; our "
        "own guess",
    )
    hold_ttl_ms: int = Field(
        7 * DAY,
        ge=MINUTE,
        le=31 * DAY,
        description="milliseconds a hold counts if nothing ends it; as long as most "
        "authorisations live",
    )
    concurrent_debit_ms: int = Field(
        5 * SECOND,
        ge=0,
        le=10 * MINUTE,
        description="milliseconds; another debit within them before the failure may have had the "
        "money; our own guess",
    )
    retry_grace_ms: int = Field(
        2 * MINUTE,
        ge=SECOND,
        le=DAY,
        description="milliseconds for a retry to succeed after a technical failure; our own guess",
    )
    assume_balance_funded: bool = Field(
        True,
        description="switch; without a funding the balance pays, unless the failure code is a "
        "card's or bank's; off: such payments are not judged",
    )
    silent_families: Annotated[tuple[Family, ...], Field(strict=False)] = Field(
        ("limit", "fraud", "account_state", "customer", "duplicate"),
        description="families of failure codes that never alert: refusals with a reason that a "
        "balance cannot contradict; `unknown` is counted only, in any case",
    )


class FailedPaymentState(State):
    """The newest debits that may have had the money of a failing one."""

    recent: list[int] = []
    """Mark and time of the newest debit, then of the newest other one: two suffice to find one
    that is not the failing transaction itself. A mark is the CRC-32 of a transaction_id."""


class FailedPayment(Rule[FailedPaymentParams, FailedPaymentState]):
    """See the module."""

    id = "failed_payment_sufficient_balance"
    code = "A1"
    category = "payment"
    Params = FailedPaymentParams
    State = FailedPaymentState
    EXAMPLES = EXAMPLES

    def on_transaction(
        self, state: FailedPaymentState, event: Transaction, facts: Facts, fx: Effects
    ) -> None:
        """Judge a failed debit; let a completed one cure."""
        if event.type not in DEBITS:
            return
        if event.status == "failed":
            if event.initiator is None or event.initiator == "customer":
                self._judge(state, event, facts, fx)
        else:
            self._passed(state, event, fx)

    def late_transaction(
        self, state: FailedPaymentState, event: Transaction, facts: Facts, fx: Effects
    ) -> None:
        """Let a late completed debit cure or retract."""
        if event.type not in DEBITS:
            return
        if event.status == "failed":
            fx.count("late_failure")
        else:
            self._passed(state, event, fx)

    def on_timer(
        self, state: FailedPaymentState, name: str, due: int, facts: Facts, fx: Effects
    ) -> None:
        """Raise a technical failure that no retry has cured to a warning."""
        for alert in fx.open_alerts():
            if name == _retry_timer(alert.anchor):
                fx.update(alert, severity="warning")

    def _passed(self, state: FailedPaymentState, event: Transaction, fx: Effects) -> None:
        if event.status == "completed":
            self._remember(state, event)
            if fx.open_alerts():
                _cure(event, fx)
        elif event.status == "pending":
            self._remember(state, event)

    def _remember(self, state: FailedPaymentState, event: Transaction) -> None:
        mark, at, recent = _mark(event), event.occurred_at, state.recent
        since = at - self.params.concurrent_debit_ms
        if not recent or recent[1] < since:
            state.recent = [mark, at]
        elif at < recent[1]:  # late
            if mark != recent[0] and (len(recent) == 2 or at > recent[3]):
                recent[2:] = [mark, at]
        elif mark == recent[0]:
            recent[1] = at
        else:
            state.recent = [mark, at, recent[0], recent[1]]

    def _judge(
        self, state: FailedPaymentState, event: Transaction, facts: Facts, fx: Effects
    ) -> None:
        why = family(event.failure_code_system, event.failure_code)
        if why in self.params.silent_families:
            return
        if why == "unknown":
            fx.count("unknown_failure")
            return
        needed = self._needed(event, fx)
        if needed is None:
            return
        if any(alert.match[0] == event.transaction_id for alert in fx.open_alerts()):
            fx.count("already_open")
            return
        limits = self.params.max_balance_age_ms, self.params.hold_ttl_ms
        spendable = spendable_at(event, facts, fx, *limits)
        if spendable is not None and spendable.minor >= needed:
            self._raise(event, why, spendable, self._has_rival(state, event), fx)

    def _needed(self, event: Transaction, fx: Effects) -> int | None:
        """Return what the balance was to pay, fee included; None (counted) where it was not."""
        funding = event.funding
        if funding is None and self.params.assume_balance_funded:
            funding = "card" if event.failure_code_system in NOT_THE_WALLET else "balance"
        if funding == "balance":
            return event.amount + (event.fee or 0)
        if funding != "mixed":
            fx.count("not_balance_funded")
            return None
        if event.funding_from_balance is None:
            fx.count("mixed_part_unknown")
        return event.funding_from_balance

    def _has_rival(self, state: FailedPaymentState, event: Transaction) -> bool:
        """Say whether another debit shortly before may have had the money."""
        recent, mark = state.recent, _mark(event)
        since = event.occurred_at - self.params.concurrent_debit_ms
        pairs = zip(recent[::2], recent[1::2], strict=True)
        return any(other != mark and at >= since for other, at in pairs)

    def _raise(
        self, event: Transaction, why: Family, spendable: Spendable, rival: bool, fx: Effects
    ) -> None:
        refused = why == "insufficient_funds"
        given = spendable.balance_from == "available_balance"
        severity: Severity = "error" if refused and (given or not rival) else "info"
        draft = _draft(event, why, severity, fx.ref)
        draft.facts = _facts(event, why, spendable, fx.ref)
        if spendable.ref != fx.ref:
            draft.evidence = ((spendable.ref, "balance"), *draft.evidence)
        draft.details["balance_from"] = spendable.balance_from
        draft.details["concurrent_debit"] = rival
        fx.alert(draft)
        if not refused:
            due = event.occurred_at + self.params.retry_grace_ms
            fx.set_timer(_retry_timer(event.event_id), due, (TRANSACTION,))


def _draft(event: Transaction, why: Family, severity: Severity, ref: Ref) -> Draft:
    return Draft(
        anchor=event.event_id,
        at=event.occurred_at,
        severity=severity,
        title=_title(event, why),
        cause=f"provider:{event.provider}" if event.provider else "payments",
        subject=event.transaction_id,
        evidence=((ref, "failure"),),
        transaction_ids=(event.transaction_id,),
        provider=event.provider,
        amount_at_stake=(Amount(event.currency, event.amount, event.exponent),),
        suspected_root_cause=_root_cause(event, why),
        owner_advice=("retry", "contact_support"),
        details={
            "family": why,
            "failure_code": event.failure_code,
            "failure_code_system": event.failure_code_system,
        },
        match=(
            event.transaction_id,
            event.idempotency_key or "",
            event.external_reference or "",
        ),
    )


def _facts(
    event: Transaction, why: Family, spendable: Spendable, ref: Ref
) -> Sequence[tuple[str, str | int | bool | None, Ref | None]]:
    return (
        ("amount_minor", event.amount, ref),
        ("fee_minor", event.fee or 0, ref),
        ("available_minor", spendable.minor, spendable.ref),
        ("holds_minor", spendable.holds, None),
        ("failure_code", event.failure_code, ref),
        ("family", why, None),
    )


def _title(event: Transaction, why: Family) -> str:
    what = f"{event.type.replace('_', ' ').capitalize()} of "
    what += f"{from_minor(event.amount, event.exponent)} {event.currency}"
    if why == "insufficient_funds":
        return f"{what} refused for insufficient funds although the balance covers it"
    return f"{what} failed ({why.replace('_', ' ')}) although the balance covers it"


def _root_cause(event: Transaction, why: Family) -> RootCause:
    return "third_party" if why == "technical" and event.provider else "technical"


def _cure(event: Transaction, fx: Effects) -> None:
    for alert in fx.open_alerts():
        # An absent key is "" in the alert and None in the event: never equal.
        transaction_id, key, reference = alert.match
        if (
            event.transaction_id == transaction_id
            or event.idempotency_key == key
            or event.external_reference == reference
        ):
            fx.settle(alert, "success")
            fx.cancel_timer(_retry_timer(alert.anchor))


def _mark(event: Transaction) -> int:
    return crc32(event.transaction_id.encode())


def _retry_timer(anchor: str) -> str:
    return f"retry:{anchor}"
