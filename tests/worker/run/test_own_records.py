"""Which records are of an account."""

import json
from typing import Any

import pytest

from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE, LOGINS, SIGNALS, TRANSACTIONS
from worker.engine.records import Record
from worker.run.own_records import OwnRecords

TOKEN, FORMER = "k2.0123456789abcdef", "k1.fedcba9876543210"
NAME = 'acc-ü"1'
OWN = OwnRecords(NAME, (TOKEN, FORMER))


def record(value: Any, key: bytes | None = b"cause", ascii_: bool = True) -> Record:
    """Return a record; bytes are its value as they are."""
    text = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=ascii_).encode()
    return Record(0, None, key, text)


@pytest.mark.parametrize("ascii_", [True, False])
@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (LOGINS, {"event_id": "e", "account_id": NAME}),
        (ALERTS, {"alert_id": "a", "account_id": NAME}),
        (LATE, {"account_id": NAME}),
        (SIGNALS, {"kind": "alert", "body": {"account_id": NAME}}),
        (SIGNALS, {"kind": "rare_event", "body": {"account": TOKEN}}),
        (SIGNALS, {"kind": "rare_event", "body": {"account": FORMER}}),
        (INCIDENTS, {"account_token": TOKEN}),
        (INCIDENTS, {"account_token": FORMER}),
    ],
)
def test_records_about_it_are_its_own(topic: str, value: Any, ascii_: bool) -> None:
    assert OWN.has(topic, record(value, ascii_=ascii_))


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (LOGINS, {"account_id": f"{NAME}2"}),
        (LOGINS, {"account_id": "other", "device_id": NAME}),
        (TRANSACTIONS, {"account_id": "other", "counterparty_id": NAME}),
        (TRANSACTIONS, {"account_id": "other", "extra": {"account_id": NAME}}),
        (TRANSACTIONS, {"account_id": [NAME]}),
        (ALERTS, {"account_id": "other", "dedup_key": f"rule:account:{TOKEN}"}),
        (SIGNALS, {"kind": "progress", "origin": NAME}),
        (SIGNALS, {"kind": "alert", "body": NAME}),
        (SIGNALS, {"kind": "alert", "body": [TOKEN]}),
        (INCIDENTS, {"account_token": f"{TOKEN}0"}),
        (INCIDENTS, {"account_token": None, "title": NAME}),
        (INCIDENTS, b""),
    ],
)
def test_records_of_others_are_not(topic: str, value: Any) -> None:
    """Whatever they say of the account."""
    assert not OWN.has(topic, record(value))


def test_what_it_keys_is_its_own() -> None:
    """Whatever the value is, or none."""
    assert OWN.has(DEAD_LETTERS, record(b"\xff", NAME.encode()))
    assert OWN.has(DEAD_LETTERS, Record(0, None, NAME.encode(), None))
    assert not OWN.has(DEAD_LETTERS, Record(0, None, None, None))


def test_bytes_that_are_no_json_are_its_own_if_they_quote_it() -> None:
    quoted = json.dumps(NAME, ensure_ascii=False).encode()
    assert OWN.has(DEAD_LETTERS, record(b'{"account_id": ' + quoted))
    assert OWN.has(DEAD_LETTERS, record(b"[" * 100_000 + quoted))
    assert not OWN.has(DEAD_LETTERS, record(b'{"account_id": ' + NAME.encode()))


def test_an_escaped_name_is_the_same_name() -> None:
    """However a producer has written it."""
    escaped = "".join(f"\\u{ord(char):04x}" for char in NAME).encode()
    assert OWN.has(LOGINS, record(b'{"account_id":"' + escaped + b'"}'))
    assert not OWN.has(LOGINS, record(b'{"account_id":"' + escaped + b'2"}'))


def test_an_alert_among_the_signals() -> None:
    assert OWN.has_alert(record({"kind": "alert", "body": {"account_id": NAME}}))
    assert not OWN.has_alert(record({"kind": "rare_event", "body": {"account": TOKEN}}))
    assert not OWN.has_alert(record(b"[" * 100_000 + json.dumps(NAME).encode()))
    assert not OWN.has_alert(Record(0, None, b"k", None))
