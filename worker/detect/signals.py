"""Signals as bytes: what `schemas.signal` says, without the price of its models. Pure.

Counts are many where traffic is thin: nearly every payment is a bucket of its own. A test reads
what is written here with the models and finds the same bytes.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from schemas.signal import SignalKind
from schemas.time import format_time


class RareEventBody(Struct, omit_defaults=True, gc=False):
    """A `schemas.signal.RareEvent`."""

    measure: str
    at: str
    account: str
    reason: str | None = None
    channel: str | None = None
    network: str | None = None
    source: str | None = None


class BucketCountsBody(Struct, gc=False):
    """A `schemas.signal.BucketCounts`."""

    at: str
    detected_at: str
    revision: int
    counts: dict[str, int]


class CauseCountsBody(Struct, gc=False):
    """A `schemas.signal.CauseCounts`."""

    measure: Literal["volume"]
    cause: str
    bucket_ms: int
    volumes: list[BucketCountsBody]


Body = msgspec.Raw | RareEventBody | CauseCountsBody
"""An alert is JSON already."""


class _Signal(Struct, omit_defaults=True, gc=False):
    kind: SignalKind
    detected_at: str
    origin: str
    origin_sequence: int
    body: Body | None = None


_encode: Final = msgspec.json.Encoder().encode


def signal_of(
    kind: SignalKind, detected_at: int, origin: str, sequence: int, body: Body | None = None
) -> bytes:
    """Return a signal; `detected_at` in milliseconds."""
    return _encode(_Signal(kind, format_time(detected_at), origin, sequence, body))
