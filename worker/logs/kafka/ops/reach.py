"""Whether one broker can be reached: its name, its port and its certificate, before any login."""

import socket
import ssl
from typing import Final, NamedTuple

from worker.logs.kafka.cluster import Options

_SECONDS: Final = 5.0
_DAY_SECONDS: Final = 86_400
_EXPIRES_SOON_DAYS: Final = 14


class Reached(NamedTuple):
    """A broker that was reached."""

    text: str
    """How it was reached."""
    expires_soon: bool = False
    """Its certificate is valid for less than 14 days more."""


class Unreachable(Exception):
    """A broker that cannot be reached, with the reason.

    Attributes:
        advice: what to do about it.
    """

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


def reach(server: str, options: Options, now: int) -> Reached:
    """Connect to host:port, by TLS where the options say so, and hang up.

    Args:
        options: of the clients: security_protocol, and the files for TLS.
        now: milliseconds since the epoch, by which certificates expire.

    Raises:
        Unreachable: the broker cannot be reached.
    """
    host, port = _host_and_port(server)
    try:
        with socket.create_connection((host, port), _SECONDS) as plain:
            if not str(options["security_protocol"]).endswith("SSL"):
                return Reached("connected, not encrypted")
            with _context(options).wrap_socket(plain, server_hostname=host) as secured:
                return _certified(secured, now // 1000)
    except socket.gaierror:
        raise Unreachable(f"the name {host} is not known here", "check the name, and DNS") from None
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"its certificate is not accepted: {error.verify_message}",
            "set kafka.ca_file to the certificates of the authority that has signed the brokers', "
            "and reach brokers by a name that their certificates bear",
        ) from None
    except ssl.SSLError as error:
        raise Unreachable(
            f"no TLS connection: {error.reason or error}",
            "is it the port for TLS, and kafka.security_protocol the one of that port?",
        ) from None
    except TimeoutError:
        raise Unreachable(
            f"no answer within {_SECONDS:.0f} s", "check address, port and firewalls"
        ) from None
    except OSError as error:
        raise Unreachable(
            f"{error.strerror or error}", "is the broker running, and the port the right one?"
        ) from None


def _host_and_port(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def _context(options: Options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_cafile"))
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options["ssl_keyfile"])
    return context


def _certified(connection: ssl.SSLSocket, now: int) -> Reached:
    certificate = connection.getpeercert() or {}
    left = ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now
    days = int(left // _DAY_SECONDS)
    return Reached(
        f"connected by {connection.version()}; its certificate is valid for {days} days more",
        days < _EXPIRES_SOON_DAYS,
    )
