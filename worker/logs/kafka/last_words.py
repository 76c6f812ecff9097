"""What a broker says before it hangs up reaches the client, however late the client reads it.

kafka-python 3.0.12 takes all bytes that have come, and throws them away when the end of the
connection is among them. A broker that refuses a login says so and closes at once: of that a busy
machine keeps "socket disconnected". This stands on private names of two classes.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Receive = Callable[[Any], tuple[bytes, Exception | None]]


@cache
def hear_last_words() -> None:
    """Let all connections of this process, from now on, hand on what came before their end."""
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        if hasattr(transport, "_sock_recv"):  # else it is another release of the client
            transport._sock_recv = _hearing(transport._sock_recv)


def _hearing(receive: Receive) -> Receive:
    def hearing(transport: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(transport)
        # A socket that has ended stays so: the next call meets the end alone.
        return data, None if data else error

    return hearing
