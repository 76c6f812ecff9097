"""A3 counts: points for each sign in the facts of one transaction. Pure."""

from typing import Final

from msgspec import Struct

from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.travel import is_impossible
from schemas.base import Severity
from schemas.money import from_minor

REFUSED: Final = frozenset({"failed", "expired"})
"""Results of an approval that was tried and not given."""


class Case(Struct, kw_only=True, gc=False):
    """The facts of one alert; those that are not known have their defaults."""

    transaction_id: str
    type: str
    status: str
    amount_minor: int
    currency: str
    exponent: int
    occurred_at_ms: int
    authorization_method: str | None
    authorization_result: str | None
    fee_minor: int | None = None
    funding: str | None = None
    funding_from_balance_minor: int | None = None
    available_balance_minor: int | None = None
    balance_before_minor: int | None = None
    known_balance_minor: int | None = None
    """The last balance known, where the transaction tells none."""
    known_balance_at_ms: int | None = None
    country: str | None = None
    masked: bool = False
    """Through a network that hides where someone is."""
    history_ms: int = -1
    """Since the first login or debit; before this transaction, as all of the history."""
    history_logins: int = 0
    history_debits: int = 0
    session_unknown_since_ms: int | None = None
    """From when on the session would be known; None: it is known, or the event tells none."""
    device_first_seen_ms: int | None = None
    """None: not sure, or the event tells no device."""
    country_first_seen_ms: int | None = None
    travel_m: int = 0
    """From the last login with a place, in metres."""
    travel_ms: int = 0
    travel_masked: bool = False
    logins_travel_m: int = 0
    """Between two successive logins with a place."""
    logins_travel_ms: int = 0
    logins_travel_masked: bool = False
    logins_travel_at_ms: int | None = None
    """When the later of the two was."""
    guessed_at_ms: int | None = None
    """The newest successful login after failures."""
    guess_failures: int = 0
    changed_at_ms: int | None = None
    """The newest change of a credential."""
    changed_what: str | None = None
    contact_changed: str = ""
    """Kinds of contact data that were changed lately, one word each."""
    counterparty_new: bool = False
    """Never paid before, and that is sure."""
    new_counterparties: int = 0
    """First paid within burst_window_ms, this one included; 0: this one is not among them."""
    largest_before_minor: int = 0
    """Of the last 50 completed debits of the currency; 0: there were none."""
    disputed_at_ms: int | None = None

    @property
    def paid_minor(self) -> int:
        """What the balance pays, fee included wherever it is booked; 0: nothing, or unknown."""
        if self.funding is None or self.funding == "balance":
            return self.amount_minor + (self.fee_minor or 0)
        return (self.funding_from_balance_minor or 0) if self.funding == "mixed" else 0

    def balance_minor(self, max_age_ms: int) -> int:
        """Return the balance before it; 0: not known, or nothing was there."""
        for told in (self.available_balance_minor, self.balance_before_minor):
            if told is not None:
                return told
        at = self.known_balance_at_ms
        if at is None or at < self.occurred_at_ms - max_age_ms:
            return 0
        return self.known_balance_minor or 0

    def money(self, minor: int) -> str:
        """Return an amount for people."""
        return f"{from_minor(minor, self.exponent)} {self.currency}"


class Score(Struct):
    """Points by sign: of who pays, and of the money. A sign without points is left out."""

    who: dict[str, int]
    money: dict[str, int]

    @property
    def total(self) -> int:
        """All points."""
        return sum(self.who.values()) + sum(self.money.values())

    def severity(self, params: UnauthorizedTransactionParams) -> Severity | None:
        """Return how bad that is; None: not worth telling."""
        if not self.money and "disputed" not in self.who:
            return "info" if self.total >= params.warning_points else None
        if not self.who or self.total < min(params.warning_points, params.error_points):
            return None
        return "error" if self.total >= params.error_points else "warning"


def score(case: Case, params: UnauthorizedTransactionParams) -> Score:
    """Return the points of a transaction."""
    known = is_known(case.history_ms, case.history_logins, case.history_debits, params)
    who = _approval(case, params) | _access(case, params, known)
    if case.disputed_at_ms is not None:
        who["disputed"] = params.points_disputed
    money = _money(case, params, known)
    return Score(
        {name: points for name, points in who.items() if points},
        {name: points for name, points in money.items() if points},
    )


def is_known(
    history_ms: int, logins: int, debits: int, params: UnauthorizedTransactionParams
) -> bool:
    """Say whether enough of an account is known that something can be new to it."""
    return history_ms >= params.min_history_ms and (
        logins >= params.min_history_logins or debits >= params.min_history_debits
    )


def _approval(case: Case, params: UnauthorizedTransactionParams) -> dict[str, int]:
    method, result = case.authorization_method, case.authorization_result
    if result in REFUSED:
        return {"authorization_failed": params.points_authorization_failed}
    exempt = params.exempt(case.currency, case.exponent)
    if (method == "none" or result == "skipped") and case.amount_minor > exempt:
        return {"not_authorized": params.points_not_authorized}
    return {}


def _access(case: Case, params: UnauthorizedTransactionParams, known: bool) -> dict[str, int]:
    at, parts = case.occurred_at_ms, 2 if case.masked else 1
    found = {}
    unknown_since = case.session_unknown_since_ms
    if unknown_since is not None and unknown_since <= at - params.session_history_ms:
        found["unknown_session"] = params.points_unknown_session
    since = at - params.new_for_ms
    if known and _lately(case.device_first_seen_ms, since):
        found["new_device"] = params.points_new_device // parts
    if known and _lately(case.country_first_seen_ms, since):
        found["new_country"] = params.points_new_country // parts
    travel = _travel(case, params)
    if travel:
        found["travel"] = travel
    if _lately(case.guessed_at_ms, since) and case.guess_failures >= params.guess_failures:
        found["guessed"] = params.points_guessed
    if _lately(case.changed_at_ms, since):
        found["changed"] = params.points_changed
    return found


def _lately(time: int | None, since: int) -> bool:
    return time is not None and time >= since


def _travel(case: Case, params: UnauthorizedTransactionParams) -> int:
    limits = params.travel_km, params.travel_kmh
    masked = []
    if is_impossible(case.travel_m, case.travel_ms, *limits):
        masked.append(case.travel_masked)
    if _lately(case.logins_travel_at_ms, case.occurred_at_ms - params.new_for_ms) and (
        is_impossible(case.logins_travel_m, case.logins_travel_ms, *limits)
    ):
        masked.append(case.logins_travel_masked)
    if not masked:
        return 0
    return params.points_travel // (2 if case.masked or all(masked) else 1)


def _money(case: Case, params: UnauthorizedTransactionParams, known: bool) -> dict[str, int]:
    found = {}
    if known and case.counterparty_new:
        found["new_counterparty"] = params.points_new_counterparty
    largest = case.largest_before_minor
    if known and largest and case.amount_minor > params.large_factor * largest:
        found["large"] = params.points_large
    balance = case.balance_minor(params.max_balance_age_ms)
    if balance > 0 and case.paid_minor * 100 >= params.drained_percent * balance:
        found["drained"] = params.points_drained
    if known and case.new_counterparties >= params.burst_counterparties:
        found["burst"] = params.points_burst
    if case.type != "payment":
        found["sends_out"] = params.points_sends_out
    return found
