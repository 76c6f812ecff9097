"""The configuration: one frozen settings object, read once.

Laid over each other, key by key: the defaults, `walletwatch.toml`, the environment
(`WALLETWATCH_LOG__URL`: sections and keys joined by two underscores), what the command line
overrides, a rules file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from rules.registry import ALL, RuleType
from worker.config.layers import Entry, from_environment, from_file, laid_over
from worker.config.outside_rules import OWN, outside_rules
from worker.config.report import Key, KeyPath, dotted, keys_of, sentences, set_by
from worker.config.settings import Settings, settings_model
from worker.errors import ConfigError

__all__ = [
    "Loaded",
    "Settings",
    "default_settings",
    "known_keys",
    "load_settings",
    "model_of",
    "value_at",
]

DEFAULT_FILE: Final = "walletwatch.toml"
CONFIG_VARIABLE: Final = "WALLETWATCH_CONFIG"

_OVERLAY_SECTIONS: Final = ("rules", "inputs", "engine", "currencies")
MODULES: Final = ("rules", "modules")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each came from."""

    settings: Settings
    sources: Mapping[str, str]
    """By dotted key: "default", the name of a file, "environment WALLETWATCH_...", "--log"."""
    origins: Mapping[str, str]
    """By id of a rule: "walletwatch", "package my-rules 1.0", "module my_rules.twice"."""


@dataclass(frozen=True, slots=True)
class _Layers:
    """What is laid over the defaults, before anyone knows which keys there are."""

    environ: Mapping[str, str]
    below: Sequence[Entry] = ()
    above: Sequence[Entry] = ()

    def over(self, keys: Mapping[KeyPath, Key]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
        """Return the tree of all values, and the source of each."""
        return laid_over([*self.below, *from_environment(self.environ, keys), *self.above])


@cache
def known_keys(model: type[Settings]) -> Mapping[KeyPath, Key]:
    """Return every key of a configuration that holds a value."""
    return keys_of(model)


def default_settings() -> Settings:
    """Return the settings of an empty configuration, with walletwatch's own rules alone."""
    return settings_model(ALL).model_validate({})


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
        ConfigError: names file or variable, key, and what it may be, or a rule and what it lacks;
            one line per problem.
    """
    above: list[Entry] = []
    if log_url is not None:
        above.append(Entry(("log", "url"), log_url, "--log"))
    if shadow_file is not None:
        above.append(Entry(("shadow", "rules_file"), shadow_file, "--shadow"))
    if rules_file is not None:
        above += from_file(rules_file, _OVERLAY_SECTIONS)
    layers = _Layers(environ, _from_configuration_file(path, environ), above)
    outside = _outside(layers)
    model = settings_model((*ALL, *outside))
    keys = known_keys(model)
    tree, sources = layers.over(keys)
    try:
        settings = model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*sentences(error, keys, sources)) from None
    return Loaded(
        settings,
        {dotted(key): _origin(key, sources) for key in keys},
        {rule.id: outside.get(rule, OWN) for rule in settings.rules.known},
    )


def model_of(path: Path | None, environ: Mapping[str, str]) -> type[Settings]:
    """Return the model of a configuration, whatever else than rules.modules it may say.

    Raises:
        ConfigError: its file cannot be read, or a rule cannot be registered.
    """
    outside = _outside(_Layers(environ, _from_configuration_file(path, environ)))
    return settings_model((*ALL, *outside))


def _outside(layers: _Layers) -> dict[RuleType, str]:
    """Return the rules that are not walletwatch's own, and where each comes from.

    Raises:
        ConfigError: one of them cannot be registered.
    """
    own = settings_model(ALL)
    tree, sources = layers.over(known_keys(own))
    rules = tree.get("rules")
    rules = rules if isinstance(rules, dict) else {}
    named = {key: value for key, value in rules.items() if key == MODULES[-1]}
    try:
        modules = own.model_validate({"rules": named}).rules.modules
    except ValidationError as error:
        raise ConfigError(*sentences(error, known_keys(own), sources)) from None
    return outside_rules(modules, set_by(MODULES, sources))


def _from_configuration_file(path: Path | None, environ: Mapping[str, str]) -> list[Entry]:
    file = path or _usual_file(environ)
    return [] if file is None else from_file(file)


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
