"""What detect measures for rules over many accounts: rare events one by one, volumes per bucket.

Volumes are counted per cause in buckets of ten seconds of event time. A timer sends a bucket's
counts at its end; an event that comes late sends those of its cause again with a higher revision:
the newest replaces. The counts are those of one task: whoever reads them adds up over origins.

The buckets of the last ten minutes are a ring of keys: a new one takes the place of the one that
is ten minutes older and can change no more, so that nothing has to be forgotten. Pure.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from rules.events import Event, Login
from schemas.signal import SignalKind
from schemas.time import format_time
from schemas.topics import SIGNALS
from worker.logs.port import NewRecord
from worker.merge import BEGINNING
from worker.packing import Unpacker, packed
from worker.signals import signal_of
from worker.state import Timer, pack, payload_of
from worker.tokens import Tokens
from worker.turn import Turn
from worker.upgrade import numbered

PREFIX: Final = b"\0"
"""Begins the keys of volumes: no account_id can."""
_BUCKETS: Final = PREFIX + PREFIX
"""Begins the keys of buckets; what follows PREFIX alone is the cause of a layout 1 volume."""
BUCKET_MS: Final = 10_000
_KEPT: Final = 60
"""Buckets that may be sent again; what is later than ten minutes is only counted."""
_KEPT_MS: Final = _KEPT * BUCKET_MS
_KEYS: Final = [_BUCKETS + bytes([place]) for place in range(_KEPT)]
_SEND: Final = "send"
_IPV6_NETWORK: Final = 64
"""Bits of an IPv6 address that tell a site: within it addresses change at will."""


class Count(Struct, array_like=True):
    """What one bucket has counted of one cause."""

    revision: int = 0
    """How often it was sent."""
    counts: dict[str, int] = {}


class Bucket(Struct, array_like=True):
    """Layout 2 of a bucket's record: what was counted of every cause."""

    layout: int = 2
    begin: int = BEGINNING
    """Milliseconds."""
    causes: dict[str, Count] = {}
    timers: list[Timer] = []


class _Body(Struct, gc=False):
    """A volume on its signal."""

    measure: str
    cause: str
    at: str
    bucket_ms: int
    revision: int
    counts: dict[str, int]


class _BucketOfCause(Struct, array_like=True):
    """Layout 1: one bucket of one cause."""

    at: int
    revision: int
    counts: dict[str, int]


class _Volume(Struct, array_like=True):
    """Layout 1: the newest buckets of one cause."""

    layout: int
    buckets: list[_BucketOfCause]
    timers: list[Timer]


_BUCKET: Final = Unpacker(Bucket)
_VOLUME: Final = Unpacker(_Volume)


class Measures:
    """Counts and tells, and keeps what is not sent yet in state."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def load(self, payload: bytes | memoryview | None) -> Bucket:
        """Decode a bucket.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        return Bucket() if payload is None else numbered(_BUCKET, payload, "volumes", layout=2)

    def dump(self, bucket: Bucket) -> bytes:
        """Encode a bucket."""
        return packed(bucket)

    def tell(self, measure: str, event: Event, turn: Turn) -> None:
        """Send one rare event, without anything that names account, source or device."""
        body: dict[str, Any] = {
            "measure": measure,
            "at": format_time(event.occurred_at),
            "account": self._tokens.of(event.account_id),
        }
        cause = "auth"
        if isinstance(event, Login):
            told = {"reason": event.reason, "channel": event.channel, "network": event.network}
            body |= {name: value for name, value in told.items() if value is not None}
            if event.ip is not None:
                body["source"] = self._tokens.of(_site(event.ip))
                cause = f"source:{body['source']}" if measure == "failed_login" else cause
        self._send("event", cause, body, turn)

    def add(self, cause: str, measure: str, at: int, turn: Turn) -> None:
        """Count one event of that time (milliseconds)."""
        begin = at - at % BUCKET_MS
        now = turn.now
        if begin <= now - _KEPT_MS:
            turn.outbox.counts["volume_too_late", measure] += 1
            return
        key = _KEYS[begin // BUCKET_MS % _KEPT]
        bucket: Bucket = turn.touch(key)
        ended = begin + BUCKET_MS <= now
        if bucket.begin != begin:
            bucket.begin, bucket.causes = begin, {}
            if not ended:
                here, turn.key = turn.key, key
                turn.set_timer(bucket, Timer(begin + BUCKET_MS, "", _SEND))
                turn.key = here
        count = bucket.causes.get(cause)
        if count is None:
            count = bucket.causes[cause] = Count(counts={})
        count.counts[measure] = count.counts.get(measure, 0) + 1
        if ended:
            self._send_count(cause, count, format_time(begin), turn)

    def on_timer(self, bucket: Bucket, timer: Timer, turn: Turn) -> None:
        """Send the bucket that has ended."""
        causes, at = bucket.causes, format_time(bucket.begin)
        for cause in sorted(causes) if len(causes) > 1 else causes:
            self._send_count(cause, causes[cause], at, turn)

    def _send_count(self, cause: str, count: Count, at: str, turn: Turn) -> None:
        count.revision += 1
        counts = count.counts
        if len(counts) > 1:
            counts = dict(sorted(counts.items()))
        body = _Body("volume", cause, at, BUCKET_MS, count.revision, counts)
        self._send("count", cause, body, turn)

    def _send(self, kind: SignalKind, cause: str, body: Any, turn: Turn) -> None:
        signal = signal_of(kind, turn.now, turn.origin, turn.next_signal(), body)
        turn.outbox.records.append(NewRecord(SIGNALS, cause.encode(), signal))


def renewed(states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what replaces the volumes of layout 1, which had a key per cause; none: remove it.

    Raises:
        LogError: they are damaged.
    """
    old = [key for key in states if key[:1] == PREFIX and key[1:2] != PREFIX]
    changed = dict.fromkeys(old, b"")
    buckets: dict[bytes, Bucket] = {}
    for key in old:
        cause = key.removeprefix(PREFIX).decode()
        for each in numbered(_VOLUME, payload_of(states[key]), "volumes").buckets:
            place = _KEYS[each.at // BUCKET_MS % _KEPT]
            bucket = buckets.setdefault(place, Bucket())
            if each.at > bucket.begin:
                bucket.begin, bucket.causes = each.at, {}
            if each.at == bucket.begin:
                bucket.causes[cause] = Count(each.revision, each.counts)
    for key, bucket in buckets.items():
        # All causes of a bucket are sent at its end: none is, or every one.
        if not any(count.revision for count in bucket.causes.values()):
            bucket.timers = [Timer(bucket.begin + BUCKET_MS, "", _SEND)]
        changed[key] = pack(bucket.timers, packed(bucket))
    return changed


def _site(ip: str) -> str:
    """Return what tells sources apart: an IPv4 address, the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 6:
        return str(ipaddress.ip_network((ip, _IPV6_NETWORK), strict=False))
    return ip
