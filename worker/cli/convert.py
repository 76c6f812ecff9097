"""`walletwatch convert`: a file of a foreign shape in, events as NDJSON out."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from rules.counts import counted
from worker.cli.printing.output import emit, say, watched
from worker.codec.files import open_input
from worker.convert.apply import Converter
from worker.convert.load import load_mapping
from worker.convert.lookups import load_lookups
from worker.convert.mapping import Mapping
from worker.convert.reader import read_rows
from worker.convert.rows import Row, UnmatchedRow
from worker.convert.sink import STDOUT, Sink
from worker.errors import CheckFailed, UsageError

_REJECTS_SHOWN = 5


@dataclass(slots=True)
class Tally:
    """How many rows were converted, skipped and rejected.

    `unmatched` of the skipped or rejected match no pattern of a line.
    """

    rows: int = 0
    converted: int = 0
    skipped: int = 0
    rejected: int = 0
    unmatched: int = 0
    repeated_local_times: int = 0
    mended: dict[str, int] = field(default_factory=dict)
    complete: bool = True
    events: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Reject:
    """One line of the reject file."""

    line: int
    reason: str


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="CSV, NDJSON or lines of text, plain or gzip; - is stdin."
        ),
    ],
    mapping: Annotated[
        Path, typer.Option("--mapping", metavar="MAP.toml", help="How its rows become events.")
    ],
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Where events go; - is stdout.")
    ] = STDOUT,
    rejects: Annotated[
        str | None,
        typer.Option("--rejects", metavar="FILE", help="Where line and reason of bad rows go."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Summary as JSON: to stdout, or to stderr if the events go to stdout."
        ),
    ] = False,
) -> None:
    """Turn CSV, NDJSON or lines of text of a foreign shape into events.

    Exit code 0 if every row was converted or skipped by the mapping, 1 if some were not, 2 if a
    file cannot be opened or written, 78 if the mapping is wrong, or a file to be written is a link
    or open to others.

    Example: walletwatch convert --mapping examples/csv-ledger/mapping.toml
    examples/csv-ledger/ledger.csv --output events.ndjson --rejects rejects.ndjson
    """
    _refuse_same_file(source, str(mapping), output, rejects)
    declared, tally, shown = load_mapping(mapping), Tally(), list[Reject]()
    _refuse_lookup_files(declared, mapping.parent, output, rejects)
    converter = Converter(declared, load_lookups(declared.lookups, mapping.parent))
    failure = None
    with ExitStack() as stack:
        stream = stack.enter_context(open_input(source))
        # The header is read here: a wrong mapping must not empty an existing output.
        rows = watched(read_rows(stream, source, declared, str(mapping)), "rows")
        events = stack.enter_context(Sink(output))
        reject_file = stack.enter_context(Sink(rejects)) if rejects else None
        try:
            for reject in _converted(rows, converter, events, tally):
                _keep(reject, reject_file, shown)
        except CheckFailed as broken:
            tally.complete, failure = False, broken
    tally.repeated_local_times = converter.repeated_local_times
    tally.mended = dict(sorted(converter.mended.items()))
    _report(tally, shown, declared, as_json, output)
    if failure is None and tally.rejected:
        failure = CheckFailed(f"{tally.rejected} of {tally.rows} rows of {source} were rejected")
    if failure is not None:
        raise failure


def _converted(
    rows: Iterator[Row], converter: Converter, sink: Sink, tally: Tally
) -> Iterator[Reject]:
    """Write the events of the rows, count, and yield what is rejected."""
    for row in rows:
        tally.rows += 1
        outcome = converter.outcome(row)
        tally.unmatched += isinstance(row, UnmatchedRow)
        if isinstance(outcome, str):
            tally.rejected += 1
            yield Reject(row.line, outcome)
            continue
        for event in outcome:
            sink.write(event)
            tally.events[event["kind"]] = tally.events.get(event["kind"], 0) + 1
        if outcome:
            tally.converted += 1
        else:
            tally.skipped += 1


def _keep(reject: Reject, file: Sink | None, shown: list[Reject]) -> None:
    if file is not None:
        file.write(reject)
    elif len(shown) < _REJECTS_SHOWN:
        shown.append(reject)


def _refuse_same_file(source: str, mapping: str, output: str, rejects: str | None) -> None:
    names = [source, mapping, output, *([rejects] if rejects else [])]
    paths = [Path(name).resolve() for name in names if name not in (STDOUT, os.devnull)]
    if len(set(paths)) < len(paths) or output == rejects == STDOUT:
        raise UsageError("the input, the mapping, the output and the rejects must be four files")


def _refuse_lookup_files(declared: Mapping, folder: Path, output: str, rejects: str | None) -> None:
    read = {(folder / lookup.file).resolve() for lookup in declared.lookups.values()}
    if any(Path(name).resolve() in read for name in (output, rejects) if name):
        raise UsageError("the output and the rejects must not be lookup files of the mapping")


def _report(
    tally: Tally, shown: list[Reject], declared: Mapping, as_json: bool, output: str
) -> None:
    if as_json:
        summary = asdict(tally)
        if shown:
            summary["first_rejects"] = [asdict(reject) for reject in shown]
        emit(summary, err=output == STDOUT)
        return
    for reject in shown:
        say(f"line {reject.line}: {reject.reason}")
    if tally.rejected > len(shown) > 0:
        say("(--rejects FILE keeps the line and reason of every one)")
    if tally.repeated_local_times:
        say(_repeated(tally.repeated_local_times, declared))
    if tally.mended:
        fields = ", ".join(f"{name} {count}" for name, count in tally.mended.items())
        say(f"fields that nothing needs were cut, cleaned or dropped: {fields}")
    unmatched = f" ({tally.unmatched} match no pattern of line)" if tally.unmatched else ""
    events = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.events.items()))
    say(
        f"{counted(tally.rows, 'row')}: {tally.converted} converted, {tally.skipped} skipped,"
        f" {tally.rejected} rejected{unmatched}; events: {events or 'none'}"
    )


def _repeated(rows: int, declared: Mapping) -> str:
    have = "1 row has" if rows == 1 else f"{rows} rows have"
    folds = " and ".join(f'"{fold}"' for fold in sorted(declared.folds()))
    return (
        f"{have} a local time that comes twice when the clocks are put back;"
        f" it was read by fold = {folds}"
    )
