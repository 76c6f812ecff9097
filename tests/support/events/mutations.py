"""Events with every field, and what can happen to them on the way. All from seeds."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from rules.builders import balance, login, row, txn

Pairs = list[tuple[str, str]]
"""Names and values of an object as JSON text: a name may occur twice, a value may be anything."""

KIND_OF: Final = {"transaction": 0, "login": 1, "balance": 2}

_WHERE: Final[dict[str, Any]] = {
    "channel": "app",
    "session_id": "s-4711",
    "ip": "2001:db8::17",
    "asn": 64500,
    "country": "DE",
    "latitude": 52.52,
    "longitude": 13,
    "network": "mobile",
    "device_id": "phone-1",
    "app_version": "7.1.0",
    "schema_version": 1,
    "extra": {"branch": "north", "note": "first of many"},
}


_OPTIONAL: Final = {
    *_WHERE,
    *("fee", "fee_mode", "available_balance", "posted_at", "funding", "funding_from_balance"),
    *("initiator", "provider", "rail", "merchant_id", "counterparty_id", "authorization"),
    *("original_transaction_id", "idempotency_key", "external_reference", "failure_code"),
    *("failure_code_system", "failure_reason", "client_status", "expected_by", "reason"),
    *("balance_before", "balance_after", "ledger_sequence", "lock_until", "user_agent"),
}


def full_transaction(time: str = "10:00:00", **fields: Any) -> dict[str, Any]:
    """Return a transaction with every field there is."""
    return (
        row(17, time, "12.50", "100.00", "87.00", fee="0.50", fee_mode="in_row")
        | _WHERE
        | {
            "available_balance": "100.00",
            "posted_at": "2026-03-02T10:00:00.500+01:00",
            "funding": "balance",
            "funding_from_balance": "12.50",
            "initiator": "customer",
            "provider": "acme-pay",
            "rail": "instant",
            "merchant_id": "m-1",
            "counterparty_id": "c-1",
            "original_transaction_id": "r0",
            "idempotency_key": "key-1",
            "external_reference": "order-1",
            "failure_code": "51",
            "failure_code_system": "iso8583",
            "failure_reason": "not enough there",
            "authorization": {"method": "otp", "result": "passed"},
            "client_status": "paid",
            "expected_by": "2026-03-03T10:00:00Z",
        }
        | fields
    )


def full_login(time: str = "10:00:00", **fields: Any) -> dict[str, Any]:
    """Return a login with every field there is."""
    return (
        login(time, "failure", reason="otp_failed")
        | _WHERE
        | {"failures_counted": 3, "lock_until": "2026-03-02T11:00:00Z", "user_agent": "walletapp/7"}
        | fields
    )


def full_balance(time: str = "10:00:00", **fields: Any) -> dict[str, Any]:
    """Return a reported balance with every field there is."""
    return balance(time, "87.00", schema_version=1, extra=_WHERE["extra"]) | fields


FULL: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "transaction": full_transaction,
    "login": full_login,
    "balance": full_balance,
}


def compact(event: dict[str, Any]) -> bytes:
    """Return an event as most producers write it."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def clock_of(seconds: int) -> str:
    """Return a number of seconds after 01:00 as the time that the builders of rules take."""
    minutes, second = divmod(seconds, 60)
    return f"{1 + minutes // 60:02}:{minutes % 60:02}:{second:02}.000"


def clean_events(accounts: int) -> list[dict[str, Any]]:
    """Return, in order of time, events of `clean-<n>` of which every rule finds something."""
    events = []
    for number in range(accounts):
        account, start = f"clean-{number}", 60 * number
        own = {"account_id": account, "initiator": "customer", "provider": f"provider-{number % 3}"}
        refused = {"failure_code_system": "internal", "failure_code": "insufficient_funds"}
        funds = {"available_balance": "80.00"}
        off_by = f"{number % 3}.0{number % 2}"  # some rows add up
        events += [
            login(clock_of(start + second), "failure", account_id=account)
            for second in range(0, 50, 10)
        ]
        events += [
            row(1, clock_of(start + 5), "10.00", "100.00", "90.00", **own),
            row(2, clock_of(start + 7), "10.00", "90.00", f"8{off_by}", **own),
            txn(f"f{number}", clock_of(start + 9), "failed", "20.00", **own | refused | funds),
            balance(clock_of(start + 11), "80.00", account_id=account),
        ]
        if number % 2:
            events.append(txn(f"f{number}", clock_of(start + 40), amount="20.00", **own))
    return sorted(events, key=lambda event: str(event["occurred_at"]))


def mutants(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield (kind, account, bytes) of events of `mutant-<n>`, each with something done to it."""
    chance = random.Random(seed)
    for number in range(count):
        kind = chance.choice(tuple(FULL))
        account = f"mutant-{chance.randrange(50)}"
        same = chance.random() < 0.05  # a producer that uses ids again
        event_id = f"m{chance.randrange(50) if same else number}"
        event = FULL[kind](clock_of(chance.randrange(2400)), account_id=account, event_id=event_id)
        for name in [name for name in event if name in _OPTIONAL]:
            if chance.random() < 0.3:
                del event[name]
        yield kind, account, mutated(event, chance)


def mutated(event: dict[str, Any], chance: random.Random) -> bytes:
    """Return the event after up to five things that go wrong, or are done on purpose."""
    pairs = [(json.dumps(name), json.dumps(value)) for name, value in event.items()]
    for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3))):
        chance.choice(_ON_FIELDS)(pairs, chance)
    raw = written(pairs, chance)
    for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
        raw = chance.choice(_ON_BYTES)(raw, chance)
    return raw


def object_of(pairs: Pairs) -> bytes:
    """Return names and values as one object, without white space."""
    inner = ",".join(f"{name}:{value}" for name, value in pairs)
    return f"{{{inner}}}".encode()


def written(pairs: Pairs, chance: random.Random) -> bytes:
    """Return an object as text, sometimes with white space where it may be, sometimes reordered."""
    if chance.random() < 0.3:
        chance.shuffle(pairs)
    if chance.random() < 0.7:
        return object_of(pairs)

    def space() -> str:
        return "".join(chance.choices(" \t\r\n", k=chance.randrange(3)))

    inner = ",".join(f"{space()}{name}{space()}:{space()}{value}{space()}" for name, value in pairs)
    return f"{space()}{{{inner}}}{space()}".encode()


# -- fields -------------------------------------------------------------------------------

ODD_VALUES: Final = (
    *("null", "true", "false", "0", "-0", "1", "1.0", "1e0", "-1", "1.5", "0.1e-3", "12.50"),
    *("NaN", "Infinity", "-Infinity", "nan", "1e1000000", "-1e1000000", "1e-1000000", "1E400"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1" * 400, "01", "+1"),
    *("[]", "{}", "[[]]", '{"method":"pin"}', '{"method":"otp","result":"passed","more":1}'),
    *('{"a":"b","a":"c"}', '{"":"x"}', '{"k":1}', '{"%s":"v"}' % ("k" * 65), '{"k":"%s"}'),
    *('""', '" "', '"a b"', '"\\u0000"', '"\\u007f"', '"\x7f"', '"\\ud800"', '"\\udc00\\ud800"'),
    *('"\\ud83d\\ude00"', '"\\u00e9"', '"é"', '"日本"', '"\u200b"', '"\u2028"', '"\\/"', '"\\""'),
    *('"0"', '"-1"', '"-0.00"', '"1e5"', '"1E1000000"', '"+1"', '" 1"', '"1."', '".5"', '"0.001"'),
    *('"%s"' % ("9" * 38), '"%s"' % ("9" * 39), '"-%s"' % ("9" * 38), '"9999999999999999.99"'),
    *(
        '"000000000000000001.00"',
        '"१२"',
        '"\uff11\uff12"',
        '"1_0"',
        '"0x10"',
        '"NaN"',
        '"Infinity"',
    ),
    *(
        '"EUR"',
        '"JPY"',
        '"BHD"',
        '"CLF"',
        '"eur"',
        '"XXX"',
        '"EURO"',
        '"DE"',
        '"de"',
        '"D1"',
        '"ÄÖ"',
    ),
    *('"2026-03-02T10:00:00Z"', '"2026-03-02T10:00:00.1234567Z"', '"2026-03-02t10:00:00.5z"'),
    *('"2026-03-02T10:00:00+05:30"', '"2026-03-02T10:00:00"', '"2026-02-30T10:00:00Z"'),
    *('"2026-03-02T24:00:00Z"', '"2026-03-02T10:00:60Z"', '"2016-12-31T23:59:60Z"', '"1772445600"'),
    *('"0001-01-01T00:00:00.000Z"', '"9999-12-31T23:59:59.999Z"', '"9999-12-31T23:59:59-23:59"'),
    *('"2026-03-02T10:00:00.000Z "', '"2026-03-02T10:00:00.٣٣٣Z"', '"2026-03-02 10:00:00Z"'),
    *(
        '"transaction"',
        '"login"',
        '"balance"',
        '"complaint"',
        '"completed"',
        '"failed"',
        '"disputed"',
    ),
    *('"adjustment"', '"mixed"', '"available"', '"separate"', '"unknown_account"', '"lock"'),
    '"%s"' % ("x" * 128),
    '"%s"' % ("x" * 129),
    '"%s"' % ("é" * 128),
    '"%s"' % ("x" * 257),
    "[" * 15 + "]" * 15,
    "[" * 40 + "]" * 40,
    '{"a":' * 3000 + "1" + "}" * 3000,
    json.dumps({f"k{number}": "v" for number in range(17)}),
)
"""What may be the value of a name instead, as JSON text or nearly so."""


def _set(pairs: Pairs, chance: random.Random) -> None:
    index = chance.randrange(len(pairs))
    pairs[index] = (pairs[index][0], chance.choice(ODD_VALUES))


def _swap(pairs: Pairs, chance: random.Random) -> None:
    one, other = chance.randrange(len(pairs)), chance.randrange(len(pairs))
    (name, value), (other_name, other_value) = pairs[one], pairs[other]
    pairs[one], pairs[other] = (name, other_value), (other_name, value)


def _drop(pairs: Pairs, chance: random.Random) -> None:
    if len(pairs) > 1:
        del pairs[chance.randrange(len(pairs))]


def _repeat(pairs: Pairs, chance: random.Random) -> None:
    name, value = chance.choice(pairs)
    pairs.append((name, chance.choice((value, chance.choice(ODD_VALUES)))))


def _add(pairs: Pairs, chance: random.Random) -> None:
    name = chance.choice(('"unknown"', '""', '"\\ud800"', '"é"', '"extra"', '"authorization"'))
    pairs.append((name, chance.choice(ODD_VALUES)))


def _rename(pairs: Pairs, chance: random.Random) -> None:
    index = chance.randrange(len(pairs))
    name, value = pairs[index]
    pairs[index] = (chance.choice((name.upper(), '"\\u0061mount"', '"x"', "x", "1")), value)


def _as_number(pairs: Pairs, chance: random.Random) -> None:
    for index, (name, value) in enumerate(pairs):
        if name in ('"amount"', '"balance"', '"fee"'):
            pairs[index] = (name, value.strip('"'))


_ON_FIELDS: Final = (_set, _set, _set, _set, _swap, _drop, _repeat, _add, _rename, _as_number)


# -- bytes --------------------------------------------------------------------------------


def _flip(raw: bytes, chance: random.Random) -> bytes:
    bits = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        if bits:
            bits[chance.randrange(len(bits))] ^= 1 << chance.randrange(8)
    return bytes(bits)


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _splice(raw: bytes, chance: random.Random) -> bytes:
    at, to = sorted((chance.randrange(len(raw) + 1), chance.randrange(len(raw) + 1)))
    return raw[:at] + raw[to:]


def _insert(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    what = chance.choice((b"\0", b"\xff", b'"', b"\\", b"{", b"]", b",", chance.randbytes(5)))
    return raw[:at] + what + raw[at:]


def _recode(raw: bytes, chance: random.Random) -> bytes:
    text = raw.decode("utf-8", "replace")
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-32", "cp037"))
    return text.encode(encoding, "replace")


def _latin(raw: bytes, chance: random.Random) -> bytes:
    return raw.replace(b"e", b"\xe9", 1)


def _twice(raw: bytes, chance: random.Random) -> bytes:
    return raw + chance.choice((b"", b"\n", b",", b" ")) + raw


def _junk(raw: bytes, chance: random.Random) -> bytes:
    return chance.choice((b"", b"[]", b"1", b"null", b'"x"', b"{}", chance.randbytes(64)))


def _wrap(raw: bytes, chance: random.Random) -> bytes:
    return chance.choice((b"[%b]", b'{"event":%b}', b"\xef\xbb\xbf%b", b"\x1e%b", b"// %b")) % raw


def _swell(raw: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.95:  # seldom: it costs
        return raw
    return raw[:-1] + b" " * 300_000 + raw[-1:]


_ON_BYTES: Final = (
    *(_flip, _flip, _flip, _cut, _splice, _insert, _recode, _latin, _twice, _junk, _wrap, _swell),
)
