"""An id or its beginning names an alert, an incident or an event."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.topics import ALERTS, ALERTS_SHADOW, BALANCES, INCIDENTS, LOGINS, TRANSACTIONS
from worker.engine.records import NewRecord
from worker.explain.ids import LISTED, SHORTEST, named
from worker.logs.memory import MemoryLog


def alert(alert_id: Any, topic: str = ALERTS, **fields: Any) -> NewRecord:
    """Return a record of an alert."""
    record = {"alert_id": alert_id, "rule": "some_rule", **fields}
    return NewRecord(topic, b"cause", json.dumps(record).encode(), 0)


def incident(incident_id: str, **fields: Any) -> NewRecord:
    """Return a record of an incident."""
    record = {"incident_id": incident_id, "title": "Some title", **fields}
    return NewRecord(INCIDENTS, incident_id.encode(), json.dumps(record).encode(), 0)


def event(event_id: Any, topic: str = LOGINS, **fields: Any) -> NewRecord:
    """Return an event."""
    record = {"event_id": event_id, "account_id": "acc-1", **fields}
    return NewRecord(topic, b"acc-1", json.dumps(record).encode(), 0)


def raw(value: bytes | None, topic: str = LOGINS) -> NewRecord:
    """Return a record of any bytes."""
    return NewRecord(topic, b"key", value, 0)


def found(records: Sequence[NewRecord], wanted: str) -> list[tuple[str, str]]:
    """Return kind and id of what is named."""
    log = MemoryLog(partitions=1)
    log.append(list(records))
    return [(each.kind, each.id) for each in named(log, wanted)]


A, B, C = "4f1c02aa", "4f1c02bb", "4f1c02cc"
DEEP = b'{"event_id":"4f1c02aa","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("records", "wanted", "ids"),
    [
        # One of each kind, by the whole id and by its beginning.
        ([alert(A)], A, [("alert", A)]),
        ([alert(A)], "4f1c02", [("alert", A)]),
        ([alert(A, ALERTS_SHADOW)], "4f1c02", [("alert", A)]),
        ([incident(A)], A, [("incident", A)]),
        ([incident(A)], "4f1c02a", [("incident", A)]),
        ([event(A)], A, [("event", A)]),
        ([event(A, TRANSACTIONS)], "4f1c02", [("event", A)]),
        ([event(A, BALANCES)], "4f1c02", [("event", A)]),
        # Six characters are enough, five are not, unless they are all of it.
        ([alert(A), incident(B), event(C)], "4f1c0", []),
        ([alert("4f1c0")], "4f1c0", [("alert", "4f1c0")]),
        ([event("e1"), event("e10")], "e1", [("event", "e1")]),
        ([event("e10"), event("e1")], "e1", [("event", "e1")]),
        ([event("e")], "e", [("event", "e")]),
        ([incident("aaa1"), incident("aaa2")], "aaa", []),
        # Several begin so: of one kind, of each kind.
        ([alert(A), alert(B)], "4f1c02", [("alert", A), ("alert", B)]),
        (
            [event(C), incident(B), alert(A)],
            "4f1c02",
            [("alert", A), ("incident", B), ("event", C)],
        ),
        ([alert(A), incident(A)], "4f1c02", [("alert", A), ("incident", A)]),
        # The whole id of one is the beginning of another; the first kind has precedence.
        ([alert("4f1c02"), alert(A)], "4f1c02", [("alert", "4f1c02")]),
        ([alert(A), event("4f1c02")], "4f1c02", [("event", "4f1c02")]),
        ([event(A), incident(A), alert(A)], A, [("alert", A)]),
        ([event(A), incident(A)], A, [("incident", A)]),
        # More records of one id are one.
        ([alert(A), alert(A, sequence=2)], "4f1c02", [("alert", A)]),
        ([alert(A), alert(A, ALERTS_SHADOW)], "4f1c02", [("alert", A)]),
        ([incident(A), incident(A)], "4f1c02", [("incident", A)]),
        ([event(A), event(A), event(A, TRANSACTIONS)], "4f1c02", [("event", A)]),
        # A tombstone takes nothing away: what was published can be explained.
        ([incident(A), raw(None, INCIDENTS)], "4f1c02", [("incident", A)]),
        # Only ids count, wherever else the text is.
        ([event("other", transaction_id=A)], A, []),
        ([event("other", note="4f1c02", alert_id=A, incident_id=A)], "4f1c02", []),
        ([alert("other", evidence=[{"event_id": A}])], A, []),
        ([incident("other", alert_ids=[A])], A, []),
        ([event("x4f1c02")], "4f1c02", []),
        ([event("4F1C02AA")], "4f1c02", []),
        ([event(A)], f"{A}a", []),
        ([event(A)], f" {A}", []),
        # Characters that JSON escapes.
        ([event('say-"hello"')], 'say-"he', [("event", 'say-"hello"')]),
        ([event("back\\slash")], "back\\s", [("event", "back\\slash")]),
        ([event("\u00e9v\u00e9nement")], "\u00e9v\u00e9nem", [("event", "\u00e9v\u00e9nement")]),
        ([event("\U0001f4b8\U0001f4b8abcdef")], "\U0001f4b8\U0001f4b8abcd", [
            ("event", "\U0001f4b8\U0001f4b8abcdef")
        ]),
        ([raw('{"event_id":"\u00e9v\u00e9nement"}'.encode())], "\u00e9v\u00e9nem", [
            ("event", "\u00e9v\u00e9nement")
        ]),
        ([raw(rb'{"event_id":"\u0034f1c02aa"}')], "4f1c02", [("event", A)]),
        ([raw(rb'{"event_id":"a\/bcdefg"}')], "a/bcde", [("event", "a/bcdefg")]),
        # What cannot be read has no id.
        ([raw(b"4f1c02aa")], A, []),
        ([raw(b'["4f1c02aa"]')], A, []),
        ([raw(b'{"event_id":"4f1c02aa"')], A, []),
        ([raw(b'{"event_id":"4f1c02aa\xff"}')], A, []),
        ([raw(b'{"event_id":["4f1c02aa"]}')], A, []),
        ([raw(b'{"event_id":null,"x":"4f1c02aa"}')], A, []),
        ([raw(b'{"event_id":4102000}')], "4102000", []),
        ([raw(DEEP)], A, []),
        ([raw(None), raw(b"")], A, []),
        # Nor is another field in the way.
        ([event(A, account_id=7, rule=[1], title={})], A, [("event", A)]),
        # Nothing, and what no id can be.
        ([], A, []),
        ([alert(A), event("")], "", []),
        ([event(A)], "\udcff\udcff\udcff\udcff\udcff\udcff", []),
        ([raw(b'{"event_id":"??????"}')], "\udcff" * 6, []),
    ],
)  # fmt: skip
def test_an_id_names(records: list[NewRecord], wanted: str, ids: list[tuple[str, str]]) -> None:
    """By its whole, or by six characters or more of its beginning."""
    assert found(records, wanted) == ids


@pytest.mark.parametrize("count", [LISTED - 1, LISTED, LISTED + 1, LISTED + 2, 500])
def test_no_more_are_collected_than_can_be_listed(count: int) -> None:
    """And one more, so that it is seen that there are more; one that fits wholly is found yet."""
    records = [event(f"4f1c02-{n:03}") for n in range(count)]
    assert len(found(records, "4f1c02")) == min(count, LISTED + 1)
    assert found(records, f"4f1c02-{count - 1:03}") == [("event", f"4f1c02-{count - 1:03}")]
    assert found([*records, event("4f1c02")], "4f1c02") == [("event", "4f1c02")]
    assert len("4f1c02") == SHORTEST


def test_what_is_named_has_its_first_address_and_what_it_is_about() -> None:
    """The rule of an alert, the title of an incident, the account of an event."""
    log = MemoryLog(partitions=1)
    log.append([event("other"), event(A), event(A, account_id="acc-2"), alert(B), incident(C)])
    (first,) = named(log, A)
    assert (first.at.topic, first.at.partition, first.record.offset) == (LOGINS, 0, 1)
    abouts = [named(log, each)[0].about for each in (A, B, C)]
    assert abouts == ["acc-1", "some_rule", "Some title"]
