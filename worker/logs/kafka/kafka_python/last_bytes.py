"""The last bytes that a broker sends before it closes a connection are delivered, not dropped.

kafka-python 3.0.12 reads all bytes that have come, and drops them when the end of the connection is
among them. A broker that refuses a login says so and closes at once: on a busy machine only "socket
disconnected" is left of that. This depends on private names of two classes.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Receive = Callable[[Any], tuple[bytes, Exception | None]]


@cache
def deliver_last_bytes() -> None:
    """Let all connections of this process, from now on, deliver what came before their end."""
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        if hasattr(transport, "_sock_recv"):  # else it is another release of the library
            transport._sock_recv = _delivering(transport._sock_recv)


def _delivering(receive: Receive) -> Receive:
    def deliver(transport: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(transport)
        # A closed socket stays closed: the next call returns the end alone.
        return data, None if data else error

    return deliver
