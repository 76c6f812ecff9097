"""Alerts derived again: from what they cite, and on request from the history of their account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from rules.contract import AnyRule
from rules.counts import counted
from schemas.time import parse_time
from schemas.topics import DETECT_INPUTS
from worker.detect import silence
from worker.detect.stage import Policy
from worker.engine.log import Log
from worker.explain.counterpart import counterpart, has_same_key, is_same
from worker.explain.derive import Derivation, derive, facts_of, is_sound, values_of
from worker.explain.history import alerts_again
from worker.explain.lives import Life, reader
from worker.explain.render import happened

NOT_FROM_RECORDS: Final = (
    "{} is an alert of the engine itself. It depends on the clock and cannot be derived from "
    "records."
)


_SAME_COUNTS: Final = "and the history of the account gives the same counts."
OTHER_KEY: Final = (
    "Its id and tokens were not checked: they were made with another key than the one that is "
    "used here, or by a release whose ids had no key."
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
    other_key: bool = False
    """Whether its id or names were made with another key than the one that is used here."""

    @property
    def result(self) -> str:
        """How it was derived, in sentences; true if there are no failures."""
        if self.life.is_overflow:
            text = f"{_unchanged(self.found)}, {_SAME_COUNTS}"
        else:
            text = derived_from(self.found, from_history=self.from_history)
        return f"{text} {OTHER_KEY}" if self.other_key else text


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
    rule = found.rule
    if rule is None or not (from_history or life.is_overflow):
        return Checked(life, found, from_history=False)
    again = _again(place, life, rule)
    found.failures += _differences(place, life, again)
    pairs = [(step, again.get(step["sequence"], step)) for step in life.steps]
    other_key = not all(has_same_key(*pair) for pair in pairs)
    return Checked(life, found, from_history=True, other_key=other_key)


def _again(place: Place, life: Life, rule: AnyRule) -> dict[int, dict[str, Any]]:
    """Return by sequence the records that the account's history gives of the alert."""
    raised, last = life.raised, life.steps[-1]
    horizons = place.policy.horizons
    if life.is_overflow:
        most = life.judged["details"]["max_open_alerts"]
        horizons = msgspec.structs.replace(horizons, max_open_alerts=most)
    policy = replace(place.policy, rules=[rule], known_rules=[rule], horizons=horizons)
    until = parse_time(last["detected_at"]) + 1
    again = alerts_again(place.log, raised["account_id"], _partition_of(life), policy, until)
    alert_id = counterpart(raised, again)
    return {step["sequence"]: step for step in again if step["alert_id"] == alert_id}


def _differences(place: Place, life: Life, again: Mapping[int, dict[str, Any]]) -> list[str]:
    """Return the differences between the alert and what the account's history gives."""
    failures = []
    for step in life.steps:
        other = again.get(step["sequence"])
        name = f"record {step['sequence']} ({step['kind']})"
        if other is None:
            failures.append(f"The history of the account gives no {name} of this alert.")
        elif not is_same(step, other):
            differing = _differing(step, other)
            failures.append(f"The history of the account gives another {differing} in {name}.")
    partition = _partition_of(life)
    if failures and any(place.log.offsets(topic)[partition][0] for topic in DETECT_INPUTS):
        failures.append("The log no longer holds all records of that partition: pruned.")
    return failures


def _partition_of(life: Life) -> int:
    return int(life.raised["origin"].removeprefix("detect-"))


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
        "id_checked": checked.from_history and not checked.other_key,
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
