"""What detect tells for rules over many accounts: volumes per provider, failed logins, locks."""

from typing import Any

import msgspec

from rules.failed_payment import FailedPayment
from schemas.signal import Signal
from schemas.time import format_time
from schemas.topics import LOGINS, SIGNALS, TRANSACTIONS
from tests.worker.comparing import documents
from tests.worker.station import Station
from tests.worker.traffic import HOUR, MINUTE, SECOND, START
from worker.logs.port import stored
from worker.loop import Pace
from worker.measures import PREFIX, Measures, renewed
from worker.packing import packed
from worker.stages import Policy
from worker.state import Timer, next_due, pack, payload_of
from worker.tokens import PUBLIC

RULES = [FailedPayment(FailedPayment.Params())]
POLICY = Policy(rules=RULES, known_rules=RULES)
STILL = Pace(idle_advances=False, progress_interval=0)


def station() -> Station:
    """Return both stages at a clock that stands still, with A1 alone."""
    return Station(pace=STILL, policy=POLICY)


def pay(at_work: Station, at: int, status: str = "completed", provider: str = "acme") -> None:
    """Append a payment of some account."""
    why = {"failure_code": "timeout"} if status == "failed" else {}
    at_work.transaction(f"account-{at % 7}", at, status, provider=provider, **why)


def pass_time(at_work: Station, until: int) -> None:
    """Prove that nothing older will come."""
    at_work.now = max(at_work.now, until)  # nothing may come before it happens
    for topic in (TRANSACTIONS, LOGINS, "wallet.balances"):
        at_work.control(topic, "heartbeat", until + 5 * SECOND + 1)
    at_work.work(until + 5 * SECOND + 1)


def volumes(at_work: Station) -> list[tuple[str, str, int, dict[str, int]]]:
    """Return (cause, beginning, revision, counts) of what was sent, in order."""
    found = []
    for _, signal in documents(at_work.log, SIGNALS):
        if signal["kind"] == "count":
            body = signal["body"]
            assert body["bucket_ms"] == 10 * SECOND
            found.append((body["cause"], body["at"], body["revision"], body["counts"]))
    return found


def test_a_bucket_is_sent_once_at_its_end() -> None:
    """Attempts and technical failures of one provider within ten seconds."""
    at_work = station()
    at_work.now = START + HOUR
    for at in (0, 1, 9_999):
        pay(at_work, START + at)
    pay(at_work, START + 5_000, "failed")
    pay(at_work, START + 10_000, provider="other")
    pass_time(at_work, START + 9_999)
    assert volumes(at_work) == []
    pass_time(at_work, START + MINUTE)
    assert volumes(at_work) == [
        ("provider:acme", format_time(START), 1, {"attempts": 4, "technical_failures": 1}),
        ("provider:other", format_time(START + 10_000), 1, {"attempts": 1}),
    ]


def test_a_late_event_sends_the_bucket_again() -> None:
    """With the whole count and the next revision: the newest replaces."""
    at_work = station()
    at_work.now = START + HOUR
    pay(at_work, START)
    pass_time(at_work, START + MINUTE)
    pay(at_work, START + 1)
    pay(at_work, START + 20 * SECOND)
    pass_time(at_work, START + 2 * MINUTE)
    assert [(at, revision, counts) for _, at, revision, counts in volumes(at_work)] == [
        (format_time(START), 1, {"attempts": 1}),
        (format_time(START), 2, {"attempts": 2}),
        (format_time(START + 20 * SECOND), 1, {"attempts": 1}),
    ]


def test_what_is_later_than_ten_minutes_is_only_counted() -> None:
    """Nobody waits for it, and nothing has to be kept for it."""
    at_work = station()
    at_work.now = START + HOUR
    pay(at_work, START)
    pass_time(at_work, START + 11 * MINUTE)
    pay(at_work, START + 1)
    pass_time(at_work, START + 12 * MINUTE)
    assert len(volumes(at_work)) == 1
    at_work.stop()
    assert at_work.counts["volume_too_late", "attempts"] == 1


def test_volumes_are_kept_for_ten_minutes_and_no_longer() -> None:
    """A ring of sixty buckets: however long it goes on, each takes the place of an older one."""
    at_work = station()
    at_work.now = START + HOUR
    for number in range(200):
        pay(at_work, START + number * 10 * SECOND, provider=f"acme-{number % 3}")
    pass_time(at_work, START + HOUR)
    volumes_kept = [key for key in at_work.detect.tasks[0]._states if key[:1] == PREFIX]
    assert len(volumes_kept) == 60
    assert len(volumes(at_work)) == 200
    assert all(counts == {"attempts": 1} for *_, counts in volumes(at_work))


def test_volumes_of_the_layout_before_go_on() -> None:
    """One key per cause became one per bucket: counts, revisions and what is unsent stay."""
    begin = START - START % (10 * SECOND)
    unsent, sent = begin, begin - 20 * SECOND
    old = {
        PREFIX + b"provider:acme": pack(
            [Timer(unsent + 10 * SECOND, "", "send")],
            packed([1, [[sent, 2, {"attempts": 7}], [unsent, 0, {"attempts": 3}]], []]),
        ),
        PREFIX + b"payments": pack([], packed([1, [[sent, 1, {"attempts": 5}]], []])),
        b"account": b"something else",
    }
    new = renewed(old)
    assert {key for key, value in new.items() if not value} == old.keys() - {b"account"}
    buckets = [Measures(PUBLIC).load(payload_of(value)) for value in new.values() if value]
    told = {
        bucket.begin: {cause: (c.revision, c.counts) for cause, c in bucket.causes.items()}
        for bucket in buckets
    }
    assert told == {
        sent: {"provider:acme": (2, {"attempts": 7}), "payments": (1, {"attempts": 5})},
        unsent: {"provider:acme": (0, {"attempts": 3})},
    }
    assert {b.begin: [t.due for t in b.timers] for b in buckets} == {
        sent: [],
        unsent: [unsent + 10 * SECOND],
    }
    assert sorted(map(next_due, filter(None, new.values())), key=str) == [
        unsent + 10 * SECOND,
        None,
    ]


def test_a_crash_neither_loses_nor_repeats_a_count() -> None:
    """Volumes are state like any other."""
    plain, crashed = station(), station()
    for at_work in (plain, crashed):
        at_work.now = START + HOUR
        pay(at_work, START)
        pass_time(at_work, START + 5 * SECOND)
        if at_work is crashed:
            pay(at_work, START + 6 * SECOND)
            at_work.crash("before")
            at_work.crash("after")
        else:
            pay(at_work, START + 6 * SECOND)
        pass_time(at_work, START + MINUTE)
    assert volumes(crashed) == volumes(plain)
    assert volumes(plain)[0][3] == {"attempts": 2}


def test_an_unknown_name_counts_for_its_source() -> None:
    """A site of IPv6 addresses is one source; neither address nor account is told."""
    at_work = station()
    at_work.now = START + HOUR
    for ip in ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "192.0.2.1"):
        at_work.login("nobody", START, "failure", reason="unknown_account", ip=ip)
    pass_time(at_work, START + MINUTE)
    told = _rare(at_work)
    assert [body["measure"] for body in told] == ["failed_login"] * 4
    assert len({body["source"] for body in told}) == 3
    assert len({body["account"] for body in told}) == 1
    written = b"".join(record.value or b"" for _, record in stored(at_work.log, SIGNALS))
    assert b"nobody" not in written
    assert b"2001:db8" not in written
    assert b"192.0.2" not in written


def _rare(at_work: Station) -> list[dict[str, Any]]:
    found = []
    for key, document in documents(at_work.log, SIGNALS):
        signal = Signal.model_validate_json(msgspec.json.encode(document))
        if signal.kind == "event" and isinstance(signal.body, dict):
            assert key == f"source:{signal.body['source']}"
            found.append(signal.body)
    return found
