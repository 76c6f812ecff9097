"""Every command by its name. Its module is imported when it runs: no other command pays for it."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
import typer.main


class Command(NamedTuple):
    """Where a command or a group of commands is, and what the list of commands has of it."""

    module: str
    attribute: str
    help: str
    """The first paragraph of its own help."""


COMMANDS: Final[Mapping[str, Command]] = {
    "demo": Command(
        "worker.cli.demo",
        "demo",
        "Simulate a wallet, ingest its events, find what is wrong, and show what was found.",
    ),
    "run": Command(
        "worker.cli.run",
        "run",
        "Read events, publish alerts and incidents, until SIGTERM or Ctrl-C.",
    ),
    "ingest": Command(
        "worker.cli.ingest",
        "ingest",
        "Append events to the log, and print how many each topic got.",
    ),
    "replay": Command(
        "worker.cli.replay",
        "replay_command",
        "Find what is wrong in files of events, of any size, and print a summary.",
    ),
    "convert": Command(
        "worker.cli.convert",
        "convert",
        "Turn CSV, NDJSON or lines of text of a foreign shape into events.",
    ),
    "validate": Command(
        "worker.cli.validate",
        "validate",
        "Check events as a worker would read them, and print what is wrong with each that is bad.",
    ),
    "explain": Command(
        "worker.cli.explain",
        "explain",
        "Explain why an alert was raised, and derive it again from the records it cites.",
    ),
    "tail": Command(
        "worker.cli.tail",
        "tail",
        "Show records of a topic with their append time, partition, offset, key and value.",
    ),
    "simulate": Command(
        "worker.cli.simulate",
        "simulate",
        "Write realistic wallet events, in the order in which they arrive, one JSON object a line.",
    ),
    "forget": Command(
        "worker.cli.forget",
        "forget_command",
        "Remove what detect and triage keep of an account, and end its alerts and incidents.",
    ),
    "doctor": Command(
        "worker.cli.doctor",
        "doctor",
        "Check everything that a worker needs of its log, and print what to do where it fails.",
    ),
    "rules": Command("worker.cli.rules", "app", "The rules that find anomalies."),
    "alerts": Command("worker.cli.alerts", "app", "Alerts: what the rules have found."),
    "incidents": Command(
        "worker.cli.incidents", "app", "Incidents: what is wrong, and since when."
    ),
    "dlq": Command("worker.cli.dlq", "app", "Dead letters: look at them, replay them."),
    "config": Command("worker.cli.config", "app", "The configuration: check it, show it."),
    "topics": Command(
        "worker.cli.topics", "app", "Topics of a Kafka cluster: make them, check them."
    ),
    "schema": Command("worker.cli.schema", "app", "The records that walletwatch reads and writes."),
}


class OnDemand(Mapping[str, Any]):
    """The commands by their names; looking one up imports its module."""

    def __getitem__(self, name: str) -> Any:
        """Return a command.

        Raises:
            KeyError: there is none of that name.
        """
        place = COMMANDS[name]
        found = getattr(import_module(place.module), place.attribute)
        parent = typer.Typer(rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            parent.add_typer(found, name=name)
        else:
            parent.command(name)(found)
        return typer.main.get_group(parent).commands[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in the order in which they are listed."""
        return iter(COMMANDS)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(COMMANDS)
