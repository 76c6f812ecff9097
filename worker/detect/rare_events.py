"""What detect sends to triage event by event: rare events, for rules over many accounts. Pure."""

from ipaddress import IPv6Address, IPv6Network
from typing import Final

from rules.events import Event, Login
from schemas.time import format_time
from schemas.topics import SIGNALS
from worker.detect.signals import RareEventBody, signal_of
from worker.engine.context import Context
from worker.engine.records import NewRecord
from worker.tokens import Tokens

_IPV6_NETWORK: Final = 64
"""Bits of an IPv6 address that identify a site: within it addresses change at will."""


class RareEvents:
    """Publishes rare events, without anything that names account, source or device."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def publish(self, measure: str, event: Event, context: Context) -> None:
        """Send one event."""
        account = self._tokens.of(event.account_id)
        body = RareEventBody(measure, format_time(event.occurred_at), account)
        cause = "auth"
        if isinstance(event, Login):
            body.reason, body.channel, body.network = event.reason, event.channel, event.network
            if event.ip is not None:
                body.source = self._tokens.of(_site(event.ip))
                cause = f"source:{body.source}" if measure == "failed_login" else cause
        key, now, origin = cause.encode(), context.now, context.origin

        def numbered(sequence: int) -> list[NewRecord]:
            return [NewRecord(SIGNALS, key, signal_of("event", now, origin, sequence, body))]

        context.outbox.outputs.append(numbered)


def _site(ip: str) -> str:
    """Return what distinguishes sources: an IPv4 address, the network of an IPv6 address."""
    if ":" not in ip:
        return ip
    try:
        address = IPv6Address(ip)
    except ValueError:
        return ip
    return str(address.ipv4_mapped or IPv6Network((int(address), _IPV6_NETWORK), strict=False))
