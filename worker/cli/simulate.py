"""`walletwatch simulate`: seeded wallet traffic with planted anomalies, to a file or into a log."""

import gzip
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from schemas.time import format_time, parse_time
from schemas.truth import Plant
from worker import simulate as traffic
from worker.cli.ingest import Appender
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, writable_log
from worker.cli.pace import paced, refuse_wrong_rate
from worker.cli.printing.output import emit, say
from worker.config.load import load_settings
from worker.errors import UsageError
from worker.logs.sqlite.log import wall_clock
from worker.outputs import open_output, refuse_output
from worker.simulate.world.config import DAY_MS, DEFAULT_START

_GZIP_LEVEL: Final = 5
"""Level 9 makes files 13 % smaller and the command a quarter slower."""
_SOURCE: Final = "simulate"

_ENCODE: Final = msgspec.json.Encoder().encode

Sink = Callable[[list[bytes]], object]


def simulate(
    *,
    accounts: Annotated[int, typer.Option(help="How many accounts there are.")] = 200,
    days: Annotated[int, typer.Option(help="How many days they live.")] = 2,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 1,
    start: Annotated[
        str | None,
        typer.Option(
            help="RFC 3339: when the first day begins. With --rate or --log so that the last one "
            f"was yesterday, else {DEFAULT_START}.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option(help="Where the events go; - is stdout, .gz compresses.")
    ] = "-",
    truth: Annotated[
        Path | None,
        typer.Option(
            help="File for what must alert, and what must not: a line per plant, as in the "
            "schema of truth."
        ),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Events per second, as time passes; else at once.")
    ] = None,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write realistic wallet events, in the order in which they arrive, one JSON object a line.

    Anomalies and innocent look-alikes are planted; --truth lists them. With --log the events are
    appended to that log instead. Ctrl-C ends the stream, and what was planted by then is written.

    Its days are in the past, and pass faster than the clock. A worker that reads them meanwhile
    needs engine.idle_advances = false, or all events are late.

    Exit code 0, 2 if an option is wrong or a file cannot be written, 70 if the log cannot be used,
    78 if the configuration is wrong, or a file is a link or open to others.

    Example: walletwatch simulate --days 3 --output events.ndjson.gz --truth truth.ndjson

    Example: walletwatch simulate --rate 200 --log sqlite:///wallet.db
    """
    _refuse_nonsense(rate, log, config, output)
    if truth is not None:
        refuse_output(truth)
    options = _options(accounts, days, start or _default_start(days, live=bool(rate or log)))
    planted: list[Plant] = []
    kinds: Counter[str] = Counter()
    lines = _lines(traffic.simulate(options, seed, planted), kinds)
    if log is None:
        with _opened(output) as file:
            stopped = _stream(lines, rate, _writer(file, live=rate is not None))
    else:
        stopped = _into_log(lines, rate, log, config)
    if truth is not None:
        planted.sort(key=lambda plant: (plant.at, plant.account_id))
        with _opened(str(truth)) as file:
            file.writelines(plant.line() + b"\n" for plant in planted)
    _report(kinds, planted, stopped, as_json, on_stderr=log is None and output == "-")


def _refuse_nonsense(rate: int | None, log: str | None, config: Path | None, output: str) -> None:
    refuse_wrong_rate(rate, "events")
    if log is not None and output != "-":
        raise UsageError("--log and --output exclude each other: the events go to one place.")
    if config is not None and log is None:
        raise UsageError("--config is about the log: it needs --log.")


def _default_start(days: int, *, live: bool) -> str:
    """Return when the first day begins; a live stream must not run ahead of the clock."""
    if not live:
        return DEFAULT_START
    today = wall_clock() // DAY_MS * DAY_MS
    return format_time(max(0, today - days * DAY_MS))


def _options(accounts: int, days: int, start: str) -> traffic.SimulateConfig:
    try:
        start_ms = parse_time(start)
    except ValueError as error:
        raise UsageError(f"--start is {error}, such as {DEFAULT_START}.") from error
    try:
        return traffic.SimulateConfig(accounts=accounts, days=days, start_ms=start_ms)
    except ValueError as error:
        raise UsageError(f"--{error}.") from error


def _lines(events: Iterable[dict[str, object]], kinds: Counter[str]) -> Iterator[bytes]:
    for event in events:
        kinds[str(event["kind"])] += 1
        yield _line(event)


def _line(record: dict[str, object]) -> bytes:
    return _ENCODE(record) + b"\n"


def _stream(lines: Iterator[bytes], rate: int | None, sink: Sink) -> bool:
    """Pass the lines on, at the rate if there is one; return whether Ctrl-C ended it."""
    try:
        for batch in paced(lines, rate):
            sink(batch)
    except KeyboardInterrupt:
        return True
    return False


def _writer(file: BinaryIO | gzip.GzipFile, *, live: bool) -> Sink:
    def write(batch: list[bytes]) -> None:
        file.writelines(batch)
        if live:
            file.flush()

    return write


def _into_log(lines: Iterator[bytes], rate: int | None, url: str, config: Path | None) -> bool:
    loaded = load_settings(config, environment(), log_url=url)
    with writable_log(loaded) as opened:
        appender = Appender(opened, loaded.settings, wall_clock())

        def append(batch: list[bytes]) -> None:
            appender.take(_SOURCE, ((0, line.rstrip()) for line in batch))

        return _stream(lines, rate, append)


def _report(
    kinds: Counter[str],
    planted: list[Plant],
    stopped: bool,
    as_json: bool,
    *,
    on_stderr: bool,
) -> None:
    """Report what was written: text on stderr; JSON on stdout, unless the events are there."""
    alerts = sum(plant.expect == "alert" for plant in planted)
    silent = len(planted) - alerts
    if as_json:
        counts = {"events": kinds, "must_alert": alerts, "must_not": silent, "stopped": stopped}
        emit(counts, err=on_stderr)
        return
    parts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    say(
        f"{'Stopped. ' if stopped else ''}{kinds.total():,} events, redeliveries included "
        f"({parts}); planted: {alerts} that must alert, {silent} that must not."
    )


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    try:
        with _file(name) as file:
            yield file
    except BrokenPipeError:
        raise  # the reader has closed the pipe: not an error, typer ends quietly
    except OSError as error:
        raise UsageError(f"Cannot write {name}: {error.strerror}.") from error


@contextmanager
def _file(name: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open_output(Path(name)) as file:
        if not name.endswith(".gz"):
            yield file
            return
        # No name and no time in the header: equal seeds give equal bytes.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as compressed:
            yield compressed
