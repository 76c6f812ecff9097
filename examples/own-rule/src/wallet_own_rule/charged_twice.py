"""OWN1: a merchant charges the same amount twice.

Finds: two completed payments of one amount to one merchant within `within_ms`.
Why it matters: the second may be a retry of a request whose answer was lost; the owner pays twice.
What makes it wrong: two equal purchases. They are told apart by `external_reference`, the order
that is paid, where the platform sends it.
Cured by: a refund or reversal of that amount which names the second.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from rules.alerts import Draft, Verdict
from rules.contract import Otherwise, Params, Rule, State
from rules.effects import Effects
from rules.events import TRANSACTION, Event, Ref, Transaction
from rules.facts import Facts, quoted
from rules.profile import Profile
from schemas.time import format_span
from wallet_own_rule.examples import EXAMPLES

MAX_PAYMENTS = 16
"""How many payments of the last moments an account is remembered by."""


class ChargedTwiceParams(Params):
    """Thresholds of OWN1."""

    within_ms: int = Field(
        120_000,
        ge=1_000,
        le=3_600_000,
        description="milliseconds between two payments; longer than clients go on retrying; our "
        "own guess",
    )


class Payment(Struct, array_like=True, gc=False):
    """A payment that another may repeat."""

    mark: bytes
    """Keyed hash of merchant, amount and order: none of them enters the state."""
    transaction: bytes
    """Keyed hash of the transaction_id."""
    ref: Ref


class ChargedTwiceState(State):
    """Payments within the time, oldest first."""

    payments: list[Payment] = []


class ChargedTwiceFacts(Facts, kw_only=True):
    """The facts of one alert; the amount is that of both payments, in minor units."""

    first_at_ms: Annotated[int, quoted("occurred_at", compared_with="within_ms")]
    second_at_ms: Annotated[int, quoted("occurred_at")]
    amount_minor: Annotated[int, quoted("amount")]
    currency: Annotated[str, quoted("currency")]
    exponent: Annotated[int, quoted("exponent")]

    @property
    def apart_ms(self) -> int:
        """From the first payment to the second, milliseconds."""
        return self.second_at_ms - self.first_at_ms


class ChargedTwice(Rule[ChargedTwiceParams, ChargedTwiceState, ChargedTwiceFacts]):
    """See the module."""

    id = "charged_twice"
    code = "OWN1"
    category = "payment"
    Params = ChargedTwiceParams
    State = ChargedTwiceState
    Facts = ChargedTwiceFacts
    reads = {TRANSACTION: {"status": ("completed",)}}
    EXAMPLES = EXAMPLES

    # -- deciding: from what the alert quotes ---------------------------------------------

    def judge(self, facts: ChargedTwiceFacts) -> Verdict | None:
        """Decide from the times of the two payments."""
        if facts.apart_ms > self.params.within_ms:
            return None
        return Verdict(
            at=facts.second_at_ms,
            severity="warning",
            title=f"The same amount was charged twice within {format_span(facts.apart_ms)}",
            suspected_root_cause="technical",
            owner_advice=("contact_merchant",),
        )

    def answers(self, facts: ChargedTwiceFacts, event: Event) -> bool:
        """Return whether money of that amount came back after the second payment."""
        return (
            isinstance(event, Transaction)
            and event.type in ("refund", "reversal")
            and event.status == "completed"
            and (event.amount, event.currency) == (facts.amount_minor, facts.currency)
            and event.occurred_at > facts.second_at_ms
        )

    def because(self, facts: ChargedTwiceFacts) -> Sequence[str]:
        """Say how far apart the two were."""
        return (
            f"The second payment came {format_span(facts.apart_ms)} after the first.",
            f"Up to {format_span(self.params.within_ms)} apart they are taken for one (within_ms).",
        )

    def otherwise(self, facts: ChargedTwiceFacts) -> Sequence[Otherwise]:
        """Say how much earlier the first would have had to come."""
        first = facts.second_at_ms - self.params.within_ms - 1
        sentence = f"no alert if more than {format_span(self.params.within_ms)} lay between them"
        return (Otherwise(sentence=f"{sentence} (within_ms)", facts={"first_at_ms": first}),)

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: ChargedTwiceState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Compare a payment with those before it; close an alert when the money comes back."""
        if event.status != "completed":
            return
        if event.type == "payment" and event.merchant_id is not None:
            self._pay(state, event, fx)
        elif event.original_transaction_id is not None:
            self._give_back(event, fx)

    def late_transaction(
        self, state: ChargedTwiceState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Let money that came back late close an alert too."""
        if event.status == "completed" and event.original_transaction_id is not None:
            self._give_back(event, fx)

    def on_timer(
        self, state: ChargedTwiceState, name: str, due: int, profile: Profile, fx: Effects
    ) -> None:
        """Leave no state behind when the account falls silent."""
        state.payments = []

    def _pay(self, state: ChargedTwiceState, event: Transaction, fx: Effects) -> None:
        what = (event.merchant_id, event.amount, event.currency, event.external_reference)
        payment = Payment(fx.marks.of(repr(what)), fx.marks.of(event.transaction_id), fx.ref)
        since = event.occurred_at - self.params.within_ms
        recent = [each for each in state.payments if each.ref.occurred_at >= since]
        same = [each for each in recent if each.mark == payment.mark]
        state.payments = [*recent, payment][-MAX_PAYMENTS:]
        fx.set_timer("forget", event.occurred_at + self.params.within_ms)
        if same and same[-1].transaction != payment.transaction:
            self._raise(same[-1].ref, event, fx)

    def _raise(self, first: Ref, event: Transaction, fx: Effects) -> None:
        names = ("second_at_ms", "amount_minor", "currency", "exponent")
        fx.alert(
            Draft(
                anchor=event.event_id,
                cause="payments",
                subject=event.transaction_id,
                transaction_ids=(event.transaction_id,),
                evidence=((first, "first"), (fx.ref, "second")),
                facts=(
                    ("first_at_ms", first.occurred_at, first),
                    *ChargedTwiceFacts.quote(event, fx.ref, *names),
                ),
            )
        )

    def _give_back(self, event: Transaction, fx: Effects) -> None:
        for alert in fx.open_alerts():
            named = event.original_transaction_id in alert.transaction_ids
            if named and self.answers(ChargedTwiceFacts.of_quotes(alert.facts), event):
                fx.settle(alert, "money_back")
