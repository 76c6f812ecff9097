"""An alert described so that a support agent can follow it. Pure.

Names of devices, sessions, addresses and payees are never shown: only what happened, and when.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from rules.contract import AnyRule
from rules.counts import counted
from rules.events import Balance, Event, Login, Transaction
from rules.facts import Value, Values
from schemas.base import SEVERITIES
from schemas.money import from_minor
from schemas.time import format_span, format_time
from worker.explain.derive import Derivation, facts_of, is_sound, values_of
from worker.explain.lives import Life

_DONE: Final = {
    "lock": "account locked",
    "unlock": "account unlocked",
    "password_change": "password changed",
    "password_reset": "password reset",
    "phone_change": "phone number changed",
    "email_change": "e-mail address changed",
    "mfa_enable": "second factor switched on",
    "mfa_disable": "second factor switched off",
    "device_add": "device added",
    "device_remove": "device removed",
    "logout": "logged out",
    "login": "logged in",
}


_MOMENTS: Final = ("_at_ms", "_until_ms", "_since_ms", "_seen_ms", "as_of_ms")
"""Ends of the names of facts that are a moment; others in milliseconds are a span."""
_WHOLE: Final = re.compile(r"-?[0-9]+")


def happened(event: Event) -> str:
    """Return what an event says, in a few words."""
    if isinstance(event, Transaction):
        return _transaction(event)
    if isinstance(event, Login):
        return _login(event)
    return _balance(event)


def _transaction(event: Transaction) -> str:
    def money(minor: int) -> str:
        return f"{from_minor(minor, event.exponent)} {event.currency}"

    what = f"{event.type.replace('_', ' ')} of {money(event.amount)} {event.status}"
    if event.fee:
        what += f", fee {money(event.fee)}"
    if event.initiator not in (None, "customer"):
        what += f", by the {event.initiator}"
    if event.provider:
        what += f", at {event.provider}"
    if event.failure_code:
        what += f", code {event.failure_code}"
    if event.available_balance is not None:
        what += f"; {money(event.available_balance)} available just before"
    if event.balance_before is not None and event.balance_after is not None:
        what += f"; balance {money(event.balance_before)} -> {money(event.balance_after)}"
    return what


def _login(event: Login) -> str:
    done = _DONE[event.action]
    what = done if event.outcome == "success" else f"{event.action.replace('_', ' ')} failed"
    more = [f"reason {event.reason}"] if event.reason else []
    more += [f"by {event.channel}"] if event.channel else []
    more += [f"until {format_time(event.lock_until)}"] if event.lock_until is not None else []
    more += [f"from {event.country}"] if event.country else []
    return ", ".join([what, *more])


def _balance(event: Balance) -> str:
    amount = f"{from_minor(event.balance, event.exponent)} {event.currency}"
    what = f"{event.source} reported a {event.balance_kind} balance of {amount}"
    late = event.as_of != event.occurred_at
    return f"{what}, as of {format_time(event.as_of)}" if late else what


def alert_lines(life: Life, found: Derivation, checked: str) -> Iterator[str]:
    """Yield the story of an alert line by line; `checked` says how it was derived."""
    raised, last = life.raised, life.steps[-1]
    yield raised["title"]
    yield f"  {_kind_of(raised)}, alert {raised['alert_id']}"
    yield f"  account {raised.get('account_id', '-')}, cause {raised['cause']}"
    yield f"  true at {raised['at']}, found at {raised['detected_at']}"
    yield f"  suspected: {_words([life.judged['suspected_root_cause']])}"
    if advice := life.judged.get("owner_advice"):
        yield f"  the owner may: {_words(advice)}"
    if last is not raised:
        yield f"  now: {last['kind']}, {last['severity']}"
    yield from ("", "What happened", *_timeline(life, found))
    if life.is_overflow:
        yield from _counts(life)
    elif found.rule is not None and is_sound(found.rule, life):
        yield from _reasons(found.rule, life.judged)
    yield from ("", "What became of it", *_course(life))
    yield from ("", *_result(found, checked))


def _words(codes: Sequence[str]) -> str:
    return ", ".join(code.replace("_", " ") for code in codes)


def _kind_of(raised: dict[str, Any]) -> str:
    shadow = ", in shadow: not published to wallet.alerts" if raised["mode"] == "shadow" else ""
    return f"{raised['severity']} from rule {raised['rule']}{shadow}"


def _timeline(life: Life, found: Derivation) -> Iterator[str]:
    for cited in sorted(found.cited, key=lambda each: each.event.occurred_at):
        at = format_time(cited.event.occurred_at)
        yield f"  {at}  {happened(cited.event)}"
        yield f"  {'':24}    as {cited.role}: {cited.address}, event {cited.event.event_id}"
    total = sum(step["evidence_total"] for step in life.steps)
    shown = sum(len(step.get("evidence", ())) for step in life.steps)
    if total > shown:
        verb = "is" if total - shown == 1 else "are"
        yield f"  and {total - shown:,} more like these, which {verb} counted but not cited"


def _reasons(rule: AnyRule, judged: dict[str, Any]) -> Iterator[str]:
    values, facts = values_of(judged), facts_of(rule, judged)
    yield from ("", f"Why: {_finds(rule)}")
    yield from (f"  {sentence}" for sentence in rule.because(facts))
    yield from ("", "What would have made it milder")
    yield from (f"  {each.sentence}" for each in rule.otherwise(facts))
    thresholds: dict[str, list[str]] = {}
    for name, fact in rule.Facts.deciding().items():
        limit = _threshold(name, judged["parameters"][name], _unit_of(fact, values))
        thresholds.setdefault(fact, []).append(f"{name} {limit}")
    yield from ("", "Facts, and the thresholds they are compared with")
    for name, value in values.items():
        if value is not None and not name.endswith("exponent"):
            against = ", ".join(thresholds.get(name, ()))
            shown = _fact(name, value, _unit_of(name, values))
            yield f"  {_label(name, values)}: {shown}" + (against and f"  ({against})")


class _Unit(NamedTuple):
    """What an amount is counted in."""

    currency: str
    exponent: int

    def amount(self, minor: int) -> str:
        return f"{from_minor(minor, self.exponent)} {self.currency}"

    def amounts(self, text: str) -> str:
        """Return a text of minor units, such as balances of rows, with amounts instead."""
        shown = _WHOLE.sub(lambda found: from_minor(int(found[0]), self.exponent), text)
        return f"{shown} {self.currency}"


def _unit_of(name: str, facts: Values) -> _Unit | None:
    """Return what a fact in minor units is counted in; None if no fact says that."""
    of = name.removesuffix("amount_minor")
    of = of if f"{of}exponent" in facts else ""
    currency, exponent = facts.get(f"{of}currency"), facts.get(f"{of}exponent")
    if not name.endswith("_minor") or not isinstance(currency, str):
        return None
    return _Unit(currency, exponent) if isinstance(exponent, int) else None


def _label(name: str, facts: Values) -> str:
    if _unit_of(name, facts) is not None:
        name = name.removesuffix("_minor")
    return name.removesuffix("_ms").replace("_", " ")


def _fact(name: str, value: Value, unit: _Unit | None) -> str:
    if isinstance(value, str) and value and unit is not None:
        return unit.amounts(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _plain(value)
    if name.endswith(_MOMENTS):
        return format_time(value)
    return _shown(name, value) if unit is None else unit.amount(value)


def _threshold(name: str, value: Any, unit: _Unit | None) -> str:
    """Return the value of a parameter for people; `unit` is that of the fact it is held against."""
    if unit is not None and name.endswith("_minor_by_currency"):
        value = value.get(unit.currency)
        return "none" if value is None else unit.amount(value)
    if unit is not None and name.endswith("_minor"):
        return unit.amount(value)
    return _shown(name, value)


def _shown(name: str, value: Any) -> str:
    """Return a value for people; what is in milliseconds as a span."""
    return format_span(value) if name.endswith("_ms") and isinstance(value, int) else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == "":
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _counts(life: Life) -> Iterator[str]:
    """Yield what an overflow alert counts."""
    last = life.steps[-1]
    details, total = last["details"], counted(last["counted"], "finding")
    yield from ("", "What it counts")
    most = f"{details['max_open_alerts']:,}"
    yield f"  {total} of rule {life.raised['rule']} on this account while {most} of its alerts"
    yield "  were open, the limit (engine.max_open_alerts). They have no alerts of their own."
    by_severity = details["by_severity"]
    for severity in SEVERITIES:
        if severity in by_severity:
            yield f"  {severity}: {by_severity[severity]:,}"


def _finds(rule: AnyRule) -> str:
    return f"{rule.code} {rule.id.replace('_', ' ')}"


def _course(life: Life) -> Iterator[str]:
    for step in life.steps:
        why = "".join(f", by event {cited['event_id']}" for cited in step.get("evidence", ()))
        why = why if step["kind"] in ("cured", "retracted") else ""
        late = " (it came late)" if step["late"] else ""
        yield f"  {step['detected_at']}  {step['kind']}, {step['severity']}{why}{late}"


def _result(found: Derivation, checked: str) -> Iterator[str]:
    if not found.failures:
        yield f"Derived: {checked}"
        return
    yield "NOT derived:"
    yield from (f"  {failure}" for failure in found.failures)
