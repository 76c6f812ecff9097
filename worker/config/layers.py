"""Where values come from before anyone knows whether they fit: files and the environment."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from worker.config.report import Key, KeyPath, dotted
from worker.errors import ConfigError

PREFIX: Final = "WALLETWATCH_"


class Entry(NamedTuple):
    """One value, and where it was set."""

    path: KeyPath
    value: Any
    source: str


def from_file(path: Path, sections: Iterable[str] | None = None) -> list[Entry]:
    """Return the values of a TOML file, which may hold only the sections given, if any are.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has another section.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Of tomllib's message only the place: the rest may quote the value there.
        place = re.search(r"\(at [^()]*\)$", str(error))
        raise ConfigError(f"{path}: is not valid TOML {place.group() if place else ''}.") from error
    if sections is not None and (others := tree.keys() - set(sections)):
        raise ConfigError(f"{path}: {min(others)} cannot be set here, only {', '.join(sections)}.")
    return entries_of(tree, str(path))


def entries_of(tree: Mapping[str, Any], source: str) -> list[Entry]:
    """Return the values of a tree of tables."""
    return [Entry(key, value, source) for key, value in _leaves((), tree)]


def _leaves(path: KeyPath, tree: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves((*path, name), value)
        else:
            yield (*path, name), value


def from_environment(environ: Mapping[str, str], keys: Mapping[KeyPath, Key]) -> list[Entry]:
    """Return the values of WALLETWATCH_SECTION__KEY variables.

    Names are matched without regard to case, and with an underscore for every character that a
    variable cannot have. Texts stand as they are, everything else as in TOML. Variables without
    a double underscore are none of ours, unless only an underscore is missing.

    Raises:
        ConfigError: a variable lacks only underscores to be a key.
    """
    entries = []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        if "__" not in name:
            _refuse_near_miss(name, keys)
            continue
        path = _resolved(name.removeprefix(PREFIX).split("__"), keys)
        entries.append(Entry(path, _parsed(text, path, keys), f"environment {name}"))
    return entries


def _refuse_near_miss(name: str, keys: Iterable[KeyPath]) -> None:
    for key in keys:
        if name == PREFIX + "_".join(map(_plain, key)):
            raise ConfigError(
                f"environment {name}: sections and keys are joined by two underscores: "
                f"{variable(key)} sets {dotted(key)}."
            )


def variable(path: KeyPath) -> str:
    """Return the name of the environment variable of a key."""
    return PREFIX + "__".join(map(_plain, path))


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _resolved(segments: list[str], keys: Iterable[KeyPath]) -> KeyPath:
    path: KeyPath = ()
    for depth, segment in enumerate(segments):
        names = {key[depth] for key in keys if len(key) > depth and key[:depth] == path}
        same = [name for name in sorted(names) if _plain(name) == _plain(segment)]
        # Inside a free table (currencies) names are codes; elsewhere a typo, reported as written.
        fallback = segment if path in set(keys) else segment.lower()
        path = (*path, same[0] if same else fallback)
    return path


def _parsed(text: str, path: KeyPath, keys: Mapping[KeyPath, Key]) -> Any:
    if path in keys and keys[path].kind == "string":
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def laid_over(entries: Iterable[Entry]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Return the tree of all values, later ones over earlier ones, and the source of each."""
    tree: dict[str, Any] = {}
    sources: dict[KeyPath, str] = {}
    for path, value, source in entries:
        table = tree
        for name in path[:-1]:
            inner = table.get(name)
            if not isinstance(inner, dict):
                inner = table[name] = {}
            table = inner
        if value == {} and isinstance(table.get(path[-1]), dict):
            continue
        table[path[-1]] = value
        sources[path] = source
    return tree, sources
