"""Only what identity, money, time and the rules need rejects an event; the rest is mended."""

import json
import random
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rules.events import BALANCE, LOGIN, TRANSACTION, Kind
from schemas.base import cleaned
from schemas.transaction import Transaction
from schemas.wrong_fields import wrong_fields
from tests.support.events.mutations import (
    FULL,
    KIND_OF,
    ODD_VALUES,
    compact,
    full_balance,
    full_login,
    full_transaction,
    object_of,
)
from worker.codec.bad_record import BadRecord
from worker.codec.codec import MAX_DEPTH, Codec, Limits
from worker.codec.fast import MODELS
from worker.codec.mending import HOWS
from worker.detect.redelivery import begun, identity_of

FULL_OF = {KIND_OF[name]: make for name, make in FULL.items()}


def decoded(kind: Kind, raw: bytes) -> tuple[Any, dict[str, str]]:
    """Return the event, and what was done to which field."""
    codec = Codec(kind, Limits())
    event = codec.decode(raw)
    assert set(codec.mended.values()) <= {1}
    return event, {each.field: each.how for each in codec.mended}


def ascii_of(event: dict[str, Any]) -> bytes:
    """Return an event with escapes for all that is not ASCII, halves of surrogate pairs too."""
    return json.dumps(event).encode()


# -- texts --------------------------------------------------------------------------------

LONG = "Mozilla/5.0 (Linux; Android 14) " * 20
TEXTS: list[tuple[str, str, str | None, str]] = [
    ("of 257", "x" * 257, "x" * 256, "cut"),
    ("of a browser within an app", LONG, LONG[:256], "cut"),
    ("of 100,000", "x" * 100_000, "x" * 256, "cut"),
    ("of 257 that are no ASCII", "é" * 257, "é" * 256, "cut"),
    ("of 257 beyond 16 bits", "\N{ROCKET}" * 257, "\N{ROCKET}" * 256, "cut"),
    ("with commas and quotes", '",' * 200, '",' * 128, "cut"),
    ("with a tab", "a\tb", "a b", "cleaned"),
    ("with NUL", "a\0b", "a b", "cleaned"),
    ("with an end of line", "first\r\nsecond", "first second", "cleaned"),
    ("with control characters at its ends", "\x1b[31mred\x07", "[31mred", "cleaned"),
    ("with DEL", "a\x7fb", "a b", "cleaned"),
    ("with NEL, of the second block of controls", "a\x85b", "a b", "cleaned"),
    ("with a separator of lines", "a\u2028b", "a b", "cleaned"),
    ("with a separator of paragraphs", "a\u2029\u2029b", "a b", "cleaned"),
    ("with a first half", "phone \ud83d", "phone", "cleaned"),
    ("with a second half", "\ude00 phone", "phone", "cleaned"),
    ("with halves in the wrong order", "a\ude00\ud83db", "a b", "cleaned"),
    ("with a backslash before what looks like a half", "a\\ud83d\t", "a\\ud83d", "cleaned"),
    ("of 300 with control characters", "ab\n" * 100, "ab " * 85 + "a", "cut"),
    ("that is just short enough when cleaned", "x" * 255 + "\n\n\nx", "x" * 255 + " ", "cut"),
    ("that only has control characters", "\0\t\n", None, "dropped"),
    ("that is empty", "", None, "dropped"),
]


@pytest.mark.parametrize(
    ("text", "taken", "how"), [pytest.param(*case[1:], id=case[0]) for case in TEXTS]
)
@pytest.mark.parametrize(
    ("kind", "field"), [(LOGIN, "user_agent"), (TRANSACTION, "failure_reason")]
)
def test_a_text_is_cut_and_cleaned(
    kind: Kind, field: str, text: str, taken: str | None, how: str
) -> None:
    wrong, right = FULL_OF[kind](), FULL_OF[kind]()
    wrong[field], right[field] = text, taken
    event, mended = decoded(kind, ascii_of(wrong))
    assert mended == {field: how}
    assert event == decoded(kind, ascii_of(right))[0]


@pytest.mark.parametrize(
    "text",
    ["x" * 256, "é" * 256, "\N{ROCKET}", "deux\u00a0mots", "a\\ud800", " ", "\\\\\\u", "\ufffd"],
)
def test_a_text_that_may_be_so_stays(text: str) -> None:
    event, mended = decoded(LOGIN, ascii_of(full_login(user_agent=text)))
    assert (event.user_agent, mended) == (text, {})


def test_control_characters_are_those_that_a_text_must_not_have() -> None:
    """Every one that the check refuses is cleaned, and no other."""
    refused = {"Cc", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        is_clean = cleaned(f"a{chr(code)}b") == f"a{chr(code)}b"
        assert is_clean == (unicodedata.category(chr(code)) not in refused)


@given(st.text(max_size=300))
def test_a_cleaned_text_is_clean(text: str) -> None:
    """Cleaning twice changes nothing, and a text without control characters stays."""
    assert cleaned(cleaned(text)) == cleaned(text)
    event, _ = decoded(LOGIN, ascii_of(full_login(user_agent=f"a{text}")))
    assert event.user_agent == cleaned(f"a{text}")[:256]


# -- what is dropped ----------------------------------------------------------------------

DROPPED: dict[tuple[Kind, str], list[Any]] = {
    (LOGIN, "network"): ["5g", "VPN", "", " mobile", "unknown ", 4],
    (LOGIN, "country"): ["de", "DEU", "", "D1", "ÄÖ", "DE\n", " DE", 49, ["DE"]],
    (LOGIN, "reason"): ["wrong_password", "", "OTHER", "timeout\n", 401],
    (LOGIN, "app_version"): ["7.1 beta", "7.1\t", "", "x" * 129, 7.1, {"v": 7}],
    (LOGIN, "session_id"): ["x" * 400, "a b", "a\u00a0b", "a\u200bb", "\ud800", 1],
    (LOGIN, "ip"): ["192.0.2.1, 192.0.2.2", "x" * 129, "", False, ["::1"]],
    (LOGIN, "channel"): ["mobile app", "\0", 1],
    (LOGIN, "asn"): [-1, 2**63, 1.0, 1.5, "64500", True, [64500]],
    (LOGIN, "failures_counted"): [-1, 2**63, 2.0, "3", False],
    (LOGIN, "latitude"): [90.001, -91, 1e308, "52.5", True, [52.5]],
    (LOGIN, "longitude"): [180.5, -1000, "13", {}],
    (LOGIN, "lock_until"): [
        *("9999-12-31T23:59:59.999Z", "9000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        *("0999-12-31T23:59:59.999Z", "2026-02-30T10:00:00Z", "2026-03-02T11:00:00"),
        *("never", "", 1772445600, -1, True),
    ],
    (TRANSACTION, "counterparty_id"): ["Jane Doe", "x" * 129, "", 17, "a\tb"],
    (TRANSACTION, "merchant_id"): ["Bar & Grill", "", "x" * 1000],
    (TRANSACTION, "device_id"): ["my phone", "\x7f", []],
    (TRANSACTION, "provider"): ["Acme Pay", "", "x" * 129, "é é"],
    (TRANSACTION, "idempotency_key"): ["a b", "x" * 129, 5],
    (TRANSACTION, "initiator"): ["scheduler", "Customer", "", 1],
    (TRANSACTION, "failure_code"): [51, 51.0, True, ["51"], {"code": "51"}],
    (TRANSACTION, "failure_code_system"): ["visa", "", "ISO8583"],
    (TRANSACTION, "authorization"): [
        *({"method": "pin"}, {"method": "face", "result": "passed"}, {}, [], "pin", True),
        *({"method": "pin", "result": None}, {"method": "pin", "result": {"ok": True}}),
    ],
    (TRANSACTION, "posted_at"): ["yesterday", "9999-12-31T00:00:00Z", 0],
    (TRANSACTION, "expected_by"): ["", "9000-01-01T00:00:00Z", "2026-13-01"],
    (TRANSACTION, "client_status"): ["all good", "x" * 129, 200],
    **{
        (kind, "extra"): [
            *({str(number): "x" for number in range(17)}, {"": "x"}, {"x" * 65: ""}, {"x": {}}),
            *({"x": 1}, {"x": None}, {"a\tb": "x"}, {"\ud800": "x"}, [], "branch north", 5),
            {str(number): "x" * 300 for number in range(17)},
        ]
        for kind in (TRANSACTION, LOGIN, BALANCE)
    },
}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(*where, value) for where, values in DROPPED.items() for value in values],
)
def test_what_does_not_fit_is_dropped(kind: Kind, field: str, value: Any) -> None:
    event, mended = decoded(kind, ascii_of(FULL_OF[kind](**{field: value})))
    assert mended == {field: "dropped"}
    assert event == decoded(kind, ascii_of(FULL_OF[kind](**{field: None})))[0]


@pytest.mark.parametrize("number", ["1" * 4400, "-" + "9" * 10_000, "1e1000000", "-1E999"])
@pytest.mark.parametrize("field", ["asn", "latitude", "user_agent", "extra", "shoe_size"])
def test_a_number_of_any_length_rejects_nothing(field: str, number: str) -> None:
    raw = compact(full_login() | {field: "@"}).replace(b'"@"', number.encode())
    event, mended = decoded(LOGIN, raw)
    assert event == decoded(LOGIN, compact(full_login() | {field: None}))[0]
    assert mended == ({} if field == "shoe_size" else {field: "dropped"})


@pytest.mark.parametrize(
    ("given_texts", "taken", "how"),
    [
        ({"a": "x" * 257, "b": "ok"}, {"a": "x" * 256, "b": "ok"}, "cut"),
        ({"a": "x\ny"}, {"a": "x y"}, "cleaned"),
        ({"a": "\0"}, {"a": ""}, "cleaned"),
        ({"a": "\ud83d"}, {"a": ""}, "cleaned"),
        ({"a": "\0" * 300, "b": "é" * 300}, {"a": "", "b": "é" * 256}, "cut"),
        ({f"{n}": "x" * 300 for n in range(16)}, {f"{n}": "x" * 256 for n in range(16)}, "cut"),
    ],
)
def test_the_texts_of_extra_are_cut_and_cleaned(
    given_texts: dict[str, str], taken: dict[str, str], how: str
) -> None:
    event, mended = decoded(BALANCE, ascii_of(full_balance(extra=given_texts)))
    assert (event.extra, mended) == (taken, {"extra": how})


def test_many_wrong_fields_are_mended_at_once() -> None:
    """Each counted; what else the event has is as it came, an unknown field too."""
    codec = Codec(LOGIN, Limits())
    wrong: dict[str, Any] = {
        "user_agent": "x" * 300,
        "network": "5g",
        "lock_until": "9999-12-31T00:00:00Z",
        "extra": {"a": "b\n"},
        "asn": "1",
    }
    event: Any = codec.decode(compact(full_login(shoe_size=43, **wrong)))
    right = full_login() | dict.fromkeys(wrong) | {"user_agent": "x" * 256, "extra": {"a": "b"}}
    assert event == Codec(LOGIN, Limits()).decode(compact(right))
    assert {each.field: each.how for each in codec.mended} == {
        "user_agent": "cut",
        "network": "dropped",
        "lock_until": "dropped",
        "extra": "cleaned",
        "asn": "dropped",
    }
    assert codec.unknown_fields == 1


@pytest.mark.parametrize("numbers", [False, True])
def test_halves_of_pairs_may_be_in_any_place_that_nothing_needs(numbers: bool) -> None:
    """Beside amounts that are numbers too, and in unknown names and values."""
    event = full_transaction(failure_reason="\ud83d", amount="@", unknown={"\ud800": "\udfff"})
    raw = ascii_of(event | {"\udc00": 1}).replace(b'"@"', b"12.50" if numbers else b'"12.50"')
    codec = Codec(TRANSACTION, Limits(accept_json_numbers=numbers))
    expected = Codec(TRANSACTION, Limits()).decode(compact(full_transaction(failure_reason=None)))
    assert codec.decode(raw) == expected
    assert codec.unknown_fields == 2


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("country", "de", "must match ^[A-Z]{2}$"),
        ("authorization", {"method": "pin"}, "result: required"),
        ("authorization", 5, "must be an object"),
        ("extra", {"north": 5}, "*: must be a string"),
        ("extra", {"x" * 65: ""}, "*: must not have more than 64 characters"),
        ("extra", {str(n): "" for n in range(17)}, "must not have more than 16 entries"),
        ("posted_at", "9999-12-31T00:00:00Z", "must be in the years 1000 to 8999"),
        ("failure_reason", "a\tb", "must not contain control characters"),
        ("asn", -1, "must not be less than 0"),
    ],
)
def test_what_is_mended_is_told_with_what_is_allowed(field: str, value: Any, what: str) -> None:
    """And where within the field, but for names that the producer has chosen."""
    codec = Codec(TRANSACTION, Limits())
    codec.decode(compact(full_transaction(**{field: value})))
    assert [(each.field, each.what) for each in codec.mended] == [(field, what)]


# -- what rejects -------------------------------------------------------------------------


def models() -> dict[Kind, type[BaseModel]]:
    """Return the model of each kind of event."""
    return {kind: model for kind, (_, model, _) in MODELS.items()}


FIELDS = [
    (kind, field, wrong)
    for kind, model in models().items()
    for field, wrong in wrong_fields(model).items()
]


def _no_json(name: str) -> None:
    raise ValueError(name)


_JSON = json.JSONDecoder(parse_constant=_no_json)


def usable(odd: str) -> bool:
    """Say whether it is JSON that a field may have as its value, whatever its type."""
    if odd.count("[") >= MAX_DEPTH or odd.count("{") >= MAX_DEPTH or '"a":"b","a"' in odd:
        return False
    try:
        _JSON.decode(odd)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("kind", "field", "wrong"), FIELDS)
def test_a_field_does_what_its_row_says_whatever_its_value(
    kind: Kind, field: str, wrong: Any
) -> None:
    """One that rejects is never mended; one that does not never rejects, and changes no other."""
    event = FULL_OF[kind]()
    done: set[str | bool] = set()
    without, _ = decoded(kind, compact(event | {field: None}))
    for odd in filter(usable, ODD_VALUES):
        pairs = [(json.dumps(n), json.dumps(v)) for n, v in event.items() if n != field]
        found, mended = decoded(kind, object_of([*pairs, (json.dumps(field), odd)]))
        if wrong.consequence == "rejects":
            assert mended == {}
            done.add(type(found) is BadRecord)
            continue
        assert type(found) is MODELS[kind][2]
        assert set(mended) <= {field}
        assert mended.get(field) in (None, *HOWS[wrong.consequence])
        done.update(mended.values())
        if mended.get(field) == "dropped":
            assert found == without
        setattr(found, field, None)
        assert isinstance(without, BadRecord) or found == without
    assert done >= ({True} if wrong.consequence == "rejects" else {"dropped"})


def test_what_is_wrong_and_rejects_is_all_that_is_named() -> None:
    """A producer has to change that only."""
    found, mended = decoded(
        LOGIN, compact(full_login(event_id="a b", network="5g", user_agent="x" * 999))
    )
    assert isinstance(found, BadRecord)
    assert [each.where for each in found.problems] == ["event_id"]
    assert mended == {}


def test_what_is_mended_does_not_hide_what_belongs_together() -> None:
    """A balance of no kind, an amount with too many decimals, a report of what is to come."""
    for kind, event, where in (
        (TRANSACTION, full_transaction(balance_kind=None, network="5g"), "balance_kind"),
        (TRANSACTION, full_transaction(amount="1.001", network="5g"), "amount"),
        (TRANSACTION, full_transaction(currency="XXQ", network="5g"), "currency"),
        (BALANCE, full_balance(as_of="2026-03-02T10:00:01Z", extra=[]), "as_of"),
    ):
        found, mended = decoded(kind, compact(event))
        assert isinstance(found, BadRecord)
        assert ([each.where for each in found.problems], mended) == ([where], {})


def test_every_field_has_one_consequence() -> None:
    for kind, field, wrong in FIELDS:
        is_required = models()[kind].model_fields[field].is_required()
        assert (wrong.needed_by != "") == (wrong.consequence == "rejects")
        assert not is_required or wrong.consequence == "rejects"
    rejecting = {name for name, each in wrong_fields(Transaction).items() if each.needed_by}
    assert {"fee", "fee_mode", "balance_before", "balance_kind", "available_balance"} <= rejecting
    assert {"schema_version", "kind", "funding", "ledger_sequence"} <= rejecting
    assert not rejecting & {"posted_at", "failure_reason", "provider", "extra", "authorization"}


# -- redelivery ---------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_a_redelivery_is_mended_in_the_same_way(seed: int) -> None:
    """In whatever order its fields come; other bytes for the same fields are the same event."""
    event = full_login(user_agent="x\n" * 300, network="5g", extra={"a": "\ud83d"})
    pairs = list(event.items())
    random.Random(seed).shuffle(pairs)
    hashed = begun("wallet.logins", b"key")
    first, again = (decoded(LOGIN, ascii_of(each)) for each in (event, dict(pairs)))
    assert first == again
    assert identity_of(hashed, first[0]) == identity_of(hashed, again[0])
