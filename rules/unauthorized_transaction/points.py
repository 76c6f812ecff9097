"""The points of A3 for each sign in the facts of one transaction."""

from typing import Final

from msgspec import Struct

from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.travel import is_impossible
from schemas.base import Severity

REFUSED: Final = frozenset({"failed", "expired"})
"""Results of an approval that was tried and not given."""


class Points(Struct):
    """Points by sign: of who pays, and of the money. A sign without points is left out."""

    who: dict[str, int]
    money: dict[str, int]

    @property
    def total(self) -> int:
        """All points."""
        return sum(self.who.values()) + sum(self.money.values())

    def severity(self, params: UnauthorizedTransactionParams) -> Severity | None:
        """Return how bad that is; None: no alert."""
        if not self.money and "disputed" not in self.who:
            return "info" if self.total >= params.warning_points else None
        if not self.who or self.total < min(params.warning_points, params.error_points):
            return None
        return "error" if self.total >= params.error_points else "warning"


def points_of(facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams) -> Points:
    """Return the points of a transaction."""
    known = is_known(facts.history_ms, facts.history_logins, facts.history_debits, params)
    who = _approval(facts, params) | _access(facts, params, known)
    if facts.disputed_at_ms is not None:
        who["disputed"] = params.points_disputed
    money = _money(facts, params, known)
    return Points(
        {name: points for name, points in who.items() if points},
        {name: points for name, points in money.items() if points},
    )


def is_known(
    history_ms: int, logins: int, debits: int, params: UnauthorizedTransactionParams
) -> bool:
    """Return whether enough of an account is known that something can be new to it."""
    return history_ms >= params.min_history_ms and (
        logins >= params.min_history_logins or debits >= params.min_history_debits
    )


def _approval(
    facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams
) -> dict[str, int]:
    method, result = facts.authorization_method, facts.authorization_result
    if result in REFUSED:
        return {"authorization_failed": params.points_authorization_failed}
    exempt = params.exempt(facts.currency, facts.exponent)
    if (method == "none" or result == "skipped") and facts.amount_minor > exempt:
        return {"not_authorized": params.points_not_authorized}
    return {}


def _access(
    facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams, known: bool
) -> dict[str, int]:
    at, parts = facts.occurred_at_ms, 2 if facts.masked else 1
    found = {}
    unknown_since = facts.session_unknown_since_ms
    if unknown_since is not None and unknown_since <= at - params.session_history_ms:
        found["unknown_session"] = params.points_unknown_session
    since = at - params.new_for_ms
    if known and _lately(facts.device_first_seen_ms, since):
        found["new_device"] = params.points_new_device // parts
    if known and _lately(facts.country_first_seen_ms, since):
        found["new_country"] = params.points_new_country // parts
    travel = _travel(facts, params)
    if travel:
        found["travel"] = travel
    if _lately(facts.guessed_at_ms, since) and facts.guess_failures >= params.guess_failures:
        found["guessed"] = params.points_guessed
    if _lately(facts.changed_at_ms, since):
        found["changed"] = params.points_changed
    return found


def _lately(time: int | None, since: int) -> bool:
    return time is not None and time >= since


def _travel(facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams) -> int:
    limits = params.travel_km, params.travel_kmh
    masked = []
    if is_impossible(facts.travel_m, facts.travel_ms, *limits):
        masked.append(facts.travel_masked)
    if _lately(facts.logins_travel_at_ms, facts.occurred_at_ms - params.new_for_ms) and (
        is_impossible(facts.logins_travel_m, facts.logins_travel_ms, *limits)
    ):
        masked.append(facts.logins_travel_masked)
    if not masked:
        return 0
    return params.points_travel // (2 if facts.masked or all(masked) else 1)


def _money(
    facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams, known: bool
) -> dict[str, int]:
    found = {}
    if known and facts.counterparty_new:
        found["new_counterparty"] = params.points_new_counterparty
    largest = facts.largest_before_minor
    if known and largest and facts.amount_minor > params.large_factor * largest:
        found["large"] = params.points_large
    balance = facts.balance_minor(params.max_balance_age_ms)
    if balance > 0 and facts.paid_minor * 100 >= params.drained_percent * balance:
        found["drained"] = params.points_drained
    if known and facts.new_counterparties >= params.burst_counterparties:
        found["burst"] = params.points_burst
    if facts.type != "payment":
        found["sends_out"] = params.points_sends_out
    return found
