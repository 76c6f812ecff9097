"""`walletwatch replay`: the whole job over files, in event time, with a score if asked for."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from schemas.base import SEVERITIES
from schemas.time import format_time
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE
from schemas.truth import Plant
from worker.cli.options import ConfigOption, JsonOption, environment
from worker.cli.printing.output import source_name, table, visible
from worker.cli.printing.scores import explainer, show
from worker.codec.lines import read_lines
from worker.config.load import load_settings
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.outcomes import OUTCOMES, AlertPublished, Counts, summed
from worker.engine.records import Record
from worker.errors import CheckFailed, Exit, UsageError
from worker.evaluate.score_report import report
from worker.evaluate.scoring import Census, alerts_of, read_truth, score
from worker.run.replay import Replayed, replay
from worker.run.runner import policy_of
from worker.run.spool import Room

_OUTPUTS: Final = {
    "alerts.ndjson": ALERTS,
    "incidents.ndjson": INCIDENTS,
    "dead-letters.ndjson": DEAD_LETTERS,
    "late.ndjson": LATE,
}
_CHANGES: Final = ("updated", "cured", "retracted", "expired")
_COLUMNS: Final = [(kind, kind.column) for kind in OUTCOMES if kind.column is not None]


def replay_command(
    files: Annotated[list[str], typer.Argument(help="NDJSON, plain or gzip; - is stdin.")],
    *,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Keep the order of arrival instead of sorting by time.")
    ] = False,
    rules: Annotated[
        Path | None, typer.Option(help="TOML with thresholds and switches: [rules.<name>] tables.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for alerts, incidents, dead letters and late.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=1024, help="Tasks to spread over; changes nothing found.")
    ] = 1,
    truth: Annotated[
        Path | None,
        typer.Option(help="What must alert and what must not, as simulate --truth writes it."),
    ] = None,
    max_delay: Annotated[
        int,
        typer.Option(min=0, help="With --truth: milliseconds after which an alert is too late."),
    ] = 6_000,
    tmp_dir: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Where data beyond memory is sorted."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong in files of events, of any size, and print a summary.

    Events are sorted by occurred_at first, on disk if they are many; every input ends 1 ms after
    the last of them.

    With --truth, also print a score: per rule and variant what was found, missed and false, how
    late it was, and the command that explains each error. Delays are in event time.

    Exit code 0 whatever it finds, but 1 if it differs from the truth or a file breaks off.

    Example: walletwatch replay events.ndjson.gz --rules strict.toml --out found/

    Example: walletwatch replay events.ndjson --truth truth.ndjson
    """
    settings = load_settings(config, environment(), rules).settings
    policy = replace(policy_of(settings), dead_letter_limit=None)
    trial = None if truth is None else _Trial(_truth(truth, policy), max_delay, files)
    reading = _Reading(files)
    lines = reading.lines() if trial is None else trial.census.counted(reading.lines())
    began_wall, began_cpu = time.perf_counter(), time.process_time()
    room = Room(directory=tmp_dir)
    result = replay(lines, policy, as_is, partitions, keep_inputs=False, room=room)
    spent = (time.perf_counter() - began_wall, time.process_time() - began_cpu)
    if out is not None:
        _write(result, out)
    summary = _summary(result, spent)
    if trial is not None:
        summary["truth"] = trial.judged(result)
    _report(summary, as_json)
    if reading.failures:
        raise CheckFailed(" ".join(reading.failures))
    if trial is not None and not summary["truth"]["right"]:
        raise typer.Exit(Exit.FOUND)


def _report(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    _print(summary)
    if "truth" in summary:
        show(summary["truth"])


def _truth(file: Path, policy: Policy) -> list[Plant]:
    rules = {rule.id for rule in policy.known_rules}
    return read_truth(visible(str(file)), read_lines(str(file)), rules)


class _Trial:
    """A truth, and the score of alerts against it."""

    def __init__(self, plants: list[Plant], max_delay: int, files: Sequence[str]) -> None:
        self.census = Census(plants)
        self._plants = plants
        self._max_delay = max_delay
        self._files = files

    def judged(self, result: Replayed) -> dict[str, Any]:
        alerts = alerts_of(record.value or b"" for _, record in stored(result.log, ALERTS))
        judged = report(score(self._plants, alerts), self._max_delay, explainer(self._files))
        events, background = self.census.events, self.census.background
        share = background / events if events else 0.0
        counted = {
            "total": events,
            "background": background,
            "background_share": round(share, 4),
        }
        return {"events": counted, **judged}


class _Reading:
    """Reads files one after the other; one that breaks off does not stop the others."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self.failures: list[str] = []

    def lines(self) -> Iterator[tuple[str, int, bytes]]:
        for name in self._files:
            source = source_name(name)
            try:
                for number, line in read_lines(name):
                    yield source, number, line
            except (CheckFailed, UsageError) as error:
                if isinstance(error, UsageError):
                    raise
                self.failures.append(f"{error}. The lines before that were replayed.")


def _write(result: Replayed, directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, topic in _OUTPUTS.items():
            with (directory / name).open("w", encoding="utf-8") as stream:
                for _, record in stored(result.log, topic):
                    stream.write(_line(record) + "\n")
    except OSError as error:
        raise UsageError(f"--out {directory}: {error.strerror}.") from error


def _line(record: Record) -> str:
    """Return a published record as it is; original bytes as JSON with their headers."""
    if not record.headers:
        return (record.value or b"").decode()
    headers = {name: value.decode() for name, value in record.headers}
    return json.dumps({**headers, "value": (record.value or b"").decode("utf-8", "replace")})


def _summary(result: Replayed, spent: tuple[float, float]) -> dict[str, Any]:
    counts = result.counts
    wall, cpu = spent
    return {
        "events": result.events,
        "seconds": round(wall, 3),
        "events_per_cpu_second": round(result.events / cpu) if cpu else 0,
        "alerts": _alerts(counts),
        "incidents": _incidents(result),
        **{column.name: summed(counts, kind, column.by) for kind, column in _COLUMNS},
        "undecided": [
            {"rule": rule, "timer": timer.name, "due": format_time(timer.due)}
            for _, rule, timer in result.undecided
        ],
    }


def _alerts(counts: Counts) -> dict[str, dict[str, dict[str, int]]]:
    """Return {rule: {kind of change: {severity: count}}}."""
    published = [
        (each.rule, each.kind, each.severity, count)
        for each, count in counts.items()
        if isinstance(each, AlertPublished)
    ]
    table: dict[str, dict[str, dict[str, int]]] = {}
    for rule, kind, severity, count in sorted(published):
        table.setdefault(rule, {}).setdefault(kind, {})[severity] = count
    return table


def _incidents(result: Replayed) -> dict[str, int]:
    newest: dict[bytes | None, bytes | None] = {}
    for _, record in stored(result.log, INCIDENTS):
        newest[record.key] = record.value
    states = Counter(json.loads(value)["status"] for value in newest.values() if value)
    return {"total": sum(states.values()), **dict(sorted(states.items()))}


def _print(summary: dict[str, Any]) -> None:
    typer.echo(
        f"{summary['events']:,} events in {summary['seconds']:.1f} s "
        f"({summary['events_per_cpu_second']:,} per CPU-second)"
    )
    if summary["alerts"]:
        typer.echo("Alerts, by the severity at which they were raised:")
        _table(summary["alerts"])
    else:
        typer.echo("No alerts.")
    incidents = summary["incidents"]
    by_status = ", ".join(f"{n:,} {status}" for status, n in incidents.items() if status != "total")
    typer.echo(f"Incidents: {incidents['total']:,}" + (f" ({by_status})" if by_status else ""))
    for _, column in _COLUMNS:
        for what, count in summary[column.name].items():
            typer.echo(f"{column.name.replace('_', ' ')}: {count:,} {what}")
    if summary["undecided"]:
        pending = len(summary["undecided"])
        typer.echo(f"Undecided at the end: {pending:,} timers pending (--json lists them)")


def _table(alerts: dict[str, dict[str, dict[str, int]]]) -> None:
    rows = {
        rule: {
            **kinds.get("raised", {}),
            **{kind: sum(counts.values()) for kind, counts in kinds.items() if kind != "raised"},
        }
        for rule, kinds in alerts.items()
    }
    columns = [c for c in (*SEVERITIES, *_CHANGES) if any(c in row for row in rows.values())]
    table(
        ("rule", *columns),
        [
            (rule, *(f"{row[c]:,}" if c in row else "" for c in columns))
            for rule, row in rows.items()
        ],
    )
