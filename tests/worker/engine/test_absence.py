"""Absence is judged by proof, not by silence (design §4); with an injected clock.

The clock is wall time and, because everything is delivered within seconds, event time as well.
"""

from dataclasses import dataclass, field
from random import Random

import pytest

from schemas.time import format_time
from schemas.topics import LOGINS, TRANSACTIONS
from tests.support.clocked_stages import Station, names_on
from tests.support.events.arrivals import LATENESS
from tests.support.events.traffic import HOUR, MINUTE, SECOND, START
from tests.support.run_comparison import comparable, set_aside
from worker.engine.outcomes import LateEvent
from worker.engine.records import NewRecord
from worker.engine.stage import Pace

A5 = "cannot_log_in"
SILENT = "pipeline_silent"
TICK = 10 * SECOND
SILENCE = START + 20 * MINUTE
"""From here on no login comes, for an hour."""
LAST_BEFORE = SILENCE - TICK
RESUMED = SILENCE + HOUR
OVER = RESUMED + 20 * MINUTE
ABSENCE = 10 * MINUTE


@dataclass
class Trouble:
    """An account that fails five times, and when it gets in, if it does: in the silence."""

    account: str
    fifth: int
    success: int | None

    @property
    def due(self) -> int:
        """When its absence is judged."""
        return self.fifth + ABSENCE

    @property
    def is_proven_before(self) -> bool:
        """Whether logins that came before the silence prove the absence."""
        return self.due + LATENESS < LAST_BEFORE

    @property
    def expected(self) -> list[str]:
        """What happens to its alert; only a success within the absence prevents it."""
        if self.success is None:
            return ["raised", "expired"]
        prevents = self.success <= self.due and not self.is_proven_before
        return [] if prevents else ["raised", "cured"]


@dataclass
class Silence:
    """What a seed makes of the hour: troubles, and failures that nobody may judge."""

    partitions: int
    troubles: list[Trouble] = field(default_factory=list)
    held_back: list[int] = field(default_factory=list)
    """Times of failures of one more account, all in the silence."""

    @classmethod
    def of(cls, rng: Random) -> "Silence":
        """Return what happens in a seed."""
        found = cls(rng.randint(1, 4))
        for number in range(rng.randint(4, 8)):
            ticks_before = rng.choice((0, 0, 1, 6, rng.randrange(84)))
            fifth = LAST_BEFORE - ticks_before * TICK - rng.randrange(4 * SECOND)
            due = fifth + ABSENCE
            inside = rng.randint(SILENCE, max(due, SILENCE))
            success = rng.choice((None, None, inside, inside, due, due + 1, due + MINUTE))
            if success is not None:
                success = max(success, SILENCE)
            found.troubles.append(Trouble(f"account-{number}", fifth, success))
        found.held_back = sorted(
            rng.sample(range(SILENCE + SECOND, RESUMED - MINUTE), rng.randint(5, 9))
        )
        return found


def live_through(silence: Silence, rng: Random, restarts: float) -> Station:
    """Return the station after the silence and some time."""
    station = Station(silence.partitions)
    for now in range(START + TICK, OVER, TICK):
        station.now = now
        for number in range(4):
            station.transaction(f"payer-{number}", now - rng.randrange(3 * SECOND))
        if now == RESUMED:
            deliver_what_was_held_back(station, silence)
        if now < SILENCE or now >= RESUMED:
            for number in range(4):
                station.login(f"visitor-{number}", now - rng.randrange(3 * SECOND))
        for trouble in silence.troubles:
            failures = [trouble.fifth - n * SECOND for n in (40, 30, 20, 10, 0)]
            station.fail(trouble.account, *[at for at in failures if now - TICK < at <= now])
        if rng.random() < restarts:
            station.crash(rng.choice(("before", "after")))
        station.work()
        if now < RESUMED:
            proven = {it.account for it in silence.troubles if it.is_proven_before}
            assert {account for _, account in station.steps(A5)} <= proven
    return station


def deliver_what_was_held_back(station: Station, silence: Silence) -> None:
    """Send the logins of the silence, all at once, in order of time."""
    late = [(at, "outcast", False) for at in silence.held_back]
    late += [(it.success, it.account, True) for it in silence.troubles if it.success is not None]
    for at, account, got_in in sorted(late):
        if got_in:
            station.login(account, at)
        else:
            station.fail(account, at)


@pytest.mark.parametrize("seed", range(8))
def test_a_silence_of_logins_makes_no_alert_that_a_held_back_success_prevents(seed: int) -> None:
    """After it, exactly the true alerts of failures read before; what was held back is late."""
    silence = Silence.of(Random(seed))
    station = live_through(silence, Random(seed), restarts=0)
    expected = [(kind, it.account) for it in silence.troubles for kind in it.expected]
    assert station.steps(A5) == sorted(expected)
    assert station.steps(SILENT) == [("cured", ""), ("raised", "")]
    raised, cured = sorted(station.alerts(SILENT), key=lambda alert: alert["sequence"])
    assert raised["cause"] == cured["cause"] == f"pipeline:{LOGINS}"
    assert raised["alert_id"] == cured["alert_id"]
    late = [event for event in station.late() if event["account_id"] == "outcast"]
    assert len(late) == len(silence.held_back)
    successes = [it for it in silence.troubles if it.success is not None]
    station.stop()
    assert station.counts[LateEvent(LOGINS)] == len(station.late()) == len(late) + len(successes)


@pytest.mark.parametrize("seed", range(5))
def test_crashes_in_the_silence_change_nothing(seed: int) -> None:
    """Idle advances are recorded: what was in flight is put in order again as it was."""
    silence = Silence.of(Random(seed))
    steady = live_through(silence, Random(seed), restarts=0)
    rng = Random(seed)
    shaken = live_through(silence, rng, restarts=0.1)
    assert shaken.log.crashes >= 10
    assert comparable(shaken.log) == comparable(steady.log)
    assert set_aside(shaken.log) == set_aside(steady.log)


def test_what_comes_later_than_the_end_of_the_silence_retracts() -> None:
    """A held-back success behind a fresh login is beyond proof; the alert is taken back."""
    station = Station()
    silent_from, due = START + MINUTE, START + MINUTE + ABSENCE
    for now in range(START, due + 5 * MINUTE, TICK):
        station.transaction("payer", now)
        if now < silent_from:
            station.login("visitor", now)
        station.fail("owner", *(now - n * SECOND for n in range(5) if now == silent_from))
        station.work(now)
    assert not station.alerts(A5)
    station.login("visitor", station.now)
    station.work(station.now + TICK)
    assert station.steps(A5) == [("raised", "owner")]
    station.login("owner", due - MINUTE)
    station.work(station.now + MINUTE)
    assert station.steps(A5) == [("raised", "owner"), ("retracted", "owner")]


@pytest.mark.parametrize("quiet", range(4))
def test_a_quiet_partition_of_a_living_topic_delays_nothing(quiet: int) -> None:
    """Its alert comes within the lateness and one poll of its due time."""
    station = Station(partitions=4)
    (owner,) = names_on(quiet, 4, 1)
    visitors = [names_on(number, 4, 1)[0] for number in range(4) if number != quiet]
    station.fail(owner, *range(START, START + 5 * SECOND, SECOND))
    due = START + 4 * SECOND + ABSENCE
    told = None
    for now in range(START + 5 * SECOND, due + MINUTE, SECOND):
        station.now = now
        station.login(visitors[now // SECOND % 3], now)
        station.work()
        if told is None and station.alerts(A5):
            told = now
    assert told is not None
    assert due < told <= due + LATENESS + SECOND
    assert not station.alerts(SILENT)


def test_a_quiet_partition_of_a_silent_topic_waits() -> None:
    """The transactions of that partition go on, and prove nothing about its logins."""
    station = Station(partitions=4)
    (owner,) = names_on(0, 4, 1)
    station.fail(owner, *range(START, START + 5 * SECOND, SECOND))
    for now in range(START + 5 * SECOND, START + HOUR, TICK):
        station.transaction(owner, now)
        station.work(now)
    assert not station.alerts(A5)
    assert station.steps(SILENT) == [("raised", "")]


# -- backlogs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "logins"),
    [
        pytest.param(50_000, 0, id="small"),
        pytest.param(50_000, 10_000, id="small-logins-ahead"),
        pytest.param(1_000_000, 0, id="large", marks=pytest.mark.bench),
    ],
)
def test_a_backlog_beside_empty_inputs_neither_stalls_nor_fills_memory(
    count: int, logins: int
) -> None:
    """Every poll is worked off; of what is ahead of the backlog so much is buffered, no more."""
    pace = Pace(poll_records=2_000, max_buffered=1_000)
    station = Station(pace=pace)
    append_backlog(station, count)
    for n in range(logins):
        station.login("visitor", START - (logins - n) * SECOND)
    task, units, most = station.detect.tasks[0], 0, 0
    while station.step():
        units += 1
        most = max(most, len(task._buffer))
    assert units <= 2 * count // pace.poll_records + 10  # half of a poll may be the other input's
    assert most <= pace.max_buffered + pace.poll_records
    station.work(START + MINUTE)
    station.work(START + 2 * MINUTE)
    assert len(task._buffer) == 0
    assert [source.position for source in task.sources] == [count, logins, 0]
    assert task.keys == BACKLOG_ACCOUNTS + bool(logins)
    assert not station.late()
    assert len(station.log._tasks["detect", 0].meta or b"") < 1_000
    assert not station.alerts(A5)


BACKLOG_ACCOUNTS = 1_000


def append_backlog(station: Station, count: int) -> None:
    """Append transactions of the last month, oldest first."""
    template = (
        b'{"event_id":"e%d","transaction_id":"t%d","account_id":"%b","type":"payment",'
        b'"status":"completed","amount":"1.00","currency":"EUR","occurred_at":"%b"}'
    )
    keys = [b"account-%d" % n for n in range(BACKLOG_ACCOUNTS)]
    apart = 30 * 24 * HOUR // count
    for chunk in range(0, count, 10_000):
        station.log.append(
            [
                NewRecord(TRANSACTIONS, key, template % (n, n, key, at))
                for n in range(chunk, chunk + 10_000)
                for key in (keys[n % BACKLOG_ACCOUNTS],)
                for at in (format_time(START - (count - n) * apart).encode(),)
            ]
        )
