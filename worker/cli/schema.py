"""`walletwatch schema`: the records as JSON Schema."""

import errno
from pathlib import Path
from typing import Annotated

import typer

from schemas.export import export
from worker.cli.options import JsonOption
from worker.cli.printing.output import echo, emit
from worker.errors import ConfigError, UsageError
from worker.outputs import LINK

app = typer.Typer(help="The records that walletwatch reads and writes.", no_args_is_help=True)


@app.command("export")
def export_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Write one JSON Schema file per kind of record, and print their names.

    Exit code 0, 2 if one cannot be written, 78 if one is a link.

    Example: walletwatch schema export schemas/json
    """
    try:
        paths = [str(path) for path in export(directory)]
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ConfigError(f"{error.filename}: {LINK}") from None
        raise UsageError(f"{directory}: {error.strerror or 'cannot be written'}.") from error
    if as_json:
        emit(paths)
        return
    for path in paths:
        echo(path)
