"""Logs: the port between tasks and the world, and its implementations."""

from collections.abc import Callable
from pathlib import Path

from worker.errors import ConfigError
from worker.logs.port import Log
from worker.logs.sqlite import SqliteLog, wall_clock

_SQLITE = "sqlite:///"


def open_log(url: str, partitions: int | None = None, clock: Callable[[], int] = wall_clock) -> Log:
    """Open the log of `log.url`, making it if it is not there.

    `sqlite:///wallet.db` is relative to the working directory, `sqlite:////data/wallet.db`
    absolute. A new log gets `partitions` per topic, 4 if None; an existing one must have as many
    as given. `clock` gives milliseconds since the epoch.

    Raises:
        ConfigError: the URL names no log.
        LogError: the log cannot be used.
    """
    path = url.removeprefix(_SQLITE)
    if path in ("", url, ":memory:") or "?" in path:
        raise ConfigError(
            "log.url: expected sqlite:///relative/path.db or sqlite:////absolute/path.db."
        )
    return SqliteLog(Path(path), partitions=partitions, clock=clock)
