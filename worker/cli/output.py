"""How commands talk: results on stdout, everything said about them on stderr.

Rich on a terminal, plain text elsewhere, JSON where asked for.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from worker.config.load import Loaded
from worker.engine.log import Log
from worker.errors import UsageError
from worker.run.open_log import open_log

_ITEMS_PER_STEP: Final = 1_000
_LONGEST_NAME: Final = 256
_SQLITE: Final = "sqlite:///"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration file; else $WALLETWATCH_CONFIG, else walletwatch.toml if present.",
    ),
]
LogOption = Annotated[
    str | None, typer.Option("--log", metavar="URL", help="The log, instead of log.url.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

T = TypeVar("T")


def environment() -> Mapping[str, str]:
    """Return the environment of the process."""
    return os.environ


def say(text: str) -> None:
    """Tell people something, on stderr."""
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    """Print a value as one line of JSON; paths are texts."""
    typer.echo(msgspec.json.encode(value, enc_hook=str))


def visible(text: str) -> str:
    """Return the text with everything escaped that a terminal might obey or hide."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def source_name(file: str) -> str:
    """Return an input's name as dead letters carry it: without folders, which may name people."""
    return "stdin" if file == "-" else visible(Path(file).name)[:_LONGEST_NAME]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads: a table on a terminal, aligned columns elsewhere."""
    lines = [[visible(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        rich = Table(*head, box=box.SIMPLE_HEAD)
        for line in lines:
            rich.add_row(*line)
        Console(markup=False, highlight=False).print(rich)
        return
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in [list(head), *lines]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def watched(items: Iterable[T], what: str) -> Iterator[T]:
    """Pass the items on; on a terminal, show how many there were."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=None)
        for number, item in enumerate(items, 1):
            if number % _ITEMS_PER_STEP == 0:
                bar.update(task, completed=number)
            yield item


@contextmanager
def writable_log(loaded: Loaded) -> Iterator[Log]:
    """Open the log of the settings, making it if it is not there.

    Raises:
        ConfigError: it has another number of partitions than the configuration says.
        LogError: it cannot be used.
    """
    # The default is for new logs only: an existing one may have been made with another number.
    told = loaded.sources["log.partitions"] != "default"
    settings = loaded.settings
    log = open_log(
        settings.log.url, settings.log.partitions if told else None, kafka=settings.kafka
    )
    try:
        yield log
    finally:
        log.close()


@contextmanager
def readable_log(loaded: Loaded) -> Iterator[Log]:
    """Open a log that must be there, to look at it.

    Raises:
        UsageError: it is not there.
        LogError: it cannot be used.
    """
    url = loaded.settings.log.url
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        raise UsageError(f"There is no log at {url} yet: walletwatch ingest makes one.")
    log = open_log(url, kafka=loaded.settings.kafka)
    try:
        yield log
    finally:
        log.close()
