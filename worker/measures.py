"""What detect measures for rules over many accounts: rare events one by one, volumes per bucket.

A volume is counted per cause in buckets of ten seconds of event time. A timer sends a bucket's
counts at its end; an event that comes late sends them again with a higher revision: the newest
replaces. The counts are those of one task: whoever reads them adds up over origins. Pure.
"""

import ipaddress
from typing import Any, Final

from msgspec import Struct

from rules.events import Event, Login
from schemas.signal import SignalKind
from schemas.time import format_time
from schemas.topics import SIGNALS
from worker.logs.port import NewRecord
from worker.packing import Unpacker, packed
from worker.signals import signal_of
from worker.state import Timer
from worker.tokens import Tokens
from worker.turn import Turn
from worker.upgrade import numbered

PREFIX: Final = b"\0"
"""Begins the keys of volumes: no account_id can."""
BUCKET_MS: Final = 10_000
_KEPT: Final = 60
"""Buckets kept to be sent again; what is later than ten minutes is only counted."""
_SEND: Final = "send"
_FORGET: Final = "forget"
_IPV6_NETWORK: Final = 64
"""Bits of an IPv6 address that tell a site: within it addresses change at will."""


class Bucket(Struct, array_like=True):
    """Counts of one bucket."""

    at: int
    """Its beginning, milliseconds."""
    revision: int = 0
    """How often it was sent."""
    counts: dict[str, int] = {}


class Volume(Struct, array_like=True):
    """Layout 1 of a volume's record: the newest buckets of one cause, oldest first."""

    layout: int = 1
    buckets: list[Bucket] = []
    timers: list[Timer] = []


_VOLUME: Final = Unpacker(Volume)


class Measures:
    """Counts and tells, and keeps what is not sent yet in state."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def load(self, payload: bytes | memoryview | None) -> Volume:
        """Decode a volume.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        return Volume() if payload is None else numbered(_VOLUME, payload, "volumes")

    def dump(self, volume: Volume) -> bytes:
        """Encode a volume; empty when nothing of it may change any more."""
        return packed(volume) if volume.buckets else b""

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
        here, turn.key = turn.key, PREFIX + cause.encode()
        volume: Volume = turn.touch(turn.key)
        begin = at - at % BUCKET_MS
        if begin <= turn.now - _KEPT * BUCKET_MS:
            turn.outbox.counts["volume_too_late", measure] += 1
        else:
            bucket = _bucket(volume, begin)
            bucket.counts[measure] = bucket.counts.get(measure, 0) + 1
            end = begin + BUCKET_MS
            if end <= turn.now:
                self._send_bucket(cause, bucket, turn)
            elif not _waits(volume, end):
                turn.set_timer(volume, Timer(end, "", _SEND))
                if len(volume.timers) == 1:
                    turn.set_timer(volume, Timer(begin + _KEPT * BUCKET_MS, "", _FORGET))
        turn.key = here

    def on_timer(self, volume: Volume, timer: Timer, turn: Turn) -> None:
        """Send what has ended, or forget what cannot change any more."""
        due, buckets = timer.due, volume.buckets
        if timer.name == _FORGET:
            buckets[:] = [each for each in buckets if each.at > due - _KEPT * BUCKET_MS]
            if buckets:
                turn.set_timer(volume, Timer(buckets[-1].at + _KEPT * BUCKET_MS, "", _FORGET))
            return
        cause = turn.key.removeprefix(PREFIX).decode()
        for bucket in _unsent(buckets):
            end = bucket.at + BUCKET_MS
            if end > due:
                turn.set_timer(volume, Timer(end, "", _SEND))
                return
            self._send_bucket(cause, bucket, turn)

    def _send_bucket(self, cause: str, bucket: Bucket, turn: Turn) -> None:
        bucket.revision += 1
        body: dict[str, Any] = {
            "measure": "volume",
            "cause": cause,
            "at": format_time(bucket.at),
            "bucket_ms": BUCKET_MS,
            "revision": bucket.revision,
            "counts": dict(sorted(bucket.counts.items())),
        }
        self._send("count", cause, body, turn)

    def _send(self, kind: SignalKind, cause: str, body: dict[str, Any], turn: Turn) -> None:
        signal = signal_of(kind, turn.now, turn.origin, turn.next_signal(), body)
        turn.outbox.records.append(NewRecord(SIGNALS, cause.encode(), signal))


def _waits(volume: Volume, end: int) -> bool:
    """Say whether a timer will send at that time or before."""
    return any(timer.name == _SEND and timer.due <= end for timer in volume.timers)


def _unsent(buckets: list[Bucket]) -> list[Bucket]:
    """Return those that were not sent yet, oldest first: they are the newest."""
    first = len(buckets)
    while first and not buckets[first - 1].revision:
        first -= 1
    return buckets[first:]


def _bucket(volume: Volume, begin: int) -> Bucket:
    """Return the bucket that begins then, a new one if need be."""
    buckets = volume.buckets
    for bucket in reversed(buckets):
        if bucket.at == begin:
            return bucket
        if bucket.at < begin:
            break
    bucket = Bucket(begin, counts={})
    buckets.append(bucket)
    if len(buckets) > 1 and buckets[-2].at > begin:
        buckets.sort(key=lambda each: each.at)
    return bucket


def _site(ip: str) -> str:
    """Return what tells sources apart: an IPv4 address, the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 6:
        return str(ipaddress.ip_network((ip, _IPV6_NETWORK), strict=False))
    return ip
