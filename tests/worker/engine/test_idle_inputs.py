"""Inputs at their end: ends, idle advances, heartbeats, and origins of signals (design §4)."""

from itertools import count
from random import Random
from typing import Any

import pytest

from schemas.topics import DETECT_INPUTS, LOGINS
from tests.support.clocked_stages import Station, names_on
from tests.support.events.arrivals import LATENESS
from tests.support.events.traffic import HOUR, MINUTE, SECOND, START
from tests.support.run_comparison import comparable, set_aside
from worker.engine.outcomes import LateSignal
from worker.engine.stage import Pace

A1 = "failed_payment_sufficient_balance"
A5 = "cannot_log_in"
SILENT = "pipeline_silent"
TICK = 10 * SECOND
ABSENCE = 10 * MINUTE
REFUSED = {"available_balance": "50.00", "failure_code": "insufficient_funds"}
GLITCH = {"available_balance": "50.00", "failure_code": "timeout"}


# -- ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "is_decided"), [(0, False), (1, True)])
def test_an_end_proves_up_to_its_time_without_lateness(after: int, is_decided: bool) -> None:
    """A timer due before it fires; one due at it stays pending, and is listed."""
    station = Station(partitions=2)
    station.fail("owner", *range(START - 4 * SECOND, START + 1, SECOND))
    due = START + ABSENCE
    for topic in DETECT_INPUTS:
        station.control(topic, "end", due + after, partitions=(0, 1))
    station.work(START + MINUTE)
    undecided = [item for task in station.detect.tasks.values() for item in task.undecided()]
    pending = (due, b"owner", "A5", "absence")
    assert (pending in undecided) == (not is_decided)
    assert station.steps(A5) == ([("raised", "owner")] if is_decided else [])
    station.work(START + 24 * HOUR)
    assert station.steps(A5) == ([("raised", "owner")] if is_decided else [])
    assert undecided == [
        item for task in station.detect.tasks.values() for item in task.undecided()
    ]
    assert not station.alerts(SILENT)


def test_ends_on_some_partitions_only_end_nothing() -> None:
    """The topic may still speak elsewhere: idle advances go on, and its silence is told."""
    station = Station(partitions=2)
    (owner,) = names_on(0, 2, 1)
    station.login(owner, START)
    station.control(LOGINS, "end", START + SECOND)
    for now in range(START + TICK, START + 5 * MINUTE, TICK):
        station.now = now
        station.transaction(owner, now, "failed", **GLITCH)
        station.work()
    raised = [alert for alert in station.alerts(A1) if alert["kind"] == "raised"]
    assert len(raised) == (5 * MINUTE // TICK) - 2
    assert station.steps(SILENT) == [("raised", "")]


def test_a_heartbeat_proves_up_to_its_time_but_not_beyond_its_appending() -> None:
    """A producer with a fast clock does not make others late."""
    station = Station()
    station.login("visitor", START)
    station.control(LOGINS, "heartbeat", START + HOUR)
    station.login("visitor", START - LATENESS)
    station.control(LOGINS, "heartbeat", START - LATENESS)
    station.work()
    assert not station.late()
    station.control(LOGINS, "heartbeat", START)
    station.now += MINUTE
    station.control(LOGINS, "heartbeat", START + 30 * SECOND)
    station.login("visitor", START + 24 * SECOND)
    station.work()
    assert len(station.late()) == 1


@pytest.mark.parametrize("ends", [True, False])
def test_an_end_behind_the_clock_holds_no_event_back(ends: bool) -> None:
    """A worker waits for events; those that come are long over, and so is their end."""
    station = Station(partitions=2)
    station.work(START + HOUR)
    station.fail("owner", *range(START, START + 5 * SECOND, SECOND))
    for topic in DETECT_INPUTS if ends else ():
        station.control(topic, "end", START + MINUTE, partitions=(0, 1))
    station.work(START + HOUR + MINUTE)
    station.work(START + HOUR + 2 * MINUTE)
    assert len(station.late()) == 5


@pytest.mark.parametrize("ended", [(0, 1, 2), (1, 2), (0, 1), (0,), (1,), (2,)])
@pytest.mark.parametrize("by_the_clock", [True, False])
def test_an_input_that_goes_on_is_not_held_back_by_those_that_have_ended(
    ended: tuple[int, ...], by_the_clock: bool
) -> None:
    """History with ends, then one input lives on, or the late rest of it comes."""
    station = Station(partitions=2)
    (owner,) = names_on(0, 2, 1)
    station.login(owner, START)
    station.transaction(owner, START)
    if by_the_clock:
        station.work(START + HOUR)
    for index in ended:
        station.control(DETECT_INPUTS[index], "end", START + SECOND, partitions=(0, 1))
    station.work(START + 2 * HOUR)
    for at in (START + 2 * HOUR, START + MINUTE):
        station.transaction(owner, at, "failed", **GLITCH)
    station.work(START + 2 * HOUR + MINUTE)
    station.work(START + 2 * HOUR + 2 * MINUTE)
    assert station.steps(A1) == [("raised", owner)]
    assert len(station.late()) == 1


@pytest.mark.parametrize("index", range(3))
def test_what_the_clock_has_made_late_is_not_held_back_by_an_end(index: int) -> None:
    """The clock has moved some inputs, and all end at a time before that."""
    station = Station(partitions=2)
    (owner,) = names_on(0, 2, 1)
    station.now = START + HOUR
    station.control(DETECT_INPUTS[index], "heartbeat", START + HOUR, partitions=(0, 1))
    station.transaction(owner, START + MINUTE)
    station.work(START + HOUR + MINUTE)
    before = len(station.late())
    station.transaction(owner, START + 2 * MINUTE, "failed", **GLITCH)
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + HOUR, partitions=(0, 1))
    station.work(START + 2 * HOUR)
    station.work(START + 2 * HOUR + MINUTE)
    assert len(station.late()) == before + 1


@pytest.mark.parametrize("ahead", [0, 1])
def test_time_stays_where_one_input_is_still_read_to_its_end(ahead: int) -> None:
    """Many polls read a history that has ended before: what is due after it waits."""
    station = Station(partitions=2, pace=Pace(poll_records=5))
    station.now = START + HOUR
    station.fail("owner", *range(START - 4 * SECOND, START + 1, SECOND))
    for n in range(50):
        if ahead:
            station.transaction("visitor", START + n)
        else:
            station.login("visitor", START + n)
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + SECOND, partitions=(0, 1))
    station.work(START + HOUR)
    station.work(START + 24 * HOUR)
    assert not station.alerts(A5)
    sources = [source for task in station.detect.tasks.values() for source in task.sources]
    assert {time.frontier for source in sources for time in source.inputs} == {START + SECOND}


def test_time_stays_where_all_inputs_have_ended() -> None:
    """Each at a time of its own: what is after the first of them waits."""
    station = Station(partitions=2)
    station.transaction("owner", START + HOUR, "failed", **REFUSED)
    for index, topic in enumerate(DETECT_INPUTS):
        station.control(topic, "end", START + (2 - index) * HOUR, partitions=(0, 1))
    station.work(START + 24 * HOUR)
    station.work(START + 48 * HOUR)
    assert not station.alerts(A1)


def test_an_end_is_a_record_that_ends_a_silence() -> None:
    """A topic whose partitions all stand at an end is not silent: what was raised is cured."""
    station = Station()
    station.login("owner", START)
    station.work(START + 2 * MINUTE)
    assert station.steps(SILENT) == [("raised", "")]
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + 3 * MINUTE)
    station.work(START + 3 * MINUTE)
    station.work(START + 4 * MINUTE)
    assert station.steps(SILENT) == [("cured", ""), ("raised", "")]


# -- idle inputs --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_idle_advances_are_recorded_and_replayed(seed: int) -> None:
    """Crashes with events buffered and inputs ahead of their events by the clock change nothing."""
    steady, shaken = (trickle(Random(seed), crashes) for crashes in (0.0, 0.3))
    assert shaken.log.crashes >= 10
    assert len(steady.late()) >= 5
    assert comparable(shaken.log) == comparable(steady.log)
    assert set_aside(shaken.log) == set_aside(steady.log)


def trickle(rng: Random, crashes: float) -> Station:
    """Return the station after sparse events of several ages, with or without crashes."""
    station = Station(partitions=2)
    chance = Random(rng.random())
    for _ in range(200):
        station.now += rng.choice((SECOND, 2 * SECOND, 7 * SECOND, MINUTE))
        for _ in range(rng.randint(0, 3)):
            at = station.now - rng.choice((0, 1, SECOND, 3 * SECOND, 6 * SECOND, MINUTE))
            account = f"owner-{rng.randrange(4)}"
            if rng.random() < 0.3:
                station.transaction(account, at, "failed", **rng.choice((REFUSED, GLITCH)))
            else:
                station.login(account, at, rng.choice(("failure", "failure", "success")))
        if chance.random() < crashes:
            station.crash(chance.choice(("before", "after")))
        station.work()
    return station


def test_the_time_of_a_task_never_falls_although_the_clock_speaks_of_a_silence() -> None:
    """A backlog from long ago beside a silent topic: triage takes none of its alerts for late."""
    station = Station(pace=Pace(poll_records=5))
    station.login("visitor", START)
    for n in range(100):
        station.transaction("owner", START - 6 * HOUR + n * MINUTE, "failed", **REFUSED)
    for _ in range(30):
        station.now += TICK
        station.transaction("payer", station.now)
        station.step()
    station.work()
    assert station.steps(SILENT) == [("raised", "")]
    alerts = station.alerts(SILENT) + station.alerts(A1)
    alerts.sort(key=lambda alert: alert["origin_sequence"])
    assert len(alerts) == 101
    times = [alert["detected_at"] for alert in alerts]
    assert times == sorted(times)
    assert not station.triage.counts[LateSignal("detect-0")]


# -- origins of signals -------------------------------------------------------------------


def test_an_origin_that_is_silent_at_the_end_is_passed_over() -> None:
    """Incidents wait for it for 5 minutes at the end of the signals; its later alerts are late."""
    station = Station(partitions=2)
    station.restart(detecting=(0,))
    accounts = [names_on(number, 2, 1)[0] for number in range(2)]
    for account in accounts:
        station.transaction(account, START, "failed", **GLITCH)
    told = []
    for now in range(START, START + 10 * MINUTE, TICK):
        station.work(now)
        if comparable(station.log).incidents:
            told.append(now)
    assert START + 5 * MINUTE <= told[0] <= START + 5 * MINUTE + 2 * TICK
    before = comparable(station.log).incidents
    assert len(before) == 1
    station.restart(detecting=(0, 1))
    for _ in range(10):
        station.work(station.now + TICK)
    after = comparable(station.log).incidents
    assert len(after) == 2
    assert set(before) < set(after)
    assert station.triage.counts[LateSignal("detect-1")] == 1


def test_an_origin_is_passed_over_although_signals_are_hidden_at_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each commit of another worker hides some for a moment: at the end, all have been read."""
    station = Station(partitions=2)
    station.restart(detecting=(0,))
    poll, polls = station.triage._session.poll, count()

    def hiding(*arguments: Any, **options: Any) -> Any:
        batch = poll(*arguments, **options)
        if next(polls) % 2:
            batch.at_end.clear()
        return batch

    monkeypatch.setattr(station.triage._session, "poll", hiding)
    (owner,) = names_on(0, 2, 1)
    station.transaction(owner, START, "failed", **GLITCH)
    told = []
    for now in range(START, START + 10 * MINUTE, TICK):
        station.work(now)
        if comparable(station.log).incidents:
            told.append(now)
    assert START + 5 * MINUTE <= told[0] <= START + 5 * MINUTE + 3 * TICK


def test_an_origin_is_waited_for_while_there_are_signals_to_read() -> None:
    """Only at their end can its silence be told from being behind."""
    station = Station(partitions=2, pace=Pace(poll_records=1))
    station.restart(detecting=(0,))
    (owner,) = names_on(0, 2, 1)
    for n in range(60):
        station.transaction(owner, START - HOUR + n * TICK, "failed", **REFUSED)
    for _ in range(60):
        station.now += TICK
        station.step()
    assert len(station.alerts(A1)) >= 50
    assert not comparable(station.log).incidents
