"""The pages of a process, as a client gets them."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from random import Random

import pytest

from worker.config.load import load_settings
from worker.observe.watching import watching

DEADLINE_SECONDS = 30
ODD = (
    "application/openmetrics-text; version=x",
    "application/openmetrics-text;version=1.0.0.\r\n Set-Cookie: a=b",
    "application/openmetrics-text; version==1",
    "text/plain; version=\xff",
    "text/plain; version=1..0",
    "text/html, text/plain;version=x.1",
    "text/plain; version=0x10, application/openmetrics-text; version=1.0.0",
)
USUAL = (
    "",
    "*/*",
    "text/plain",
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.2",
    ",;=,,;;",
)


@pytest.fixture
def port() -> Iterator[int]:
    settings = load_settings(None, {"WALLETWATCH_METRICS__PORT": "0"}).settings
    with watching(settings, ("detect",), lambda _: []) as (_, url):
        yield int(url.rpartition(":")[2])


def ask(port: int, accepts: str) -> tuple[int, bytes]:
    """Return status and body of the metrics."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": accepts.encode("latin-1")})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("accepts", ODD)
def test_an_odd_accept_header_is_answered_with_400(port: int, accepts: str) -> None:
    """And a sentence that does not quote it."""
    status, body = ask(port, accepts)
    assert status == 400
    assert body == b"The Accept header asks for a version of a format that is no version.\n"


@pytest.mark.parametrize("accepts", USUAL)
def test_the_usual_headers_are_answered_with_metrics(port: int, accepts: str) -> None:
    status, body = ask(port, accepts)
    assert (status, b"walletwatch_build_info" in body) == (200, True)


def test_every_header_is_answered_one_way_or_the_other(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of 300 made of pieces of real ones: none ends in silence or on stderr."""
    formats = ("text/plain;version=", "application/openmetrics-text; version=")
    pieces = (*formats, ";", ",", "=", "1", ".", "0", "-", "x", " ", "\xe4", ";escaping=dots", "\t")
    chance = Random(9)
    statuses = {
        ask(port, chance.choice(formats) + "".join(chance.choices(pieces, k=number % 6)))[0]
        for number in range(300)
    }
    assert statuses == {200, 400}
    assert capfd.readouterr() == ("", "")
