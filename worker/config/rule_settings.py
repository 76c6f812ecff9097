"""From settings to rules: which of them run, live or in shadow, and with which parameters."""

from collections.abc import Mapping

from pydantic import ValidationError

from rules.contract import AnyRule, Params
from worker.config.layers import entries_of, from_file, laid_over
from worker.config.load import MODULES, known_keys
from worker.config.report import sentences
from worker.config.settings import Settings
from worker.errors import ConfigError


def build_rules(settings: Settings) -> tuple[list[AnyRule], list[AnyRule]]:
    """Return (the rules that run, live before shadow; all there are of both kinds).

    Raises:
        ConfigError: the candidate's file is wrong; names file, key, and what it may be.
    """
    section = settings.rules
    candidate = candidate_of(settings)
    modes = {rule.id: section.mode_of(rule.id) for rule in section.known}
    tried = {rule.id: candidate.get(rule.id, section.of(rule.id)) for rule in section.known}
    live = [rule(_params(rule, section.of(rule.id))) for rule in section.known]
    shadow = [rule(_params(rule, tried[rule.id]), "shadow") for rule in section.known]
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
    if any(entry.path[:2] == MODULES for entry in entries):
        raise ConfigError(f"{path}: rules.modules cannot be set here, only tables of rules.")
    model = type(settings)
    configured = {"rules": settings.rules.model_dump()}
    tree, sources = laid_over([*entries_of(configured, "configuration"), *entries])
    try:
        overlaid = model.model_validate(tree).rules
    except ValidationError as error:
        raise ConfigError(*sentences(error, known_keys(model), sources)) from None
    named = dict.fromkeys(entry.path[1] for entry in entries if entry.path[1:])
    return {name: overlaid.of(name) for name in named if overlaid.mode_of(name) != "off"}


def _params(rule: type[AnyRule], table: Params) -> Params:
    named = {name: getattr(table, name) for name in rule.Params.model_fields}
    params: Params = rule.Params(**named)
    return params
