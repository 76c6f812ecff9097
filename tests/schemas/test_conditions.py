"""What the JSON Schemas refuse a worker refuses or mends, and their examples are valid."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas.examples import EXAMPLES
from schemas.export import RECORDS, json_schema
from schemas.incident_update import IncidentUpdate
from schemas.topics import INPUTS
from tests.support.events.mutations import FULL, KIND_OF, compact, mutated
from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Control, Limits

VALIDATORS = {name: Draft202012Validator(json.loads(json_schema(name))) for name in RECORDS}


def worker_takes(kind: str, raw: bytes) -> bool:
    """Say whether a worker takes an event with all of its fields as they are."""
    codec = Codec(KIND_OF[kind], Limits())
    found = codec.decode(raw)
    return not isinstance(found, BadRecord | Control) and not codec.mended


def schema_takes(kind: str, event: Any) -> bool:
    """Say whether an event is valid by the JSON Schema."""
    return bool(VALIDATORS[kind].is_valid(event))


# -- the schemas themselves ---------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDS)
def test_a_schema_has_an_id_of_its_own_and_a_valid_example(name: str) -> None:
    schema = json.loads(json_schema(name))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:walletwatch:{name}"
    (example,) = schema["examples"]
    assert example == EXAMPLES[name]
    VALIDATORS[name].validate(example)
    record = RECORDS[name].model_validate_json(json.dumps(example))
    written = json.loads(record.model_dump_json(exclude_unset=True))
    assert written == example


@pytest.mark.parametrize("each", INPUTS, ids=[each.kind for each in INPUTS])
def test_the_example_of_an_event_is_taken_as_it_is_and_is_complete(each: Any) -> None:
    """But for fields that do not apply to what has happened."""
    example = EXAMPLES[each.kind]
    assert worker_takes(each.kind, compact(dict(example)))
    assert {
        name for name in each.model.model_fields if name not in example
    } <= {
        *("extra", "posted_at", "expected_by", "funding_from_balance", "original_transaction_id"),
        *("failure_code", "failure_code_system", "failure_reason", "lock_until"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", FULL)
def test_an_event_with_every_field_is_valid(kind: str) -> None:
    VALIDATORS[kind].validate(FULL[kind]())


# -- rules between fields -----------------------------------------------------------------

NO_BALANCES = dict.fromkeys(("balance_before", "balance_after", "available_balance"))
BARE = {**NO_BALANCES, "fee": None, "funding_from_balance": None}

AGREED: list[tuple[str, dict[str, Any], bool]] = [
    ("transaction", {"balance_kind": None}, False),
    ("transaction", {"balance_kind": None, "balance_before": None}, False),
    ("transaction", {"balance_kind": None, "balance_after": None}, False),
    ("transaction", {"balance_kind": None, **NO_BALANCES}, True),
    ("transaction", NO_BALANCES, True),
    ("transaction", {"balance_after": None}, True),
    ("transaction", {**BARE, "amount": "1.001"}, False),
    ("transaction", {**BARE, "amount": "1.000"}, True),
    ("transaction", {**BARE, "amount": "1.1"}, True),
    ("transaction", {**BARE, "amount": "1.10000"}, True),
    ("transaction", {**BARE, "amount": "1"}, True),
    ("transaction", {**BARE, "currency": "JPY", "amount": "1.0"}, True),
    ("transaction", {**BARE, "currency": "JPY", "amount": "1.5"}, False),
    ("transaction", {**BARE, "currency": "BHD", "amount": "1.555"}, True),
    ("transaction", {**BARE, "currency": "BHD", "amount": "1.5555"}, False),
    ("transaction", {**BARE, "currency": "CLF", "amount": "1.5555"}, True),
    ("transaction", {**BARE, "currency": "HRK", "amount": "1.55"}, True),
    ("transaction", {**BARE, "currency": "ITL", "amount": "1.0"}, True),
    ("transaction", {**BARE, "amount": "9" * 38}, True),
    ("transaction", {**BARE, "amount": "9" * 36 + ".99"}, True),
    ("transaction", {**BARE, "amount": "0." + "0" * 38}, True),
    ("transaction", {**BARE, "amount": "9" * 39}, False),
    ("transaction", {**BARE, "amount": "0." + "0" * 39}, False),
    ("balance", {"balance": "-" + "9" * 38}, True),
    ("balance", {"balance": "-" + "9" * 39}, False),
    ("transaction", {"fee": "0.005"}, False),
    ("transaction", {"fee": "-0.50"}, False),
    ("transaction", {"fee": "-0.00"}, True),
    ("transaction", {"funding_from_balance": "-1.00"}, False),
    ("transaction", {"amount": "-12.50"}, False),
    ("transaction", {"amount": "-12.50", "type": "adjustment"}, True),
    ("transaction", {"amount": "-0.00"}, True),
    ("transaction", {"balance_before": "-12.50"}, True),
    ("transaction", {"available_balance": "1.001"}, False),
    ("transaction", {"counterparty_id": "Jane Doe"}, False),
    ("transaction", {"schema_version": 2}, False),
    ("transaction", {"schema_version": None}, True),
    ("login", {"user_agent": "a\u2028b"}, False),
    ("login", {"user_agent": "a\x85b"}, False),
    ("login", {"user_agent": "deux\u00a0mots, \N{ROCKET}"}, True),
    ("login", {"event_id": "a\u00a0b"}, False),
    ("login", {"event_id": "é" * 128}, True),
    ("login", {"schema_version": 0}, False),
    ("balance", {"balance": "-1.25"}, True),
    ("balance", {"balance": "-1.255"}, False),
    ("balance", {"currency": "KWD", "balance": "1.2555"}, False),
]


@pytest.mark.parametrize(("kind", "changes", "is_taken"), AGREED)
def test_schema_and_worker_agree(kind: str, changes: dict[str, Any], is_taken: bool) -> None:
    for without in (None, *(name for name, value in changes.items() if value is None)):
        event = FULL[kind](**changes)
        if without is not None:
            del event[without]
        assert (schema_takes(kind, event), worker_takes(kind, compact(event))) == (is_taken,) * 2


@settings(max_examples=400)
@given(st.sampled_from(tuple(FULL)), st.integers(0, 2**32))
def test_what_a_schema_refuses_no_worker_takes(kind: str, seed: int) -> None:
    """Of whatever is JSON."""
    raw = mutated(FULL[kind](), random.Random(seed))
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if worker_takes(kind, raw):
        VALIDATORS[kind].validate(event)


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("assign", "owner", "jo"),
        ("note", "note", "seen"),
        ("classify", "root_cause", "third_party"),
        ("link", "external_ticket", {"system": "desk", "id": "T-1"}),
    ],
)
def test_an_update_carries_what_its_action_needs(action: str, field: str, value: object) -> None:
    bare = {name: each for name, each in EXAMPLES["incident_update"].items() if name != "owner"}
    is_valid: Callable[[Any], bool] = VALIDATORS["incident_update"].is_valid
    for event, expected in (
        ({**bare, "action": action}, False),
        ({**bare, "action": action, field: None}, False),
        ({**bare, "action": action, field: value}, True),
        ({**bare, "action": "reopen"}, True),
    ):
        assert is_valid(event) is expected
        try:
            IncidentUpdate.model_validate_json(json.dumps(event))
            assert expected
        except ValidationError:
            assert not expected
