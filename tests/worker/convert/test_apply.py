"""What a mapping does to one row."""

from typing import Any

import pytest

from worker.convert.apply import Converter
from worker.convert.mapping import Mapping
from worker.convert.rows import FileRow

BALANCE: dict[str, Any] = {
    "event_id": {"column": "id"},
    "account_id": {"column": "wallet"},
    "currency": {"column": "currency"},
    "balance": {"column": "amount"},
    "balance_kind": {"constant": "posted"},
    "occurred_at": {"column": "at"},
    "as_of": {"column": "at"},
    "source": {"constant": "app"},
}
TRANSACTION: dict[str, Any] = {
    "event_id": {"column": "id"},
    "transaction_id": {"column": "id"},
    "account_id": {"column": "wallet"},
    "type": {"constant": "payment"},
    "status": {"constant": "completed"},
    "amount": {"column": "amount"},
    "currency": {"column": "currency"},
    "occurred_at": {"column": "at"},
}
LOGIN: dict[str, Any] = {
    "event_id": {"column": "id"},
    "account_id": {"column": "wallet"},
    "action": {"constant": "login"},
    "outcome": {"constant": "success"},
    "occurred_at": {"column": "at"},
}
ROW = {
    "id": "7",
    "wallet": "w-1",
    "currency": "EUR",
    "amount": "12.50",
    "at": "2024-01-01T10:00:00Z",
}


def mapping_of(
    kind: str, fields: dict[str, Any], tables: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "input": {"format": "csv"},
        "event": [{"kind": kind, "fields": fields}],
        **(tables or {}),
    }


def apply(mapping: dict[str, Any], row: dict[str, str]) -> list[dict[str, Any]] | str:
    return Converter(Mapping.model_validate(mapping)).outcome(FileRow(3, row))


def balance(
    row: dict[str, str], tables: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any] | str:
    """The one event of a row, or the reason."""
    outcome = apply(mapping_of("balance", BALANCE | fields, tables), ROW | row)
    return outcome if isinstance(outcome, str) else outcome[0]


def transaction(row: dict[str, str], **fields: Any) -> dict[str, Any] | str:
    outcome = apply(mapping_of("transaction", TRANSACTION | fields), ROW | row)
    return outcome if isinstance(outcome, str) else outcome[0]


def test_columns_are_renamed_and_constants_added() -> None:
    """A whole event, in the order of the mapping, with its kind."""
    assert balance({"unused": "x", "wallet": " w-1 "}) == {
        "kind": "balance",
        "event_id": "7",
        "account_id": "w-1",
        "currency": "EUR",
        "balance": "12.50",
        "balance_kind": "posted",
        "occurred_at": "2024-01-01T10:00:00.000Z",
        "as_of": "2024-01-01T10:00:00.000Z",
        "source": "app",
    }


@pytest.mark.parametrize(
    ("written", "text", "currency", "plain"),
    [
        ({}, "1.0E7", "EUR", "10000000"),
        ({}, "1.25e+2", "EUR", "125"),
        ({}, "125E-2", "EUR", "1.25"),
        ({}, "0E-10", "EUR", "0.00"),
        ({}, "-0.00", "EUR", "0.00"),
        ({}, "+007.500", "EUR", "7.50"),
        ({}, ".5", "EUR", "0.5"),
        ({}, "5.", "EUR", "5"),
        ({}, "5.00", "JPY", "5"),
        ({}, "12.5000", "BHD", "12.500"),
        ({}, "12,50-", "EUR", None),
        ({}, "12.50-", "EUR", "-12.50"),
        ({}, "-12.50-", "EUR", None),
        ({}, "12.505", "EUR", "!"),
        ({}, "0.5", "JPY", "!"),
        ({}, "1" * 50, "EUR", "!"),
        ({}, "1E1000000", "EUR", None),
        ({}, "1E99", "EUR", "!"),
        ({}, "9" * 5000, "EUR", None),
        ({}, "NaN", "EUR", None),
        ({}, "Infinity", "EUR", None),
        ({}, "1_000", "EUR", None),
        ({}, "١٢", "EUR", None),
        ({}, "-", "EUR", None),
        ({}, "E5", "EUR", None),
        ({"separator": ",", "thousands": "."}, "1.234.567,80", "EUR", "1234567.80"),
        ({"separator": ",", "thousands": "."}, "1234,5", "EUR", "1234.5"),
        ({"separator": ",", "thousands": "."}, "1.5", "EUR", None),
        ({"separator": ",", "thousands": "."}, "1.23,5", "EUR", None),
        ({"thousands": ","}, "12,34,567.8", "EUR", "1234567.8"),
        ({"thousands": "\u202f"}, "1\u202f000", "EUR", "1000"),
        ({"minor_units": True}, "1250", "EUR", "12.50"),
        ({"minor_units": True}, "-5", "EUR", "-0.05"),
        ({"minor_units": True}, "1250", "JPY", "1250"),
        ({"minor_units": True}, "1250", "BHD", "1.250"),
        ({"minor_units": True, "exponent": 2}, "125000", "JPY", "1250"),
        ({"minor_units": True}, "12.5", "EUR", "!"),
    ],
)
def test_numbers_are_read_exactly_or_refused(
    written: dict[str, Any], text: str, currency: str, plain: str | None
) -> None:
    """None: no number in this notation; "!": a number, but no amount of this currency."""
    event = balance({"amount": text, "currency": currency}, {"decimal": written})
    if plain is None:
        assert isinstance(event, str)
        assert event.startswith("balance: column 'amount' ")
        assert text not in event.removeprefix("balance: column 'amount' ")
    elif plain == "!":
        assert isinstance(event, str)
        assert text not in event
        assert event.startswith("balance: m")
    else:
        assert isinstance(event, dict)
        assert event["balance"] == plain


@pytest.mark.parametrize(
    ("written", "text", "time"),
    [
        ({}, "2024-01-01T12:00:00.5+02:00", "2024-01-01T10:00:00.500Z"),
        ({}, "2024-01-01 12:00:00", None),
        ({"format": "epoch_seconds"}, "1704067200", "2024-01-01T00:00:00.000Z"),
        ({"format": "epoch_seconds"}, "1704067200.1239", "2024-01-01T00:00:00.123Z"),
        ({"format": "epoch_millis"}, "1704067200007", "2024-01-01T00:00:00.007Z"),
        ({"format": "epoch_millis"}, "1.704067200007E12", "2024-01-01T00:00:00.007Z"),
        ({"format": "epoch_millis"}, "9" * 30, None),
        ({"format": "epoch_seconds"}, "1e99", None),
        ({"since": "2024-01-01T00:00:00Z", "unit": "hours"}, "25", "2024-01-02T01:00:00.000Z"),
        ({"since": "2024-01-01T00:00:00Z", "unit": "minutes"}, "1.5", "2024-01-01T00:01:30.000Z"),
        ({"since": "2024-01-01T00:00:00Z", "unit": "seconds"}, "-1", "2023-12-31T23:59:59.000Z"),
        ({"since": "1899-12-30T00:00:00Z", "unit": "days"}, "45292.5", "2024-01-01T12:00:00.000Z"),
        (
            {"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
            "01.07.2024 12:00",
            "2024-07-01T10:00:00.000Z",
        ),
        # Twice that night: the first, in summer time.
        (
            {"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
            "27.10.2024 02:30",
            "2024-10-27T00:30:00.000Z",
        ),
        # Never that night.
        ({"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "31.03.2024 02:30", None),
        ({"format": "%Y%m%d", "zone": "+05:30"}, "20240102", "2024-01-01T18:30:00.000Z"),
        ({"format": "%Y%m%d", "zone": "-03:00"}, "20240102", "2024-01-02T03:00:00.000Z"),
        ({"format": "%Y%m%d", "zone": "UTC"}, "20240230", None),
        ({"format": "%Y-%m-%d %H:%M%z"}, "2024-01-01 12:00+0200", "2024-01-01T10:00:00.000Z"),
    ],
)
def test_times_are_read_to_the_millisecond_or_refused(
    written: dict[str, str], text: str, time: str | None
) -> None:
    """Every format, zones with their changes of the clock, and counts since a start."""
    event = balance({"at": text}, {"time": written})
    if time is None:
        assert isinstance(event, str)
        assert event.startswith("occurred_at: column 'at' ")
        assert text not in event
    else:
        assert isinstance(event, dict)
        assert event["occurred_at"] == time


def test_a_field_may_have_formats_of_its_own() -> None:
    """They replace those of the whole file."""
    event = balance(
        {"amount": "1250", "day": "20240101"},
        {"time": {"format": "rfc3339"}},
        balance={"column": "amount", "decimal": {"minor_units": True}},
        as_of={"column": "day", "time": {"format": "%Y%m%d", "zone": "UTC"}},
    )
    assert isinstance(event, dict)
    assert (event["balance"], event["as_of"]) == ("12.50", "2024-01-01T00:00:00.000Z")


def test_maps_and_their_defaults() -> None:
    """A listed text is replaced; others take the default, or reject the row without naming it."""
    source = {"column": "from", "map": {"L": "ledger", "": "statement"}}
    for text, expected in (("L", "ledger"), ("", "statement")):
        event = balance({"from": text}, source=source)
        assert isinstance(event, dict)
        assert event["source"] == expected
    assert balance({"from": "secret"}, source=source) == (
        "source: column 'from' holds what the map does not list; add it there, or give a default"
    )
    for text in ("secret", "x"):
        event = balance({"from": text}, source=source | {"default": "app"})
        assert isinstance(event, dict)
        assert event["source"] == "app"


def test_what_the_mapping_says_is_in_walletwatchs_notation() -> None:
    """A default amount and a constant time are not read as the file's numbers and times are."""
    event = balance(
        {"amount": ""},
        {"decimal": {"separator": ",", "minor_units": True}, "time": {"format": "epoch_millis"}},
        balance={"column": "amount", "default": "1.50"},
        occurred_at={"constant": "2024-01-02T00:00:00Z"},
        as_of={"constant": "2024-01-01T00:00:00+01:00"},
    )
    assert isinstance(event, dict)
    assert event["balance"] == "1.50"
    assert event["as_of"] == "2023-12-31T23:00:00.000Z"


def test_an_empty_text_leaves_an_optional_field_out_and_rejects_a_required_one() -> None:
    """Empty are also missing columns and what the mapping calls empty."""
    fields = {"fee": {"column": "fee"}, "provider": {"column": "p", "map": {"x": ""}}}
    event = transaction({"fee": " ", "p": "x"}, **fields)
    assert isinstance(event, dict)
    assert {"fee", "provider"}.isdisjoint(event)
    assert transaction({"wallet": ""}) == "account_id: required, but column 'wallet' is empty"
    tables = {"input": {"format": "csv", "empty": ["NULL"]}}
    assert balance({"id": "NULL"}, tables) == "event_id: required, but column 'id' is empty"


def test_spaces_and_case() -> None:
    """Ids lose their spaces, currency codes become upper case, before a map is asked."""
    event = balance(
        {"wallet": "DE 12  34", "currency": "eur", "from": "LEDGER"},
        account_id={"column": "wallet", "spaces": ""},
        currency={"column": "currency", "case": "upper"},
        source={"column": "from", "case": "lower", "map": {"ledger": "ledger"}},
    )
    assert isinstance(event, dict)
    assert (event["account_id"], event["currency"], event["source"]) == ("DE1234", "EUR", "ledger")


def test_ids_from_templates_and_hashes() -> None:
    """A template fills in columns and the line; a hash keeps cells apart and stays the same."""
    event = balance({"a b": "x"}, event_id={"template": "{wallet}:{a b}-{line}"})
    assert isinstance(event, dict)
    assert event["event_id"] == "w-1:x-3"
    missing = balance({}, event_id={"template": "{wallet}-{gone}"})
    assert missing == "event_id: required, but one of columns 'wallet', 'gone' is empty"

    hashed = {"hash": ["a", "b"], "prefix": "row-"}
    ids = []
    for cells in ({"a": "1", "b": "23"}, {"a": "12", "b": "3"}, {"a": "1", "b": "23", "c": "4"}):
        event = balance(cells, event_id=hashed)
        assert isinstance(event, dict)
        ids.append(event["event_id"])
    assert ids[0] == ids[2] == "row-bcbe863782c0ccd583b4d9b0e45c08d2"
    assert ids[0] != ids[1]


def test_the_sign_of_an_adjustment_comes_from_another_column() -> None:
    """It multiplies the amount's own; a text without a sign rejects the row."""
    by_side = {"column": "amount", "sign": {"column": "side", "map": {"D": "-", "C": "+"}}}
    adjustment = {"type": {"constant": "adjustment"}, "amount": by_side}
    for side, amount, expected in (("D", "5", "-5"), ("C", "5", "5"), ("D", "-5", "5")):
        event = transaction({"side": side, "amount": amount}, **adjustment)
        assert isinstance(event, dict)
        assert event["amount"] == expected
    assert transaction({"side": "C", "amount": "x"}, **adjustment) == (
        "amount: column 'amount' has no digit; see empty"
    )
    assert transaction({"side": "secret"}, **adjustment) == (
        "amount: column 'side' gives no sign by the map; add it there, or give a default"
    )


def test_a_sign_may_give_the_type() -> None:
    """sign_of decides the type, `absolute` drops the sign, `opposite` turns it."""
    fields = {
        "type": {"sign_of": "amount", "map": {"+": "topup", "-": "payment", "0": "fee"}},
        "amount": {"column": "amount", "sign": "absolute"},
        "balance_after": {"column": "amount", "sign": "opposite"},
        "balance_kind": {"constant": "posted"},
    }
    for amount, expected in (
        ("12.50", ("topup", "12.50", "-12.50")),
        ("-3", ("payment", "3", "3")),
        ("-0.0", ("fee", "0.0", "0.0")),
    ):
        event = transaction({"amount": amount}, **fields)
        assert isinstance(event, dict)
        assert (event["type"], event["amount"], event["balance_after"]) == expected
    assert transaction({"amount": "x"}, **fields) == ("column 'amount' has no digit; see empty")


def test_only_adjustments_and_balances_may_be_negative() -> None:
    """A negative amount or fee of any other type rejects the row."""
    assert transaction({"amount": "-1"}) == (
        "amount: must not be negative, unless the type is adjustment; see sign"
    )
    assert transaction({"f": "-1"}, fee={"column": "f"}) == "fee: must not be negative; see sign"
    assert isinstance(transaction({"amount": "-1"}, type={"constant": "adjustment"}), dict)
    assert isinstance(balance({"amount": "-1"}), dict)


def test_currencies() -> None:
    """A code outside ISO 4217 needs the mapping's table."""
    unknown = (
        "currency: no code of ISO 4217, such as EUR, and none of the mapping's currencies;"
        " see case, map and [currencies]"
    )
    assert balance({"currency": "PTS"}) == unknown
    assert balance({"currency": "€"}) == unknown
    event = balance({"currency": "PTS", "amount": "1.0"}, {"currencies": {"PTS": 0}})
    assert isinstance(event, dict)
    assert event["balance"] == "1"
    for code, decimals in (("HRK", 2), ("DEM", 2), ("ITL", 0), ("BHD", 3)):
        event = balance({"currency": code, "amount": f"1.{'0' * 9}"})
        assert isinstance(event, dict)
        assert event["balance"] == ("1." + "0" * decimals).rstrip(".")
    event = balance({"currency": "ITL", "amount": "1.5"}, {"currencies": {"ITL": 1}})
    assert isinstance(event, dict)
    assert event["balance"] == "1.5"


def test_numbers_that_are_no_money_become_json_numbers() -> None:
    """Counts become integers, also from 3.0; coordinates numbers; texts beside them stay texts."""
    fields = {
        "failures_counted": {"column": "failures"},
        "latitude": {"column": "lat"},
        "app_version": {"column": "version"},
    }
    mapping = mapping_of("login", LOGIN | fields, {"decimal": {"separator": ","}})
    row = ROW | {"failures": "3,0", "lat": "-52,5200", "version": "1.0"}
    events = apply(mapping, row)
    assert isinstance(events, list)
    assert type(events[0]["failures_counted"]) is int
    assert (events[0]["failures_counted"], events[0]["app_version"]) == (3, "1.0")
    assert str(events[0]["latitude"]) == "-52.52"
    assert apply(mapping, row | {"failures": "3,5"}) == (
        "failures_counted: column 'failures' is no whole number, such as 3"
    )
    events = apply(mapping, row | {"lat": "91"})
    assert isinstance(events, list)
    assert "latitude" not in events[0]


def test_objects_within_an_event() -> None:
    """authorization and extra are filled by dotted names, and left out when nothing is in them."""
    fields = {
        "authorization": {"method": "auth", "result": {"constant": "passed"}},
        "extra": {"shop": "shop", "till.no": "till"},
    }
    event = transaction({"auth": "otp", "shop": "a b", "till": "4"}, **fields)
    assert isinstance(event, dict)
    assert event["authorization"] == {"method": "otp", "result": "passed"}
    assert event["extra"] == {"shop": "a b", "till.no": "4"}
    del fields["authorization"]
    event = transaction({}, **fields)
    assert isinstance(event, dict)
    assert "extra" not in event


@pytest.mark.parametrize(
    ("condition", "texts_that_meet"),
    [
        ({"equals": "a"}, ["a"]),
        ({"equals": "a", "not": True}, ["", "b"]),
        ({"in": ["a", "b"]}, ["a", "b"]),
        ({"in": ["a", "b"], "not": True}, [""]),
        ({"empty": True}, [""]),
        ({"empty": False}, ["a", "b"]),
        ({"empty": True, "not": True}, ["a", "b"]),
    ],
)
def test_conditions_skip_rows(condition: dict[str, Any], texts_that_meet: list[str]) -> None:
    """A row that meets any [[skip]] gives nothing and is no reject."""
    never = {"column": "id", "equals": "never"}
    tables = {"skip": [never, {"column": "state", **condition}]}
    mapping = mapping_of("balance", BALANCE, tables)
    skipped = [text for text in ("", "a", "b") if apply(mapping, ROW | {"state": text}) == []]
    assert skipped == texts_that_meet


def test_a_row_may_give_several_events_and_all_or_none() -> None:
    """Each [[event]] whose `when` holds; one that is not valid rejects the row as a whole."""
    when = [{"column": "fee", "empty": False}, {"column": "state", "equals": "ok"}]
    fee = TRANSACTION | {
        "event_id": {"template": "{id}-fee"},
        "type": {"constant": "fee"},
        "amount": {"column": "fee"},
    }
    mapping = mapping_of("transaction", TRANSACTION)
    mapping["event"].append({"kind": "transaction", "when": when, "fields": fee})
    events = apply(mapping, ROW | {"fee": "0.30", "state": "ok"})
    assert isinstance(events, list)
    assert [(event["event_id"], event["amount"]) for event in events] == [
        ("7", "12.50"),
        ("7-fee", "0.30"),
    ]
    assert len(apply(mapping, ROW | {"fee": "", "state": "ok"})) == 1
    assert len(apply(mapping, ROW | {"fee": "0.30", "state": ""})) == 1
    assert isinstance(apply(mapping, ROW | {"fee": "x", "state": "ok"}), str)


def test_a_row_for_which_no_event_is_meant_is_a_reject() -> None:
    """An unforeseen row must not be lost in silence."""
    mapping = mapping_of("balance", BALANCE)
    mapping["event"][0]["when"] = [{"column": "state", "equals": "ok"}]
    assert apply(mapping, ROW) == (
        "no event of the mapping is meant for this row; see when and skip"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"id": "a secret"},
            "event_id: must be printable characters without spaces; see spaces",
        ),
        (
            {"id": "s" * 129},
            "event_id: must not have more than 128 characters; see extract and hash",
        ),
        (
            {"wallet": "secret\x07x"},
            "account_id: must be printable characters without spaces; see spaces",
        ),
        (
            {"wallet": "secret\ud800"},
            "account_id: must be printable characters without spaces; see spaces",
        ),
        (
            {"day": "2024-01-02T00:00:00Z"},
            "as_of: must not be later than occurred_at",
        ),
    ],
)
def test_an_invalid_event_is_told_by_place_and_type(row: dict[str, str], reason: str) -> None:
    """The schema judges last; its values are not quoted."""
    outcome = balance(row, as_of={"column": "day", "default": "2024-01-01T00:00:00Z"})
    assert outcome == reason
    assert "secret" not in str(outcome)


def test_a_text_that_is_none_of_a_list_gets_the_list() -> None:
    """And that a map can translate it."""
    assert balance({"from": "secret"}, source={"column": "from"}) == (
        "source: not one of ledger, app, statement; see map"
    )


def test_what_is_held_is_of_a_debit_and_not_negative() -> None:
    """As the worker wants it."""
    held = {"hold_remaining": {"column": "held"}}
    event = transaction({"held": "1.00"}, **held)
    assert isinstance(event, dict)
    assert event["hold_remaining"] == "1.00"
    assert transaction({"held": "-1"}, **held) == ("hold_remaining: must not be negative; see sign")
    topup = transaction({"held": "1"}, type={"constant": "topup"}, **held)
    assert isinstance(topup, str)
    assert topup.startswith("hold_remaining: ")


@pytest.mark.parametrize(
    ("field", "text", "mended"),
    [
        ("user_agent", "x" * 257, "x" * 256),
        ("user_agent", "a\x07b", "a b"),
        ("user_agent", "a\ud800b", "a b"),
        ("app_version", "1 beta", None),
        ("app_version", "x" * 129, None),
        ("country", "Germany", None),
        ("country", "de", None),
        ("network", "wifi", None),
        ("latitude", "91", None),
        ("session_id", "a b", None),
        ("extra.shop", "x" * 257, {"shop": "x" * 256}),
        ("authorization.method", "blink", None),
    ],
)
def test_what_nothing_needs_never_rejects_a_row(field: str, text: str, mended: Any) -> None:
    """It is cut, cleaned or dropped as the worker would, and counted by field."""
    kind, base = ("transaction", TRANSACTION) if "auth" in field else ("login", LOGIN)
    fields = base | {field: {"column": "x"}}
    fields |= {"authorization.result": {"constant": "passed"}} if "auth" in field else {}
    converter = Converter(Mapping.model_validate(mapping_of(kind, fields)))
    events = converter.outcome(FileRow(3, ROW | {"x": text}))
    assert isinstance(events, list)
    name = field.partition(".")[0]
    assert events[0].get(name) == mended
    assert converter.mended == {name: 1}
