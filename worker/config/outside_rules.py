"""Rules from outside: of installed packages, and of the modules that the configuration names.

They are found, checked and refused when the configuration is loaded; from then on they are rules
like any other. An installed package declares each of its rules as an entry point:

    [project.entry-points."walletwatch.rules"]
    many_password_changes = "my_rules.many_changes:ManyChanges"
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NamedTuple

from rules.contract import Rule
from rules.registry import ALL, RuleType
from worker.config.registration import faults_of
from worker.errors import ConfigError

GROUP: Final = "walletwatch.rules"
OWN: Final = "walletwatch"
"""Where walletwatch's own rules come from."""


class _Found(NamedTuple):
    """A rule class, and where it comes from."""

    rule: RuleType
    origin: str


def outside_rules(modules: Sequence[str], source: str) -> dict[RuleType, str]:
    """Return the rules that are not walletwatch's own in the order of their codes, and the origin
    of each: "package my-rules 1.0", "module my_rules.twice".

    Args:
        modules: the setting rules.modules.
        source: where that was set, for messages.

    Raises:
        ConfigError: one cannot be imported, is no rule, lacks something, or has the id or code of
            another; a line per problem.
    """
    problems: list[str] = []
    found: dict[RuleType, _Found] = {}
    for each in (*_installed(problems), *_named(modules, source, problems)):
        found.setdefault(each.rule, each)
    problems += [
        f"{_place(each)}: {fault}." for each in found.values() for fault in faults_of(each.rule)
    ]
    problems = problems or list(_clashes(found.values()))
    if problems:
        raise ConfigError(*problems)
    ordered = sorted(found.values(), key=lambda each: _order(each.rule.code))
    return {each.rule: each.origin for each in ordered}


def _order(code: str) -> tuple[str, int]:
    letters = code.rstrip("0123456789")
    return letters, int(code.removeprefix(letters))


def _place(found: _Found) -> str:
    return f"{found.origin}: {found.rule.__module__}.{found.rule.__qualname__}"


def _installed(problems: list[str]) -> Iterator[_Found]:
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        origin = _package_of(entry)
        place = f"{origin}: entry point {entry.name} = {entry.value}"
        try:
            rule = entry.load()
        except Exception as error:  # noqa: BLE001 - the code of others may raise anything
            problems.append(f"{place} cannot be loaded: {_reason(error)}.")
            continue
        if _is_rule(rule):
            yield _Found(rule, origin)
        else:
            problems.append(f"{place} must name a class that extends rules.contract.Rule.")


def _package_of(entry: EntryPoint) -> str:
    return f"package {entry.dist.name} {entry.dist.version}" if entry.dist else "a package"


def _named(modules: Sequence[str], source: str, problems: list[str]) -> Iterator[_Found]:
    for name in modules:
        place = f"{source}: rules.modules: {name}"
        try:
            module = import_module(name)
        except Exception as error:  # noqa: BLE001 - the code of others may raise anything
            problems.append(f"{place} cannot be imported: {_reason(error)}.")
            continue
        rules = [each for each in vars(module).values() if _is_own_rule(each, name)]
        yield from (_Found(rule, f"module {name}") for rule in rules)
        if not rules:
            problems.append(
                f"{place} defines no rule: it must have a class that extends rules.contract.Rule "
                "and whose name begins with no underscore."
            )


def _is_rule(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Rule) and value is not Rule


def _is_own_rule(value: Any, module: str) -> bool:
    """Return whether a value is a public rule class of this module, or of one inside it."""
    if not _is_rule(value) or value.__name__.startswith("_"):
        return False
    return f"{value.__module__}.".startswith(f"{module}.")


def _reason(error: Exception) -> str:
    """Return kind and first line of what an import raised."""
    text = str(error).partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _clashes(found: Iterable[_Found]) -> Iterator[str]:
    """Yield a sentence for every rule whose id or code another one has."""
    ids: dict[str, _Found] = {rule.id: _Found(rule, OWN) for rule in ALL}
    codes: dict[str, _Found] = {rule.code: _Found(rule, OWN) for rule in ALL}
    for each in found:
        for what, name, known in (("id", each.rule.id, ids), ("code", each.rule.code, codes)):
            other = known.setdefault(name, each)
            if other is not each:
                yield (
                    f"{_place(each)}: its {what} {name} is that of {_place(other)} too; it must "
                    "be another."
                )
