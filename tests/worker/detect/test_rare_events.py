"""What detect measures event by event for rules over many accounts: failed logins, locks."""

import msgspec

from schemas.signal import RareEvent, Signal
from schemas.topics import BALANCES, LOGINS, SIGNALS, TRANSACTIONS
from tests.support.clocked_stages import Station
from tests.support.events.traffic import HOUR, MINUTE, START
from tests.support.run_comparison import documents
from worker.engine.log import stored


def test_an_unknown_name_counts_for_its_source() -> None:
    """A site of IPv6 addresses is one source; neither address nor account is told."""
    at_work = _tried_from("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "192.0.2.1")
    told = _rare(at_work)
    assert [body.measure for body in told] == ["failed_login"] * 4
    assert len({body.source for body in told}) == 3
    assert len({body.account for body in told}) == 1
    written = b"".join(record.value or b"" for _, record in stored(at_work.log, SIGNALS))
    assert b"nobody" not in written
    assert b"2001:db8" not in written
    assert b"192.0.2" not in written


def test_an_ipv4_address_written_as_ipv6_is_its_own_source() -> None:
    """Servers that listen on both write it so; as a network it would be all of IPv4 at once."""
    at_work = _tried_from("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2", "::FFFF:c000:202")
    first, mapped, other, in_digits = (body.source for body in _rare(at_work))
    assert first == mapped != other == in_digits


def test_what_is_no_address_is_its_own_source() -> None:
    """A port behind an address, a name: told apart as they stand."""
    at_work = _tried_from("192.0.2.1:443", "192.0.2.2:443", "gateway", "192.0.2.1:443")
    sources = [body.source for body in _rare(at_work)]
    assert len(set(sources)) == 3
    assert sources[0] == sources[3]


def _tried_from(*ips: str) -> Station:
    at_work = Station()
    at_work.now = START + HOUR
    for ip in ips:
        at_work.login("nobody", START, "failure", reason="unknown_account", ip=ip)
    for topic in (TRANSACTIONS, LOGINS, BALANCES):
        at_work.control(topic, "heartbeat", START + MINUTE)
    at_work.work()
    return at_work


def _rare(at_work: Station) -> list[RareEvent]:
    found = []
    for key, document in documents(at_work.log, SIGNALS):
        signal = Signal.model_validate_json(msgspec.json.encode(document))
        if isinstance(signal.body, RareEvent):
            assert key == f"source:{signal.body.source}"
            found.append(signal.body)
    return found
