"""Every record: what is accepted, what is refused, and that nothing changes on the way."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.export import RECORDS

TIME = "2026-03-01T10:00:00.250Z"
MILLIS = 1_772_359_200_250

REQUIRED: dict[str, dict[str, Any]] = {
    "transaction": {
        "event_id": "e1",
        "transaction_id": "t1",
        "account_id": "a1",
        "type": "payment",
        "status": "completed",
        "amount": "12.50",
        "currency": "EUR",
        "occurred_at": TIME,
    },
    "login": {
        "event_id": "e1",
        "account_id": "a1",
        "action": "login",
        "outcome": "failure",
        "occurred_at": TIME,
    },
    "balance": {
        "event_id": "e1",
        "account_id": "a1",
        "currency": "BHD",
        "balance": "-0.125",
        "balance_kind": "posted",
        "occurred_at": TIME,
        "as_of": TIME,
        "source": "ledger",
    },
    "incident_update": {
        "update_id": "u1",
        "incident_id": "i1",
        "cause": "provider:acme-pay",
        "action": "acknowledge",
        "actor": "jo on call",
        "occurred_at": TIME,
    },
    "heartbeat": {"kind": "heartbeat", "occurred_at": TIME},
    "end": {"kind": "end", "occurred_at": TIME},
    "alert": {
        "alert_id": "al1",
        "kind": "raised",
        "sequence": 1,
        "rule": "cannot_log_in",
        "rule_version": 1,
        "mode": "live",
        "category": "access",
        "severity": "info",
        "title": "5 failed logins within 10 minutes",
        "cause": "auth",
        "dedup_key": "cannot_log_in:account:k1.0123456789abcdef",
        "at": TIME,
        "first_event_at": TIME,
        "last_event_at": TIME,
        "detected_at": TIME,
        "published_at": TIME,
        "late": False,
        "evidence_total": 0,
        "suspected_root_cause": "user_error",
        "origin": "detect-0",
        "origin_sequence": 0,
    },
    "incident": {
        "incident_id": "i1",
        "dedup_key": "cannot_log_in:account:k1.0123456789abcdef",
        "cause": "auth",
        "category": "access",
        "status": "open",
        "revision": 1,
        "state_revision": 1,
        "severity": "info",
        "priority": "P4",
        "page": False,
        "title": "An account cannot log in",
        "alerts": {"total": 1, "active": 1},
        "first_event_at": TIME,
        "last_event_at": TIME,
        "opened_at": TIME,
        "updated_at": TIME,
        "published_at": TIME,
        "last_change": {"what": "opened", "by": "walletwatch", "at": TIME},
    },
    "notification": {
        "notification_id": "n1",
        "audience": "oncall",
        "template": "incident_opened",
        "severity": "error",
        "reason": "opened",
        "at": TIME,
    },
    "signal": {
        "kind": "progress",
        "detected_at": TIME,
        "origin": "detect-0",
        "origin_sequence": 7,
    },
    "late": {
        "dlq_topic": "wallet.logins",
        "dlq_partition": 0,
        "dlq_offset": 12,
        "dlq_stage": "detect",
        "late_by_ms": 1,
        "late_order_time": TIME,
    },
    "dead_letter": {
        "dlq_topic": "wallet.logins",
        "dlq_partition": 0,
        "dlq_offset": 12,
        "dlq_stage": "detect",
        "dlq_reason": "schema",
        "dlq_error": "occurred_at: missing",
    },
    "truth": {
        "expect": "alert",
        "rule": "cannot_log_in",
        "variant": "plain",
        "account_id": "acc1",
        "event_ids": ["evt1"],
        "at": TIME,
    },
}
"""Of each record exactly the required fields."""


def read(name: str, **changes: Any) -> Any:
    """Parse the minimal record of that name with some fields changed, from its JSON."""
    return RECORDS[name].model_validate_json(json.dumps({**REQUIRED[name], **changes}))


def errors(name: str, **changes: Any) -> list[tuple[tuple[int | str, ...], str]]:
    """Return (location, type) of each error of a record that must be refused."""
    with pytest.raises(ValidationError) as caught:
        read(name, **changes)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


def test_the_examples_cover_every_record() -> None:
    assert set(REQUIRED) == set(RECORDS)


@pytest.mark.parametrize("name", REQUIRED)
def test_the_required_fields_are_enough(name: str) -> None:
    record = read(name)
    for field in REQUIRED[name]:
        assert getattr(record, field) is not None


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, fields in REQUIRED.items() for field in fields]
)
def test_each_required_field_is_required(name: str, field: str) -> None:
    rest = {key: value for key, value in REQUIRED[name].items() if key != field}
    with pytest.raises(ValidationError) as caught:
        RECORDS[name].model_validate_json(json.dumps(rest))
    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [
        ((field,), "missing")
    ]


@pytest.mark.parametrize("name", REQUIRED)
def test_unknown_fields_are_ignored(name: str) -> None:
    assert read(name, field_of_tomorrow={"a": [1]}) == read(name)


@pytest.mark.parametrize("name", REQUIRED)
def test_the_wrong_json_type_is_refused_for_every_required_field(name: str) -> None:
    for field in REQUIRED[name]:
        assert {loc[0] for loc, _ in errors(name, **{field: [None]})} == {field}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_record_cannot_be_changed(name: str) -> None:
    field = next(iter(REQUIRED[name]))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(read(name), field, "other")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("transaction", field) for field in ("amount", "fee", "balance_before")),
        *(("transaction", field) for field in ("available_balance", "funding_from_balance")),
        ("balance", "balance"),
    ],
)
@pytest.mark.parametrize(
    "value", [12, 12.5, "1e3", "+1", "1,5", ".5", "1.", "", " 1", "NaN", "1" * 39, "٣", "1\n"]
)
def test_amounts_are_plain_decimal_text_only(name: str, field: str, value: object) -> None:
    kind = {"balance_kind": "posted"}
    assert errors(name, **{**kind, field: value}) == [((field,), "amount")]


@pytest.mark.parametrize("value", ["eur", "EU", "EUR ", 978, None, "€€€"])
def test_a_wrong_currency_is_an_error_of_its_own_type(value: object) -> None:
    assert errors("transaction", currency=value) == [(("currency",), "currency")]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T10:00:00.250Z",
        "2026-03-01T12:00:00.250+02:00",
        "2026-03-01T04:30:00.2509-05:30",
        "2026-03-01t10:00:00.250999999z",
    ],
)
def test_times_with_any_offset_are_the_same_moment_in_utc(text: str) -> None:
    record = read("alert", at=text)
    assert record.at == MILLIS
    assert json.loads(record.model_dump_json())["at"] == TIME


@pytest.mark.parametrize(
    "value", [MILLIS, "2026-03-01T10:00:00", "2026-03-01", "now", "", None, True]
)
def test_other_times_are_refused_in_json(value: object) -> None:
    assert errors("login", occurred_at=value) == [(("occurred_at",), "timestamp")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""),
        ("event_id", "a b"),
        ("event_id", "a\u00a0b"),
        ("event_id", "a\n"),
        ("event_id", "x" * 129),
        ("event_id", 7),
        ("status", "done"),
        ("ledger_sequence", -1),
        ("ledger_sequence", 2**63),
        ("ledger_sequence", 1.0),
        ("ledger_sequence", True),
        ("country", "de"),
        ("latitude", 90.5),
        ("longitude", "8.5"),
        ("failure_reason", "a\tb"),
        ("failure_reason", "x" * 257),
        ("extra", {str(number): "v" for number in range(17)}),
        ("extra", {"k": 1}),
        ("extra", {"k": "x" * 257}),
        ("authorization", {"method": "pin"}),
        ("kind", "login"),
    ],
)
def test_fields_of_a_transaction_are_bounded(field: str, value: object) -> None:
    assert {loc[0] for loc, _ in errors("transaction", **{field: value})} == {field}


@pytest.mark.parametrize("text", ["deux\u00a0mots", "残高\u3000不足", "\N{ROCKET}\u200d\N{ROCKET}"])
def test_free_text_may_hold_what_is_no_control_character(text: str) -> None:
    assert read("transaction", failure_reason=text).failure_reason == text


def test_a_balance_needs_its_kind() -> None:
    assert errors("transaction", balance_after="1") == [((), "balance_kind")]
    assert read("transaction", balance_after="1", balance_kind="posted").balance_after == "1"


def test_as_of_is_not_after_the_report() -> None:
    assert errors("balance", as_of="2026-03-01T10:00:00.251Z") == [((), "as_of")]


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("assign", "owner", "jo"),
        ("note", "note", "x" * 2000),
        ("classify", "root_cause", "third_party"),
        ("link", "external_ticket", {"system": "desk", "id": "T-1"}),
    ],
)
def test_an_update_carries_what_its_action_needs(action: str, field: str, value: object) -> None:
    assert errors("incident_update", action=action) == [((), "action")]
    assert read("incident_update", action=action, **{field: value}).action == action


def test_notes_of_more_than_2000_characters_are_refused() -> None:
    assert errors("incident_update", note="x" * 2001) == [(("note",), "string_too_long")]


def test_only_the_owners_notification_names_the_account() -> None:
    assert errors("notification", account_id="a1") == [((), "account_id")]
    assert errors("notification", audience="account_owner") == [((), "account_id")]
    assert read("notification", audience="account_owner", account_id="a1").account_id == "a1"


def test_no_message_repeats_a_value() -> None:
    for name, model in RECORDS.items():
        broken: dict[str, Any] = dict.fromkeys(REQUIRED[name], "se cret\n")
        with pytest.raises(ValidationError) as caught:
            model.model_validate(broken)
        assert "cret" not in str(caught.value)
        plain = caught.value.errors(include_input=False, include_url=False, include_context=False)
        assert "cret" not in str(plain)


def test_every_published_field_is_described() -> None:
    def undescribed(model: type[BaseModel]) -> list[str]:
        definitions = model.model_json_schema(mode="serialization")
        objects = [definitions, *definitions.get("$defs", {}).values()]
        return [
            field
            for item in objects
            for field, schema in item.get("properties", {}).items()
            if not schema.get("description")
        ]

    for name in ("alert", "incident", "notification", "signal", "late", "dead_letter", "truth"):
        assert undescribed(RECORDS[name]) == []
