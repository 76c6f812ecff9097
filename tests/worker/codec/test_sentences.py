"""Whatever is wrong with a record, its dead letter says where, and what is allowed: no value."""

import ast
import inspect
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

import worker
from schemas.alert import Alert
from schemas.control import End, Heartbeat
from schemas.topics import INPUTS
from schemas.truth import Plant
from tests.support.events.mutations import FULL, KIND_OF, mutated
from worker.codec.bad_record import SENTENCES, BadRecord, one_of, problem
from worker.codec.codec import Codec, Limits
from worker.codec.lines import place
from worker.codec.validation import explain

MODELS: Final[tuple[type[BaseModel], ...]] = (
    *(each.model for each in INPUTS),
    *(Heartbeat, End, Alert, Plant),
)
"""Every model whose errors are put into sentences."""

ERRORS: Final[dict[str, tuple[str, ...]]] = {
    "any": (),
    "bool": ("bool_type",),
    "default": (),
    "definition-ref": (),
    "definitions": (),
    "dict": ("dict_type",),
    "float": ("float_type",),
    "function-after": (),
    "function-before": (),
    "int": ("int_type",),
    "json-or-python": (),
    "literal": ("literal_error",),
    "model": ("model_type",),
    "model-field": (),
    "model-fields": (),
    "nullable": (),
    "str": ("string_type",),
    "tuple": ("tuple_type",),
    "union": (),
}
"""By the type of a part of a core schema: what it raises for strict JSON."""

BOUNDS: Final = {
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("str", "pattern"): "string_pattern_mismatch",
    ("int", "ge"): "greater_than_equal",
    ("int", "le"): "less_than_equal",
    ("float", "ge"): "greater_than_equal",
    ("float", "le"): "less_than_equal",
    ("float", "allow_inf_nan"): "finite_number",
    ("dict", "max_length"): "too_long",
    ("tuple", "min_length"): "too_short",
    ("tuple", "max_length"): "too_long",
}
IGNORED: Final = {"serialization", "metadata", "python_schema", "function"}
CONSTRAINTS: Final = {
    *("min_length", "max_length", "pattern", "ge", "le", "gt", "lt", "multiple_of"),
    *("allow_inf_nan", "to_upper", "coerce_numbers_to_str", "fail_fast"),
}


def reachable(part: Any) -> Iterator[str]:
    """Yield the types of errors that a core schema, or a part of one, can raise for JSON."""
    if isinstance(part, list | tuple):
        for each in part:
            yield from reachable(each)
        return
    if not isinstance(part, dict):
        return
    kind = part.get("type")
    if isinstance(kind, str):
        yield from ERRORS[kind]
        yield from (BOUNDS[kind, name] for name in CONSTRAINTS & part.keys())
        if kind == "model-field" and part["schema"]["type"] != "default":
            yield "missing"
        if kind in ("function-after", "function-before"):
            source = inspect.getsource(part["function"]["function"])
            yield from re.findall(r'PydanticCustomError\(\s*"(\w+)"', source)
    for name, each in part.items():
        if name not in IGNORED:
            yield from reachable(each)


def codes_of(source: str) -> Iterator[str]:
    """Yield the codes that a module gives to `bad` and `problem`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            at = {"bad": 2, "problem": 1}.get(node.func.id, len(node.args))
            for argument in node.args[at : at + 1]:
                constants = [each for each in ast.walk(argument) if isinstance(each, ast.Constant)]
                yield from (each.value for each in constants if isinstance(each.value, str))


def of_the_codec() -> set[str]:
    """Return every code that is used anywhere in the worker."""
    modules = Path(worker.__file__ or "").parent.rglob("*.py")
    return {code for path in modules for code in codes_of(path.read_text("utf-8"))}


def test_the_table_has_a_sentence_for_every_error_and_no_other() -> None:
    """A field of a new type, a new bound or a new check fails here until it has one."""
    found = {error for model in MODELS for error in reachable(model.__pydantic_core_schema__)}
    assert {"missing", "literal_error", "timestamp", "balance_kind"} <= found
    assert found | of_the_codec() | {"json_invalid", "other"} == set(SENTENCES)


def test_what_the_table_lacks_is_found() -> None:
    """The checks of the test before can fail."""

    class New(BaseModel):
        at: complex

    with pytest.raises(KeyError):
        list(reachable(New.__pydantic_core_schema__))
    calls = 'bad("schema", name, "a")\nproblem("x", "b" if y else "c")\nother("x", "y", "z")'
    assert list(codes_of(calls)) == ["a", "b", "c"]


def test_what_may_be_filled_in_is_never_a_value() -> None:
    """Names, bounds and positions only."""
    filled = {name for text in SENTENCES.values() for name in re.findall(r"\{(\w+)\}", text)}
    assert filled == {
        *("ge", "le", "expected", "pattern", "max_length", "min_length", "message"),
        *("name", "error", "currency", "decimals", "at", "most", "version", "span", "setting"),
        *("file", "line"),
    }
    assert problem("status", "literal_error", expected="x").what == "x"


def test_a_list_is_told_with_all_that_is_allowed() -> None:
    assert (one_of(["a"]), one_of(("a", "b", "c"))) == ("a", "one of a, b, c")


def test_the_sentences_of_other_records_can_be_filled_in() -> None:
    """Alerts in signals, and lines of a truth."""
    text = '{"late":1,"rule":"A B","sequence":0,"at":5,"evidence":[{"offset":-1}],"facts":{}}'
    with pytest.raises(ValidationError) as caught:
        Alert.model_validate_json(text)
    told = explain(caught.value)
    assert "alert_id: required; kind: required; sequence: must not be less than 1" in told
    with pytest.raises(ValidationError) as caught:
        Alert.model_validate_json('{"late":1,"rule":"A B","parameters":[],"facts":{}}')
    found = caught.value.errors(include_url=False)
    assert {each["type"] for each in found} >= {"bool_type", "string_pattern_mismatch"}
    assert "rule: must match ^[a-z]" in explain(caught.value)
    with pytest.raises(ValidationError) as caught:
        Plant.model_validate_json("[1]")
    assert explain(caught.value) == "record: must be an object"


def test_an_error_without_a_sentence_has_one_all_the_same() -> None:
    """A worker does not stop because a library has a new type of error."""

    class New(BaseModel):
        at: complex

    with pytest.raises(ValidationError) as caught:
        New.model_validate_json('{"at": "x"}')
    assert explain(caught.value) == "at: not as its schema has it"


SENTENCE: Final = re.compile(r"[a-z][a-z_.]*: [^;]*[a-zA-Z0-9)]")


@pytest.mark.parametrize("seed", range(4))
def test_mutants_give_a_sentence_each(seed: int) -> None:
    """With a place that the schema or the record has, and neither a value nor a traceback."""
    chance = random.Random(seed)
    told: set[str] = set()
    codecs = {name: Codec(kind, Limits()) for name, kind in KIND_OF.items()}
    known = {name for model in MODELS for name in model.model_fields} | {"record"}
    for _ in range(1000):
        name = chance.choice(tuple(FULL))
        raw = mutated(FULL[name](), chance)
        for found in (codecs[name].decode(raw), place(raw)):
            if isinstance(found, BadRecord):
                assert all(each.where.split(".")[0] in known for each in found.problems)
                told.update(f"{each.where}: {each.what}" for each in found.problems)
    assert len(told) > 100
    for sentence in told:
        assert SENTENCE.fullmatch(sentence), sentence
        assert not any(value in sentence for value in ("acc-1", "2001:", "phone-1", "north"))
