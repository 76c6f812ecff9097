"""What came before the end of a connection is handed on, and then the end."""

import socket
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.transport import KafkaTCPTransport

from worker.logs.kafka.kafka_python.last_bytes import deliver_last_bytes


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
    ):
        theirs, _ = server.accept()
        with theirs:
            yield ours, theirs


def test_what_came_before_the_end_is_handed_on(ends: tuple[socket.socket, socket.socket]) -> None:
    """The client alone would say that the connection has ended, and drop the words."""
    deliver_last_bytes()
    ours, theirs = ends
    theirs.sendall(b"go away")
    theirs.close()
    transport = KafkaTCPTransport(None, ours)
    data, error = transport._sock_recv()
    assert (data, error) == (b"go away", None)
    data, error = transport._sock_recv()
    assert data == b""
    assert isinstance(error, KafkaConnectionError)
