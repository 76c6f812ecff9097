"""Deriving an alert again: from the records it cites and the facts it quotes. Pure but for `read`.

An alert is derived if all of this holds for every record of its life:
- its seal fits: nothing of it was changed;
- every cited record is still there, with the same bytes (CRC-32), and is the event it was;
- every fact with an address is what that event says;
- every fact that its rule can work out from the cited events is what they give;
- the rule, given the quoted facts and parameters, gives the same verdict;
- the event that closed it does close it.

Of an overflow alert, which counts findings and quotes no facts, only the first two can be shown.

What it cannot show is absence ("no success until then") and what came from no single record: that
takes the account's history (`worker.explain.history`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from rules.alerts import Verdict
from rules.contract import AnyRule
from rules.events import Event
from rules.facts import Values
from schemas.money import from_minor
from schemas.time import format_time
from schemas.topics import DETECT_INPUTS
from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Control, Limits
from worker.detect.seal import seal_of
from worker.explain.lives import JUDGED, Life, Read


class Cited(NamedTuple):
    """A cited record that was read again."""

    role: str
    address: str
    event: Event
    step: int
    """Number of the alert record that cites it first."""


class Derivation(Struct):
    """What came of deriving an alert."""

    rule: AnyRule | None
    """The rule with the alert's own parameters; None if it cannot be made."""
    cited: list[Cited] = []
    failures: list[str] = []
    """Why it is not derived, a sentence each; none: it is."""


def derive(life: Life, known: Sequence[type[AnyRule]], read: Read, limits: Limits) -> Derivation:
    """Derive every record of an alert's life again.

    Args:
        known: the rules of this release.
        read: reads one record of the log that the alert came from.
        limits: how events are decoded, as in the run that raised it.
    """
    rule, why = _rule_of(life.raised, known)
    found = Derivation(rule, failures=why)
    reader = _Reader(read, limits, found)
    for number, step in enumerate(life.steps):
        if step["sequence"] != number + 1:
            found.failures.append(
                f"The log no longer holds record {number + 1} of this alert: it has been pruned."
            )
            return found
        reader.read_all(step, number)
    for number, step in enumerate(life.steps):
        found.failures += _check(step, life, found.rule, reader.events)
        if rule is not None and step["kind"] in JUDGED and not life.is_overflow:
            cited = [(each.role, each.event) for each in found.cited if each.step <= number]
            found.failures += _check_worked_out(step, rule, reader.events, cited)
    return found


def values_of(step: dict[str, Any]) -> Values:
    """Return the facts of an alert record by name."""
    return {fact["name"]: fact.get("value") for fact in step.get("facts", ())}


def facts_of(rule: AnyRule, step: dict[str, Any]) -> Any:
    """Return the facts of an alert record as its rule judges them.

    Raises msgspec.ValidationError, or what else the rule raises, if they are not its own.
    """
    return rule.Facts.of(values_of(step))


def _rule_of(
    raised: dict[str, Any], known: Sequence[type[AnyRule]]
) -> tuple[AnyRule | None, list[str]]:
    kind = next((rule for rule in known if rule.id == raised["rule"]), None)
    if kind is None:
        return None, [_NO_RULE.format(raised["rule"])]
    if kind.version != raised["rule_version"]:
        was = f"Version {raised['rule_version']} of {kind.id} raised it"
        return None, [f"{was}; this release has version {kind.version}, which may judge otherwise."]
    try:
        params = kind.Params.model_validate_json(msgspec.json.encode(raised["parameters"]))
    except ValidationError as error:
        names = sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]})
        return None, [f"These of its parameters are not valid: {', '.join(names)}."]
    return kind(params), []


class _Reader:
    """Reads cited records again, each once."""

    def __init__(self, read: Read, limits: Limits, found: Derivation) -> None:
        self._read = read
        self._codecs = {topic: Codec(n, limits) for n, topic in enumerate(DETECT_INPUTS)}
        self._found = found
        self.events: dict[str, Event] = {}
        """By address."""

    def read_all(self, step: dict[str, Any], number: int) -> None:
        for cited in step.get("evidence", ()):
            address = address_of(cited)
            if address not in self.events:
                event = self._one(cited, address, step)
                if event is None:
                    continue
                self.events[address] = event
                self._found.cited.append(Cited(cited["role"], address, event, number))

    def _one(self, cited: dict[str, Any], address: str, step: dict[str, Any]) -> Event | None:
        record = self._read(cited["topic"], cited["partition"], cited["offset"])
        if record is None:
            self._found.failures.append(f"The cited record {address} is no longer in the log.")
            return None
        if crc32(record.value or b"") != cited.get("crc32"):
            self._found.failures.append(
                f"The cited record {address} is not what it was: its bytes have another checksum."
            )
        event = self._codecs[cited["topic"]].decode(record.value)
        if isinstance(event, BadRecord | Control):
            self._found.failures.append(f"The cited record {address} is no valid event.")
            return None
        if event.event_id != cited["event_id"] or event.account_id != step.get("account_id"):
            self._found.failures.append(f"The cited record {address} is another event.")
        return event


def address_of(cited: dict[str, Any]) -> str:
    """Return topic/partition@offset."""
    return f"{cited['topic']}/{cited['partition']}@{cited['offset']}"


def _check(
    step: dict[str, Any], life: Life, rule: AnyRule | None, events: dict[str, Event]
) -> list[str]:
    failures = []
    if seal_of(step) != step.get("seal"):
        failures.append(f"Record {step['sequence']} of the alert was changed: its seal is broken.")
    if any(money["amount"] != _text_of(money) for money in _amounts(step)):
        failures.append(f"Record {step['sequence']} has an amount that its minor units are not.")
    if rule is None:
        return failures
    if step["parameters"] != life.raised["parameters"]:
        failures.append(f"Record {step['sequence']} quotes other parameters than the first.")
    if life.is_overflow:
        return failures
    if step["kind"] in JUDGED:
        return failures + _check_facts(step, rule, events) + _check_verdict(step, rule)
    if step["kind"] in ("cured", "retracted"):
        failures += _check_closing(step, life, rule, events)
    return failures


def _check_facts(step: dict[str, Any], rule: AnyRule, events: dict[str, Event]) -> list[str]:
    failures = []
    for fact in step.get("facts", ()):
        if "topic" not in fact:
            continue
        event = events.get(address_of(fact))
        read = rule.Facts.readers().get(fact["name"])
        if event is None or read is None:
            failures.append(f"Fact {fact['name']}: the event it came from is not cited.")
        elif read(event) != fact.get("value"):
            failures.append(f"Fact {fact['name']} is not what {address_of(fact)} says.")
    return failures


def _check_worked_out(
    step: dict[str, Any],
    rule: AnyRule,
    events: dict[str, Event],
    cited: Sequence[tuple[str, Event]],
) -> list[str]:
    sources = {
        fact["name"]: events[address_of(fact)]
        for fact in step.get("facts", ())
        if "topic" in fact and address_of(fact) in events
    }
    try:
        names = rule.disproved(facts_of(rule, step), sources, cited)
    except Exception:  # noqa: BLE001 - as below
        return [_NOT_ITS_OWN.format(step["sequence"], rule.id)]
    return [f"Fact {name} is not what the cited records give together." for name in names]


def _check_verdict(step: dict[str, Any], rule: AnyRule) -> list[str]:
    try:
        verdict = rule.judge(facts_of(rule, step))
    except Exception:  # noqa: BLE001 - over facts that are not its own a rule may stumble anyhow
        return [_NOT_ITS_OWN.format(step["sequence"], rule.id)]
    if verdict is None:
        return [f"From its facts {rule.id} finds nothing wrong."]
    stated = step | {"amount_at_stake": _amounts(step)}
    differing = [
        name.replace("_", " ")
        for name, value in _published(verdict, step["kind"]).items()
        if stated.get(name) != value
    ]
    if not differing:
        return []
    return [f"From its facts {rule.id} gives another {' and '.join(differing)}."]


_NO_RULE: Final = (
    "This release has no rule {} to derive it with, and no package that is installed brings it."
)
_NOT_ITS_OWN: Final = "The facts of record {} are not those of {}."


def _amounts(step: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the amounts at stake, each as text too: older releases wrote the minor units alone."""
    return [{"amount": _text_of(money)} | money for money in step.get("amount_at_stake", ())]


def _text_of(money: dict[str, Any]) -> str:
    return from_minor(money["minor_units"], money["exponent"])


def _published(verdict: Verdict, kind: str) -> dict[str, Any]:
    """Return what the record must say, as JSON has it."""
    published: dict[str, Any] = {
        "severity": verdict.severity,
        "title": verdict.title,
        "details": verdict.details,
        "suspected_root_cause": verdict.suspected_root_cause,
        "owner_advice": verdict.owner_advice,
        "amount_at_stake": [
            {
                "amount": from_minor(money.minor, money.exponent),
                "currency": money.currency,
                "minor_units": money.minor,
                "exponent": money.exponent,
            }
            for money in verdict.amount_at_stake
        ],
    }
    if kind == "raised":
        published["at"] = format_time(verdict.at)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(published))
    return decoded


def _check_closing(
    step: dict[str, Any], life: Life, rule: AnyRule, events: dict[str, Event]
) -> list[str]:
    for cited in step.get("evidence", ()):
        event = events.get(address_of(cited))
        try:
            closes = event is None or rule.answers(facts_of(rule, life.judged), event)
        except Exception:  # noqa: BLE001 - as above
            return [_NOT_ITS_OWN.format(life.judged["sequence"], rule.id)]
        if not closes:
            return [f"{address_of(cited)} does not close the alert, by the rule."]
    return []


def is_sound(rule: AnyRule, life: Life) -> bool:
    """Say whether the rule can judge the facts of the newest verdict at all."""
    return not life.is_overflow and not _check_verdict(life.judged, rule)
