"""The options that commands share, and the log that they name."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from worker.config.load import Loaded
from worker.engine.log import Log
from worker.errors import UsageError
from worker.run.open_log import Interruptible, open_log

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


def environment() -> Mapping[str, str]:
    """Return the environment of the process."""
    return os.environ


@contextmanager
def writable_log(loaded: Loaded, interruptible: Interruptible = nullcontext) -> Iterator[Log]:
    """Open the log of the settings; it is created if it does not exist.

    Args:
        interruptible: see `open_log`.

    Raises:
        ConfigError: its number of partitions differs from that of the configuration.
        LogError: it cannot be used.
    """
    # The default is for new logs only: an existing one may have been made with another number.
    is_set = loaded.sources["log.partitions"] != "default"
    settings = loaded.settings
    log = open_log(
        settings.log.url,
        settings.log.partitions if is_set else None,
        kafka=settings.kafka,
        interruptible=interruptible,
    )
    try:
        yield log
    finally:
        log.close()


@contextmanager
def readable_log(loaded: Loaded) -> Iterator[Log]:
    """Open an existing log, to read it.

    Raises:
        UsageError: it does not exist.
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
