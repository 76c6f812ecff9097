"""How many events there are per cause: what detect tells of buckets of ten seconds."""

from random import Random
from typing import Any

import pytest

from rules.failed_payment.rule import FailedPayment
from schemas.time import format_time
from schemas.topics import LOGINS, SIGNALS, TRANSACTIONS
from tests.support.clocked_stages import Station
from tests.support.events.arrivals import in_order
from tests.support.events.traffic import HOUR, MINUTE, SECOND, START, live
from tests.support.random_runs import run_plainly
from tests.support.run_comparison import documents, volumes
from worker.detect import cause_counts, kept_buckets
from worker.detect.cause_counts import KeptBuckets
from worker.detect.kept_buckets import OTHER, PREFIX, renewed
from worker.detect.stage import Policy
from worker.engine.keyed_state import NEVER, Timer, next_due, pack
from worker.engine.outcomes import CountTooLate
from worker.engine.packing import packed
from worker.engine.stage import Pace

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


def told(at_work: Station) -> list[tuple[str, str, int, dict[str, int]]]:
    """Return (cause, beginning, revision, counts) of what was told, in order."""
    return [
        (volume.cause, volume.at, volume.revision, volume.counts) for volume in volumes(at_work.log)
    ]


def is_count(signal: dict[str, Any]) -> bool:
    """Whether a signal tells volumes."""
    return bool(signal["kind"] == "count")


def kept(at_work: Station) -> list[bytes]:
    """Return the keys of the buckets that are saved."""
    return [key for key in at_work.detect.tasks[0].states if key[:1] == PREFIX]


def test_a_bucket_is_told_once_at_its_end() -> None:
    """Attempts and technical failures of one provider within ten seconds."""
    at_work = station()
    at_work.now = START + HOUR
    for at in (0, 1, 9_999):
        pay(at_work, START + at)
    pay(at_work, START + 5_000, "failed")
    pay(at_work, START + 10_000, provider="other")
    pass_time(at_work, START + 9_999)
    assert told(at_work) == []
    pass_time(at_work, START + MINUTE)
    assert told(at_work) == [
        ("provider:acme", format_time(START), 1, {"attempts": 4, "technical_failures": 1}),
        ("provider:other", format_time(START + 10_000), 1, {"attempts": 1}),
    ]


def test_a_late_event_tells_the_bucket_again() -> None:
    """With the whole count and the next revision: the newest replaces."""
    at_work = station()
    at_work.now = START + HOUR
    pay(at_work, START)
    pass_time(at_work, START + MINUTE)
    pay(at_work, START + 1)
    pay(at_work, START + 20 * SECOND)
    pass_time(at_work, START + 2 * MINUTE)
    assert [(at, revision, counts) for _, at, revision, counts in told(at_work)] == [
        (format_time(START), 1, {"attempts": 1}),
        (format_time(START), 2, {"attempts": 2}),
        (format_time(START + 20 * SECOND), 1, {"attempts": 1}),
    ]


def test_volumes_stand_in_the_order_of_their_times() -> None:
    """A late event comes before the end of another bucket in the same unit of work."""
    at_work = station()
    at_work.now = START + HOUR
    for at in (12, 40, 1):
        pay(at_work, START + at * SECOND)
    pass_time(at_work, START + MINUTE)
    (signal,) = [signal for _, signal in documents(at_work.log, SIGNALS) if is_count(signal)]
    volumes_told = signal["body"]["volumes"]
    assert [(volume["at"], volume["detected_at"]) for volume in volumes_told] == [
        (format_time(START + 10 * SECOND), format_time(START + 20 * SECOND)),
        (format_time(START), format_time(START + 35 * SECOND)),
        (format_time(START + 40 * SECOND), format_time(START + 50 * SECOND)),
    ]


def test_what_is_later_than_ten_minutes_is_only_counted() -> None:
    """Nobody waits for it, and nothing has to be kept for it."""
    at_work = station()
    at_work.now = START + HOUR
    pay(at_work, START)
    pass_time(at_work, START + 11 * MINUTE)
    pay(at_work, START + 1)
    pass_time(at_work, START + 12 * MINUTE)
    assert len(told(at_work)) == 1
    at_work.stop()
    assert at_work.counts[CountTooLate("attempts")] == 1


def test_volumes_are_kept_for_ten_minutes_and_no_longer() -> None:
    """A ring of sixty buckets: however long it goes on, each takes the place of an older one."""
    at_work = station()
    at_work.now = START + HOUR
    for number in range(200):
        pay(at_work, START + number * 10 * SECOND, provider=f"acme-{number % 3}")
        if number % 7 == 0:
            pass_time(at_work, START + number * 10 * SECOND)
    pass_time(at_work, START + 2_000 * SECOND)
    assert len(kept(at_work)) == 60
    assert len(told(at_work)) == 200
    assert all(counts == {"attempts": 1} for *_, counts in told(at_work))


def test_a_unit_that_goes_through_hours_keeps_none_of_it() -> None:
    """What can change no more was told, and is not saved."""
    at_work = station()
    at_work.now = START + HOUR
    for number in range(200):
        pay(at_work, START + number * 10 * SECOND)
    pass_time(at_work, START + HOUR)
    assert len(told(at_work)) == 200
    assert kept(at_work) == []


def test_what_one_unit_tells_of_a_cause_is_one_signal() -> None:
    """A record costs more than an event: catching up ends many buckets at once."""
    at_work = station()
    at_work.now = START + HOUR
    for number in range(60):
        pay(at_work, START + number * MINUTE // 2, provider=f"acme-{number % 2}")
    pass_time(at_work, START + HOUR)
    counted = [(key, signal) for key, signal in documents(at_work.log, SIGNALS) if is_count(signal)]
    assert [key for key, _ in counted] == ["provider:acme-0", "provider:acme-1"]
    assert [len(signal["body"]["volumes"]) for _, signal in counted] == [30, 30]
    told_at = [volume["detected_at"] for volume in counted[0][1]["body"]["volumes"]]
    assert told_at == sorted(told_at)


def test_a_signal_holds_no_more_than_a_thousand_volumes() -> None:
    """However far a unit goes, its records stay far below what a record may be."""
    at_work = station()
    at_work.now = START + 8 * HOUR
    for number in range(2_001):
        pay(at_work, START + number * 10 * SECOND)
    pass_time(at_work, START + 7 * HOUR)
    signals = [signal for _, signal in documents(at_work.log, SIGNALS) if is_count(signal)]
    assert [len(signal["body"]["volumes"]) for signal in signals] == [1_000, 1_000, 1]
    assert len(told(at_work)) == 2_001


def test_no_signal_stands_behind_a_younger_one() -> None:
    """Neither alerts nor volumes are late for triage because they were told together."""
    log = run_plainly(in_order(live(Random(7))))
    newest, kinds, numbers = "", set(), []
    for _, signal in documents(log, SIGNALS):
        assert signal["detected_at"] >= newest
        newest = signal["detected_at"]
        kinds.add(signal["kind"])
        numbers.append(signal["origin_sequence"])
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert {"alert", "count", "progress"} <= kinds
    for _, signal in documents(log, SIGNALS):
        if is_count(signal):
            assert all(v["detected_at"] >= signal["detected_at"] for v in signal["body"]["volumes"])


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
    buckets = [KeptBuckets().load(value) for value in new.values() if value]
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
    due = sorted(map(next_due, filter(None, new.values())))
    assert due == [unsent + 10 * SECOND, NEVER]


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
    assert told(crashed) == told(plain)
    assert told(plain)[0][3] == {"attempts": 2}


@pytest.fixture
def three_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket counts three causes by themselves."""
    for module in (cause_counts, kept_buckets):
        monkeypatch.setattr(module, "MAX_CAUSES", 3)


@pytest.mark.usefixtures("three_causes")
@pytest.mark.parametrize("seed", range(20))
def test_causes_beyond_the_limit_are_counted_together_however_units_split_them(seed: int) -> None:
    """The same causes have counts of their own, and nothing is lost."""
    draw = Random(seed)
    pays = [(draw.randrange(25_000), f"p{draw.randrange(8)}") for _ in range(60)]
    late = [(draw.randrange(25_000), f"p{draw.randrange(12)}") for _ in range(10)]
    whole, split = station(), station()
    for at_work in (whole, split):
        at_work.now = START + HOUR
        for at, provider in sorted(pays):
            pay(at_work, START + at, provider=provider)
            if at_work is split and draw.random() < 0.3:
                pass_time(at_work, START + at - 1)
        pass_time(at_work, START + MINUTE)
        first = told(at_work)
        for at, provider in late:
            pay(at_work, START + at, provider=provider)
        pass_time(at_work, START + 2 * MINUTE)
    assert told(whole) == told(split)
    assert sum(counts["attempts"] for *_, counts in first) == len(pays)
    causes = {cause for cause, at, *_ in first if at == format_time(START)}
    assert len(causes - {OTHER}) == 3
    newest = {(cause, at): counts["attempts"] for cause, at, _, counts in told(whole)}
    assert sum(newest.values()) == len(pays) + len(late)
    assert max(len(load(state).causes) for state in states(whole)) == 4


def states(at_work: Station) -> list[bytes]:
    """Return the saved buckets."""
    return [at_work.detect.tasks[0].states[key] for key in kept(at_work)]


def load(stored: bytes) -> kept_buckets.KeptBucket:
    """Decode a bucket."""
    return KeptBuckets().load(stored)
