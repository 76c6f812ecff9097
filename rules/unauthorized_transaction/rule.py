"""A3: somebody else than the owner moves the owner's money.

Finds: a payment, transfer or withdrawal of the customer where signs of another hand (login side:
who pays) meet an unusual use of the money (money side). Each sign has points; `warning_points` of
both sides together are a warning, `error_points` an error, if both sides have one. The login side
alone gives at most info. A dispute by the owner is an error alone.

Why it matters: who holds a stolen account empties it within hours.

What makes it wrong, and what is done about it:
- owners buy phones, travel, mistype, change passwords, move their salary: no sign is enough alone,
  and the login side alone does not page;
- VPN and relay networks show another place: device, country and travel count half;
- the gateways of mobile carriers are hundreds of km away: of a journey that begins or ends on a
  mobile network the travel counts half;
- in a young account everything is new: nothing counts as new before `min_history`;
- an address is only roughly a place: places are cells of 0.1 degree, and less than `travel_km`
  is no journey;
- what was forgotten would look new: after an eviction nothing does (`rules.seen`);
- merchants charge by themselves: only the customer's own transactions are judged;
- one transaction has many events: it is judged once, at its first pending or completed one.

A late transaction is judged by itself: by its approval and its type, or by its dispute. Nothing
cures an alert; it expires.

An alert cites, beside its transaction, what its signs come from: the login of a journey (of one
between logins both), a guessed login and the failures before it, a change of credentials, a
balance. `explain` measures and counts them again.

Details of an alert: `points_who` and `points_money` (sign -> points), `total`, `contact_changed`
(kinds of contact data changed within `new_for_ms`: the owner must not be notified through them).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from rules.alerts import ACCOUNT_CAUSE, Draft, OpenAlert, Verdict
from rules.contract import Otherwise, Rule
from rules.effects import Effects
from rules.events import LOGIN, TRANSACTION, Event, Login, Ref, Transaction
from rules.facts import Quote
from rules.habits import SPENDING_TYPES
from rules.profile import Profile
from rules.unauthorized_transaction import reasons, signs
from rules.unauthorized_transaction.cited import FAILED, disproved
from rules.unauthorized_transaction.examples import EXAMPLES
from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.points import points_of
from rules.unauthorized_transaction.state import (
    Guess,
    Journey,
    UnauthorizedTransactionState,
    is_customers,
    is_first,
)
from rules.unauthorized_transaction.verdict import verdict_of

_FORGET: Final = "forget"
_ROLES: Final = {
    "known_balance_minor": "balance",
    "guessed_at_ms": "guessed_login",
    "changed_at_ms": "credential_change",
    "logins_travel_at_ms": "login",
    "logins_travel_began_at_ms": "login_before",
    "travel_began_at_ms": "login_before",
}
"""By fact the role of its event in the evidence; the first counts where one event has several."""


class UnauthorizedTransaction(
    Rule[UnauthorizedTransactionParams, UnauthorizedTransactionState, UnauthorizedTransactionFacts]
):
    """See the module."""

    id = "unauthorized_transaction"
    code = "A3"
    version = 2
    category = "security"
    Params = UnauthorizedTransactionParams
    State = UnauthorizedTransactionState
    Facts = UnauthorizedTransactionFacts
    reads = {
        TRANSACTION: {"type": SPENDING_TYPES},
        LOGIN: {"action": ("login",), "outcome": ("success",)},
    }
    EXAMPLES = EXAMPLES

    # -- deciding -------------------------------------------------------------------------

    def judge(self, facts: UnauthorizedTransactionFacts) -> Verdict | None:
        """Add up the points of both sides."""
        return verdict_of(facts, self.params)

    def because(self, facts: UnauthorizedTransactionFacts) -> Sequence[str]:
        """Return each sign with its points."""
        return reasons.because(facts, self.params)

    def otherwise(self, facts: UnauthorizedTransactionFacts) -> Sequence[Otherwise]:
        """Return without which sign it would have been milder."""
        return reasons.otherwise(facts, self.params)

    def disproved(
        self,
        facts: UnauthorizedTransactionFacts,
        sources: Mapping[str, Event],
        cited: Sequence[tuple[str, Event]],
    ) -> Sequence[str]:
        """Measure each journey between its two cited events, and count the cited failures."""
        return list(disproved(facts, sources, cited, self.params))

    @classmethod
    def upgrade(cls, version: int, saved: Sequence[Any]) -> UnauthorizedTransactionState | None:
        """Return the state of version 1, whose guesses and journeys have no further addresses."""
        return msgspec.convert(saved, UnauthorizedTransactionState) if version == 1 else None

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(
        self, state: UnauthorizedTransactionState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge the first event of a debit of the customer, and a dispute of one."""
        if event.type not in SPENDING_TYPES:
            return
        first = is_first(state, event, late=False)
        if not is_customers(event):
            return
        params, marks = self.params, fx.marks
        if event.status == "disputed":
            self._handle_dispute(event, profile, fx)
        elif first and signs.is_suspect(event, state, profile.habits, marks, params):
            facts = signs.quotes_beside_account(event, state, profile, marks, params)
            guessed = state.guessed
            failed = () if guessed is None else guessed.failed
            self._judge_debit(event, facts, failed, fx)

    def late_transaction(
        self, state: UnauthorizedTransactionState, event: Transaction, profile: Profile, fx: Effects
    ) -> None:
        """Judge a late one by itself."""
        if event.type not in SPENDING_TYPES:
            return
        first = is_first(state, event, late=True)
        if not is_customers(event):
            return
        if event.status == "disputed":
            self._handle_dispute(event, profile, fx)
        elif first and signs.is_unapproved(event):
            facts = signs.quotes_of_transaction(event, profile, self.params)
            self._judge_debit(event, facts, (), fx)

    def on_login(
        self, state: UnauthorizedTransactionState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Remember a success after many failures, or after an impossible journey."""
        if event.action != "login" or event.outcome != "success":
            return
        habits, params = profile.habits, self.params
        if len(habits.failures) >= params.guess_failures:
            failures = signs.failures_before(event, habits, params.guess_window_ms)
            if len(failures) >= params.guess_failures:
                state.guessed = Guess(fx.ref, len(failures), failures)
                fx.set_timer(_FORGET, event.occurred_at + params.new_for_ms)
        trip = signs.trip_to(event, habits, params)
        if trip is not None:
            others = [each for each in state.journeys if each.masked != trip.masked]
            state.journeys = [*others, Journey(fx.ref, *trip)]
            fx.set_timer(_FORGET, event.occurred_at + params.new_for_ms)

    def late_login(
        self, state: UnauthorizedTransactionState, event: Login, profile: Profile, fx: Effects
    ) -> None:
        """Remember the same of a late success, if there is no newer one."""
        if event.occurred_at == profile.habits.success_at:
            self.on_login(state, event, profile, fx)

    def on_timer(
        self,
        state: UnauthorizedTransactionState,
        name: str,
        due: int,
        profile: Profile,
        fx: Effects,
    ) -> None:
        """Forget what is too old to count: the timer is that of the newest."""
        state.guessed, state.journeys = None, []

    def _judge_debit(
        self, event: Transaction, facts: list[Quote], failed: Sequence[Ref], fx: Effects
    ) -> None:
        """Raise if the points of these facts are enough; `failed` are those before a guess."""
        points = points_of(UnauthorizedTransactionFacts.of_quotes(facts), self.params)
        if points.severity(self.params) is None:
            return
        if _open_alert(fx, event.transaction_id) is not None:
            fx.count("already_open")
            return
        addresses = {name: ref for name, _, ref in facts if ref is not None}
        before: dict[Ref, str] = {}
        for name, role in _ROLES.items():
            if name in addresses:
                before.setdefault(addresses[name], role)
        if "guessed_at_ms" in addresses:
            before |= dict.fromkeys(failed, FAILED)
        oldest_first = sorted(before.items(), key=lambda cited: cited[0].occurred_at)
        own = fx.ref
        evidence = [*oldest_first, (own, "transaction")]
        fx.alert(_draft(event.transaction_id, event, signs.with_address(facts, own), evidence))

    def _handle_dispute(self, event: Transaction, profile: Profile, fx: Effects) -> None:
        """Raise, or raise what is open of this transaction, because the owner disputes it."""
        own = fx.ref
        quotes = signs.quotes_of_transaction(event, profile, self.params)
        dispute = UnauthorizedTransactionFacts.quote(event, own, "disputed_at_ms")
        alert = _open_alert(fx, event.transaction_id)
        if alert is None:
            known = [*signs.with_address(quotes, own), *dispute]
            fx.alert(_draft(event.event_id, event, known, [(own, "dispute")]))
        elif alert.fact("disputed_at_ms") is None:
            contacts = [quote for quote in quotes if quote[0] == "contact_changed"]
            fx.update(alert, [*dispute, *contacts], [(own, "dispute")])
        else:
            fx.count("already_open")


def _open_alert(fx: Effects, transaction_id: str) -> OpenAlert | None:
    for alert in fx.open_alerts(transaction_id):
        if alert.fact("transaction_id") == transaction_id:
            return alert
    return None


def _draft(
    anchor: str, event: Transaction, facts: list[Quote], evidence: list[tuple[Ref, str]]
) -> Draft:
    return Draft(
        anchor=anchor,
        cause=ACCOUNT_CAUSE,
        facts=facts,
        evidence=evidence,
        transaction_ids=(event.transaction_id,),
        provider=event.provider,
    )
