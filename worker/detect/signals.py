"""Signals as bytes: what `schemas.signal` says, without the price of its model. Pure.

Measures are many where traffic is thin: nearly every payment is a bucket of its own. Tests read
them back with the model.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.signal import SignalKind
from schemas.time import format_time


class _Signal(Struct, omit_defaults=True, gc=False):
    kind: SignalKind
    detected_at: str
    origin: str
    origin_sequence: int
    body: Any = None


_encode: Final = msgspec.json.Encoder().encode


def signal_of(
    kind: SignalKind, detected_at: int, origin: str, sequence: int, body: Any = None
) -> bytes:
    """Return a signal; its body is JSON already (`msgspec.Raw`), an object, or None."""
    return _encode(_Signal(kind, format_time(detected_at), origin, sequence, body))
