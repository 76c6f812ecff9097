"""Nested NDJSON: an item by the value of one of its keys, and one event per item of an array."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.mapped_files import LOGIN, Mapped, mapped, mapping_of
from worker.convert.lines import MAX_LINE_BYTES

NDJSON = '[input]\nformat = "ndjson"\n'
AT = "2024-01-01T00:00:00Z"


def account(column: str, value: Any) -> str:
    """Return the account that a column of a JSON object gives, or the reason."""
    quoted = column.replace("'", "\\'")
    login = LOGIN.replace('{ constant = "w" }', f'"{quoted}"')
    found = mapped(NDJSON + login, json.dumps({"at": AT} | value))
    return str(found.events[0]["account_id"]) if found.events else found.rejects[1]


META = {"meta": [{"name": "user", "value": "u-1"}, {"name": "ip", "value": "192.0.2.1"}]}
EMPTY = "is empty"
TWICE = "column 'meta[name=user].value' is there twice: two items of 'meta' have that name"


@pytest.mark.parametrize(
    ("column", "value", "account_id"),
    [
        ("meta[name=user].value", META, "u-1"),
        ("meta[name=ip].value", META, "192.0.2.1"),
        ("meta[name=User].value", META, EMPTY),
        ("meta[name=user].values", META, EMPTY),
        ("meta[name=user]", META, EMPTY),
        ("meta[key=user].value", META, EMPTY),
        ("mete[name=user].value", META, EMPTY),
        ("a.b[k=v].c.d", {"a": {"b": [{"k": "v", "c": {"d": "x"}}]}}, "x"),
        ("a[k=v].c.1", {"a": [{"k": "v", "c": ["x", "y"]}]}, "y"),
        ("a[k=v].b[l=w].c", {"a": [{"k": "v", "b": [{"l": "w", "c": "x"}]}]}, "x"),
        ("a[k.l=v].c", {"a": [{"k": {"l": "v"}, "c": "x"}]}, "x"),
        ("a.0.b[k=v].c", {"a": [{"b": [{"k": "v", "c": "x"}]}]}, "x"),
        ("a[k=7].c", {"a": [{"k": 70, "c": "y"}, {"k": 7, "c": "x"}]}, "x"),
        ("a[k=true].c", {"a": [{"k": True, "c": "x"}]}, "x"),
        ("a[k=].c", {"a": [{"k": None, "c": "x"}]}, "x"),
        ("a[k=].c", {"a": [{"k": {"l": 1}, "c": "x"}, {"k": [], "c": "y"}]}, EMPTY),
        ("a[k=v].c", {"a": [{"k": " v ", "c": "x"}]}, "x"),
        ("a[k=v w.x=y].c", {"a": [{"k": "v w.x=y", "c": "x"}]}, "x"),
        ("a[k=v].c", {"a": {"k": "v", "c": "x"}}, "x"),
        ("a[k=v].c", {"a": "v"}, EMPTY),
        ("a[k=v].c", {"a": [["v"], "v", 7, None, {"k": ["v"], "c": "y"}]}, EMPTY),
        ("a[k=v].c", {"a": []}, EMPTY),
        ("a[k=v].c", {"a": [{"k": "v", "c": 12.50}]}, "12.5"),
        ("meta[name=user].value", {"meta": META["meta"] * 2}, TWICE),
    ],
)
def test_an_item_by_the_value_of_one_of_its_keys(
    column: str, value: dict[str, Any], account_id: str
) -> None:
    """Wherever it stands in the array; two of them are a reject."""
    found = account(column, value)
    if account_id == EMPTY:
        assert found == f"account_id: required, but column '{column}' is empty"
    else:
        assert found == account_id


def test_selected_columns_can_be_used_wherever_a_column_can() -> None:
    """In conditions, templates, hashes and extracts; in a CSV file they are plain names."""
    extract = "[[extract]]\ncolumn = 'meta[name=user].value'\npattern = 'u-(?P<user>.*)'\n"
    skip = "[[skip]]\ncolumn = 'meta[name=test].value'\nequals = 'true'\n"
    login = LOGIN.replace('{ constant = "w" }', '{ template = "{user}/{meta[name=ip].value}" }')
    data = json.dumps({"at": AT} | META) + "\n"
    data += json.dumps({"at": AT, "meta": [{"name": "test", "value": True}]})
    found = mapped(NDJSON + extract + skip + login, data)
    assert [event["account_id"] for event in found.events] == ["1/192.0.2.1"]
    assert found.skipped == [2]
    login = LOGIN.replace('{ constant = "w" }', '"Wallet [A=B]"')
    found = mapped('[input]\nformat = "csv"\n' + login, f"at,Wallet [A=B]\n{AT},w\n")
    assert found.events[0]["account_id"] == "w"


WEBHOOK = """
[input]
format = "ndjson"
[[skip]]
each = "refunds"
column = "refunds.state"
equals = "draft"
[[event]]
kind = "transaction"
each = "refunds"
[[event.when]]
column = "refunds.state"
in = ["done", "failed"]
[event.fields]
event_id = "refunds.id"
transaction_id = { template = "{payment}-{item}" }
account_id = "wallet.id"
type = { constant = "refund" }
status = { column = "refunds.state", map = { done = "completed", failed = "failed" } }
amount = "refunds.amount"
currency = "currency"
occurred_at = "at"
extra.shop = "refunds.meta[name=shop].value"
"""


def webhook(*refunds: Any, **more: Any) -> Mapped:
    body = {"payment": "p", "wallet": {"id": "w"}, "currency": "EUR", "at": AT}
    return mapped(WEBHOOK, json.dumps(body | {"refunds": list(refunds)} | more))


def refund(number: str, amount: Any = "1.00", state: str = "done", **more: Any) -> dict[str, Any]:
    return {"id": number, "amount": amount, "state": state} | more


def test_one_event_per_item() -> None:
    """With the columns of the item and those of the whole object; {item} counts from 1."""
    shop = {"meta": [{"name": "x", "value": "y"}, {"name": "shop", "value": "s"}]}
    found = webhook(refund("a", 12.5), refund("b", state="failed", **shop))
    assert [
        (event["event_id"], event["transaction_id"], event["status"], event["amount"])
        for event in found.events
    ] == [("a", "p-1", "completed", "12.5"), ("b", "p-2", "failed", "1.00")]
    assert [event.get("extra") for event in found.events] == [None, {"shop": "s"}]


@pytest.mark.parametrize(
    ("refunds", "outcome"),
    [
        ([], "skipped"),
        (None, "skipped"),
        ("absent", "no event of the mapping is meant for this row; see when and skip"),
        ([refund("a", state="draft")], "skipped"),
        ([refund("a"), refund("b", state="draft")], ["a"]),
        (
            [refund("a"), refund("b", state="new")],
            "item 2 of 'refunds': no event of the mapping is meant for it; see when and skip",
        ),
        (
            [refund("a"), refund("b", "x")],
            "item 2 of 'refunds': amount: column 'refunds.amount' has no digit; see empty",
        ),
        (
            [refund("a"), {"state": "done"}],
            "item 2 of 'refunds': event_id: required, but column 'refunds.id' is empty",
        ),
        (
            [refund("secret " * 9)],
            (
                "item 1 of 'refunds': event_id: must be printable characters without spaces;"
                " see spaces"
            ),
        ),
        (refund("a"), ["a"]),
        ([[refund("a")], [], [refund("b")]], ["a", "b"]),
        (
            "text",
            "item 1 of 'refunds': no event of the mapping is meant for it; see when and skip",
        ),
        (
            [refund("a"), 7, None],
            "item 2 of 'refunds': no event of the mapping is meant for it; see when and skip",
        ),
        ([None, refund("a")], ["a"]),
        (
            [refund("a", meta=[{"name": "shop", "value": 1}] * 2)],
            (
                "item 1 of 'refunds': column 'refunds.meta[name=shop].value' is there twice:"
                " two items of 'refunds.meta' have that name"
            ),
        ),
    ],
)
def test_every_item_is_converted_or_skipped_by_declaration(refunds: Any, outcome: Any) -> None:
    """One that is neither rejects the whole row, with its number; an empty array gives nothing."""
    if refunds == "absent":
        body = {"payment": "p", "wallet": {"id": "w"}, "currency": "EUR", "at": AT}
        found = mapped(WEBHOOK, json.dumps(body))
    else:
        found = webhook(refunds=refunds)
    if outcome == "skipped":
        assert found.skipped == [1]
    elif isinstance(outcome, str):
        assert found.rejects == {1: outcome}
        assert found.events == []
    else:
        assert [event["event_id"] for event in found.events] == outcome


NESTED = """
[input]
format = "ndjson"
[[event]]
kind = "login"
each = "orders.lines"
[event.fields]
event_id = { template = "{orders.id}-{orders.lines.sku}-{item}" }
account_id = { column = "user", default = "w" }
action = { constant = "login" }
outcome = { constant = "success" }
occurred_at = "at"
extra.first = "orders.0.id"
"""


def test_an_array_within_an_array() -> None:
    """An item has the columns of the one that it is in."""
    orders = [
        {"id": "o1", "lines": [{"sku": "a"}, {"sku": "b"}]},
        {"id": "o2"},
        {"id": "o3", "lines": []},
        {"id": "o4", "lines": [{"sku": "c"}]},
    ]
    found = mapped(NESTED, json.dumps({"at": AT, "orders": orders}))
    assert [event["event_id"] for event in found.events] == ["o1-a-1", "o1-b-2", "o4-c-3"]
    assert {event["extra"]["first"] for event in found.events} == {"o1"}
    single = {"at": AT, "orders": {"id": "o", "lines": {"sku": "s"}}}
    assert mapped(NESTED, json.dumps(single)).events[0]["event_id"] == "o-s-1"
    assert mapped(NESTED, json.dumps({"at": AT, "orders": None})).skipped == [1]
    named = NESTED.replace("orders.0.id", "orders.first")
    found = mapped(named, json.dumps({"at": AT, "orders": orders, "orders.first": "f"}))
    assert found.events[0]["extra"] == {"first": "f"}
    tags = NESTED.replace("orders.lines", "tags").replace("{orders.id}-{tags.sku}", "{tags}")
    found = mapped(tags, json.dumps({"at": AT, "tags": ["x", "y"]}))
    assert [event["event_id"] for event in found.events] == ["x-1", "y-2"]


def test_events_of_the_object_and_of_its_items() -> None:
    """Tables are applied in their order; the object may have no items then."""
    mapping = f"{NESTED}{LOGIN}"
    found = mapped(mapping, json.dumps({"at": AT}))
    assert [event["event_id"] for event in found.events] == ["1"]
    orders = [{"id": "o", "lines": [{"sku": "a"}]}]
    found = mapped(mapping, json.dumps({"at": AT, "orders": orders}))
    assert [event["event_id"] for event in found.events] == ["o-a-1", "1"]


def test_two_events_of_each_item_have_one_time() -> None:
    """In the order of the file, which two tables do not read as two files."""
    time = '[time]\nformat = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"\nfold = "file_order"\n'
    one = LOGIN.replace("[event.fields]", 'each = "x"\n[event.fields]')
    one = one.replace('"at"', '"x.at"').replace('"{line}"', '"{item}"')
    items = [{"at": f"26.10.2025 02:{minute}"} for minute in ("10", "50", "05", "40")]
    found = mapped(
        NDJSON + time + one + one.replace("{item}", "{item}-b"), json.dumps({"x": items})
    )
    moments = [event["occurred_at"][11:16] for event in found.events]
    assert moments == ["00:10", "00:50", "01:05", "01:40"] * 2


@pytest.mark.timeout(60)
def test_the_largest_array_of_a_line_takes_bounded_time() -> None:
    """Beside as many keys; nothing is copied once per item."""
    keys = {f"k{number}": 1 for number in range(9_000)}
    lines = [{"sku": number} for number in range(7_000)]
    line = json.dumps({"at": AT, "orders": {"id": "o", "lines": lines, **keys}})
    assert MAX_LINE_BYTES * 0.8 < len(line) < MAX_LINE_BYTES
    assert len(mapped(NESTED, line).events) == len(lines)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        (WEBHOOK.replace("ndjson", "csv"), 'each is only for format = "ndjson"'),
        (
            WEBHOOK.replace('each = "refunds"\n[[event', 'each = ""\n[[event'),
            "at least 1 character",
        ),
        (
            WEBHOOK.replace('each = "refunds"\ncolumn', 'each = "refund"\ncolumn'),
            "skip #1: no event is of each = 'refund'; did you mean 'refunds'?",
        ),
        (
            WEBHOOK.replace('each = "refunds"', 'each = "refunds[a=b]"'),
            "each names keys, with a dot",
        ),
        (WEBHOOK.replace('each = "refunds"', 'each = "a..b"'), "each names keys, with a dot"),
    ],
)
def test_a_wrong_each(mapping: str, sentence: str) -> None:
    """One sentence says what is allowed."""
    with pytest.raises(ValidationError, match=r"\w") as caught:
        mapping_of(mapping)
    assert sentence in str(caught.value)


def test_item_is_a_column_where_there_is_no_each() -> None:
    """A mapping of before keeps its meaning."""
    login = LOGIN.replace('"{line}"', '"{item}-{number}"')
    found = mapped('[input]\nformat = "csv"\n' + login, f"at,item,number\n{AT},a,b\n")
    assert found.events[0]["event_id"] == "a-b"
