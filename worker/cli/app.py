"""The console command: every command by its name, and how each error ends it."""

import logging
import os
import sys
import threading
import traceback
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from walletwatch import packages, start
from worker.cli.commands import COMMANDS, OnDemand
from worker.errors import Exit, WalletwatchError
from worker.terminal import LogLines, Mark, debugging, echo, say, say_exception, visible

_PACKAGES: Final = ("schemas.", "rules.", "worker.")
_PIPE_CLOSED: Final = 141
"""The code that a shell reports if SIGPIPE ended a program; typer does the same for SIGINT."""


class Commands(TyperGroup):
    """Ends every command with one sentence and an exit code, never with a traceback."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = OnDemand()

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options before a command; one that is wrong is escaped, as everything is."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(_PIPE_CLOSED) from None
        except typer.TyperException as error:
            raise _escaped(error) from None

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does, without importing it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command; all that is needed is there then, and the start is over."""
        found = super().resolve_command(ctx, args)
        start.over()
        return found

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an exception becomes a sentence on stderr and an exit code."""
        try:
            outcome = super().invoke(ctx)
            sys.stdout.flush()
            return outcome
        except WalletwatchError as error:
            first, *others = error.lines
            say(f" {first}", *others, mark=Mark("walletwatch:", "red"))
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(_PIPE_CLOSED) from None
        except typer.TyperException as error:
            raise _escaped(error) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort
            _print_internal(error)
            raise typer.Exit(Exit.INTERNAL) from None


def _escaped(error: typer.TyperException) -> typer.TyperException:
    """Return an error of wrong usage, which typer prints itself: it quotes the command line.

    Not if it is the help of a group that was called alone, which has lines.
    """
    context = getattr(error, "ctx", None)
    if context is None or error.message != context.get_help():
        error.message = visible(error.message)
    return error


def _drop_output() -> None:
    """Discard what is still buffered: Python would fail on it again at exit, with code 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _print_internal(error: Exception) -> None:
    """Print type and place only: the message of an unforeseen error may quote an event."""
    places = [
        f"{frame.f_globals.get('__name__', '')}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(_PACKAGES)
    ]
    reason = f" ({error.strerror})" if isinstance(error, OSError) else ""
    say(
        f"walletwatch: internal error: {type(error).__name__}{reason} in {places[-1]}. "
        "What was committed is safe. WALLETWATCH_DEBUG=1 shows the traceback, which may hold "
        "personal data."
    )
    if debugging():
        say_exception(error)


def _version(asked: bool) -> None:
    if asked:
        try:
            echo(f"walletwatch {version('walletwatch')}")
        except PackageNotFoundError:
            echo("walletwatch, not installed")
        raise typer.Exit


app = typer.Typer(
    name="walletwatch",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def walletwatch(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    """Finds anomalies in the event streams of a digital wallet.

    Exit codes: 0 fine; 1 it found what it was asked to look for, a check failed, or part of the
    input could not be processed; 2 usage; 70 internal, such as an unusable log; 78 bad
    configuration; 130 ended by Ctrl-C; 141 the reader of the output has gone.
    """


def _say_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        say_exception(failure.exc_value)


def main() -> None:
    """Run the command line."""
    start.ready()
    packages.refuse_others()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger().addHandler(LogLines(logging.WARNING))
    logging.captureWarnings(True)
    threading.excepthook = _say_failure
    try:
        app(prog_name="walletwatch")
    finally:
        start.end_by_signals()


if __name__ == "__main__":
    main()
