"""The output of commands: results on stdout, everything about them on stderr.

Rich on a terminal, plain text elsewhere, JSON where it is asked for. `worker.terminal` prints it,
or it is escaped as there.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final, TypeVar

import typer

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
_PADDING: Final = 3
"""Of each column of a table on a terminal: a space on both sides, and what divides it."""
_EDGES: Final = 1

T = TypeVar("T")


def source_name(file: str) -> str:
    """Return an input's name as dead letters have it: without folders, which may name people."""
    return "stdin" if file == "-" else visible(Path(file).name)[:_LONGEST_NAME]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads: a table on a terminal, else aligned columns.

    No word is cut or broken: a table that is too wide for the terminal is printed as paragraphs.
    """
    head, *lines = [[visible(str(cell)) for cell in row] for row in (head, *rows)]
    if sys.stdout.isatty():
        _on_terminal(head, lines)
        return
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in [list(head), *lines]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(cells).rstrip())


def _on_terminal(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    # Imported here: what is piped, and most commands, need nothing of it.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(markup=False, highlight=False, emoji=False)
    widths = _widths(list(zip(head, *lines, strict=True)), console.width - _EDGES)
    if widths is None:
        for line in lines:
            echo(*_paragraph(head, line, console.width))
        return
    drawn = Table(box=box.SIMPLE_HEAD)
    for name, width in zip(head, widths, strict=True):
        drawn.add_column(name, width=width)
    for line in lines:
        drawn.add_row(*line)
    console.print(drawn)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return a width for each column, none below that of its longest word; None: no room."""
    from rich.cells import cell_len  # noqa: PLC0415

    least = [
        max(cell_len(word) for cell in each for word in (cell.split() or [""])) for each in columns
    ]
    most = [max(map(cell_len, column)) for column in columns]
    wanted = sum(most) - sum(least)
    spare = min(room - _PADDING * len(columns) - sum(least), wanted)
    if spare < 0:
        return None
    shares = (
        (large - small) * spare // max(wanted, 1) for small, large in zip(least, most, strict=True)
    )
    return [small + share for small, share in zip(least, shares, strict=True)]


def _paragraph(head: Sequence[str], line: Sequence[str], width: int) -> list[str]:
    """Return the first cell in a line of its own, and below it the others that hold something."""
    named = "; ".join(
        f"{name}: {cell}" for name, cell in zip(head[1:], line[1:], strict=True) if cell
    )
    others = wrap(
        named,
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"{head[0]}: {line[0]}", *others]


def ask(question: str) -> None:
    """Ask for a yes on stderr; anything else ends the command."""
    typer.confirm(visible(question), abort=True, err=True)


def watched(items: Iterable[T], what: str) -> Iterator[T]:
    """Yield the items; on a terminal, show how many there were."""
    if not sys.stderr.isatty():
        yield from items
        return
    # Imported here: most commands show no progress.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None)
        for number, item in enumerate(items, 1):
            if number % _ITEMS_PER_STEP == 0:
                bar.update(task, completed=number)
            yield item
