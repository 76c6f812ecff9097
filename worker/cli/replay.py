"""`walletwatch replay`: the whole job over files, in event time, with a score if asked for."""

import json
import os
import time
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE
from schemas.truth import Plant
from worker.cli.options import ConfigOption, JsonOption, environment
from worker.cli.printing.output import emit, visible
from worker.cli.printing.replayed import (
    failed_rules,
    headers_of,
    show_summary,
    summary_of,
    unusable,
)
from worker.cli.printing.scores import explainer, show
from worker.cli.reading import Reading, refuse_unreadable
from worker.codec.files import STDIN
from worker.codec.lines import read_lines
from worker.config.load import load_settings
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.records import Record, TopicPartition
from worker.errors import CheckFailed, Exit, UsageError
from worker.evaluate.score_report import Explain, report
from worker.evaluate.scoring import MAX_PLANT_BYTES, Census, alerts_of, read_truth, score
from worker.outputs import open_output, refuse_output
from worker.private_files import make_folder
from worker.run.replay import Replayed, replay
from worker.run.runner import policy_of_files
from worker.run.spool import Room

_OUTPUTS: Final = {
    "alerts.ndjson": ALERTS,
    "incidents.ndjson": INCIDENTS,
    "dead-letters.ndjson": DEAD_LETTERS,
    "late.ndjson": LATE,
}


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
    the last of them. Alerts do not expire: between two events of a file years may lie.

    With --truth, also print a score: per rule and variant what was found, missed and false, how
    late it was, and the command that explains each error. Delays are in event time.

    The output names the commands that explain the alerts. In dead letters and late events the
    topic is the name of the file, the offset the number of the line.

    Exit code 0 whatever it finds, but 1 if records could not be used (dead letters), a file breaks
    off, a rule fails, or what is found differs from the truth; 2 if a file cannot be opened or
    written; 78 if the configuration or the file of --rules is wrong.

    Example: walletwatch replay events.ndjson.gz --rules strict.toml --out found/

    Example: walletwatch replay events.ndjson --truth truth.ndjson
    """
    settings = load_settings(config, environment(), rules).settings
    policy = policy_of_files(settings)
    refuse_unreadable(files, "Nothing was replayed.")
    command = explainer(files, as_is=as_is, rules=rules, config=config)
    trial = None if truth is None else _Trial(_truth(truth, policy), max_delay, command)
    if out is not None:
        _refuse_unwritable(out, files)
    reading = Reading(files, policy.limits.max_event_bytes)
    lines = reading.lines() if trial is None else trial.census.counted(reading.lines())
    began_wall, began_cpu = time.perf_counter(), time.process_time()
    room = Room(directory=tmp_dir)
    result = replay(lines, policy, as_is, partitions, keep_inputs=False, room=room)
    spent = (time.perf_counter() - began_wall, time.process_time() - began_cpu)
    if out is not None:
        _write(result, out)
    summary = summary_of(result, spent, command)
    if trial is not None:
        summary["truth"] = trial.judged(result)
    _report(summary, as_json, files, out)
    if failures := [*reading.failures, *unusable(result, out), *failed_rules(result)]:
        raise CheckFailed(*failures)
    if trial is not None and not summary["truth"]["right"]:
        raise typer.Exit(Exit.FOUND)


def _report(summary: dict[str, Any], as_json: bool, files: Sequence[str], out: Path | None) -> None:
    if as_json:
        emit(summary, indent=2)
        return
    show_summary(summary, files, out)
    if "truth" in summary:
        show(summary["truth"])


def _truth(file: Path, policy: Policy) -> list[Plant]:
    rules = {rule.id for rule in policy.known_rules}
    lines = read_lines(str(file), MAX_PLANT_BYTES)
    return read_truth(visible(str(file)), lines, rules)


class _Trial:
    """A truth, and the score of alerts against it."""

    def __init__(self, plants: list[Plant], max_delay: int, command: Explain) -> None:
        self.census = Census(plants)
        self._plants = plants
        self._max_delay = max_delay
        self._command = command

    def judged(self, result: Replayed) -> dict[str, Any]:
        alerts = alerts_of(record.value or b"" for _, record in stored(result.log, ALERTS))
        judged = report(score(self._plants, alerts), self._max_delay, self._command)
        events, background = self.census.events, self.census.background
        share = background / events if events else 0.0
        counted = {
            "total": events,
            "background": background,
            "background_share": round(share, 4),
        }
        return {"events": counted, **judged}


def _refuse_unwritable(out: Path, files: Sequence[str]) -> None:
    """Make the directory, and check that nothing in it that would be overwritten is an input.

    Raises:
        UsageError: it cannot be made or written, or a file to be written is one to be read.
        ConfigError: a file to be written is a link, or others can reach it.
    """
    try:
        make_folder(out)
    except OSError as error:
        raise UsageError(f"--out {visible(str(out))}: {error.strerror}.") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"--out {visible(str(out))}: cannot be written.")
    for path in (out / name for name in _OUTPUTS):
        if any(name != STDIN and path.exists() and path.samefile(name) for name in files):
            raise UsageError(
                f"{visible(str(path))}: is read, and --out would overwrite it. Name another "
                "directory."
            )
        refuse_output(path)


def _write(result: Replayed, directory: Path) -> None:
    """Write each output beside its name first: it is whole, or as it was before."""
    try:
        for name, topic in _OUTPUTS.items():
            part = directory / f"{name}.part"
            try:
                with TextIOWrapper(open_output(part), encoding="utf-8") as stream:
                    for at, record in stored(result.log, topic):
                        if record.value is not None:  # a tombstone says nothing in a file
                            stream.write(_line(result, at, record) + "\n")
                part.replace(directory / name)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--out {visible(str(directory))}: {error.strerror}.") from error


def _line(result: Replayed, at: TopicPartition, record: Record) -> str:
    """Return a published record as it is; original bytes as JSON with their headers."""
    value = record.value or b""
    if not record.headers:
        return value.decode()
    headers = headers_of(result, at, record)
    return json.dumps({**headers, "value": value.decode("utf-8", "replace")})
