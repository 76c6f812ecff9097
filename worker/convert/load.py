"""Load a MAP.toml; a wrong one ends with a sentence per mistake."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worker.convert.mapping import Mapping
from worker.errors import ConfigError, UsageError


def load_mapping(path: Path) -> Mapping:
    """Return the mapping in a TOML file.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is no TOML, or no mapping; one line per mistake.
    """
    try:
        # Numbers stay text: a constant 12.50 without quotes must not pass through a float.
        tables = tomllib.loads(path.read_bytes().decode(), parse_float=str)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Of tomllib's message only the place: the rest may quote what is there.
        place = re.search(r"\(at [^()]*\)$", str(error))
        raise ConfigError(f"{path}: not TOML{f' {place.group()}' if place else ''}") from None
    try:
        return Mapping.model_validate(tables)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [
            f"{path}: {_place(mistake['loc'])}"
            f"{'must be a table' if mistake['type'] == 'model_type' else mistake['msg']}"
            for mistake in mistakes
        ]
        raise ConfigError(*dict.fromkeys(map(_printable, lines))) from None


def _printable(line: str) -> str:
    """Escape what cannot be seen: names of keys and patterns may hold it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def _place(location: tuple[Any, ...]) -> str:
    """Write ("event", 0, "fields", "amount") as "event #1.fields.amount: "."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f" #{part + 1}"
        elif part not in ("SignBy", "literal['absolute','opposite']"):
            text += f".{part}" if text else part
    return f"{text}: " if text else ""
