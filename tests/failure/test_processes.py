"""Stages and tasks split over processes find what one process finds."""

from contextlib import ExitStack
from pathlib import Path

from schemas.topics import ALERTS
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, producing, wait_until
from tests.support.log_comparison import differences, outcome
from tests.support.producer import PARTITIONS, crowd
from worker.logs.sqlite.log import SqliteLog
from worker.triage.stage import TRIAGE

SEED = 11
EVENTS = 4_000
SLICES = 10
PRODUCERS = 2


def test_three_workers_and_two_producers_on_one_file(tmp_path: Path) -> None:
    """Two detect a half of the tasks each, one does triage, while two others append."""
    whole = Place(tmp_path / "whole")
    whole.fill(crowd(SEED, EVENTS))
    whole.finish()
    place = Place(tmp_path / "split")
    log = SqliteLog(place.path, partitions=PARTITIONS)
    with ExitStack() as stack:
        stack.callback(log.close)
        first, second = (
            stack.enter_context(
                place.running("--stage", "detect", "--tasks", tasks, "--until-ended")
            )
            for tasks in ("0,1", "2,3")
        )
        triage = stack.enter_context(place.running("--stage", "triage"))
        producers = [
            stack.enter_context(producing(place, SEED, EVENTS, SLICES, part, PRODUCERS))
            for part in range(PRODUCERS)
        ]
        for producer in producers:
            producer.append(SLICES // 2)
        wait_until(lambda: any(log.last_records(ALERTS)), "the first alert")
        for producer in producers:
            producer.append_rest()
        for process in (first, second):
            assert process.wait(DEADLINE_SECONDS) == 0
        wait_until(lambda: place.unread(TRIAGE) == 0, "triage to have read everything")
        triage.terminate()
        assert triage.wait(DEADLINE_SECONDS) == 0
    found = outcome(place)
    assert differences(found, outcome(whole)) == []
    assert (found.misnumbered, found.dangling) == ([], 0)
    assert len(found.found.incidents) > EVENTS // 10
