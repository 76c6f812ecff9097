"""A small HTTP server of few pages, each made when it is asked for; beside the work, not in it.

Each client has a thread of its own, so that a slow one delays no other; one that neither
sends nor takes anything for a while is dropped.
"""

import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, Final, NamedTuple

from worker.errors import ConfigError

TEXT: Final = "text/plain; charset=utf-8"
_SILENT_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 0.1
"""Seconds until a server notices that it was stopped."""


class Answer(NamedTuple):
    """The content of a page."""

    body: bytes
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


Page = Callable[[str], Answer]
"""Makes an answer; gets what the client accepts."""


def probe(trouble: Callable[[], str | None]) -> Page:
    """Return a page with status 200, or 503 and the trouble if there is any."""

    def page(_: str) -> Answer:
        if (found := trouble()) is None:
            return Answer(b"ok\n")
        return Answer(f"{found}\n".encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)

    return page


@contextmanager
def serving(host: str, port: int, pages: Mapping[str, Page]) -> Iterator[str]:
    """Serve pages by their paths, and yield the address they are at.

    Raises:
        ConfigError: the port cannot be had.
    """
    try:
        server = _Server(host, port, pages)
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
            server.shutdown()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self._host = host
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where the pages are."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be quiet about clients that have gone away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "walletwatch"
    sys_version = ""
    timeout = _SILENT_SECONDS

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
