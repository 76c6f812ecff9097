"""The little server: few pages, nothing else, and nobody who waits for anybody."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import BadStatusLine, HTTPConnection, HTTPResponse
from threading import Event

import pytest

from worker.errors import ConfigError
from worker.observe.serving import MOST_CONNECTIONS, Answer, probe, serving

DEADLINE_SECONDS = 30
SHORT_SECONDS = 2.0
"""A deadline of requests that a test can wait for."""


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
            "/long": self._long,
            "/broken": self._broken,
        }
        self.port = 0

    def _slow(self, accepts: str) -> Answer:
        self.asked.set()
        assert self.going_on.wait(DEADLINE_SECONDS)
        self.answered.set()
        return Answer(b"at last")

    def _long(self, accepts: str) -> Answer:
        self.asked.set()
        return Answer(b"x" * 50_000_000)

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
    assert body == b"Nothing is here: there are /echo, /probe, /slow, /long, /broken.\n"


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


def test_a_page_that_fails_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the program is not hidden, and does not end the server."""
    with suppress(ConnectionError), closing(site.connect()) as connection:
        connection.request("GET", "/broken")
        connection.getresponse()
    assert "no such thing" in caplog.text
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


# -- clients that mean no good ------------------------------------------------------------


def open_site(stack: ExitStack, deadline: float) -> Site:
    """Return a running site whose requests have that deadline."""
    site = Site()
    url = stack.enter_context(serving("127.0.0.1", 0, site.pages, deadline))
    site.port = int(url.rpartition(":")[2])
    stack.callback(site.going_on.set)
    return site


def is_closed(client: socket.socket) -> bool:
    """Wait until the other side has closed the connection; return whether it said nothing."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"G", b"GET /probe HTTP/1.0\r\n", b"GET / HTTP/1.1\r\nA: b\r\nC"])
def test_a_request_that_comes_byte_by_byte_ends_at_the_deadline(sent: bytes) -> None:
    """Each byte comes in time, the request does not."""
    with ExitStack() as stack:
        site = open_site(stack, SHORT_SECONDS)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 30))
        began = time.monotonic()
        client.sendall(sent)
        client.settimeout(0.2)
        while True:
            try:
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                with suppress(ConnectionError):
                    client.sendall(b"x")
                continue
            except ConnectionError:
                break
        assert SHORT_SECONDS * 0.9 < time.monotonic() - began < DEADLINE_SECONDS
        assert site.ask("/probe")[1] == b"ok\n"


def test_an_answer_that_is_not_read_ends_at_the_deadline() -> None:
    with ExitStack() as stack:
        site = open_site(stack, SHORT_SECONDS)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 30))
        client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        assert site.asked.wait(DEADLINE_SECONDS)
        for thread in threading.enumerate():
            if "process_request" in thread.name:
                thread.join(DEADLINE_SECONDS)
                assert not thread.is_alive()
        taken = 0
        with suppress(ConnectionError):
            while got := len(client.recv(1 << 20)):
                taken += got
        assert 0 < taken < 50_000_000


def test_one_connection_more_than_there_may_be_is_closed_at_once() -> None:
    """The others go on."""
    with ExitStack() as stack:
        site = open_site(stack, DEADLINE_SECONDS)
        clients = [stack.enter_context(closing(site.connect())) for _ in range(MOST_CONNECTIONS)]
        for client in clients:
            client.connect()
        for _ in range(3):
            address = ("127.0.0.1", site.port)
            with socket.create_connection(address, DEADLINE_SECONDS / 2) as further:
                assert is_closed(further)
        clients[0].request("GET", "/probe")
        assert clients[0].getresponse().read() == b"ok\n"
        for client in clients[1:]:
            client.request("GET", "/echo", headers={"Accept": "a"})
            assert client.getresponse().read() == b"a"


def test_silent_clients_keep_no_probe_out_for_longer_than_the_deadline() -> None:
    """Then there is room again."""
    with ExitStack() as stack:
        site = open_site(stack, SHORT_SECONDS)
        for _ in range(MOST_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 30))
        until = time.monotonic() + DEADLINE_SECONDS
        body = b""
        while body != b"ok\n":
            assert time.monotonic() < until
            with suppress(ConnectionError, BadStatusLine):
                body = site.ask("/probe")[1]


WITHOUT_DESCRIPTORS = r"""
import os, resource, socket
from worker.observe.serving import probe, serving
tried, accept = [], socket.socket.accept
socket.socket.accept = lambda self: tried.append(None) or accept(self)
with serving("127.0.0.1", 0, {"/probe": probe(lambda: None)}) as url:
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    client = socket.create_connection(address, 30)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    os.close(held.pop())
    waiting = socket.create_connection(address, 30)  # takes the last one: it cannot be accepted
    tried.clear()
    waiting.settimeout(2)
    try:
        waiting.recv(1)  # nothing comes
    except TimeoutError:
        waiting.settimeout(30)
    print(len(tried))
    for each in held:
        os.close(each)
    waiting.sendall(b"GET /probe HTTP/1.0\r\n\r\n")
    print(waiting.makefile("rb").read().endswith(b"ok\n"))
"""


def test_without_file_descriptors_the_server_rests_and_goes_on_later() -> None:
    """It tries twice a second while none is free, and answers the connection that waited."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS * 4,
    )
    tried, answered = done.stdout.split()
    assert 0 < int(tried) <= 5
    assert (answered, done.stderr) == ("True", "")
