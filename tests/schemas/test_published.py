"""Alerts, incidents, signals and headers: bounds, and the way to JSON and back."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas import (
    DEAD_LETTER_REASONS,
    Alert,
    AlertCounts,
    DeadLetterHeaders,
    Evidence,
    ExternalTicket,
    Fact,
    Incident,
    LastChange,
    LateHeaders,
    Money,
    Note,
    Signal,
)

AT = 1_772_359_200_250


def evidence(count: int) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(topic="wallet.logins", partition=1, offset=n, event_id=f"e{n}", role="failure")
        for n in range(count)
    )


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "alert_id": "al1",
        "kind": "raised",
        "sequence": 1,
        "rule": "failed_payment_sufficient_balance",
        "rule_version": 2,
        "mode": "live",
        "category": "payment",
        "severity": "error",
        "title": "Payment refused although the balance covers it",
        "cause": "provider:acme-pay",
        "dedup_key": "failed_payment_sufficient_balance:transaction:k1.0123456789abcdef",
        "account_id": "a1",
        "transaction_ids": ("t1", "t2"),
        "provider": "acme-pay",
        "amount_at_stake": (Money(currency="JPY", minor_units=10**20, exponent=0),),
        "at": AT,
        "first_event_at": AT - 1,
        "last_event_at": AT,
        "detected_at": AT,
        "published_at": AT + 9,
        "late": False,
        "evidence": evidence(2),
        "evidence_total": 2,
        "facts": (
            Fact(name="available", value="12.50", event_id="e1", topic="wallet.balances"),
            Fact(name="attempts", value=3),
            Fact(name="vpn", value=True),
            Fact(name="limit_minor"),
        ),
        "parameters": {"retry_grace_ms": 120_000, "codes": {"51": ["funds", None]}},
        "details": {"shortfall_minor": -(10**18), "previous": None},
        "suspected_root_cause": "third_party",
        "owner_advice": ("retry",),
        "origin": "detect-0",
        "origin_sequence": 4,
        "runbook": "docs/runbooks/failed_payment.md",
    }
    return Alert(**{**fields, **changes})


def incident(**changes: Any) -> Incident:
    fields: dict[str, Any] = {
        "incident_id": "i1",
        "dedup_key": "cannot_log_in:account:k1.0123456789abcdef",
        "cause": "auth",
        "category": "access",
        "status": "resolved",
        "previous_incident_id": "i0",
        "revision": 3,
        "state_revision": 2,
        "severity": "warning",
        "priority": "P3",
        "page": False,
        "title": "An account cannot log in",
        "summary": "Cured by a success.",
        "rules": ("cannot_log_in",),
        "account_token": "k1.0123456789abcdef",
        "transactions": 0,
        "alerts": AlertCounts(total=2, active=0, cured=1, retracted=1),
        "alert_ids": ("a1", "a2"),
        "amount_at_stake": (Money(currency="EUR", minor_units=1250, exponent=2),),
        "evidence": evidence(3),
        "evidence_total": 3,
        "suspected_root_cause": "network",
        "first_event_at": AT,
        "last_event_at": AT,
        "opened_at": AT,
        "resolved_at": AT,
        "updated_at": AT,
        "published_at": AT,
        "resolution": "cured",
        "notes": (Note(text="Called the provider.", by="jo", at=AT),),
        "external_ticket": ExternalTicket(system="desk", id="T-1", url="https://desk.test/T-1"),
        "last_change": LastChange(what="alert_cured", by="walletwatch", at=AT),
    }
    return Incident(**{**fields, **changes})


def test_an_alert_is_the_same_after_json() -> None:
    text = alert().model_dump_json(exclude_none=True)
    assert Alert.model_validate_json(text) == alert()
    assert Alert.model_validate_json(text).model_dump_json(exclude_none=True) == text


def test_an_incident_is_the_same_after_json() -> None:
    text = incident().model_dump_json(exclude_none=True)
    assert Incident.model_validate_json(text) == incident()
    assert Incident.model_validate_json(text).model_dump_json(exclude_none=True) == text


def test_published_json_has_times_as_text_and_no_empty_fields() -> None:
    data = json.loads(incident().model_dump_json(exclude_none=True))
    assert data["opened_at"] == "2026-03-01T10:00:00.250Z"
    assert data["last_change"]["at"] == "2026-03-01T10:00:00.250Z"
    assert "sla" not in data
    assert "acknowledged_at" not in data


@pytest.mark.parametrize(
    ("minor_units", "exponent", "amount"),
    [
        (1250, 2, "12.50"),
        (-5, 2, "-0.05"),
        (0, 0, "0"),
        (0, 18, "0.000000000000000000"),
        (2**53 + 1, 0, "9007199254740993"),
        (2**63, 2, "92233720368547758.08"),
        (-(2**63) - 1, 2, "-92233720368547758.09"),
        (2**64, 3, "18446744073709551.616"),
        (10**38 - 1, 18, "99999999999999999999.999999999999999999"),
        (-(10**38) + 1, 0, "-99999999999999999999999999999999999999"),
        (10**38, 18, "100000000000000000000.000000000000000000"),
        (1, 18, "0.000000000000000001"),
    ],
)
def test_money_is_text_too_and_exact(minor_units: int, exponent: int, amount: str) -> None:
    """Records of older releases have no text: they are read as if they had."""
    money = Money(currency="COIN", minor_units=minor_units, exponent=exponent)
    written = money.model_dump_json()
    fields = {"currency": "COIN", "minor_units": minor_units, "exponent": exponent}
    assert json.loads(written) == {**fields, "amount": amount}
    assert Money.model_validate_json(written) == money
    assert Money.model_validate_json(json.dumps(fields)) == money


@pytest.mark.parametrize(
    "amount", ["", "1,5", "1e3", "12.", ".5", " 1", "1\n", "-", "NaN", 12.5, 1]
)
def test_money_as_text_is_a_plain_decimal(amount: object) -> None:
    fields = {"currency": "EUR", "minor_units": 1, "exponent": 2, "amount": amount}
    with pytest.raises(ValidationError):
        Money.model_validate_json(json.dumps(fields))


def test_facts_keep_the_type_of_their_value() -> None:
    facts = Alert.model_validate_json(alert().model_dump_json(exclude_none=True)).facts
    assert [(type(fact.value), fact.value) for fact in facts] == [
        (str, "12.50"),
        (int, 3),
        (bool, True),
        (type(None), None),
    ]


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}])
def test_a_fact_is_no_fraction_and_no_structure(value: Any) -> None:
    with pytest.raises(ValidationError):
        Fact(name="available", value=value)


def test_the_largest_alert_fits_its_bounds() -> None:
    largest = alert(
        title="x" * 130,
        transaction_ids=tuple(f"t{n}" for n in range(20)),
        evidence=evidence(50),
        evidence_total=1_000,
        cause="provider:" + "p" * 128,
    )
    assert Alert.model_validate_json(largest.model_dump_json()) == largest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 131),
        ("title", "two\nlines"),
        ("transaction_ids", tuple(f"t{n}" for n in range(21))),
        ("transaction_ids", ["t1"]),
        ("evidence", evidence(51)),
        ("sequence", 0),
        ("rule", "Failed Payment"),
        ("severity", "fatal"),
        ("mode", "off"),
        ("cause", "a b"),
        ("owner_advice", ("call us",)),
        ("evidence_total", -1),
        ("late", 1),
        ("at", 1.5),
        ("details", {"tuple": (1,)}),
    ],
)
def test_fields_of_an_alert_are_bounded(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        alert(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("incident_id", "i" * 65),
        ("dedup_key", "d" * 129),
        ("title", "x" * 131),
        ("summary", "x" * 1025),
        ("evidence", evidence(51)),
        ("alert_ids", ("a",) * 51),
        ("alert_ids", ("a b",)),
        ("notes", tuple(Note(text="n", by="jo", at=AT) for _ in range(6))),
        ("revision", 0),
        ("priority", "P6"),
        ("resolution", "gone"),
        ("runbook_url", "javascript:alert(1)"),
        ("account_token", "a b"),
    ],
)
def test_fields_of_an_incident_are_bounded(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        incident(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize("exponent", [-1, 19, 2.0])
def test_an_exponent_is_a_whole_number_from_0_to_18(exponent: Any) -> None:
    with pytest.raises(ValidationError):
        Money(currency="EUR", minor_units=1, exponent=exponent)


def test_minor_units_are_whole() -> None:
    with pytest.raises(ValidationError):
        Money.model_validate_json('{"currency": "EUR", "minor_units": 1.0, "exponent": 2}')


RARE_EVENT = {"measure": "lock", "at": AT, "account": "k1.0123456789abcdef", "network": "vpn"}
CAUSE_COUNTS = {
    "measure": "volume",
    "cause": "provider:acme",
    "bucket_ms": 10_000,
    "volumes": ({"at": AT, "detected_at": AT, "revision": 1, "counts": {"attempts": 2}},),
}


def signal(kind: str, body: object) -> Signal:
    return Signal.model_validate(
        {"kind": kind, "detected_at": AT, "origin": "detect-0", "origin_sequence": 1, "body": body}
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("alert", alert()),
        ("event", RARE_EVENT),
        ("count", CAUSE_COUNTS),
        ("progress", None),
    ],
)
def test_a_signal_is_the_same_after_json(kind: str, body: object) -> None:
    original = signal(kind, body)
    assert Signal.model_validate_json(original.model_dump_json(exclude_none=True)) == original


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("alert", None),
        ("alert", {"alert_id": "al1"}),
        ("event", None),
        ("event", CAUSE_COUNTS),
        ("event", {"measure": "lock", "account": "k1.0123456789abcdef"}),
        ("count", alert()),
        ("count", RARE_EVENT),
        ("count", CAUSE_COUNTS | {"volumes": ()}),
        ("count", CAUSE_COUNTS | {"measure": "money"}),
        ("progress", {}),
        ("progress", RARE_EVENT),
        ("event", []),
    ],
)
def test_the_body_of_a_signal_fits_its_kind(kind: str, body: object) -> None:
    with pytest.raises(ValidationError):
        signal(kind, body)


def test_headers_are_names_and_text() -> None:
    headers = LateHeaders(
        dlq_topic="wallet.logins",
        dlq_partition=1,
        dlq_offset=12,
        dlq_timestamp=AT,
        dlq_stage="detect",
        late_by_ms=1500,
        late_order_time=AT + 1500,
    )
    assert dict(headers.to_headers()) == {
        "dlq_reason": b"late",
        "dlq_topic": b"wallet.logins",
        "dlq_partition": b"1",
        "dlq_offset": b"12",
        "dlq_timestamp": b"2026-03-01T10:00:00.250Z",
        "dlq_stage": b"detect",
        "late_by_ms": b"1500",
        "late_order_time": b"2026-03-01T10:00:01.750Z",
    }


def test_a_dead_letter_has_the_documented_headers_and_reasons() -> None:
    assert set(DeadLetterHeaders.model_fields) == {
        "dlq_reason",
        "dlq_topic",
        "dlq_partition",
        "dlq_offset",
        "dlq_timestamp",
        "dlq_stage",
        "dlq_error",
        "dlq_size",
        "dlq_sha256",
        "dlq_key_size",
        "dlq_key_sha256",
    }
    assert DEAD_LETTER_REASONS == (
        "too_large",
        "not_utf8",
        "not_json",
        "too_deep",
        "duplicate_key",
        "schema",
        "key_mismatch",
        "wrong_partition",
        "currency",
        "amount",
        "future_timestamp",
        "event_id_conflict",
        "unsupported_version",
        "rule_error",
        "stale_update",
        "unknown_incident",
    )
