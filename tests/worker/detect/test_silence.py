"""What counts as silence of a topic: what the log holds, however much of it the worker has read."""

from collections.abc import Sequence

import pytest

from schemas.topics import DETECT_INPUTS, LOGINS
from tests.support.clocked_stages import Station, names_on
from tests.support.events.traffic import HOUR, MINUTE, SECOND, START
from worker.engine.stage import Pace

SILENT = "pipeline_silent"
RAISED, CURED = ("raised", ""), ("cured", "")
PARTITIONS = (0, 1)
EVENTS = 30


def backlog(ends: Sequence[int] = PARTITIONS) -> Station:
    """A station with unread events on both partitions of two inputs, and ends where all end.

    Args:
        ends: the partitions of the logins that end as well.
    """
    station = Station(partitions=2, pace=Pace(poll_records=8))
    for partition in PARTITIONS:
        (owner,) = names_on(partition, 2, 1)
        for n in range(EVENTS):
            station.transaction(owner, START + n * SECOND)
            station.login(owner, START + n * SECOND)
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + MINUTE, ends if topic == LOGINS else PARTITIONS)
    return station


def catch_up(station: Station) -> list[tuple[int, int]]:
    """Read everything, a second per unit of work.

    Returns:
        after each unit: (logins read of partition 0, silences raised).
    """
    units, task = [], station.detect.tasks[0]
    logins = task.sources[DETECT_INPUTS.index(LOGINS)]
    for _ in range(40):
        station.now += SECOND
        station.step()
        units.append((logins.position, len(station.alerts(SILENT))))
    return units


def test_a_topic_that_has_ended_is_not_silent_while_it_is_being_read() -> None:
    """Nor before, nor afterwards, nor for another worker: its end is old, but it is an end."""
    station = backlog()
    station.now += HOUR
    units = catch_up(station)
    assert len([read for read, _ in units if 0 < read < EVENTS]) > 5
    assert station.detect.ended
    station.restart()
    for _ in range(5):
        station.work(station.now + HOUR)
    assert station.steps(SILENT) == []


@pytest.mark.parametrize("ends", [(), (0,), (1,)])
def test_a_topic_that_has_not_ended_everywhere_is_silent(ends: Sequence[int]) -> None:
    """Found while its backlog is read, raised once; its ends take it back when they come."""
    station = backlog(ends)
    station.now += HOUR
    units = catch_up(station)
    read_when_raised = next(read for read, raised in units if raised)
    assert 0 < read_when_raised < EVENTS
    assert station.steps(SILENT) == [RAISED]
    (alert,) = station.alerts(SILENT)
    assert alert["cause"] == f"pipeline:{LOGINS}"
    missing = [partition for partition in PARTITIONS if partition not in ends]
    station.control(LOGINS, "end", START + MINUTE, missing)
    for _ in range(5):
        station.work(station.now + HOUR)
    assert station.steps(SILENT) == [CURED, RAISED]


def test_a_topic_that_goes_on_after_its_end_can_fall_silent() -> None:
    """One record behind an end on one partition is enough, read or not."""
    station = backlog()
    station.work(START + HOUR)
    (owner,) = names_on(1, 2, 1)
    station.login(owner, station.now)
    station.work(station.now + MINUTE)
    assert station.steps(SILENT) == []
    station.work(station.now + SECOND)
    assert station.steps(SILENT) == [RAISED]
    station.control(LOGINS, "end", station.now, PARTITIONS)
    station.work(station.now + HOUR)
    assert station.steps(SILENT) == [CURED, RAISED]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("gone", [(0,), PARTITIONS])
def test_retention_does_not_take_an_end_back(gone: Sequence[int], restarted: bool) -> None:
    """Where all records of a partition have gone: no silence, and time stays at the end."""
    station = Station(partitions=2)
    for partition in PARTITIONS:
        (owner,) = names_on(partition, 2, 1)
        station.transaction(owner, START)
        station.fail(owner, *range(START, START + 5 * SECOND, SECOND))
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + MINUTE, gone)
    station.now += HOUR
    for topic in DETECT_INPUTS:
        station.control(topic, "end", START + MINUTE, [n for n in PARTITIONS if n not in gone])
    station.work()
    station.log.prune(dict.fromkeys(DETECT_INPUTS, HOUR - 1), {})
    stored = [record is not None for record in station.log.last_records(LOGINS)]
    assert stored == [partition not in gone for partition in PARTITIONS]
    if restarted:
        station.restart()
    for _ in range(5):
        station.work(station.now + HOUR)
    assert station.steps(SILENT) == station.steps("cannot_log_in") == []
