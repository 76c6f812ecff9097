"""From settings to rules: which of them run, live or in shadow, and with which parameters."""

from collections.abc import Mapping

from pydantic import ValidationError

from rules.contract import AnyRule, Params
from worker.config.layers import entries_of, from_file, laid_over
from worker.config.load import known_keys
from worker.config.report import sentences
from worker.config.settings import KNOWN_RULES, Mode, Settings
from worker.errors import ConfigError


def build_rules(settings: Settings) -> tuple[list[AnyRule], list[AnyRule]]:
    """Return (the rules that run, live before shadow; all there are of both kinds).

    Raises:
        ConfigError: the candidate's file is wrong; names file, key, and what it may be.
    """
    candidate = candidate_of(settings)
    modes = {rule.id: mode_of(settings, rule.id) for rule in KNOWN_RULES}
    live = [rule(_params(rule, settings.rules[rule.id])) for rule in KNOWN_RULES]
    tried = {**settings.rules, **candidate}
    shadow = [rule(_params(rule, tried[rule.id]), "shadow") for rule in KNOWN_RULES]
    running = [rule for rule in live if modes[rule.id] == "live"]
    running += [rule for rule in shadow if rule.id in candidate or modes[rule.id] == "shadow"]
    return running, live + shadow


def candidate_of(settings: Settings) -> Mapping[str, Params]:
    """Return, by rule, the tables of `shadow.rules_file`, laid over those of the configuration.

    Those that are off then are left out.

    Raises:
        ConfigError: the file cannot be read, or is wrong; names file, key, and what it may be.
    """
    path = settings.shadow.rules_file
    if path is None:
        return {}
    entries = from_file(path, ("rules",))
    configured = {name: section.model_dump() for name, section in settings.rules.items()}
    tree, sources = laid_over([*entries_of({"rules": configured}, "configuration"), *entries])
    try:
        overlaid = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(sentences(error, known_keys(), sources)) from None
    named = {entry.path[1]: overlaid.rules[entry.path[1]] for entry in entries if entry.path[1:]}
    return {name: section for name, section in named.items() if _mode(section) != "off"}


def mode_of(settings: Settings, rule_id: str) -> Mode:
    """Return whether a rule is live, in shadow, or off."""
    return _mode(settings.rules[rule_id])


def _mode(section: Params) -> Mode:
    mode: Mode = getattr(section, "mode")  # noqa: B009 - sections are made at run time
    return mode


def _params(rule: type[AnyRule], section: Params) -> Params:
    params: Params = rule.Params(
        **{name: getattr(section, name) for name in rule.Params.model_fields}
    )
    return params
