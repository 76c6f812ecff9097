"""Alerts derived again: from what they cite, and on request from the history of their account."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from rules.contract import AnyRule
from rules.counts import counted
from schemas.time import parse_time
from schemas.topics import DETECT_INPUTS
from worker.detect import silence
from worker.detect.seal import seal_of
from worker.detect.stage import Policy
from worker.engine.log import Log
from worker.explain.derive import Derivation, derive, facts_of, is_sound, values_of
from worker.explain.history import alerts_again
from worker.explain.lives import Life, reader
from worker.explain.render import happened

NOT_FROM_RECORDS: Final = (
    "{} is an alert of the engine itself. It depends on the clock and cannot be derived from "
    "records."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A log, and the policy by which its events are read."""

    log: Log
    policy: Policy
    known: Sequence[type[AnyRule]]


@dataclass(frozen=True, slots=True)
class Checked:
    """An alert, and what came of deriving it."""

    life: Life
    found: Derivation
    from_history: bool

    @property
    def result(self) -> str:
        """How it was derived, a sentence; true if there are no failures."""
        if self.life.is_overflow:
            return (
                f"{_unchanged(self.found)}, and the history of the account gives the same counts."
            )
        return derived_from(self.found, from_history=self.from_history)


def derived_from(found: Derivation, *, from_history: bool = False) -> str:
    """Return the sentence about an alert that was derived."""
    cited, records = len(found.cited), _unchanged(found)
    text = f"{records}, and the rule finds the same from {'it' if cited == 1 else 'them'}."
    return f"{text} The history of the account gives the same facts." if from_history else text


def _unchanged(found: Derivation) -> str:
    cited = len(found.cited)
    return f"{counted(cited, 'cited record')} {'is' if cited == 1 else 'are'} unchanged"


def check(place: Place, life: Life, *, from_history: bool = False) -> Checked:
    """Derive an alert again; with `from_history` its facts too.

    What an overflow alert counts only the history shows.
    """
    if life.raised["rule"] == silence.RULE:
        return Checked(
            life, Derivation(None, failures=[NOT_FROM_RECORDS.format(silence.RULE)]), False
        )
    found = derive(life, place.known, reader(place.log), place.policy.limits)
    from_history = (from_history or life.is_overflow) and found.rule is not None
    if from_history:
        found.failures += _against_history(place, life, found)
    return Checked(life, found, from_history)


def _against_history(place: Place, life: Life, found: Derivation) -> list[str]:
    """Return the differences between the alert and what the account's history gives."""
    raised, last = life.raised, life.steps[-1]
    rule = found.rule
    assert rule is not None
    partition = int(raised["origin"].removeprefix("detect-"))
    horizons = place.policy.horizons
    if life.is_overflow:
        most = life.judged["details"]["max_open_alerts"]
        horizons = msgspec.structs.replace(horizons, max_open_alerts=most)
    policy = replace(place.policy, rules=[rule], known_rules=[rule], horizons=horizons)
    until = parse_time(last["detected_at"]) + 1
    again = alerts_again(place.log, raised["account_id"], partition, policy, until)
    mine = {step["sequence"]: step for step in again if step["alert_id"] == raised["alert_id"]}
    failures = []
    for step in life.steps:
        other = mine.get(step["sequence"])
        name = f"record {step['sequence']} ({step['kind']})"
        if other is None:
            failures.append(f"The history of the account gives no {name} of this alert.")
        elif seal_of({**other, "mode": step["mode"]}) != seal_of(step):
            differing = _differing(step, other)
            failures.append(f"The history of the account gives another {differing} in {name}.")
    if failures and any(place.log.offsets(topic)[partition][0] for topic in DETECT_INPUTS):
        failures.append("The log no longer holds all records of that partition: pruned.")
    return failures


def _differing(step: dict[str, Any], other: dict[str, Any]) -> str:
    mine, history = values_of(step), values_of(other)
    facts = [f"fact {name}" for name in {**mine, **history} if mine.get(name) != history.get(name)]
    compared = ("severity", "at", "detected_at", "counted")
    fields = [name for name in compared if step.get(name) != other.get(name)]
    return ", ".join(facts + fields) or "evidence"


def document(checked: Checked) -> dict[str, Any]:
    """Return what machines read of it."""
    life, found = checked.life, checked.found
    rule = found.rule if found.rule and is_sound(found.rule, life) else None
    facts = facts_of(rule, life.judged) if rule else None
    return {
        "derived": not found.failures,
        "from_history": checked.from_history,
        "failures": found.failures,
        "steps": life.steps,
        "cited": [
            {
                "role": each.role,
                "record": each.address,
                "event_id": each.event.event_id,
                "happened": happened(each.event),
            }
            for each in found.cited
        ],
        "because": list(rule.because(facts)) if rule else [],
        "otherwise": [each.sentence for each in rule.otherwise(facts)] if rule else [],
    }
