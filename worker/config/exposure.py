"""What a configuration leaves open to others: account tokens, and connections to brokers."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final, NamedTuple

from worker.config.settings import PUBLIC_KEY_ID, Settings

_KAFKA: Final = "kafka://"
_ENCRYPTED: Final = frozenset({"SSL", "SASL_SSL"})


TOKENS: Final = "tokens"
ENCRYPTION: Final = "encryption"


class Exposure(NamedTuple):
    """What is open, and what to do about it."""

    check: str
    """`TOKENS` or `ENCRYPTION`."""
    what: str
    advice: str


def exposures(settings: Settings) -> list[Exposure]:
    """Return what anybody with this configuration should know; empty if nothing is open."""
    found = []
    if settings.tokens.key_id == PUBLIC_KEY_ID:
        found.append(
            Exposure(
                TOKENS,
                "account tokens and ids of alerts use the public key, which hides nothing",
                "make a key with walletwatch config make-key, and set tokens.key_file and "
                "tokens.key_id",
            )
        )
    if settings.log.url.startswith(_KAFKA):
        servers = settings.log.url.removeprefix(_KAFKA).split(",")
        found.extend(plaintext(settings, servers))
    return found


def plaintext(settings: Settings, servers: Iterable[str]) -> list[Exposure]:
    """Return whether connections to these servers (host:port) leave this machine unencrypted."""
    if settings.kafka.security_protocol in _ENCRYPTED:
        return []
    others = [server for server in servers if not _is_here(server.rpartition(":")[0])]
    if not others:
        return []
    return [
        Exposure(
            ENCRYPTION,
            f"connections to {', '.join(others)} are not encrypted",
            "set kafka.security_protocol to SSL or SASL_SSL",
        )
    ]


def _is_here(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
