"""Lookup files: CSV with a header, a flat TOML table or a flat JSON object. No error quotes one."""

import csv
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from worker.convert.formats import Table, Text, wrong
from worker.convert.nearest import nearest
from worker.errors import ConfigError, UsageError

MAX_BYTES: Final = 64 * 1024 * 1024
_ENDINGS: Final = (".csv", ".toml", ".json")

Lookup = dict[str, str]
"""What each text means."""
Lookups = Mapping[str, Lookup]
"""By the name of their table."""


class LookupFile(Table):
    """A file of keys and values; its path begins at the folder of the mapping."""

    file: Text
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    key: Text = "key"
    value: Text = "value"

    @model_validator(mode="after")
    def _ending_is_known(self) -> Self:
        ending = Path(self.file).suffix.lower()
        if ending not in _ENDINGS:
            raise wrong(f"file must end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}")
        if not self.file.isprintable():
            raise wrong("file has a character that cannot be printed")
        if ending != ".csv" and self.model_fields_set != {"file"}:
            raise wrong("delimiter, key and value are only for a CSV file")
        return self


def load_lookups(files: Mapping[str, LookupFile], folder: Path) -> Lookups:
    """Return the contents of every lookup file by the name of its table.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: it is no text, too large, no file of its kind, or gives two values for a key.
    """
    return {name: _load(folder / one.file, one) for name, one in files.items()}


def _load(path: Path, written: LookupFile) -> Lookup:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB")
    read = {".csv": _csv, ".toml": _toml, ".json": _json}[path.suffix.lower()]
    try:
        return read(text, written)
    except ValueError as error:
        raise ConfigError(f"{path} {error}") from None


def _csv(text: str, written: LookupFile) -> Lookup:
    rows = csv.reader(text.splitlines(keepends=True), delimiter=written.delimiter, strict=True)
    lines = _lines(rows)
    _, header = next(lines, (0, None))
    if header is None:
        raise ValueError("has no header line")
    header = [cell.strip() for cell in header]
    places = [_place(name, header) for name in (written.key, written.value)]
    found: Lookup = {}
    for line, row in lines:
        if len(row) != len(header):
            raise ValueError(
                f"line {line} has {len(row)} cells where there are {len(header)} columns"
            )
        key, value = (row[place].strip() for place in places)
        if found.setdefault(key, value) != value:
            raise ValueError(f"line {line} has a key of a line above, and another value")
    return found


def _lines(rows: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise ValueError(f"line {rows.line_num} is not valid CSV") from None
        if row:
            yield rows.line_num, row


def _place(name: str, header: list[str]) -> int:
    count = header.count(name)
    if count > 1:
        raise ValueError(f"has column {name!r} {count} times in its header")
    if not count:
        meant = nearest(name, header)
        hint = f"; did you mean {meant!r}?" if meant else "; see key and value"
        raise ValueError(f"has no column {name!r} in its header{hint}")
    return header.index(name)


def _toml(text: str, _: LookupFile) -> Lookup:
    try:
        pairs = tomllib.loads(text, parse_float=str).items()
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError("is not TOML") from None
    if any(isinstance(value, dict | list) for _, value in pairs):
        raise ValueError("has to be a flat table of keys and texts")
    return _texts(pairs)


def _json(text: str, _: LookupFile) -> Lookup:
    try:
        pairs = json.loads(
            text, object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=list
        )
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(pairs, tuple) or any(isinstance(value, tuple | list) for _, value in pairs):
        raise ValueError("has to be a flat object of keys and texts")
    return _texts(pairs)


def _texts(pairs: Iterable[tuple[str, Any]]) -> Lookup:
    found: Lookup = {}
    for name, value in pairs:
        text = "" if value is None else value if isinstance(value, str) else str(value).lower()
        if found.setdefault(name.strip(), text.strip()) != text.strip():
            raise ValueError("has one key twice, with two values")
    return found
