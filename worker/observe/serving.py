"""A small HTTP server of few pages, each made when it is asked for; beside the work, not in it.

Each client has a thread of its own, so that a slow one delays no other. A request has a deadline
from its connection to the last byte of its answer, however slowly it comes or is read. There are at
most so many connections at a time: a further one is closed at once.
"""

import io
import logging
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Event, Thread
from time import monotonic
from typing import Any, Final, NamedTuple, cast

from worker.errors import ConfigError

TEXT: Final = "text/plain; charset=utf-8"
MOST_CONNECTIONS: Final = 32
DEADLINE_SECONDS: Final = 10.0
_BACK_OFF_SECONDS: Final = 0.5
"""Seconds without accepting after the process was out of file descriptors or threads."""
_LOG: Final = logging.getLogger(__name__)
_STOP_SECONDS: Final = 0.1
"""Seconds until a server notices that it was stopped."""


class Answer(NamedTuple):
    """The content of a page."""

    body: bytes
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


Page = Callable[[str], Answer]
"""Makes an answer; gets what the client accepts."""


def bad_request(why: str) -> Answer:
    """Return an answer with status 400 and a sentence."""
    return Answer(f"{why}\n".encode(), status=HTTPStatus.BAD_REQUEST)


def probe(trouble: Callable[[], str | None]) -> Page:
    """Return a page with status 200, or 503 and the trouble if there is any."""

    def page(_: str) -> Answer:
        if (found := trouble()) is None:
            return Answer(b"ok\n")
        return Answer(f"{found}\n".encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)

    return page


@contextmanager
def serving(
    host: str, port: int, pages: Mapping[str, Page], deadline: float = DEADLINE_SECONDS
) -> Iterator[str]:
    """Serve pages by their paths, and yield the address they are at.

    Args:
        deadline: seconds after which a connection is closed, whatever it has sent or taken.

    Raises:
        ConfigError: the port cannot be had.
    """
    try:
        server = _Server(host, port, pages, deadline)
    except OSError as error:
        raise ConfigError(
            f"metrics.port: cannot listen on {host}, port {port}: {error.strerror}. Each process "
            "on a machine needs a port of its own; without metrics.port none is opened."
        ) from None
    with server:
        Thread(target=server.serve_forever, args=(_STOP_SECONDS,), daemon=True).start()
        try:
            yield server.url
        finally:
            server.stopping.set()
            server.shutdown()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, pages: Mapping[str, Page], deadline: float) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self.deadline = deadline
        self.stopping = Event()
        self._host = host
        self._free = BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where the pages are."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; where there is no room for one, leave it waiting for a while."""
        try:
            return super().get_request()
        except OSError:
            # The connection stays in the queue: asked again at once, this would never rest.
            self.stopping.wait(_BACK_OFF_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a connection, or close it if there are the most there may be."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._free.release()
            self.shutdown_request(request)
            self.stopping.wait(_BACK_OFF_SECONDS)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what failed; be quiet about clients that have gone away or were too slow."""
        if not isinstance(sys.exception(), OSError):
            _LOG.error("A page of the metrics port failed.", exc_info=True)


class _Until(io.RawIOBase):
    """The bytes of a socket until a time has come; then reading and writing raise TimeoutError."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        super().__init__()
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._in_time().recv_into(buffer)

    def write(self, data: Any) -> int:
        self._in_time().sendall(data)  # a socket's timeout is for all that sendall sends
        return len(data)

    def _in_time(self) -> socket.socket:
        if (left := self._until - monotonic()) <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "walletwatch"
    sys_version = ""

    def setup(self) -> None:
        """Give the connection its deadline."""
        self.connection = self.request
        timed = _Until(self.connection, monotonic() + self.server.deadline)
        self.rfile = io.BufferedReader(timed)
        self.wfile = cast("io.BufferedIOBase", timed)  # it writes all that it is given

    def do_GET(self) -> None:
        """Answer with the page of the path."""
        self.wfile.write(self._answer())

    def do_HEAD(self) -> None:
        """Answer the same without the page itself."""
        self._answer()

    def _answer(self) -> bytes:
        page = self.server.pages.get(self.path.partition("?")[0], self._nowhere)
        answer = page(self.headers.get("Accept", ""))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        return answer.body

    def _nowhere(self, accepts: str) -> Answer:
        text = f"Nothing is here: there are {', '.join(self.server.pages)}.\n"
        return Answer(text.encode(), status=HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Keep quiet: probes come every few seconds."""
