"""What a score says, as one JSON object: a row per rule and variant, and every problem. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

from schemas.time import format_time
from schemas.truth import Plant
from worker.evaluate.scoring import Found, Pair, Score

PROBLEMS: Final = ("missed", "false", "wrong_severity", "too_early", "too_late", "not_cured")
_ALL: Final = ""
"""The name of all variants of a rule, or of all rules."""

Explain = Callable[[str], str]
"""Returns the command that explains an alert id or an event id."""


def report(score: Score, max_delay: int, explain: Explain) -> dict[str, Any]:
    """Return totals, a row per rule and per variant, and the problems, each with its command."""
    problems = [*_missed(score.missed, explain), *_false(score.false, explain)]
    for pair in score.pairs:
        problems += _of_pair(pair, max_delay, explain)
    problems.sort(key=lambda item: (PROBLEMS.index(item["problem"]), item["rule"], item["variant"]))
    rows = _rows(score, problems)
    rules = sorted({rule for rule, _ in rows if rule})
    return {
        "right": not problems,
        "max_delay_ms": max_delay,
        "total": rows[_ALL, _ALL],
        "rules": {
            rule: {
                **rows[rule, _ALL],
                "variants": {v: row for (r, v), row in sorted(rows.items()) if r == rule and v},
            }
            for rule in rules
        },
        "problems": problems,
    }


def _missed(plants: list[Plant], explain: Explain) -> Iterator[dict[str, Any]]:
    for plant in plants:
        yield {
            "problem": "missed",
            "rule": plant.rule,
            "variant": plant.variant,
            "event_id": plant.anchor,
            "at": format_time(plant.at),
            "explain": explain(plant.anchor),
        }


def _false(false: list[tuple[Found, str]], explain: Explain) -> Iterator[dict[str, Any]]:
    for alert, variant in false:
        yield {
            "problem": "false",
            "rule": alert.raised.rule,
            "variant": variant,
            "alert_id": alert.raised.alert_id,
            "at": format_time(alert.raised.at),
            "severity": alert.severity,
            "explain": explain(alert.raised.alert_id),
        }


def _of_pair(pair: Pair, max_delay: int, explain: Explain) -> Iterator[dict[str, Any]]:
    for problem, details in pair.problems(max_delay):
        yield {
            "problem": problem,
            "rule": pair.plant.rule,
            "variant": pair.plant.variant,
            "alert_id": pair.alert.raised.alert_id,
            "at": format_time(pair.alert.raised.at),
            **details,
            "explain": explain(pair.alert.raised.alert_id),
        }


def _rows(score: Score, problems: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a row per (rule, variant), per rule, and for all."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    delays: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    severity_delays: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    _ = counts[_ALL, _ALL]
    for pair in score.pairs:
        for place in _places(pair.plant.rule, pair.plant.variant):
            counts[place]["found"] += 1
            delays[place].append(pair.delay)
            if pair.severity_delay is not None:
                severity_delays[place].append(pair.severity_delay)
    for plant in score.silent:
        for place in _places(plant.rule, plant.variant):
            counts[place]["silent"] += 1
    for item in problems:
        for place in _places(item["rule"], item["variant"]):
            counts[place][item["problem"]] += 1
    return {
        place: _row(count, delays[place], severity_delays[place]) for place, count in counts.items()
    }


def _places(rule: str, variant: str) -> tuple[tuple[str, str], ...]:
    return (_ALL, _ALL), (rule, _ALL), (rule, variant)


def _row(count: Counter[str], delays: list[int], severity_delays: list[int]) -> dict[str, Any]:
    found, missed, false = count["found"], count["missed"], count["false"]
    return {
        "planted": found + missed,
        "silent": count["silent"],
        "found": found,
        **{problem: count[problem] for problem in PROBLEMS},
        "precision": found / (found + false) if found + false else None,
        "recall": found / (found + missed) if found + missed else None,
        "delay_ms": _spread(delays),
        "severity_delay_ms": _spread(severity_delays),
    }


def _spread(values: list[int]) -> dict[str, int] | None:
    """Return least, median (of two the lower) and most; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return {"min": ordered[0], "median": ordered[(len(ordered) - 1) // 2], "max": ordered[-1]}
