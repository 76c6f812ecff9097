"""The records as JSON Schema (draft 2020-12), for those who write or read them elsewhere."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic.json_schema import JsonSchemaMode

from schemas.alert import Alert
from schemas.base import Published, Record
from schemas.conditions import conditions
from schemas.dead_letter import DeadLetterHeaders
from schemas.examples import EXAMPLES
from schemas.incident import Incident
from schemas.late import LateHeaders
from schemas.notification import Notification
from schemas.signal import Signal
from schemas.topics import KINDS
from schemas.truth import Plant

RECORDS: Mapping[str, type[Record] | type[Published]] = MappingProxyType(
    {
        **{name: kind.model for name, kind in KINDS.items()},
        "alert": Alert,
        "incident": Incident,
        "notification": Notification,
        "signal": Signal,
        "late": LateHeaders,
        "dead_letter": DeadLetterHeaders,
        "truth": Plant,
    }
)
"""By the name of the file, without its suffix. Of late and dead letters: the headers."""


def json_schema(name: str) -> str:
    """Return the JSON Schema text of the records of that name in `RECORDS`."""
    model = RECORDS[name]
    mode: JsonSchemaMode = "validation" if issubclass(model, Record) else "serialization"
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:walletwatch:{name}",
        **model.model_json_schema(mode=mode),
    }
    if rules := conditions(model):
        schema["allOf"] = rules
    schema["examples"] = [EXAMPLES[name]]
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def export(directory: Path) -> list[Path]:
    """Write one JSON Schema file per record and return their paths; makes the directory.

    Raises:
        OSError: a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in RECORDS:
        path = directory / f"{name}.json"
        with open(path, "w", encoding="utf-8", newline="\n", opener=_follow_no_link) as file:
            file.write(json_schema(name))
        paths.append(path)
    return paths


def _follow_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
