"""A3 decided: points from the facts that an alert quotes, and nothing else."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec

from rules.contract import Amount, Value, Values, Verdict
from rules.events import Transaction
from rules.habits import CHANGES, MASKING
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.points import Case, Score, score
from schemas.alert import MAX_TITLE


def _authorization(name: str) -> Callable[[Transaction], Value]:
    return lambda event: getattr(event.authorization, name, None)


_BY_ITSELF: Final[Mapping[str, Callable[[Any], Value]]] = {
    "transaction_id": attrgetter("transaction_id"),
    "type": attrgetter("type"),
    "status": attrgetter("status"),
    "amount_minor": attrgetter("amount"),
    "currency": attrgetter("currency"),
    "exponent": attrgetter("exponent"),
    "occurred_at_ms": attrgetter("occurred_at"),
    "authorization_method": _authorization("method"),
    "authorization_result": _authorization("result"),
}
_BESIDE: Final[Mapping[str, Callable[[Any], Value]]] = {
    "fee_minor": attrgetter("fee"),
    "funding": attrgetter("funding"),
    "funding_from_balance_minor": attrgetter("funding_from_balance"),
    "available_balance_minor": attrgetter("available_balance"),
    "balance_before_minor": attrgetter("balance_before"),
    "country": attrgetter("country"),
    "masked": lambda event: event.network in MASKING,
}
BY_ITSELF: Final = tuple(_BY_ITSELF)
"""Facts of the transaction that can be judged without knowing its account."""
BESIDE: Final = tuple(_BESIDE)
"""Facts of the transaction that are judged beside what is known of its account."""
QUOTED: Final[Mapping[str, Callable[[Any], Value]]] = {
    **_BY_ITSELF,
    **_BESIDE,
    "known_balance_minor": lambda event: (
        event.balance_after if isinstance(event, Transaction) else event.balance
    ),
    "known_balance_at_ms": lambda event: getattr(event, "as_of", event.occurred_at),
    "guessed_at_ms": attrgetter("occurred_at"),
    "changed_at_ms": attrgetter("occurred_at"),
    "changed_what": lambda event: CHANGES.get(event.action),
    "logins_travel_at_ms": attrgetter("occurred_at"),
    "disputed_at_ms": attrgetter("occurred_at"),
}


def verdict_of(facts: Values, params: UnauthorizedTransactionParams) -> Verdict | None:
    """Decide; None if there are too few points."""
    case = msgspec.convert(facts, Case)
    points = score(case, params)
    severity = points.severity(params)
    if severity is None:
        return None
    return Verdict(
        at=case.occurred_at_ms,
        severity=severity,
        title=_title(case, points),
        amount_at_stake=(Amount(case.currency, case.amount_minor, case.exponent),),
        suspected_root_cause="security",
        owner_advice=_advice(points),
        details={
            "points_who": points.who,
            "points_money": points.money,
            "total": points.total,
            "contact_changed": case.contact_changed.split(),
        },
    )


_SIGNS: Final = {
    "authorization_failed": "its approval failed",
    "not_authorized": "nobody approved it",
    "unknown_session": "unknown session",
    "new_device": "new device",
    "new_country": "new country",
    "travel": "impossible journey",
    "guessed": "login after many failures",
    "changed": "credentials changed",
}
_OPENS: Final = frozenset({"new_device", "new_country", "travel", "unknown_session"})
"""Signs that someone else may be logged in."""


def _title(case: Case, points: Score) -> str:
    what = f"{case.type.replace('_', ' ').capitalize()} of {case.money(case.amount_minor)}"
    if "disputed" in points.who:
        return f"{what} disputed by the owner"
    title = f"{what} may not be the owner's"
    joint = ": "
    for sign in sorted(points.who, key=lambda name: -points.who[name]):
        longer = title + joint + _SIGNS[sign]
        if len(longer) <= MAX_TITLE:
            title, joint = longer, ", "
    return title


def _advice(points: Score) -> list[str]:
    signs = points.who.keys()
    opened = not _OPENS.isdisjoint(signs)
    advice = []
    if opened or not signs.isdisjoint({"guessed", "changed"}):
        advice.append("change_password")
    if opened:
        advice.append("review_devices")
    if opened or not signs.isdisjoint({"guessed", "not_authorized"}):
        advice.append("enable_mfa")
    return [*advice, "contact_support"]
