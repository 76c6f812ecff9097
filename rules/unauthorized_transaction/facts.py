"""The facts of A3: what its alerts quote of a transaction, and of its account before it."""

from collections.abc import Callable
from typing import Annotated, Final

from rules.events import Balance, Transaction
from rules.facts import Facts, Value, quoted
from rules.habits import CHANGES, MASKING
from schemas.money import from_minor


def _authorization(name: str) -> Callable[[Transaction], Value]:
    return lambda event: getattr(event.authorization, name, None)


def _balance(event: Transaction | Balance) -> Value:
    return event.balance_after if isinstance(event, Transaction) else event.balance


class PlainFacts(Facts, kw_only=True, gc=False):
    """Facts of the transaction that can be judged without knowing its account."""

    transaction_id: Annotated[str, quoted("transaction_id")]
    type: Annotated[str, quoted("type", compared_with="points_sends_out")]
    status: Annotated[str, quoted("status")]
    amount_minor: Annotated[
        int,
        quoted("amount", compared_with=("exempt_amount_major", "exempt_amount_minor_by_currency")),
    ]
    currency: Annotated[str, quoted("currency")]
    exponent: Annotated[int, quoted("exponent")]
    occurred_at_ms: Annotated[int, quoted("occurred_at")]
    authorization_method: Annotated[
        str | None, quoted(_authorization("method"), compared_with="points_not_authorized")
    ]
    authorization_result: Annotated[
        str | None, quoted(_authorization("result"), compared_with="points_authorization_failed")
    ]


class TransactionFacts(PlainFacts, kw_only=True, gc=False):
    """All facts of the transaction: these are judged beside what is known of its account."""

    fee_minor: Annotated[int | None, quoted("fee")] = None
    funding: Annotated[str | None, quoted("funding")] = None
    funding_from_balance_minor: Annotated[int | None, quoted("funding_from_balance")] = None
    available_balance_minor: Annotated[int | None, quoted("available_balance")] = None
    balance_before_minor: Annotated[
        int | None,
        quoted("balance_before", compared_with=("points_drained", "drained_percent")),
    ] = None
    country: Annotated[str | None, quoted("country")] = None
    masked: Annotated[bool, quoted(lambda event: event.network in MASKING)] = False
    """Through a network that hides where someone is."""


class UnauthorizedTransactionFacts(TransactionFacts, kw_only=True, gc=False):
    """The facts of one alert; those that are not known have their defaults."""

    known_balance_minor: Annotated[int | None, quoted(_balance)] = None
    """The last balance known, where the transaction has none."""
    known_balance_at_ms: Annotated[
        int | None,
        quoted(
            lambda event: getattr(event, "as_of", event.occurred_at),
            compared_with="max_balance_age_ms",
        ),
    ] = None
    history_ms: Annotated[int, quoted(compared_with="min_history_ms")] = -1
    """Since the first login or debit; before this transaction, as all of the history."""
    history_logins: Annotated[int, quoted(compared_with="min_history_logins")] = 0
    history_debits: Annotated[int, quoted(compared_with="min_history_debits")] = 0
    session_unknown_since_ms: Annotated[
        int | None, quoted(compared_with=("points_unknown_session", "session_history_ms"))
    ] = None
    """From when on the session would be known; None: it is known, or the event has none."""
    device_first_seen_ms: Annotated[
        int | None, quoted(compared_with=("points_new_device", "new_for_ms"))
    ] = None
    """None: not sure, or the event has no device."""
    country_first_seen_ms: Annotated[int | None, quoted(compared_with="points_new_country")] = None
    travel_began_at_ms: Annotated[int | None, quoted("occurred_at")] = None
    """When the last login with a place was; None also: it has no address."""
    travel_m: Annotated[int, quoted(compared_with=("points_travel", "travel_km"))] = 0
    """From that login, in metres."""
    travel_ms: Annotated[int, quoted(compared_with="travel_kmh")] = 0
    travel_masked: bool = False
    """One of its ends was seen through a network whose place is not that of its user."""
    logins_travel_m: int = 0
    """Between two successive logins with a place."""
    logins_travel_ms: int = 0
    logins_travel_masked: bool = False
    logins_travel_began_at_ms: Annotated[int | None, quoted("occurred_at")] = None
    """When the earlier of the two was; None also: it has no address."""
    logins_travel_at_ms: Annotated[int | None, quoted("occurred_at")] = None
    """When the later of the two was."""
    guessed_at_ms: Annotated[int | None, quoted("occurred_at", compared_with="points_guessed")] = (
        None
    )
    """The newest successful login after failures."""
    guess_failures: Annotated[int, quoted(compared_with=("guess_failures", "guess_window_ms"))] = 0
    changed_at_ms: Annotated[int | None, quoted("occurred_at", compared_with="points_changed")] = (
        None
    )
    """The newest change of a credential."""
    changed_what: Annotated[str | None, quoted(lambda event: CHANGES.get(event.action))] = None
    contact_changed: str = ""
    """Kinds of contact data that were changed lately, one word each."""
    counterparty_new: Annotated[bool, quoted(compared_with="points_new_counterparty")] = False
    """Never paid before, and that is sure."""
    new_counterparties: Annotated[
        int, quoted(compared_with=("points_burst", "burst_counterparties", "burst_window_ms"))
    ] = 0
    """First paid within burst_window_ms, this one included; 0: this one is not among them."""
    largest_before_minor: Annotated[int, quoted(compared_with=("points_large", "large_factor"))] = 0
    """Of the last 50 completed debits of the currency; 0: there were none."""
    disputed_at_ms: Annotated[
        int | None, quoted("occurred_at", compared_with="points_disputed")
    ] = None

    @property
    def paid_minor(self) -> int:
        """What the balance pays, fee included wherever it is booked; 0: nothing, or unknown."""
        if self.funding is None or self.funding == "balance":
            return self.amount_minor + (self.fee_minor or 0)
        return (self.funding_from_balance_minor or 0) if self.funding == "mixed" else 0

    def balance_minor(self, max_age_ms: int) -> int:
        """Return the balance before it; 0: not known, or nothing was there."""
        for own in (self.available_balance_minor, self.balance_before_minor):
            if own is not None:
                return own
        at = self.known_balance_at_ms
        if at is None or at < self.occurred_at_ms - max_age_ms:
            return 0
        return self.known_balance_minor or 0

    def money(self, minor: int) -> str:
        """Return an amount for people."""
        return f"{from_minor(minor, self.exponent)} {self.currency}"


PLAIN: Final = PlainFacts.__struct_fields__
BESIDE: Final = TransactionFacts.__struct_fields__[len(PLAIN) :]
