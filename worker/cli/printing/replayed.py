"""What `walletwatch replay` prints: counts, what can be explained, what could not be used."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from rules.counts import counted
from schemas.alert import AlertKind
from schemas.base import SEVERITIES, Severity
from schemas.dead_letter import DeadLetterHeaders
from schemas.time import format_time
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS
from worker.cli.printing.output import echo, table, visible
from worker.engine.log import stored
from worker.engine.outcomes import OUTCOMES, AlertPublished, Counts, RuleFailure, summed
from worker.engine.records import Record, TopicPartition
from worker.evaluate.score_report import Explain
from worker.run.replay import Replayed

_CHANGES: Final = ("updated", "cured", "retracted", "expired")
_COLUMNS: Final = [(kind, kind.column) for kind in OUTCOMES if kind.column is not None]
_LISTED: Final = 10


class _Step(Struct):
    """What is printed of a record of an alert."""

    alert_id: str
    kind: AlertKind
    rule: str
    severity: Severity
    at: str


_STEP = msgspec.json.Decoder(_Step)


def summary_of(result: Replayed, spent: tuple[float, float], command: Explain) -> dict[str, Any]:
    """Return what was found, as `--json` prints it.

    Args:
        spent: seconds of wall time, and of CPU time.
        command: returns the command that explains an alert.
    """
    counts = result.counts
    wall, cpu = spent
    return {
        "events": result.events,
        "seconds": round(wall, 3),
        "events_per_cpu_second": round(result.events / cpu) if cpu else 0,
        "alerts": _alerts(counts),
        "explain": _explainable(result, command),
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


def _explainable(result: Replayed, command: Explain) -> list[dict[str, str]]:
    """Return the first alerts to look at: those still open first, then the worst, then by time."""
    newest: dict[str, _Step] = {}
    for _, record in stored(result.log, ALERTS):
        step = _STEP.decode(record.value or b"")
        newest[step.alert_id] = step
    steps = sorted(
        newest.values(),
        key=lambda step: (
            step.kind not in ("raised", "updated"),
            SEVERITIES.index(step.severity),  # from the worst
            step.at,
            step.alert_id,
        ),
    )
    return [
        {**msgspec.structs.asdict(step), "command": command(step.alert_id)}
        for step in steps[:_LISTED]
    ]


def _incidents(result: Replayed) -> dict[str, int]:
    """Count the incidents that were opened, by the status of the last record of each."""
    newest: dict[bytes | None, bytes] = {}
    for _, record in stored(result.log, INCIDENTS):
        if record.value is not None:  # else it was forgotten: long after it was resolved
            newest[record.key] = record.value
    states = Counter(msgspec.json.decode(value)["status"] for value in newest.values())
    return {"total": sum(states.values()), **dict(sorted(states.items()))}


def show_summary(summary: dict[str, Any], files: Sequence[str], out: Path | None) -> None:
    """Print it for people; `out` is where the alerts of the files were written."""
    echo(
        f"{summary['events']:,} events in {summary['seconds']:.1f} s "
        f"({summary['events_per_cpu_second']:,} per CPU-second)"
    )
    if summary["alerts"]:
        echo("Alerts, by the severity at which they were raised:")
        _table(summary["alerts"])
        if "truth" not in summary:  # else the score names the commands, of what is not right
            _show_explainable(summary, files, out)
    else:
        echo("No alerts.")
    incidents = summary["incidents"]
    by_status = ", ".join(f"{n:,} {status}" for status, n in incidents.items() if status != "total")
    echo(f"Incidents: {incidents['total']:,}" + (f" ({by_status})" if by_status else ""))
    for _, column in _COLUMNS:
        for what, count in summary[column.name].items():
            echo(f"{column.name.replace('_', ' ')}: {count:,} {what}")
    if summary["undecided"]:
        pending = counted(len(summary["undecided"]), "timer")
        echo(
            f"Undecided at the end, since no later event came: {pending} pending "
            "(--json lists them)"
        )


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


def _show_explainable(summary: dict[str, Any], files: Sequence[str], out: Path | None) -> None:
    raised = sum(sum(kinds.get("raised", {}).values()) for kinds in summary["alerts"].values())
    listed = summary["explain"]
    echo("Why, and whether the records still prove it:")
    for item in listed:
        echo(f"  {item['severity']} {item['rule']}: {item['command']}")
    if raised > len(listed):
        echo(f"  and {raised - len(listed):,} more, in {_written('alerts.ndjson', out)}")
    for name in files:
        if not Path(name).is_file():  # stdin or a pipe
            echo(f"  ({visible(name)} is read again: give it the same input)")


def _written(name: str, out: Path | None) -> str:
    return f"{name} of --out DIR" if out is None else visible(str(out / name))


def headers_of(result: Replayed, at: TopicPartition, record: Record) -> dict[str, str]:
    """Return the headers of a dead letter or late event, as texts, with the file and line it was.

    The address in the log of a replay, which they have otherwise, means nothing afterwards.
    """
    headers = {name: value.decode() for name, value in record.headers}
    if line := result.lines.get((at, record.offset)):
        name, number = line
        headers |= {"dlq_topic": name, "dlq_partition": "0", "dlq_offset": str(number)}
    return headers


def failed_rules(result: Replayed) -> Iterator[str]:
    """Yield a sentence for each rule that raised an error on an event or a timer."""
    for rule, count in summed(result.counts, RuleFailure, ("rule",)).items():
        times = "once" if count == 1 else f"{count:,} times"
        yield f"Rule {rule} failed {times}: what it finds is incomplete. This is an error in it."


def unusable(result: Replayed, out: Path | None) -> Iterator[str]:
    """Yield how many records are dead letters, a line for each of the first, where they all are."""
    letters = list(stored(result.log, DEAD_LETTERS))
    if not letters:
        return
    yield f"{counted(len(letters), 'record')} could not be used:"
    for at, record in letters[:_LISTED]:
        known = headers_of(result, at, record)
        read = DeadLetterHeaders.from_headers((k, v.encode()) for k, v in known.items())
        yield f"  {read.dlq_topic}, line {read.dlq_offset}: {read.dlq_error} ({read.dlq_reason})"
    if len(letters) > _LISTED:
        yield f"  and {len(letters) - _LISTED:,} more"
    yield f"All of them are in {_written('dead-letters.ndjson', out)}."
