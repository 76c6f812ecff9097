"""The score that `walletwatch replay --truth` prints."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from worker.cli.printing.output import echo, table
from worker.evaluate.score_report import PROBLEMS, Explain

_LISTED: Final = 20
_ALWAYS: Final = ("missed", "false")
_DELAYS: Final = ("delay", "of severity")
_DETAILS: Final = ("severity", "planted", "reached", "by_ms", "delay_ms")


def explainer(
    files: Sequence[str],
    *,
    as_is: bool = False,
    rules: Path | None = None,
    config: Path | None = None,
) -> Explain:
    """Return the function that builds the command to explain an alert or an event of the files.

    It replays them as they were: with the same rules and configuration, in the same order.
    """
    words = [word for file in files for word in ("--from", file)]
    words += ["--as-is"] if as_is else []
    for option, path in (("--rules", rules), ("--config", config)):
        words += [] if path is None else [option, str(path)]
    return lambda name: shlex.join(["walletwatch", "explain", name, *words])


def show(truth: dict[str, Any]) -> None:
    """Print the report of a score, and the counts of events."""
    events = truth["events"]
    echo(
        "",
        f"Against the truth ({events['background_share']:.1%} of {events['total']:,} events are "
        "background, about which nothing may alert):",
    )
    problems = [name for name in PROBLEMS if name in _ALWAYS or truth["total"][name]]
    head = ["", "planted", "silent", "found", *(name.replace("_", " ") for name in problems)]
    table(
        [*head, "precision", "recall", *_DELAYS], [_cells(*row, problems) for row in _rows(truth)]
    )
    echo("Delays in seconds of event time, half of them up to / all of them up to.")
    _list(truth["problems"])


def _rows(truth: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "all", truth["total"]
    for rule, row in truth["rules"].items():
        yield rule, row
        for variant, inner in row["variants"].items():
            yield f"  {variant}", inner


def _cells(name: str, row: dict[str, Any], problems: Sequence[str]) -> list[object]:
    return [
        name,
        *(row[column] for column in ("planted", "silent", "found", *problems)),
        _ratio(row["precision"]),
        _ratio(row["recall"]),
        _seconds(row["delay_ms"]),
        _seconds(row["severity_delay_ms"]),
    ]


def _ratio(value: float | None) -> str:
    """Return it cut to three decimals, so that only a perfect ratio is 1.000."""
    return "" if value is None else f"{int(value * 1000) / 1000:.3f}"


def _seconds(spread: dict[str, int] | None) -> str:
    return "" if spread is None else f"{spread['median'] / 1000:g} / {spread['max'] / 1000:g}"


def _list(problems: list[dict[str, Any]]) -> None:
    if not problems:
        echo("All of it is right.")
        return
    echo("What is not right:")
    for item in problems[:_LISTED]:
        details = ", ".join(f"{name} {item[name]}" for name in _DETAILS if name in item)
        echo(
            f"  {item['problem'].replace('_', ' ')}: {item['rule']}, {item['variant']}, at "
            f"{item['at']}" + (f" ({details})" if details else "")
        )
        echo(f"    {item['explain']}")
    if len(problems) > _LISTED:
        echo(f"  and {len(problems) - _LISTED:,} more (--json lists them)")
