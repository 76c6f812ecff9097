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

from worker.cli import alerts, config, dlq, incidents, rules, schema, topics
from worker.cli.convert import convert
from worker.cli.demo import demo
from worker.cli.doctor import doctor
from worker.cli.explain import explain
from worker.cli.forget import forget_command
from worker.cli.ingest import ingest
from worker.cli.printing.output import echo, say, visible
from worker.cli.replay import replay_command
from worker.cli.run import run
from worker.cli.simulate import simulate
from worker.cli.tail import tail
from worker.cli.validate import validate
from worker.errors import Exit, WalletwatchError
from worker.terminal import LogLines, Mark, debugging, say_exception

_PACKAGES: Final = ("schemas.", "rules.", "worker.")
_PIPE_CLOSED: Final = 141
"""The code that a shell reports if SIGPIPE ended a program; typer does the same for SIGINT."""


class Commands(TyperGroup):
    """Ends every command with one sentence and an exit code, never with a traceback."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options before a command; one that is wrong is escaped, as everything is."""
        try:
            return super().make_context(*args, **extra)
        except typer.TyperException as error:
            raise _escaped(error) from None

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
    """Return an error of wrong usage, which typer prints itself: it quotes the command line."""
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


app.command()(demo)
app.command()(run)
app.command()(ingest)
app.command("replay")(replay_command)
app.command()(convert)
app.command()(validate)
app.command()(explain)
app.command()(tail)
app.command()(simulate)
app.command("forget")(forget_command)
app.command()(doctor)
app.add_typer(rules.app, name="rules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(incidents.app, name="incidents")
app.add_typer(dlq.app, name="dlq")
app.add_typer(config.app, name="config")
app.add_typer(topics.app, name="topics")
app.add_typer(schema.app, name="schema")


def _say_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        say_exception(failure.exc_value)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger().addHandler(LogLines(logging.WARNING))
    logging.captureWarnings(True)
    threading.excepthook = _say_failure
    app(prog_name="walletwatch")


if __name__ == "__main__":
    main()
