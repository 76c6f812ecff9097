"""The committed JSON Schemas are those of the models."""

import json
from pathlib import Path

import schemas
from schemas.export import RECORDS, export

COMMITTED = Path(schemas.__file__).parent / "json"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_committed_schemas_have_not_drifted(tmp_path: Path) -> None:
    """After a change of a model: `walletwatch schema export schemas/json`."""
    export(tmp_path)
    assert contents(tmp_path) == contents(COMMITTED)


def test_one_file_per_record_in_a_new_directory(tmp_path: Path) -> None:
    written = export(tmp_path / "a" / "b")
    assert [path.stem for path in written] == list(RECORDS)
    assert all(path.read_text(encoding="utf-8").endswith("}\n") for path in written)


def test_every_schema_names_its_dialect_and_record() -> None:
    for name, model in RECORDS.items():
        schema = json.loads((COMMITTED / f"{name}.json").read_text(encoding="utf-8"))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == model.__name__
        assert schema["description"]


def test_objects_stay_open() -> None:
    for name in RECORDS:
        text = (COMMITTED / f"{name}.json").read_text(encoding="utf-8")
        assert '"additionalProperties": false' not in text


def test_amounts_and_times_are_text() -> None:
    schema = json.loads((COMMITTED / "transaction.json").read_text(encoding="utf-8"))
    assert schema["properties"]["amount"]["type"] == "string"
    assert schema["properties"]["occurred_at"]["format"] == "date-time"
