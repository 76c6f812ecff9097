"""The options by which `alerts list` and `incidents list` choose, and what they let through."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import typer

from rules.registry import RuleType
from schemas.time import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_time
from worker.errors import UsageError

_SPAN: Final = re.compile(r"([0-9]{1,6})(s|min|h|d)")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNITS: Final = {"s": SECOND_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class SeverityName(StrEnum):
    """The values of `--severity`."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


RuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rule", metavar="RULE", help="Only of this rule: its name or code, as A1; repeatable."
    ),
]
SeverityOption = Annotated[
    list[SeverityName] | None,
    typer.Option("--severity", help="Only of this severity, as it is now; repeatable."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only from this event time on: 2026-03-09T12:00:00Z, or a day in UTC, 2026-03-09; "
        "or a span before now: 90min, 24h, 7d.",
    ),
]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option("--provider", metavar="NAME", help="Only of this provider; repeatable."),
]


class Chosen(NamedTuple):
    """What alerts or incidents must have to be listed; empty or None: anything."""

    rules: Collection[str] = ()
    severities: Collection[str] = ()
    since: int | None = None
    """Milliseconds of event time; that moment included."""
    providers: Collection[str] = ()

    def takes(
        self, rules: Collection[str], severity: str, since: int, provider: str | None
    ) -> bool:
        """Return whether something of these rules, that began at `since`, is chosen."""
        return (
            (not self.rules or any(rule in self.rules for rule in rules))
            and (not self.severities or severity in self.severities)
            and (self.since is None or since >= self.since)
            and (not self.providers or provider in self.providers)
        )


def time_of(text: str, now: int) -> int:
    """Return the milliseconds that `--since` names.

    Raises:
        UsageError: it is neither a time, nor a day, nor a span.
    """
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now - int(span[1]) * _UNITS[span[2]]
    try:
        return parse_time(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError:
        raise UsageError(
            "--since must be a time with its offset from UTC, as 2026-03-09T12:00:00Z; a day, as "
            "2026-03-09; or a span before now, a whole number of s, min, h or d, as 24h."
        ) from None


def rule_ids(names: Sequence[str], known: Sequence[RuleType], others: Collection[str]) -> set[str]:
    """Return the ids of the rules that `--rule` names.

    Args:
        names: ids or codes.
        known: the rules of this installation.
        others: ids that are there without a rule of this installation.

    Raises:
        UsageError: there is no such rule; the sentence has the nearest.
    """
    by_name = {name: name for name in others}
    by_name |= {rule.id: rule.id for rule in known} | {rule.code: rule.id for rule in known}
    found = set()
    for name in names:
        rule = by_name.get(name) or by_name.get(name.upper())
        if rule is None:
            close = get_close_matches(name, by_name, n=1, cutoff=0)
            raise UsageError(f"--rule: there is no rule of that name; the nearest is {close[0]}.")
        found.add(rule)
    return found
