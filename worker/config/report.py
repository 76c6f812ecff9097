"""What keys a settings model has, and sentences about values that do not fit it.

Everything is taken from the model's JSON Schema, so documentation, errors and checks agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

KeyPath = tuple[str, ...]

_ITEMS: Final = {"integer": "whole numbers", "string": "texts"}


class Key(NamedTuple):
    """One key of the configuration that holds a value."""

    path: KeyPath
    kind: str
    """JSON Schema's word: integer, boolean, string, array, object."""
    allowed: str
    """What it may be, in words."""
    default: Any
    description: str


def dotted(path: Iterable[object]) -> str:
    """Return the path as messages print it."""
    return ".".join(map(str, path))


def keys_of(model: type[BaseModel]) -> dict[KeyPath, Key]:
    """Return every key of the model that holds a value, nested tables included."""
    schema = model.model_json_schema()
    return {key.path: key for key in _walk((), schema, schema.get("$defs", {}))}


def _walk(path: KeyPath, schema: dict[str, Any], defs: Mapping[str, Any]) -> Iterable[Key]:
    if "$ref" in schema:
        schema = {**defs[schema["$ref"].rpartition("/")[2]], **schema}
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from _walk((*path, name), inner, defs)
        return
    kinds = schema.get("anyOf", [schema])
    yield Key(
        path=path,
        kind=kinds[0].get("type", "string"),
        allowed=" or ".join(_allowed(kind) for kind in kinds if kind.get("type") != "null"),
        default=schema.get("default"),
        description=schema.get("description", ""),
    )


def _allowed(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    match schema.get("type"):
        case "integer":
            return "a whole number" + _range(schema)
        case "boolean":
            return "true or false"
        case "array":
            return f"a list of {_many(schema['items'])}"
        case "object":
            return f"a table of {_many(schema['additionalProperties'])}"
    return "a path" if schema.get("format") == "path" else "a text"


def _many(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(schema["enum"])
    return _ITEMS.get(schema["type"], "values") + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        return ""
    return f" from {low} to {high}"


def sentences(
    error: ValidationError, keys: Mapping[KeyPath, Key], sources: Mapping[KeyPath, str]
) -> list[str]:
    """Return one line per problem: where it is set, the key, what it may be. Never a value."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    lines = []
    for problem in problems:
        path = tuple(str(part) for part in problem["loc"])
        lines.append(f"{set_by(path, sources)}: {_what(problem, path, keys)}.")
    return list(dict.fromkeys(lines))


def _what(problem: Mapping[str, Any], path: KeyPath, keys: Mapping[KeyPath, Key]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"{dotted(path)} is not known; the nearest valid key is {nearest(path, keys)}"
    if problem["type"] in ("value_error", "assertion_error"):
        return f"{dotted(path)}: {problem['msg'].partition(', ')[2]}"
    if problem["type"] == "model_type":
        return f"{dotted(path)} must be a table"
    key = _key(path, keys)
    if key is None:
        return f"{dotted(path)}: {problem['msg']}"
    inside = f"{dotted(path)}: " if key.kind == "object" and path != key.path else ""
    return f"{inside}{dotted(key.path)} must be {key.allowed}"


def _key(path: KeyPath, keys: Mapping[KeyPath, Key]) -> Key | None:
    """Return the key of a path that may lead into its value."""
    return next((keys[path[:n]] for n in range(len(path), 0, -1) if path[:n] in keys), None)


def nearest(path: KeyPath, keys: Iterable[KeyPath]) -> str:
    """Return the valid key, or table, that is most like an unknown one."""
    known = list(keys)
    depth = len(path) - 1
    siblings = {key[depth] for key in known if len(key) > depth and key[:depth] == path[:depth]}
    close = get_close_matches(path[-1], sorted(siblings), n=1)
    if close:
        return dotted((*path[:-1], *close))
    namesakes = [dotted(key) for key in known if key[-1] == path[-1]]
    candidates = namesakes or [dotted(key) for key in known]
    return get_close_matches(dotted(path), candidates, n=1, cutoff=0)[0]


def set_by(path: KeyPath, sources: Mapping[KeyPath, str]) -> str:
    """Return who set the path, or something inside it, or else something near it."""
    for depth in range(len(path), 0, -1):
        found = [source for key, source in sources.items() if key[:depth] == path[:depth]]
        if found:
            return found[-1]
    return "configuration"


def shown(value: Any) -> str:
    """Return a value as one would write it in the configuration file; empty text for none."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case Mapping():
            inner = (f"{name} = {shown(item)}" for name, item in value.items())
            return "{" + ", ".join(inner) + "}"
        case Sequence() if not isinstance(value, str):
            return "[" + ", ".join(map(shown, value)) + "]"
    return f'"{value}"'
