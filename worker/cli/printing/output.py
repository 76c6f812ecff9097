"""The output of commands: results on stdout, everything about them on stderr.

Rich on a terminal, plain text elsewhere, JSON where it is asked for.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_ITEMS_PER_STEP: Final = 1_000
_LONGEST_NAME: Final = 256

T = TypeVar("T")


def say(text: str) -> None:
    """Print a message for people, on stderr."""
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    """Print a value as one line of JSON; paths are texts."""
    typer.echo(msgspec.json.encode(value, enc_hook=str))


def visible(text: str) -> str:
    """Return the text with every character escaped that a terminal might execute or hide."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def source_name(file: str) -> str:
    """Return an input's name as dead letters have it: without folders, which may name people."""
    return "stdin" if file == "-" else visible(Path(file).name)[:_LONGEST_NAME]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads: a table on a terminal, else aligned columns."""
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
    """Yield the items; on a terminal, show how many there were."""
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
