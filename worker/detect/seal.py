"""The seal of an alert: a hash of all in it that the same history gives everywhere. Pure.

Where records are and when they were published is left out, so equal runs give equal seals; so are
amounts as text, which older releases did not write. A seal shows that a record was changed by
accident; it is no signature.
"""

import hashlib
from typing import Any, Final

import msgspec

_ACCIDENTAL: Final = frozenset(("origin", "origin_sequence", "published_at", "seal"))
_HEX_DIGITS: Final = 16
_canonical = msgspec.json.Encoder(order="deterministic").encode


def sealed(value: bytes) -> bytes:
    """Return an alert, which is a JSON object, with its seal."""
    return b'%b,"seal":"%b"}' % (value[:-1], seal_of(msgspec.json.decode(value)).encode())


def seal_of(document: dict[str, Any]) -> str:
    """Return the seal of an alert as a JSON object: 16 hex digits."""
    kept: dict[str, Any] = {k: v for k, v in document.items() if k not in _ACCIDENTAL}
    kept["amount_at_stake"] = [
        {name: value for name, value in money.items() if name != "amount"}
        for money in kept.get("amount_at_stake", ())
    ]
    kept["evidence"] = [[e["event_id"], e["role"]] for e in kept.get("evidence", ())]
    kept["facts"] = [[f["name"], f.get("value"), f.get("event_id")] for f in kept.get("facts", ())]
    return hashlib.sha256(_canonical(kept)).hexdigest()[:_HEX_DIGITS]
