"""Signals as bytes: what `schemas.signal` says, without the price of its model. Pure.

Measures are many where traffic is thin: nearly every payment is a bucket of its own. Tests read
them back with the model.
"""

from typing import Any, Final

import msgspec

from schemas.signal import SignalKind
from schemas.time import format_time

_encode: Final = msgspec.json.Encoder().encode


def signal_of(
    kind: SignalKind, detected_at: int, origin: str, sequence: int, body: Any = None
) -> bytes:
    """Return a signal; its body is JSON already (`msgspec.Raw`), an object, or None."""
    signal: dict[str, Any] = {
        "kind": kind,
        "detected_at": format_time(detected_at),
        "origin": origin,
        "origin_sequence": sequence,
    }
    if body is not None:
        signal["body"] = body
    return _encode(signal)
