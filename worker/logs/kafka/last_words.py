"""What a broker says before it hangs up reaches the client, however late the client reads it.

kafka-python 3.0.12 takes all bytes that have come, and throws them away when the end of the
connection is among them. A broker that refuses a login says so and closes at once: of that a busy
machine keeps "socket disconnected". This stands on private names of two classes.
"""

from collections.abc import Callable
from typing import Any, Final

from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Received = tuple[bytes, Exception | None]

_STOCK: Final[dict[Any, Callable[[Any], Received]]] = {
    transport: transport._sock_recv
    for transport in (KafkaTCPTransport, KafkaSSLTransport)
    if hasattr(transport, "_sock_recv")
}


def hear_last_words() -> None:
    """Let all connections of this process hand on what came before their end."""
    for transport, receive in _STOCK.items():
        transport._sock_recv = _hearing(receive)


def _hearing(receive: Callable[[Any], Received]) -> Callable[[Any], Received]:
    def hearing(transport: Any) -> Received:
        data, error = receive(transport)
        # A socket that has ended stays so: the next call meets the end alone.
        return data, None if data else error

    return hearing
