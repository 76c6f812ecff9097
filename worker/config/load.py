"""The configuration: one frozen settings object, read once.

Laid over each other, key by key: the defaults, `walletwatch.toml`, the environment
(`WALLETWATCH_LOG__URL`: sections and keys joined by two underscores), what the command line
overrides, a rules file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from worker.config.layers import Entry, from_environment, from_file, laid_over
from worker.config.report import Key, KeyPath, dotted, keys_of, sentences
from worker.config.settings import Settings
from worker.errors import ConfigError

__all__ = ["Loaded", "Settings", "known_keys", "load_settings", "value_at"]

DEFAULT_FILE: Final = "walletwatch.toml"
CONFIG_VARIABLE: Final = "WALLETWATCH_CONFIG"

_OVERLAY_SECTIONS: Final = ("rules", "inputs", "engine", "currencies")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each came from."""

    settings: Settings
    sources: Mapping[str, str]
    """By dotted key: "default", the name of a file, "environment WALLETWATCH_...", "--log"."""


@cache
def known_keys() -> Mapping[KeyPath, Key]:
    """Return every key of the configuration that holds a value."""
    return keys_of(Settings)


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    rules_file: Path | None = None,
    log_url: str | None = None,
    shadow_file: Path | None = None,
) -> Loaded:
    """Read the configuration once, everything laid over everything.

    Args:
        path: the configuration file; None: $WALLETWATCH_CONFIG, or else ./walletwatch.toml if it
            is there.
        rules_file: laid over the rest; sets rules, inputs, engine and currencies only.
        log_url: what the command line says instead of log.url.
        shadow_file: what the command line says instead of shadow.rules_file.

    Raises:
        ConfigError: names file or variable, key, and what it may be; one line per problem.
    """
    keys = known_keys()
    entries: list[Entry] = []
    if (file := path or _usual_file(environ)) is not None:
        entries += from_file(file)
    entries += from_environment(environ, keys)
    if log_url is not None:
        entries.append(Entry(("log", "url"), log_url, "--log"))
    if shadow_file is not None:
        entries.append(Entry(("shadow", "rules_file"), shadow_file, "--shadow"))
    if rules_file is not None:
        entries += from_file(rules_file, _OVERLAY_SECTIONS)
    tree, sources = laid_over(entries)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(sentences(error, keys, sources)) from None
    return Loaded(settings, {dotted(key): _origin(key, sources) for key in keys})


def _usual_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    usual = Path(DEFAULT_FILE)
    return usual if usual.exists() else None


def _origin(key: KeyPath, sources: Mapping[KeyPath, str]) -> str:
    found = [source for path, source in sources.items() if path[: len(key)] == key]
    return ", ".join(dict.fromkeys(found)) or "default"


def value_at(settings: Settings, path: KeyPath) -> Any:
    """Return the value of a known key."""
    value: Any = settings
    for name in path:
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value
