"""The verdict of A3: it follows from the points of one transaction."""

from typing import Final

from rules.alerts import Amount, Verdict
from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams
from rules.unauthorized_transaction.points import Points, points_of
from schemas.alert import MAX_TITLE


def verdict_of(
    facts: UnauthorizedTransactionFacts, params: UnauthorizedTransactionParams
) -> Verdict | None:
    """Decide; None if there are too few points."""
    points = points_of(facts, params)
    severity = points.severity(params)
    if severity is None:
        return None
    return Verdict(
        at=facts.occurred_at_ms,
        severity=severity,
        title=_title(facts, points),
        amount_at_stake=(Amount(facts.currency, facts.amount_minor, facts.exponent),),
        suspected_root_cause="security",
        owner_advice=_advice(points),
        details={
            "points_who": points.who,
            "points_money": points.money,
            "total": points.total,
            "contact_changed": facts.contact_changed.split(),
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


def _title(facts: UnauthorizedTransactionFacts, points: Points) -> str:
    what = f"{facts.type.replace('_', ' ').capitalize()} of {facts.money(facts.amount_minor)}"
    if "disputed" in points.who:
        return f"{what} disputed by the owner"
    title = f"{what} may not be the owner's"
    joint = ": "
    for sign in sorted(points.who, key=lambda name: -points.who[name]):
        longer = title + joint + _SIGNS[sign]
        if len(longer) <= MAX_TITLE:
            title, joint = longer, ", "
    return title


def _advice(points: Points) -> list[str]:
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
