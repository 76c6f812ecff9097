"""Columns of nested JSON that need more than a dotted name: one item of an array, or each of them.

`meta[name=user].value` is in the item of `meta` whose `name` is `user`. Where one event is made of
each item of `refunds`, `refunds.id` is that of the item. Nothing is copied once per item.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_SELECTOR: Final = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")

Keys = tuple[str, ...]
Chosen = Mapping[Keys, Any]
"""The items that are taken of arrays, by the keys that lead to the array."""


class AmbiguousError(Exception):
    """Two items of an array are meant; str() is the reason, which quotes nothing of the file."""


@dataclass(frozen=True, slots=True)
class _Select:
    """The item that has this text at these keys."""

    array: str
    keys: Keys
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """The way to a column."""

    column: str
    _steps: tuple[str | _Select, ...]

    def text(self, value: Any, chosen: Chosen) -> str:
        """Return the text at the end of the way, "" if there is none.

        Raises:
            AmbiguousError: two items of an array have the text that selects one.
        """
        keys: Keys = ()
        for step in self._steps:
            if isinstance(step, _Select):
                value, keys = self._selected(value, step), (*keys, step.text)
                continue
            if isinstance(value, list) and _is_index(step):
                value = value[int(step)] if int(step) < len(value) else None
            else:
                value = _member(chosen.get(keys) if isinstance(value, list) else value, step)
            keys = (*keys, step)
        return leaf(chosen.get(keys) if isinstance(value, list) else value)

    def _selected(self, value: Any, step: _Select) -> Any:
        items = value if isinstance(value, list) else [value]
        found = [item for item in items if _has(item, step)]
        if len(found) > 1:
            twice = f"two items of {step.array!r} have that {'.'.join(step.keys)}"
            raise AmbiguousError(f"column {self.column!r} is there twice: {twice}")
        return found[0] if found else None


def path_of(column: str) -> Path:
    """Return the way to a column by its name."""
    # "a[k=v].b" splits into "a", "k", "v", ".b": names of keys at every third place.
    parts = _SELECTOR.split(column)
    steps: list[str | _Select] = []
    array = ""
    for place in range(0, len(parts), 3):
        array += parts[place]
        steps += _keys(parts[place])
        if place + 1 < len(parts):
            name, text = parts[place + 1 : place + 3]
            steps.append(_Select(array, _keys(name), text.strip()))
            array += f"[{name}={text}]"
    return Path(column, tuple(steps))


def selects(column: str) -> bool:
    """Return whether the name of a column selects an item of an array."""
    return _SELECTOR.search(column) is not None


def is_there(value: Any, keys: Keys) -> bool:
    """Return whether the keys lead to anything, if only to an array on the way or to null."""
    for key in keys:
        if value is None or isinstance(value, list):
            return True
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def each(
    value: Any, keys: Keys, before: Keys = (), chosen: Chosen | None = None
) -> Iterator[Chosen]:
    """Yield what is chosen for each item of the array at the keys, and of arrays on the way.

    What is no array counts as one of one item, null as an empty one.
    """
    chosen = chosen or {}
    if isinstance(value, list):
        for item in value:
            yield from each(item, keys, before, {**chosen, before: item})
    elif value is not None and not keys:
        yield chosen
    elif isinstance(value, dict) and keys[0] in value:
        yield from each(value[keys[0]], keys[1:], (*before, keys[0]), chosen)


def leaf(value: Any) -> str:
    """Return the text of a value that is no array or object, "" for these and for null."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, dict | list) else str(value).lower()


def _keys(name: str) -> Keys:
    return tuple(key for key in name.split(".") if key)


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdecimal() and len(step) < 10


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _has(item: Any, step: _Select) -> bool:
    if not isinstance(item, dict):
        return False
    for key in step.keys:
        if not isinstance(item, dict) or key not in item:
            return False
        item = item[key]
    return not isinstance(item, dict | list) and leaf(item).strip() == step.text
