"""The two ways through the codec agree, nothing makes it raise, and every error has its reason."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.events import BALANCE, LOGIN, TRANSACTION, Balance, Kind, Login, Transaction
from schemas.money import WITHDRAWN
from tests.support.events.mutations import (
    FULL,
    KIND_OF,
    ODD_VALUES,
    Pairs,
    compact,
    full_balance,
    full_login,
    full_transaction,
    mutated,
    object_of,
    written,
)
from worker.codec.bad_record import BadRecord, Problem, Refused
from worker.codec.codec import MAX_DEPTH, Codec, Control, Limits
from worker.codec.fast import MODELS

SECRET = "zq9-marked-zq9"
CURRENCIES = {"EUR": 2, "JPY": 0, "BHD": 3, "CLF": 4, "COIN": 18}

kinds = st.sampled_from(tuple(KIND_OF))
seeds = st.integers(0, 2**32)


def codec(kind: Kind, **limits: Any) -> Codec:
    """Return a codec with a currency of 18 decimals among the usual ones."""
    return Codec(kind, Limits(currencies=CURRENCIES, **limits))


def quickly(of: Codec, raw: bytes) -> Any:
    """Return the event of the quick way, None where it does not accept the bytes."""
    values = of._shape.quick(raw)
    event = None if values is None else of._convert(values, CURRENCIES)
    return None if isinstance(event, BadRecord) else event


def agree(of: Codec, raw: bytes) -> bool:
    """Assert that the careful way gives the same as the quick one; return whether that accepted."""
    event = quickly(of, raw)
    if event is None:
        return False
    try:
        careful = of._careful(raw)
    except Refused as refused:
        careful = refused.bad
    assert type(careful) is type(event)
    assert careful == event
    if len(raw) <= Limits().max_event_bytes:
        assert of.decode(raw) == event
    return True


# -- the two ways -------------------------------------------------------------------------


@settings(max_examples=300)
@given(kinds, seeds)
def test_what_is_valid_and_plain_goes_the_quick_way(kind: str, seed: int) -> None:
    """With any of the optional fields, in any order, with white space; both ways give one event."""
    chance = random.Random(seed)
    event = FULL[kind]()
    required = {
        name for name, field in MODELS[KIND_OF[kind]][1].model_fields.items() if field.is_required()
    } | {"balance_kind"}
    kept = {
        name: value for name, value in event.items() if name in required or chance.random() < 0.5
    }
    pairs = [(json.dumps(name), json.dumps(value)) for name, value in kept.items()]
    assert agree(codec(KIND_OF[kind]), written(pairs, chance))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, bytes]:
    """An object with fields of one kind, some of them odd, unknown, missing or there twice."""
    kind = draw(kinds)
    odd = (
        st.sampled_from(ODD_VALUES)
        | st.text(max_size=130).map(json.dumps)
        | st.one_of(
            st.integers().map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.text(max_size=10).map(lambda text: json.dumps(text, ensure_ascii=False)),
            st.dictionaries(st.text(max_size=66), st.text(max_size=5), max_size=18).map(json.dumps),
        )
    )
    pairs: Pairs = [(json.dumps(n), json.dumps(v)) for n, v in FULL[kind]().items()]
    names = [name for name, _ in pairs]
    for name in draw(st.sets(st.sampled_from(names), max_size=4)):
        pairs[names.index(name)] = (name, draw(odd))
    unknown = st.text(max_size=3).map(json.dumps)
    pairs += draw(st.lists(st.tuples(unknown | st.sampled_from(names), odd), max_size=1))
    random.Random(draw(seeds)).shuffle(pairs)
    text = written(pairs, random.Random(draw(seeds)))
    return kind, text if draw(st.booleans()) else text.replace(b"a", b"\\u0061", 1)


@settings(max_examples=600)
@given(documents(), st.booleans())
def test_what_the_quick_way_accepts_the_careful_way_accepts_equally(
    document: tuple[str, bytes], numbers: bool
) -> None:
    kind, raw = document
    agree(codec(KIND_OF[kind], accept_json_numbers=numbers), raw)


@pytest.mark.parametrize("kind", FULL)
def test_every_field_with_every_odd_value_gives_one_answer(kind: str) -> None:
    """The same, for each pair of field and odd value: nothing is left to chance here."""
    one, event = codec(KIND_OF[kind]), FULL[kind]()
    accepted = 0
    for name in event:
        for odd in ODD_VALUES:
            pairs = [(json.dumps(n), json.dumps(v)) for n, v in event.items() if n != name]
            raw = object_of([(json.dumps(name), odd), *pairs])
            accepted += agree(one, raw)
            assert isinstance(one.decode(raw), (BadRecord, MODELS[KIND_OF[kind]][2]))
    assert accepted > 5 * len(event)


@settings(max_examples=300)
@given(kinds, st.binary(max_size=200), st.booleans())
def test_no_bytes_make_it_raise(kind: str, raw: bytes, numbers: bool) -> None:
    for value in (raw, b'{"kind":"%b"' % raw, raw.decode("latin-1").encode(), b'"' * len(raw)):
        codec(KIND_OF[kind], accept_json_numbers=numbers).decode(value)


@settings(max_examples=500)
@given(kinds, seeds, st.booleans())
def test_no_mutation_makes_it_raise_or_the_two_ways_differ(
    kind: str, seed: int, numbers: bool
) -> None:
    raw = mutated(FULL[kind](), random.Random(seed))
    one = codec(KIND_OF[kind], accept_json_numbers=numbers)
    assert one.decode(raw) == one.decode(raw)
    agree(one, raw)


def test_a_missing_quote_costs_no_more_than_reading_the_text() -> None:
    """Searching its end from every escaped quote would take minutes here."""
    raw = b'{"a":"' + b'\\"' * 120_000
    assert isinstance(codec(LOGIN).decode(raw), BadRecord)


# -- what comes out -----------------------------------------------------------------------


def test_money_and_time_are_whole_numbers() -> None:
    event = codec(TRANSACTION).decode(compact(full_transaction()))
    assert isinstance(event, Transaction)
    assert (event.amount, event.fee, event.balance_before, event.exponent) == (1250, 50, 10000, 2)
    assert event.posted_at == event.occurred_at + 500 - 3_600_000


@pytest.mark.parametrize(
    ("currency", "text", "minor"),
    [
        ("EUR", "9999999999999999.99", 10**18 - 1),
        ("EUR", "10000000000000000", 10**18),
        ("JPY", "999999999999999999", 10**18 - 1),
        ("EUR", "9" * 18, int("9" * 18 + "00")),
        ("EUR", "90071992547409.93", 2**53 + 1),
        ("EUR", "92233720368547758.07", 2**63 - 1),
        ("EUR", "92233720368547758.08", 2**63),
        ("JPY", "18446744073709551615", 2**64 - 1),
        ("JPY", "18446744073709551616", 2**64),
        ("COIN", "18.446744073709551616", 2**64),
        ("COIN", "1.000000000000000001", 10**18 + 1),
        ("COIN", "9" * 20 + "." + "9" * 18, 10**38 - 1),
        ("COIN", "0." + "0" * 17 + "1" + "0" * 20, 1),
        ("EUR", "9" * 36 + ".99", 10**38 - 1),
        ("JPY", "9" * 38, 10**38 - 1),
        ("JPY", "0" + "9" * 38, 10**38 - 1),
        ("COIN", "9" * 38, (10**38 - 1) * 10**18),
        ("JPY", "5.00", 5),
        ("COIN", "0.12345678901234567", 123456789012345670),
        ("EUR", "-0.00", 0),
    ],
)
def test_amounts_are_exact(currency: str, text: str, minor: int) -> None:
    """Of 38 digits too, which is more than a float or 64 bits have; both ways of the codec."""
    raw = compact(
        full_transaction(
            currency=currency,
            amount=text,
            fee=None,
            balance_before=None,
            balance_after=None,
            available_balance=None,
            funding_from_balance=None,
        )
    )
    for each in (raw, raw.replace(b"}", b',"unknown":[]}')):
        event = codec(TRANSACTION).decode(each)
        assert isinstance(event, Transaction)
        assert event.amount == minor


@pytest.mark.parametrize(
    ("currency", "text", "minor"),
    [("HRK", "10.00", 1000), ("BGN", "0.01", 1), ("DEM", "1.5", 150), ("ITL", "1000", 1000)],
)
def test_withdrawn_currencies_are_known(currency: str, text: str, minor: int) -> None:
    """A configuration may give them other decimals, and then it decides."""
    raw = compact(full_balance(currency=currency, balance=text))
    event = Codec(BALANCE, Limits()).decode(raw)
    assert isinstance(event, Balance)
    assert event.balance == minor
    other = Codec(BALANCE, Limits(currencies={currency: 3})).decode(raw)
    assert isinstance(other, Balance)
    assert (other.balance, other.exponent) == (minor * 10 ** (3 - WITHDRAWN[currency]), 3)


def test_a_withdrawn_currency_has_its_decimals() -> None:
    found = Codec(BALANCE, Limits()).decode(compact(full_balance(currency="ITL", balance="1.5")))
    what = "more decimals than ITL has (0)"
    assert found == BadRecord("amount", (Problem("balance", what),))


@pytest.mark.parametrize("text", ["1" * 39, "0." + "0" * 39, "1." + "0" * 38, "-" + "1" * 39])
def test_39_digits_are_no_amount(text: str) -> None:
    """Of no field, whatever the currency; the sentence has no digit of it."""
    for name in ("amount", "fee", "balance_before", "available_balance", "hold_remaining"):
        raw = compact(full_transaction(currency="COIN", **{name: text}))
        what = "must be plain decimal notation with at most 38 digits and no exponent"
        assert codec(TRANSACTION).decode(raw) == BadRecord("amount", (Problem(name, what),))


def test_unknown_fields_are_ignored_and_counted() -> None:
    one = codec(LOGIN)
    known = one.decode(compact(full_login()))
    assert one.decode(compact(full_login(shoe_size=43, hat={"deep": [1e3, None]}))) == known
    assert one.unknown_fields == 2


def test_a_null_is_an_absent_field() -> None:
    one = codec(LOGIN)
    event = one.decode(compact(full_login(ip=None, extra=None, schema_version=None)))
    assert isinstance(event, Login)
    assert (event.ip, event.extra) == (None, None)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("12.5", 1250), ("0", 0), ("0.10", 10), ("9" * 36 + ".99", 10**38 - 1)],
)
def test_numbers_are_read_from_their_text_where_that_is_allowed(text: str, minor: int) -> None:
    raw = compact(full_transaction(amount="@")).replace(b'"@"', text.encode())
    event = codec(TRANSACTION, accept_json_numbers=True).decode(raw)
    assert isinstance(event, Transaction)
    assert event.amount == minor
    assert codec(TRANSACTION).decode(raw) == BadRecord(
        "amount", (Problem("amount", "must be a string holding a decimal number"),)
    )


@pytest.mark.parametrize("text", ["1e2", "1.001", "9" * 39, "1e1000000", "-1"])
def test_a_number_that_is_no_amount_is_refused_all_the_same(text: str) -> None:
    raw = compact(full_transaction(amount="@")).replace(b'"@"', text.encode())
    found = codec(TRANSACTION, accept_json_numbers=True).decode(raw)
    assert isinstance(found, BadRecord)
    assert found.reason == "amount"


@pytest.mark.parametrize("kind", [TRANSACTION, LOGIN, BALANCE])
def test_heartbeats_and_ends_are_time_alone(kind: Kind) -> None:
    one = codec(kind)
    assert one.decode(b'{"kind":"heartbeat","occurred_at":"1970-01-01T00:00:01Z"}') == Control(
        False, 1000
    )
    assert one.decode(b'{"kind":"end","occurred_at":"1970-01-01T00:00:01Z","x":1}') == Control(
        True, 1000
    )


# -- reasons ------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    """Return an object in which one field is that deep."""
    return compact(full_login())[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


def with_value(event: dict[str, Any], name: str, token: str) -> bytes:
    """Return the event with this JSON text behind a name."""
    return compact(event | {name: "@@"}).replace(b'"@@"', token.encode())


LOGIN_TEXT, TRANSACTION_TEXT = compact(full_login()), compact(full_transaction())

REASONS: list[tuple[str, Kind, bytes | None, str, str]] = [
    ("no value", LOGIN, None, "not_json", "record: has no value"),
    ("too long", LOGIN, b" " * 262_145, "too_large", "record: has more than 262144 bytes"),
    ("ten megabytes", LOGIN, b"[" * 10_000_000, "too_large", "engine.max_event_bytes"),
    ("latin-1", LOGIN, LOGIN_TEXT.replace(b"north", b"n\xf6rd"), "not_utf8", "byte"),
    ("utf-16", LOGIN, LOGIN_TEXT.decode().encode("utf-16"), "not_utf8", "byte 0"),
    ("utf-16 without mark", LOGIN, LOGIN_TEXT.decode().encode("utf-16-le"),
     "not_json", "character"),
    ("byte order mark", LOGIN, b"\xef\xbb\xbf" + LOGIN_TEXT, "not_json", "character 0"),
    ("an encoded surrogate", LOGIN, LOGIN_TEXT.replace(b"north", b"\xed\xa0\x80"),
     "not_utf8", "byte"),
    ("empty", LOGIN, b"", "not_json", "character 0"),
    ("white space", LOGIN, b" \t", "not_json", "character"),
    ("cut", LOGIN, LOGIN_TEXT[:-9], "not_json", "character"),
    ("two objects", LOGIN, LOGIN_TEXT * 2, "not_json", "character"),
    ("binary", LOGIN, bytes(range(256)), "not_utf8", "byte"),
    ("NUL bytes", LOGIN, b"\0" * 100, "not_json", "character 0"),
    ("NaN", LOGIN, with_value(full_login(), "latitude", "NaN"), "not_json", "NaN is not JSON"),
    ("Infinity", LOGIN, with_value(full_login(), "asn", "-Infinity"), "not_json", "is not JSON"),
    ("control character", LOGIN, LOGIN_TEXT.replace(b"north", b"no\trth"), "not_json", "character"),
    ("half a pair in an id", LOGIN, with_value(full_login(), "event_id", '"a\\ud800"'), "schema",
     "event_id: must be printable"),
    ("leading zero", LOGIN, with_value(full_login(), "asn", "01"), "not_json", "character"),
    ("16 levels are the limit", LOGIN, nested(MAX_DEPTH), "too_deep", "more than 16 levels"),
    ("100,000 brackets", LOGIN, nested(50_000), "too_deep", "more than 16 levels"),
    ("100,000 open brackets", LOGIN, b"[" * 100_000, "too_deep", "more than 16 levels"),
    ("100,000 objects", LOGIN, b'{"":' * 50_000, "too_deep", "more than 16 levels"),
    ("a name twice", LOGIN, LOGIN_TEXT[:-1] + b',"ip":"::1"}', "duplicate_key",
     "ip: must be given once only"),
    ("the same value twice", LOGIN, LOGIN_TEXT[:-1] + b',"schema_version":1}', "duplicate_key",
     "schema_version: must be given once only"),
    ("an unknown name twice", LOGIN, LOGIN_TEXT[:-1] + b',"x":1,"x":2}', "duplicate_key",
     "record: a name is given twice"),
    ("twice, once escaped", LOGIN, LOGIN_TEXT[:-1] + b',"\\u0069p":"::1"}', "duplicate_key", ""),
    ("twice within a field", LOGIN, with_value(full_login(), "extra", '{"a":"b","a":"b"}'),
     "duplicate_key", ""),
    ("no object", LOGIN, b"[]", "schema", "record: must be an object"),
    ("a string", LOGIN, b'"x"', "schema", "record: must be an object"),
    ("nothing in it", LOGIN, b"{}", "schema", "event_id: required; account_id: required"),
    ("another kind", LOGIN, TRANSACTION_TEXT, "schema", "kind: must be login"),
    ("an unknown kind", LOGIN, compact(full_login(kind="complaint")),
     "schema", "kind: must be login"),
    ("a number of 4,400 digits", LOGIN, with_value(full_login(), "event_id", "1" * 4400), "schema",
     "event_id: must be a string"),
    ("digits for an order of entries", TRANSACTION,
     with_value(full_transaction(), "ledger_sequence", "1" * 4400), "schema",
     "ledger_sequence: must be a whole number"),
    ("an order of entries that is no number", TRANSACTION,
     compact(full_transaction(ledger_sequence=True)), "schema", "ledger_sequence: must be a whole"),
    ("an order beyond 64 bits", TRANSACTION, compact(full_transaction(ledger_sequence=2**63)),
     "schema", "ledger_sequence: must not be more than 9223372036854775807"),
    ("an order before 0", TRANSACTION, compact(full_transaction(ledger_sequence=-1)), "schema",
     "ledger_sequence: must not be less than 0"),
    ("a status of another system", TRANSACTION, compact(full_transaction(status="done")), "schema",
     "status: not one of pending, completed, "),
    ("a funding of another system", TRANSACTION, compact(full_transaction(funding="Mixed")),
     "schema", "funding: not one of balance, card, bank, credit, mixed"),
    ("a number as id", LOGIN, compact(full_login(event_id=5)), "schema",
     "event_id: must be a string"),
    ("an id with a space", LOGIN, compact(full_login(event_id="a b")), "schema",
     "event_id: must be printable characters without spaces"),
    ("an empty id", LOGIN, compact(full_login(event_id="")),
     "schema", "event_id: must have 1 or more characters"),
    ("an id of 129", LOGIN, compact(full_login(event_id="x" * 129)), "schema",
     "event_id: must not have more than 128 characters"),
    ("an invisible id", LOGIN, compact(full_login(event_id="a\u200bb")), "schema",
     "event_id: must be printable characters without spaces"),
    ("DEL in an id", LOGIN, compact(full_login(event_id="a\x7fb")), "schema",
     "event_id: must be printable characters without spaces"),
    ("no time", LOGIN, compact(full_login(occurred_at=1)), "schema",
     "occurred_at: must be RFC 3339 text with a UTC offset, such as"),
    ("no offset", LOGIN, compact(full_login(occurred_at="2026-03-02T10:00:00")), "schema",
     "occurred_at: must be RFC 3339 text with a UTC offset, such as"),
    ("no such day", LOGIN, compact(full_login(occurred_at="2026-02-30T10:00:00Z")), "schema",
     "occurred_at: must be RFC 3339 text with a UTC offset, such as"),
    ("the first year", LOGIN, compact(full_login(occurred_at="0001-01-01T00:00:00.000Z")), "schema",
     "occurred_at: must be in the years 1000 to 8999"),
    ("an end at the end of time", LOGIN, b'{"kind":"end","occurred_at":"9999-12-31T23:59:59.999Z"}',
     "schema", "occurred_at: must be in the years 1000 to 8999"),
    ("a heartbeat without time", LOGIN, b'{"kind":"heartbeat"}', "schema", "occurred_at: required"),
    ("a balance of no kind", TRANSACTION, compact(full_transaction(balance_kind=None)), "schema",
     "balance_kind: required with a balance"),
    ("as of later", BALANCE, compact(full_balance(as_of="2026-03-02T10:00:01Z")), "schema",
     "as_of: must not be later than occurred_at"),
    ("two things wrong", TRANSACTION, compact(full_transaction(amount=1, type="x")), "schema",
     "adjustment; amount: must be a string holding"),
    ("no such currency", TRANSACTION, compact(full_transaction(currency="XXQ")), "currency",
     "currency: must be a code of ISO 4217, in use or withdrawn, or one that [currencies] in"),
    ("no currency at all", BALANCE, compact(full_balance(currency="eur")), "currency",
     "currency: must be a currency code such as EUR"),
    ("a number as currency", BALANCE, compact(full_balance(currency=978)), "currency", "currency"),
    ("a number as amount", TRANSACTION, compact(full_transaction(amount=1)), "amount", "amount"),
    ("a fraction as amount", BALANCE, compact(full_balance(balance=1.5)),
     "amount", "balance: must be a string"),
    ("an exponent", TRANSACTION, compact(full_transaction(amount="1e1000000")), "amount", "amount"),
    ("half a cent", TRANSACTION, compact(full_transaction(fee="0.005")), "amount",
     "fee: more decimals than EUR has (2)"),
    ("a yen's cents", BALANCE, compact(full_balance(currency="JPY", balance="1.01")), "amount",
     "balance: more decimals than JPY has (0)"),
    ("39 digits", TRANSACTION, compact(full_transaction(amount="9" * 39)), "amount", "amount"),
    ("a negative payment", TRANSACTION, compact(full_transaction(amount="-1.00")), "amount",
     "amount: must not be negative, unless the type is adjustment"),
    ("a negative fee", TRANSACTION, compact(full_transaction(fee="-0.01")),
     "amount", "fee: must not be negative"),
    ("full-width digits", TRANSACTION, compact(full_transaction(amount="\uff11\uff12.00")),
     "amount", "amount"),
    ("the next version", LOGIN, compact(full_login(schema_version=2)), "unsupported_version",
     "schema_version"),
    ("version 0", LOGIN, compact(full_login(schema_version=0)), "unsupported_version", ""),
    ("a huge version", LOGIN, compact(full_login(schema_version=10**30)),
     "unsupported_version", ""),
    ("version 1.0", LOGIN, compact(full_login(schema_version=1.0)), "schema", "schema_version"),
    ("version true", LOGIN, compact(full_login(schema_version=True)), "schema", "schema_version"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "raw", "reason", "error"),
    [pytest.param(*case[1:], id=case[0]) for case in REASONS],
)
def test_a_bad_record_has_its_reason_and_place(
    kind: Kind, raw: bytes | None, reason: str, error: str
) -> None:
    found = codec(kind).decode(raw)
    assert isinstance(found, BadRecord)
    assert found.reason == reason
    assert error in found.error
    assert found.error


def test_the_codec_has_a_case_for_every_reason_it_can_give() -> None:
    assert {reason for _, _, _, reason, _ in REASONS} == {
        *("too_large", "not_utf8", "not_json", "too_deep", "duplicate_key", "schema"),
        *("currency", "amount", "unsupported_version"),
    }


def test_what_is_just_within_the_limits_is_an_event() -> None:
    one = codec(LOGIN)
    fill = b" " * (256 * 1024 - len(LOGIN_TEXT))
    extras = {f"{n:064}": "x" * 256 for n in range(16)}
    for raw in (
        nested(MAX_DEPTH - 1),
        LOGIN_TEXT + fill,
        compact(full_login(extra=extras, event_id="é" * 128, asn=2**63 - 1)),
        compact(full_login(user_agent='[[[["{{{{' * 25)),
    ):
        assert isinstance(one.decode(raw), Login)


# -- nothing personal in errors -----------------------------------------------------------


def planted(kind: str) -> list[bytes]:
    """Return events with the secret in each field, as name, in names and values deeper down."""
    found = []
    for name, value in FULL[kind]().items():
        for bad in (
            *(SECRET, f"{SECRET} {SECRET}", SECRET * 30, f"\x00{SECRET}", f"{SECRET}\ud800"),
            *({SECRET: SECRET}, {SECRET * 9: SECRET}, {"method": SECRET, SECRET: 1}, [SECRET]),
        ):
            text = json.dumps(FULL[kind]() | {name: bad})
            found += [text.encode(), text[:-1].encode(), text.encode("utf-16")]
        renamed = {SECRET if n == name else n: v for n, v in FULL[kind]().items()}
        found.append(compact(renamed))
        found.append(compact(renamed)[:-1] + b',"%b":1}' % SECRET.encode())
        found.append(with_value(FULL[kind](), name, SECRET))
        found.append(with_value(FULL[kind](), name, json.dumps(value) + SECRET))
    return found


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("numbers", [False, True])
def test_no_error_quotes_what_stood_in_the_record(kind: str, numbers: bool) -> None:
    """Not the values, not unknown names, not the names within `extra`."""
    one = codec(KIND_OF[kind], accept_json_numbers=numbers)
    bad = 0
    for raw in planted(kind):
        found = one.decode(raw)
        if isinstance(found, BadRecord):
            bad += 1
            assert "zq9" not in found.error
            assert len(found.error) <= 1024
            assert found.error.isprintable()
    assert bad > len(planted(kind)) / 2
