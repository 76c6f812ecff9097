"""What other thresholds change: two runs over the same events, compared alert by alert. Pure.

An alert that only one run raised, or to which they gave another severity, is judged again from the
facts it quotes, with the parameters of the other run. If that gives what the other run gave, the
parameters which do so alone decided it. If not, the rule noticed something else to begin with: an
alert of the same subject and time in the other run is then the same one, moved.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from rules.contract import AnyRule
from rules.facts import Value, Values
from schemas.base import PAGING, SEVERITIES, Severity
from schemas.time import parse_time
from worker.explain.derive import values_of
from worker.explain.lives import Life, is_overflow

_DAY: Final = slice(10)
"""The part of a time that is its day; published times are UTC."""
MODE: Final = "mode"

Change = Literal["removed", "added", "changed", "moved"]


class Run(Struct, kw_only=True):
    """What one set of parameters found."""

    rules: Mapping[str, AnyRule]
    """Every rule by name, with its parameters in this run."""
    modes: Mapping[str, str]
    others: Mapping[str, Any] = {}
    """By dotted key, the settings beside those of rules that may change what is found."""
    lives: Mapping[str, Life]
    """By alert_id."""
    pages: Mapping[str, int] = {}
    """By day, as `pages_of`."""


class Decider(Struct, omit_defaults=True):
    """A parameter that differs, and the fact it is compared with."""

    parameter: str
    a: Any
    b: Any
    fact: str | None = None
    value: Value = None


class Found(Struct):
    """An alert as one run has it."""

    alert_id: str
    severity: Severity
    """The highest it reached."""
    at: str
    title: str


class Difference(Struct, kw_only=True):
    """What became of an alert of run A in run B."""

    change: Change
    rule: str
    a: Found | None = None
    b: Found | None = None
    from_facts: bool
    """Whether the facts that the alert quotes, judged again, show it."""
    decided_by: list[Decider]
    """What decided it; if its facts do not show that, all that differs."""


def pages_of(records: Iterable[bytes]) -> dict[str, int]:
    """Return by day (UTC, event time) how many incidents became bad enough to page then.

    Each counts once, however often it changes. The records are those of the incidents' topic.
    """
    paged: dict[str, str] = {}
    for record in records:
        incident = msgspec.json.decode(record)
        if incident["severity"] in PAGING:
            paged.setdefault(incident["incident_id"], incident["updated_at"][_DAY])
    return dict(sorted(Counter(paged.values()).items()))


def severities(lives: Mapping[str, Life]) -> dict[str, Severity]:
    """Return the highest severity that each alert reached, by alert_id."""
    return {alert_id: _worst(life)["severity"] for alert_id, life in lives.items()}


def compare(a: Run, b: Run) -> list[Difference]:
    """Return what differs, in order of event time."""
    both = a.lives.keys() & b.lives.keys()
    removed = [_removed(a, b, life) for key, life in a.lives.items() if key not in both]
    added = [_added(a, b, life) for key, life in b.lives.items() if key not in both]
    changed = [_changed(a, b, a.lives[key], b.lives[key]) for key in both]
    moved = list(_moved(a, b, removed, added))
    paired = {found.alert_id for each in moved for found in (each.a, each.b) if found is not None}
    single = [each for each in removed + added if _one(each).alert_id not in paired]
    return sorted([*single, *filter(None, changed), *moved], key=_order)


# -- what decided -------------------------------------------------------------------------


class _Try(NamedTuple):
    """Facts of one run, and what the other run gave instead of an alert like that."""

    own: Run
    other: Run
    facts: Values
    outcome: Severity | None


def _removed(a: Run, b: Run, life: Life) -> Difference:
    return _difference("removed", (a, b), (life, None), _tries(a, b, life.raised, None))


def _added(a: Run, b: Run, life: Life) -> Difference:
    return _difference("added", (a, b), (None, life), _tries(b, a, life.raised, None))


def _changed(a: Run, b: Run, here: Life, there: Life) -> Difference | None:
    ours, theirs = _worst(here), _worst(there)
    if ours["severity"] == theirs["severity"]:
        return None
    tries = [*_tries(a, b, ours, theirs["severity"]), *_tries(b, a, theirs, ours["severity"])]
    return _difference("changed", (a, b), (here, there), tries)


def _tries(own: Run, other: Run, step: dict[str, Any], outcome: Severity | None) -> list[_Try]:
    """Return an alert record to be judged again; none of an overflow alert, which has no facts."""
    return [] if is_overflow(step) else [_Try(own, other, values_of(step), outcome)]


def _difference(
    change: Change,
    runs: tuple[Run, Run],
    lives: tuple[Life | None, Life | None],
    tries: Sequence[_Try],
) -> Difference:
    name = next(life.raised["rule"] for life in lives if life is not None)
    shown = [(_deciding(name, each), each.facts) for each in tries]
    decided = next(((names, facts) for names, facts in shown if names is not None), None)
    names, facts = decided or (_differing(*runs, name), {})
    return Difference(
        change=change,
        rule=name,
        a=_found(lives[0]),
        b=_found(lives[1]),
        from_facts=decided is not None,
        decided_by=[_decider(*runs, name, each, facts) for each in names],
    )


def _deciding(name: str, case: _Try) -> list[str] | None:
    """Return the parameters that alone give the outcome, all that differ if none does so alone.

    None: not even all together give it, from these facts.
    """
    if _mode(case.own, name) != _mode(case.other, name):
        return [MODE]
    here, there = case.own.rules[name], case.other.rules[name]
    if _severity(there, case.facts) != case.outcome:
        return None
    differing = _parameters(here, there)
    return [
        each
        for each in differing
        if _severity(_with(here, each, getattr(there.params, each)), case.facts) == case.outcome
    ] or differing


def _mode(run: Run, name: str) -> str:
    """Return the mode of a rule; off where the run does not know it."""
    return run.modes.get(name, "off")


def _severity(rule: AnyRule, facts: Values) -> Severity | None:
    verdict = rule.judge(rule.Facts.of(facts))
    return None if verdict is None else verdict.severity


def _with(rule: AnyRule, parameter: str, value: Any) -> AnyRule:
    return type(rule)(rule.params.model_copy(update={parameter: value}))


def _parameters(here: AnyRule, there: AnyRule) -> list[str]:
    names = type(here.params).model_fields
    return [name for name in names if getattr(here.params, name) != getattr(there.params, name)]


def _differing(a: Run, b: Run, name: str) -> list[str]:
    """Return all that differs for a rule: its parameters; if none do, other settings."""
    others = [key for key, value in a.others.items() if value != b.others[key]]
    return _parameters(a.rules[name], b.rules[name]) or others


def _decider(a: Run, b: Run, name: str, key: str, facts: Values) -> Decider:
    if key == MODE:
        return Decider(key, _mode(a, name), _mode(b, name))
    if key in a.others:
        return Decider(key, a.others[key], b.others[key])
    here, there = a.rules[name], b.rules[name]
    fact = here.Facts.deciding().get(key) if facts else None
    value = facts.get(fact) if fact is not None else None
    return Decider(key, getattr(here.params, key), getattr(there.params, key), fact, value)


# -- pairs --------------------------------------------------------------------------------


def _moved(
    a: Run, b: Run, removed: Sequence[Difference], added: Sequence[Difference]
) -> Iterator[Difference]:
    """Pair what was removed with what was added about one subject at one time, the nearest first.

    Where the facts of both show why, they are two.
    """
    subjects: defaultdict[str, list[Difference]] = defaultdict(list)
    for come in added:
        subjects[_subject(_life(b, come))].append(come)
    pairs = [
        (_distance(_life(a, gone), _life(b, come)), _one(gone).alert_id, _one(come).alert_id)
        for gone in removed
        for come in subjects[_subject(_life(a, gone))]
        if not (gone.from_facts and come.from_facts) and _overlap(_life(a, gone), _life(b, come))
    ]
    shown = {_one(each).alert_id: each for each in (*removed, *added)}
    taken: set[str] = set()
    for _, here, there in sorted(pairs):
        if taken.isdisjoint((here, there)):
            taken |= {here, there}
            reasons = (shown[here], shown[there])
            best = next((each for each in reasons if each.from_facts), reasons[0])
            yield Difference(
                change="moved",
                rule=best.rule,
                a=shown[here].a,
                b=shown[there].b,
                from_facts=best.from_facts,
                decided_by=best.decided_by,
            )


def _subject(life: Life) -> str:
    return f"{life.raised['rule']}\0{life.raised['dedup_key']}"


def _overlap(one: Life, other: Life) -> bool:
    first, last = _span(one)
    begin, end = _span(other)
    return first <= end and begin <= last


def _span(life: Life) -> tuple[int, int]:
    last = life.steps[-1]
    return parse_time(last["first_event_at"]), parse_time(last["last_event_at"])


def _distance(one: Life, other: Life) -> int:
    return abs(parse_time(one.raised["at"]) - parse_time(other.raised["at"]))


def _life(run: Run, difference: Difference) -> Life:
    return run.lives[_one(difference).alert_id]


def _one(difference: Difference) -> Found:
    """Return the alert of a difference, that of run A if both have it."""
    found = difference.a or difference.b
    assert found is not None, "one of the runs has it"
    return found


def _order(difference: Difference) -> tuple[str, str, str]:
    found = _one(difference)
    return found.at, difference.rule, found.alert_id


def _found(life: Life | None) -> Found | None:
    if life is None:
        return None
    first, worst = life.raised, _worst(life)
    return Found(first["alert_id"], worst["severity"], first["at"], worst["title"])


def _worst(life: Life) -> dict[str, Any]:
    """Return the first record of the highest severity that an alert reached."""
    return min(life.steps, key=lambda step: SEVERITIES.index(step["severity"]))
