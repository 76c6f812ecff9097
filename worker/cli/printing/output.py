"""The output of commands: results on stdout, everything about them on stderr.

Rich on a terminal, plain text elsewhere, JSON where it is asked for. `worker.terminal` prints it,
or it is escaped as there.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from worker.terminal import Mark, echo, emit, say, visible

__all__ = [
    "Mark",
    "ask",
    "echo",
    "emit",
    "say",
    "source_name",
    "table",
    "visible",
    "watched",
]

_ITEMS_PER_STEP: Final = 1_000
_LONGEST_NAME: Final = 256

T = TypeVar("T")


def source_name(file: str) -> str:
    """Return an input's name as dead letters have it: without folders, which may name people."""
    return "stdin" if file == "-" else visible(Path(file).name)[:_LONGEST_NAME]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads: a table on a terminal, else aligned columns."""
    head, *lines = [[visible(str(cell)) for cell in row] for row in (head, *rows)]
    if sys.stdout.isatty():
        rich = Table(*head, box=box.SIMPLE_HEAD)
        for line in lines:
            rich.add_row(*line)
        Console(markup=False, highlight=False, emoji=False).print(rich)
        return
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in [list(head), *lines]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(cells).rstrip())


def ask(question: str) -> None:
    """Ask for a yes on stderr; anything else ends the command."""
    typer.confirm(visible(question), abort=True, err=True)


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
