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

from rules.contract import Params, Rule
from worker.config_layers import Entry, from_environment, from_file, laid_over
from worker.config_report import Key, KeyPath, dotted, keys_of, sentences
from worker.errors import ConfigError
from worker.settings import KNOWN_RULES, Mode, Settings
from worker.tokens import PUBLIC, Tokens

__all__ = [
    "Loaded",
    "Settings",
    "build_rules",
    "known_keys",
    "load_settings",
    "mode_of",
    "tokens_of",
    "value_at",
]

DEFAULT_FILE: Final = "walletwatch.toml"
CONFIG_VARIABLE: Final = "WALLETWATCH_CONFIG"

_SHORTEST_KEY: Final = 16
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
) -> Loaded:
    """Read the configuration once, everything laid over everything.

    Args:
        path: the configuration file; None: $WALLETWATCH_CONFIG, or else ./walletwatch.toml if it
            is there.
        rules_file: laid over the rest; sets rules, inputs, engine and currencies only.
        log_url: what the command line says instead of log.url.

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


def build_rules(settings: Settings) -> tuple[list[Rule[Any, Any]], list[Rule[Any, Any]]]:
    """Return (the rules that are live, all rules), made with their parameters."""
    every = [rule(_params(rule, settings.rules[rule.id])) for rule in KNOWN_RULES]
    return [rule for rule in every if mode_of(settings, rule.id) == "live"], every


def mode_of(settings: Settings, rule_id: str) -> Mode:
    """Return whether a rule is live or off."""
    mode: Mode = value_at(settings, ("rules", rule_id, "mode"))
    return mode


def _params(rule: type[Rule[Any, Any]], section: Params) -> Params:
    params: Params = rule.Params(
        **{name: getattr(section, name) for name in rule.Params.model_fields}
    )
    return params


def tokens_of(settings: Settings) -> Tokens:
    """Return what makes account tokens, reading the key file if there is one.

    Raises:
        ConfigError: the key file cannot be read, or its key is too short.
    """
    path = settings.tokens.key_file
    if path is None:
        return PUBLIC
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(f"tokens.key_file: {path}: {reason}.") from error
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(f"tokens.key_file: {path}: needs at least {_SHORTEST_KEY} bytes.")
    return Tokens(settings.tokens.key_id, key)
