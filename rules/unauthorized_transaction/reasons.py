"""Why an alert of A3 was raised, and what would have made it milder, in sentences."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import structs

from rules.contract import Otherwise
from rules.counts import counted
from rules.facts import Value
from rules.unauthorized_transaction.facts import UnauthorizedTransactionFacts as Facts
from rules.unauthorized_transaction.params import UnauthorizedTransactionParams as Params
from rules.unauthorized_transaction.points import Points, points_of
from rules.unauthorized_transaction.travel import is_impossible, slowest_ms
from rules.unauthorized_transaction.verdict import verdict_of
from schemas.time import format_span

Counterfactual = tuple[str, Mapping[str, Value]]
"""A condition in words, and the facts that would have been different."""

_RANK: Final = {None: 0, "info": 1, "warning": 2, "error": 3}
_CREDENTIALS: Final = {
    "password": "The password",
    "phone": "The phone number",
    "email": "The e-mail address",
    "mfa": "The second factor",
}


def because(facts: Facts, params: Params) -> Sequence[str]:
    """Return each sign with its points, then what they come to."""
    points = points_of(facts, params)
    signs = (points.who | points.money).items()
    sentences = [
        f"{_SENTENCES[sign](facts, params)}: {counted(worth, 'point')}." for sign, worth in signs
    ]
    if facts.masked:
        sentences.append("The network hides where someone is: device and place count half.")
    return [*sentences, _sum(points, params)]


def otherwise(facts: Facts, params: Params) -> Sequence[Otherwise]:
    """Return which single difference would have made it milder."""
    points = points_of(facts, params)
    severity = points.severity(params)
    found = []
    for condition, changes in _counterfactuals(facts, points, params):
        verdict = verdict_of(structs.replace(facts, **changes), params)
        milder = verdict.severity if verdict else None
        if _RANK[milder] < _RANK[severity]:
            found.append(Otherwise(sentence=f"{_only(milder)} if {condition}", facts=changes))
    bound = _bound(points, params)
    more = {bound: points.total + 1}
    milder = points.severity(params.model_copy(update=more))
    needed = counted(points.total + 1, "point")
    sentence = f"{_only(milder)} if {needed} had been needed ({bound})"
    return [*found, Otherwise(sentence=sentence, params=more)]


def _sum(points: Points, params: Params) -> str:
    if "disputed" in points.who:
        return "What the owner disputes needs no other sign."
    if not points.money:
        return (
            f"Together {counted(points.total, 'point')}, but the money is as usual: so it is only "
            f"info (from {counted(params.warning_points, 'point')}, warning_points)."
        )
    bound = _bound(points, params)
    severity = "an error" if bound == "error_points" else "a warning"
    return (
        f"Together {counted(points.total, 'point')}, of who pays and of the money; {severity} "
        f"needs {getattr(params, bound)} ({bound})."
    )


def _bound(points: Points, params: Params) -> str:
    return "error_points" if points.severity(params) == "error" else "warning_points"


def _only(severity: str | None) -> str:
    return f"only {severity}" if severity else "no alert"


def _ago(facts: Facts, time: int | None) -> str:
    return format_span(facts.occurred_at_ms - (time or 0))


def _first_seen(facts: Facts, time: int | None) -> str:
    return (
        "never seen before"
        if time == facts.occurred_at_ms
        else f"first seen {_ago(facts, time)} before"
    )


def _approval_sentence(facts: Facts, params: Params) -> str:
    exempt = facts.money(params.exempt(facts.currency, facts.exponent))
    return f"Nobody approved it, and it is more than {exempt}"


def _travel_sentence(facts: Facts, params: Params) -> str:
    found, misplaced = [], []
    limits = params.travel_km, params.travel_kmh
    if is_impossible(facts.travel_m, facts.travel_ms, *limits):
        journey = f"{facts.travel_m // 1000} km in {format_span(facts.travel_ms)}"
        found.append(f"{journey} since the last login")
        misplaced.append(facts.travel_masked)
    if facts.logins_travel_at_ms is not None:
        journey = f"{facts.logins_travel_m // 1000} km in {format_span(facts.logins_travel_ms)}"
        found.append(f"{journey} between two logins")
        misplaced.append(facts.logins_travel_masked)
    half = " (through a network whose place is not that of its user: half)"
    return f"No journey is that fast: {', '.join(found)}{half if all(misplaced) else ''}"


def _drained_sentence(facts: Facts, params: Params) -> str:
    there = facts.money(facts.balance_minor(params.max_balance_age_ms))
    return f"It takes {facts.money(facts.paid_minor)} of the {there} that were there"


_SENTENCES: Final[Mapping[str, Callable[[Facts, Params], str]]] = {
    "disputed": lambda *_: "The owner disputes it",
    "authorization_failed": lambda facts, _: (
        "It goes on although its approval "
        + ("failed" if facts.authorization_result == "failed" else "had expired")
    ),
    "not_authorized": _approval_sentence,
    "unknown_session": lambda facts, _: (
        "Its session has never logged in, and logins are known for "
        + _ago(facts, facts.session_unknown_since_ms)
    ),
    "new_device": lambda facts, _: (
        f"Its device was {_first_seen(facts, facts.device_first_seen_ms)}"
    ),
    "new_country": lambda facts, _: (
        f"Its country was {_first_seen(facts, facts.country_first_seen_ms)}"
    ),
    "travel": _travel_sentence,
    "guessed": lambda facts, _: (
        f"A login succeeded {_ago(facts, facts.guessed_at_ms)} before, after "
        f"{counted(facts.guess_failures, 'failure')}"
    ),
    "changed": lambda facts, _: (
        f"{_CREDENTIALS[facts.changed_what or 'password']} was changed "
        f"{_ago(facts, facts.changed_at_ms)} before"
    ),
    "new_counterparty": lambda *_: "Its counterparty was never paid before",
    "large": lambda facts, params: (
        f"It is more than {params.large_factor} times the largest debit before, "
        + facts.money(facts.largest_before_minor)
    ),
    "drained": _drained_sentence,
    "burst": lambda facts, params: (
        f"It pays the last of {facts.new_counterparties} new counterparties within "
        + format_span(params.burst_window_ms)
    ),
    "sends_out": lambda facts, _: f"It is a {facts.type.replace('_', ' ')}, not a payment",
}


def _counterfactuals(facts: Facts, points: Points, params: Params) -> Iterator[Counterfactual]:
    """Take away one sign after the other, then all signs of one side together."""
    for side, condition in (
        (points.who, "login, device and approval had been as usual"),
        (points.money, "the money had moved as usual"),
    ):
        ways = [_WITHOUT[sign](facts, params) for sign in side]
        for way in ways:
            yield from way
        if len(ways) > 1:
            together: dict[str, Value] = {}
            for (_, changes), *_ in ways:
                together |= changes
            yield condition, together


def _known_longer(name: str, what: str) -> Callable[[Facts, Params], list[Counterfactual]]:
    def change(facts: Facts, params: Params) -> list[Counterfactual]:
        condition = f"{what} more than {format_span(params.new_for_ms)} before (new_for_ms)"
        return [(condition, {name: facts.occurred_at_ms - params.new_for_ms - 1})]

    return change


def _approved(_facts: Facts, _params: Params) -> list[Counterfactual]:
    passed = {"authorization_method": "pin", "authorization_result": "passed"}
    return [("the owner had approved it", passed)]


def _exempt(facts: Facts, params: Params) -> list[Counterfactual]:
    most = params.exempt(facts.currency, facts.exponent)
    condition = f"it had been of {facts.money(most)} or less (exempt_amount_major)"
    return [*_approved(facts, params), (condition, {"amount_minor": most})]


def _slower(facts: Facts, params: Params) -> list[Counterfactual]:
    kmh = params.travel_kmh
    changes: dict[str, Value] = {"travel_ms": slowest_ms(facts.travel_m, kmh)}
    if facts.logins_travel_at_ms is not None:
        changes["logins_travel_ms"] = slowest_ms(facts.logins_travel_m, kmh)
    return [(f"the journey had been made at {kmh} km/h or slower (travel_kmh)", changes)]


def _fewer_failures(_facts: Facts, params: Params) -> list[Counterfactual]:
    most = params.guess_failures - 1
    few = f"{most} or fewer failures" if most else "no failure"
    condition = f"{few} had gone before the login (guess_failures)"
    return [(condition, {"guess_failures": most})]


def _session(facts: Facts, params: Params) -> list[Counterfactual]:
    short = facts.occurred_at_ms - params.session_history_ms + 1
    span = format_span(params.session_history_ms)
    return [
        ("its session had logged in", {"session_unknown_since_ms": None}),
        (
            f"logins had been known for less than {span} (session_history_ms)",
            {"session_unknown_since_ms": short},
        ),
    ]


def _larger_before(facts: Facts, params: Params) -> list[Counterfactual]:
    enough = -(-facts.amount_minor // params.large_factor)
    condition = f"the largest debit before had been {facts.money(enough)} or more (large_factor)"
    return [(condition, {"largest_before_minor": enough})]


def _fuller(facts: Facts, params: Params) -> list[Counterfactual]:
    enough = facts.paid_minor * 100 // params.drained_percent + 1
    balances = ("available_balance_minor", "balance_before_minor", "known_balance_minor")
    name = next(each for each in balances if getattr(facts, each) is not None)
    condition = f"the balance had been {facts.money(enough)} or more (drained_percent)"
    return [(condition, {name: enough})]


def _fewer_payees(_facts: Facts, params: Params) -> list[Counterfactual]:
    most = params.burst_counterparties - 1
    condition = f"there had been {most} or fewer new counterparties (burst_counterparties)"
    return [(condition, {"new_counterparties": most})]


_WITHOUT: Final[Mapping[str, Callable[[Facts, Params], list[Counterfactual]]]] = {
    "disputed": lambda *_: [("the owner had not disputed it", {"disputed_at_ms": None})],
    "authorization_failed": _approved,
    "not_authorized": _exempt,
    "unknown_session": _session,
    "new_device": _known_longer("device_first_seen_ms", "its device had been known"),
    "new_country": _known_longer("country_first_seen_ms", "its country had been known"),
    "travel": _slower,
    "guessed": _fewer_failures,
    "changed": _known_longer("changed_at_ms", "the credential had been changed"),
    "new_counterparty": lambda *_: [
        (
            "its counterparty had been paid before",
            {"counterparty_new": False, "new_counterparties": 0},
        )
    ],
    "large": _larger_before,
    "drained": _fuller,
    "burst": _fewer_payees,
    "sends_out": lambda *_: [("it had been a payment", {"type": "payment"})],
}
"""By sign what would have taken it away."""
