"""NDJSON rows: objects flattened to text by dotted names, numbers as they are written."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from worker.convert.jsonvalues import leaf
from worker.convert.lines import TextLine
from worker.convert.rows import BadRow, FileRow

MAX_DEPTH = 16


class _RefusedError(Exception):
    """The JSON cannot be a row; str() is the reason."""


def json_rows(lines: Iterator[TextLine]) -> Iterator[FileRow | BadRow]:
    """Yield one row per line that is not blank: {"user": {"id": 7}} has the column user.id.

    true and false are read as these words, null as empty, list items as name.0, name.1.

    Raises:
        CheckFailed: the stream breaks off.
    """
    for line in lines:
        if line.fault:
            yield BadRow(line.number, line.fault)
        elif line.text.strip():
            yield _row(line)


def _row(line: TextLine) -> FileRow | BadRow:
    try:
        value = json.loads(
            line.text.rstrip(),
            object_pairs_hook=_distinct,
            parse_constant=_refuse_constant,
            # Numbers stay text, as they are written.
            parse_float=str,
            parse_int=str,
        )
        if not isinstance(value, dict):
            return BadRow(line.number, "not a JSON object")
        return FileRow(line.number, _flat(value), value)
    except _RefusedError as refused:
        return BadRow(line.number, str(refused))
    except json.JSONDecodeError as error:
        return BadRow(line.number, f"not JSON from character {error.pos + 1} on")
    except RecursionError:
        return BadRow(line.number, "nested too deeply")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RefusedError("names one column twice")
    return found


def _flat(value: dict[str, Any]) -> dict[str, str]:
    leaves = list(_leaves("", value, 0))
    columns = dict(leaves)
    if len(columns) < len(leaves):
        raise _RefusedError("names one column twice")
    return columns


def _leaves(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            raise _RefusedError("nested too deeply")
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in inner:
            yield from _leaves(f"{name}.{key}" if name else str(key), item, depth + 1)
    else:
        yield name, leaf(value)


def _refuse_constant(_: str) -> NoReturn:
    raise _RefusedError("holds NaN or Infinity")
