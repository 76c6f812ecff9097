"""Marked values for every personal field, and a search for them in any bytes.

A *canary* is a value that occurs nowhere else. It is looked for as it is, in parts, in hex, in
base64 of any alignment, escaped as in JSON; and by its token, and its mark.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from rules.registry import ALL
from schemas.privacy import PERSONAL, PLACES, DataPlace, Form, forms_of
from worker.tokens import Tokens

NAMES: Final[Mapping[str, str]] = {
    "account_id": "Zuraccount",
    "event_id": "Zurevent",
    "transaction_id": "Zurtransaction",
    "original_transaction_id": "Zuroriginal",
    "idempotency_key": "Zuridempotency",
    "external_reference": "Zurreference",
    "failure_reason": "Zurreason said Zurwords",
    "counterparty_id": "Zurpayee",
    "merchant_id": "Zurmerchant",
    "device_id": "Zurdevice-é",
    "session_id": "Zursession",
    "user_agent": 'ZurAgent/7 ("Zurphone" é)',
    "app_version": "7.Zurversion",
}
"""Canaries that are text."""
IP: Final = "2001:db8:5afe:f1d0:beef:1234:5678:9abc"
OTHERS: Final[Mapping[str, Any]] = {
    "ip": IP,
    "asn": 4200031337,
    "country": "QZ",
    "latitude": 71.23457,
    "longitude": -13.76543,
    "network": "relay",
    "extra": {"Zurextrakey": "Zurextravalue with Zurextraword"},
}
MONEY: Final[Mapping[str, str]] = {
    "amount": "7341905.83",
    "fee": "20931.37",
    "funding_from_balance": "5510872.46",
    "available_balance": "9182736.45",
    "balance_before": "8675309.01",
    "balance_after": "1333703.17",
    "balance": "6420173.88",
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (text,) for name, text in NAMES.items()},
    "failure_reason": ("Zurreason", "Zurwords"),
    "device_id": ("Zurdevice",),
    "user_agent": ("ZurAgent", "Zurphone"),
    "app_version": ("Zurversion",),
    "ip": (IP, "5afe:f1d0", "beef:1234"),
    "asn": ("4200031337",),
    "latitude": ("71.23457", "71.234", "71.23"),
    "longitude": ("13.76543", "13.765", "13.76", "13.77"),
    "extra": ("Zurextrakey", "Zurextravalue", "Zurextraword"),
    **{name: (text, text.replace(".", "")) for name, text in MONEY.items()},
}
"""What is looked for: the whole and its parts."""
_BYTES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "ip": (bytes.fromhex("5afef1d0"), bytes.fromhex("beef1234")),
    "asn": ((4200031337).to_bytes(4, "big"),),
}
_COUNTRY: Final = re.compile(rb"(?<![A-Za-z0-9+/_-])QZ(?![A-Za-z0-9+/=_-])")
_COARSE: Final = re.compile(rb"(?<![\d.])(71[.]2|13[.][78])(?!\d)")
_KNOWN_BY_MARK: Final = ("device_id", "session_id", "counterparty_id", "ip", "account_id")
ACCOUNT: Final = NAMES["account_id"]


class Find(NamedTuple):
    """A canary that was found."""

    field: str
    form: Form
    where: str


# -- events -------------------------------------------------------------------------------


def full(account: str = "1") -> dict[str, Any]:
    """Return a transaction in which every personal field is marked."""
    texts = {name: f"{text}-{account}" for name, text in NAMES.items() if name != "user_agent"}
    return {
        "kind": "transaction",
        "type": "payment",
        "status": "failed",
        "currency": "EUR",
        "occurred_at": "2026-03-02T10:00:00.000Z",
        "balance_kind": "posted",
        "funding": "balance",
        "initiator": "customer",
        "failure_code": "insufficient_funds",
        "failure_code_system": "internal",
        "provider": "acme-pay",
        **texts,
        **OTHERS,
        **{name: text for name, text in MONEY.items() if name != "balance"},
    }


def full_login(account: str = "1") -> dict[str, Any]:
    """Return a failed login in which every personal field is marked."""
    names = ("account_id", "event_id", "device_id", "session_id", "user_agent", "app_version")
    return {
        "kind": "login",
        "action": "login",
        "outcome": "failure",
        "reason": "bad_credentials",
        "occurred_at": "2026-03-02T10:00:00.000Z",
        **{name: f"{NAMES[name]}-{account}" for name in names},
        **OTHERS,
    }


def full_balance(account: str = "1") -> dict[str, Any]:
    """Return a reported balance in which every personal field is marked."""
    return {
        "kind": "balance",
        "account_id": f"{ACCOUNT}-{account}",
        "event_id": f"{NAMES['event_id']}-balance-{account}",
        "currency": "EUR",
        "balance": MONEY["balance"],
        "balance_kind": "posted",
        "occurred_at": "2026-03-02T10:00:30.000Z",
        "as_of": "2026-03-02T10:00:29.000Z",
        "source": "app",
        "extra": OTHERS["extra"],
    }


def found_by_every_rule() -> Iterator[dict[str, Any]]:
    """Yield the examples of every rule, marked: an account per example."""
    for rule in ALL:
        for number, example in enumerate(rule.EXAMPLES):
            if example.params:
                continue
            for event in example.events:
                if event["kind"] in _MARKED:
                    yield _marked(event, f"{rule.code}-{number}")


_MARKED: Final = {
    "transaction": (*NAMES, *OTHERS),
    "login": ("account_id", "event_id", "device_id", "session_id", "user_agent", *OTHERS),
    "balance": ("account_id", "event_id", "extra"),
}


def _marked(event: dict[str, Any], account: str) -> dict[str, Any]:
    """Return the event with ids marked, so that equal ones stay equal, and blanks filled in."""
    marked = dict(event)
    for field in _MARKED[event["kind"]]:
        if field == "account_id":
            marked[field] = f"{ACCOUNT}-{account}"
        elif field in NAMES and field in event:
            marked[field] = f"{NAMES[field]}-{event[field]}"
        elif field in ("failure_reason", "app_version", "user_agent", "merchant_id"):
            if field != "user_agent" or event["kind"] == "login":
                marked[field] = NAMES[field]
        elif field in ("ip", "asn", "extra"):
            marked[field] = OTHERS[field]
    return marked


def line(event: Mapping[str, Any]) -> bytes:
    """Return an event as a line of a file."""
    return msgspec.json.encode(event)


# -- search -------------------------------------------------------------------------------


class Search:
    """Finds canaries of every field, and their tokens and marks."""

    def __init__(self, tokens: Tokens, events: Iterable[Mapping[str, Any]]) -> None:
        values: dict[str, set[str]] = {}
        transactions: set[str] = set()
        for event in events:
            if isinstance(event.get("transaction_id"), str):
                transactions.add(f"{event['account_id']}\0{event['transaction_id']}")
            for row in PERSONAL:
                for field in row.fields:
                    if isinstance(event.get(field), str):
                        values.setdefault(field, set()).add(event[field])
        values.setdefault("ip", set()).add("2001:db8:5afe:f1d0::/64")
        self._plain = [
            (field, needle.lower())
            for field, words in _WORDS.items()
            for word in words
            for needle in _disguises(word.encode())
        ]
        self._token = re.compile(
            re.escape(tokens.of("").partition(".")[0]).encode() + rb"[.]\w{16}"
        )
        self._tokens = {
            tokens.of(value).encode(): name
            for name, each in values.items()
            if name in _WORDS
            for value in each
        } | {tokens.of(each).encode(): "transaction_id" for each in transactions}
        self._marks = [
            (name, needle)
            for name in _KNOWN_BY_MARK
            for value in values.get(name, ())
            for needle in (tokens.marks.of(value), tokens.marks.of(value).hex().encode())
        ]

    def finds(self, content: bytes, where: str) -> Iterator[Find]:
        """Yield what is in there, each field and form once."""
        lower = content.lower()
        found: set[tuple[str, Form]] = {(f, "raw") for f, needle in self._plain if needle in lower}
        found |= {
            (f, "raw") for f, needles in _BYTES.items() for each in needles if each in content
        }
        tokens = set(self._token.findall(content))
        found |= {(self._tokens[each], "token") for each in tokens if each in self._tokens}
        found |= {(f, "mark") for f, needle in self._marks if needle in content}
        found |= {("country", "raw")} if _COUNTRY.search(content) else set()
        found |= {("latitude", "coarse")} if _COARSE.search(content) else set()
        for name, form in sorted(found):
            yield Find(name, form, where)


def _disguises(word: bytes) -> Iterator[bytes]:
    """Yield how bytes look in hex and in base64, wherever they begin there."""
    yield word
    yield binascii.hexlify(word)
    if len(word) >= 9:
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + word)
            yield text[4 if shift else 0 : len(text) - 4]


def allowed(find: Find, place: DataPlace) -> bool:
    """Return whether the table allows the find there."""
    form = forms_of(find.field)[place]
    return form == "raw" or (form == find.form and form != "never")


assert {name for row in PERSONAL for name in row.fields} >= _WORDS.keys()
assert len(PLACES) > 1
