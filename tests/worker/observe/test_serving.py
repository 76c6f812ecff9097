"""The little server: few pages, nothing else, and nobody who waits for anybody."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from threading import Event

import pytest

from worker.errors import ConfigError
from worker.observe.serving import Answer, probe, serving

DEADLINE_SECONDS = 30


class Site:
    """A running server and what its pages depend on."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.going_on = Event()
        self.asked = Event()
        self.answered = Event()
        self.pages = {
            "/echo": lambda accepts: Answer(accepts.encode(), "text/special"),
            "/probe": probe(lambda: self.trouble),
            "/slow": self._slow,
            "/broken": self._broken,
        }
        self.port = 0

    def _slow(self, accepts: str) -> Answer:
        self.asked.set()
        assert self.going_on.wait(DEADLINE_SECONDS)
        self.answered.set()
        return Answer(b"at last")

    def _broken(self, accepts: str) -> Answer:
        raise ValueError("no such thing")

    def connect(self) -> HTTPConnection:
        """Return a connection to it."""
        return HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)

    def ask(self, path: str, method: str = "GET", accepts: str = "") -> tuple[HTTPResponse, bytes]:
        """Return the answer and its body."""
        with closing(self.connect()) as connection:
            connection.request(method, path, headers={"Accept": accepts})
            response = connection.getresponse()
            return response, response.read()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with serving("127.0.0.1", 0, site.pages) as url:
        site.port = int(url.rpartition(":")[2])
        yield site
        site.going_on.set()


def test_a_page_gets_what_the_client_accepts(site: Site) -> None:
    """And says what it is; what follows a question mark makes no difference."""
    response, body = site.ask("/echo?x=1", accepts="text/plain")
    assert (response.status, body) == (200, b"text/plain")
    assert response.headers["Content-Type"] == "text/special"


def test_a_probe_is_well_or_tells_its_trouble(site: Site) -> None:
    """With 503, for which probes look."""
    response, body = site.ask("/probe")
    assert (response.status, body) == (200, b"ok\n")
    site.trouble = "It hangs."
    response, body = site.ask("/probe")
    assert (response.status, body) == (503, b"It hangs.\n")


@pytest.mark.parametrize("path", ["/", "/prob", "/probe/", "/../etc"])
def test_elsewhere_is_nothing(site: Site, path: str) -> None:
    """The answer names what there is."""
    response, body = site.ask(path)
    assert response.status == 404
    assert body == b"Nothing is here: there are /echo, /probe, /slow, /broken.\n"


def test_head_is_get_without_the_body(site: Site) -> None:
    """The length is that of the page."""
    with socket.create_connection(("127.0.0.1", site.port), DEADLINE_SECONDS) as client:
        client.sendall(b"HEAD /echo HTTP/1.0\r\nAccept: text/plain\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Content-Length: 10" in head
    assert body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_done_but_reading(site: Site, method: str) -> None:
    """Other methods are not understood."""
    response, _ = site.ask("/probe", method)
    assert response.status == 501


def test_nobody_waits_for_a_slow_page_or_a_silent_client(site: Site) -> None:
    """Each has a thread of its own."""
    with closing(site.connect()) as slow, closing(site.connect()) as silent:
        silent.connect()
        slow.request("GET", "/slow")
        assert site.asked.wait(DEADLINE_SECONDS)
        _, body = site.ask("/probe")
        assert body == b"ok\n"
        site.going_on.set()
        assert slow.getresponse().read() == b"at last"


def test_its_end_waits_for_nobody() -> None:
    """A worker that stops does not wait for clients."""
    site = Site()
    with serving("127.0.0.1", 0, site.pages) as url:
        site.port = int(url.rpartition(":")[2])
        slow = site.connect()
        slow.request("GET", "/slow")
        assert site.asked.wait(DEADLINE_SECONDS)
    assert not site.answered.is_set()
    site.going_on.set()
    with closing(slow):
        assert slow.getresponse().read() == b"at last"


def test_it_is_quiet_about_requests_and_about_clients_that_go(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """Probes come every few seconds: nothing of that is news."""
    with socket.create_connection(("127.0.0.1", site.port)) as hasty:
        hasty.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        assert site.asked.wait(DEADLINE_SECONDS)
        hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset it
    site.going_on.set()
    site.ask("/nowhere")
    site.ask("/probe", "POST")
    for thread in threading.enumerate():
        if "process_request" in thread.name:
            thread.join(DEADLINE_SECONDS)
    assert capfd.readouterr() == ("", "")


def test_a_page_that_fails_is_told(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A fault of the program is not hidden, and does not end the server."""
    with suppress(ConnectionError), closing(site.connect()) as connection:
        connection.request("GET", "/broken")
        connection.getresponse()
    assert "no such thing" in capfd.readouterr().err
    assert site.ask("/probe")[1] == b"ok\n"


def test_a_port_that_is_taken_is_told(site: Site) -> None:
    """In one sentence, with what to do."""
    with (
        pytest.raises(ConfigError) as refused,
        serving("127.0.0.1", site.port, site.pages),
    ):
        pass
    assert str(refused.value) == (
        f"metrics.port: cannot listen on 127.0.0.1, port {site.port}: Address already in use. "
        "Each process on a machine needs a port of its own; without metrics.port none is opened."
    )


def test_addresses_of_both_kinds_can_be_listened_on() -> None:
    """The address that is told can be asked, also that of IPv6."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving("::1", 0, {}) as url:
        assert url.startswith("http://[::1]:")
        port = int(url.rpartition(":")[2])
        with closing(HTTPConnection("::1", port, timeout=DEADLINE_SECONDS)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 404
