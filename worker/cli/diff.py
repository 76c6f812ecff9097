"""`walletwatch rules diff`: what other thresholds would find in the same events."""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from schemas.topics import ALERTS, INCIDENTS
from worker.cli.options import ConfigOption, JsonOption, environment
from worker.cli.printing.output import echo, emit, source_name, table, watched
from worker.codec.files import STDIN
from worker.codec.lines import read_lines
from worker.config.load import known_keys, load_settings, value_at
from worker.config.report import dotted, shown
from worker.config.settings import Settings
from worker.engine.log import stored
from worker.errors import CheckFailed, UsageError
from worker.evaluate.compare import Decider, Difference, Found, Run, compare, pages_of
from worker.explain.lives import lives_of
from worker.private_files import create, make_private
from worker.run.replay import Replayed, replay
from worker.run.runner import policy_of_files
from worker.run.spool import Room

_CHANGES: Final = ("removed", "added", "changed", "moved")
_SECTIONS: Final = ("inputs", "engine", "currencies")
_LISTED: Final = 20
_ID_DIGITS: Final = 12

Files = Sequence[tuple[str, str]]
"""Each as (name for output, path)."""


def diff(
    a: Annotated[Path, typer.Argument(metavar="A.toml", help="Thresholds, as for replay --rules.")],
    b: Annotated[Path, typer.Argument(metavar="B.toml", help="Other thresholds.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is stdin.")
    ],
    *,
    max_pages_per_day: Annotated[
        int | None, typer.Option(min=0, help="Fail if B pages more often on some day (UTC).")
    ] = None,
    tmp_dir: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Where data beyond memory is stored."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that B adds, removes, or changes in severity against A, and why.

    Replays the files twice, as replay --rules does. An alert counts as moved if both find it but
    at another event or with another window. A page is an incident that becomes error or critical.

    Exit code 0 whether or not there are differences; 1 if B pages too often or a file breaks off; 2
    if a file cannot be read; 78 if the configuration, A or B is wrong.

    Example: walletwatch rules diff now.toml next.toml events.ndjson.gz --max-pages-per-day 20
    """
    settings = [load_settings(config, environment(), rules).settings for rules in (a, b)]
    with _readable_twice(files, tmp_dir) as sources:
        runs = [_run(each, sources, Room(directory=tmp_dir)) for each in settings]
    found = compare(*runs)
    if as_json:
        emit(_document((a, b), runs, found))
    else:
        _print((a, b), runs, found)
    if max_pages_per_day is not None:
        _check(b, runs[1], max_pages_per_day)


@contextmanager
def _readable_twice(files: Sequence[str], directory: Path | None) -> Iterator[Files]:
    """Yield the files, with copies in place of stdin and of pipes.

    Raises:
        UsageError: stdin is named twice, or cannot be copied.
    """
    if files.count(STDIN) > 1:
        raise UsageError("-: stdin can be read only once.")
    sources: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        make_private(Path(folder))
        for number, name in enumerate(files):
            path = name
            if name == STDIN or Path(name).is_fifo():
                path = str(Path(folder, str(number)))
                _copy(name, path)
            sources.append((source_name(name), path))
        yield sources


def _copy(name: str, path: str) -> None:
    try:
        with (
            nullcontext(sys.stdin.buffer) if name == STDIN else Path(name).open("rb") as source,
            os.fdopen(create(Path(path)), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy)
    except OSError as error:
        raise UsageError(f"{name}: cannot be copied to be read twice: {error.strerror}.") from error


def _run(settings: Settings, files: Files, room: Room) -> Run:
    policy = policy_of_files(settings)
    live = [rule for rule in policy.rules if rule.mode == "live"]
    policy = replace(policy, rules=live)
    lines = _lines(files, policy.limits.max_event_bytes)
    replayed = replay(watched(lines, "lines"), policy, keep_inputs=False, room=room)
    return Run(
        rules={rule.id: rule for rule in policy.known_rules if rule.mode == "live"},
        modes={rule.id: settings.rules.mode_of(rule.id) for rule in settings.rules.known},
        others={
            dotted(path): value_at(settings, path)
            for path in known_keys(type(settings))
            if path[0] in _SECTIONS
        },
        lives=lives_of(_values(replayed, ALERTS)),
        pages=pages_of(_values(replayed, INCIDENTS)),
    )


def _lines(files: Files, at_most: int) -> Iterator[tuple[str, int, bytes]]:
    for name, path in files:
        for number, line in read_lines(path, at_most):
            yield name, number, line


def _values(replayed: Replayed, topic: str) -> Iterator[bytes]:
    return (record.value for _, record in stored(replayed.log, topic) if record.value)


def _document(names: Sequence[Path], runs: Sequence[Run], found: list[Difference]) -> Any:
    return {
        side: {"rules": name, "alerts": len(run.lives), "pages_per_day": run.pages}
        for side, name, run in zip("ab", names, runs, strict=True)
    } | {"differences": msgspec.to_builtins(found, enc_hook=str)}


def _print(names: Sequence[Path], runs: Sequence[Run], found: list[Difference]) -> None:
    alerts = ", ".join(
        f"{len(run.lives):,} with {name}" for name, run in zip(names, runs, strict=True)
    )
    echo(f"Alerts: {alerts}.")
    if found:
        _print_differences(found)
    else:
        echo("No difference.")
    days = sorted({day for run in runs for day in run.pages})
    if days:
        echo("", "Pages per day (UTC):")
        rows = [(day, *(run.pages.get(day, 0) for run in runs)) for day in days]
        table(("day", *map(str, names)), rows)


def _print_differences(found: list[Difference]) -> None:
    counts = Counter((each.rule, each.change) for each in found)
    table(
        ("rule", *_CHANGES),
        [
            (rule, *(counts[rule, change] or "" for change in _CHANGES))
            for rule in sorted({each.rule for each in found})
        ],
    )
    echo("")
    table(
        ("change", "rule", "at", "severity", "alert", "decided by"),
        [
            (each.change, each.rule, _one(each).at, _severity(each), _ids(each), _reasons(each))
            for each in found[:_LISTED]
        ],
    )
    if len(found) > _LISTED:
        echo(f"and {len(found) - _LISTED:,} more (--json lists them)")


def _one(difference: Difference) -> Found:
    found = difference.a or difference.b
    assert found is not None, "one of the runs has it"
    return found


def _severity(difference: Difference) -> str:
    reached = [found.severity for found in (difference.a, difference.b) if found is not None]
    return " -> ".join(dict.fromkeys(reached))


def _ids(difference: Difference) -> str:
    ids = [each.alert_id[:_ID_DIGITS] for each in (difference.a, difference.b) if each is not None]
    return " -> ".join(dict.fromkeys(ids))


def _reasons(difference: Difference) -> str:
    reasons = "; ".join(map(_reason, difference.decided_by))
    shown_why = difference.from_facts or difference.change == "moved"
    return reasons if shown_why else f"not by its facts alone: {reasons}"


def _reason(decider: Decider) -> str:
    change = f"{decider.parameter} {_value(decider.a)} -> {_value(decider.b)}"
    return change if decider.fact is None else f"{change} ({decider.fact} {_value(decider.value)})"


def _value(value: Any) -> str:
    return "none" if value is None else shown(value).strip('"')


def _check(name: Path, run: Run, most: int) -> None:
    above = {day: pages for day, pages in run.pages.items() if pages > most}
    if above:
        worst = max(above, key=lambda day: above[day])
        raise CheckFailed(
            f"{name} pages more than {most} times a day on {len(above)} of {len(run.pages)} days "
            f"with pages; most on {worst}: {above[worst]}."
        )
