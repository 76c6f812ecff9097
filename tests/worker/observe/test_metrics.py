"""Metrics say what was committed: all of it, once, and nothing else."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ALERTS, BALANCES, LOGINS, SIGNALS, TRANSACTIONS
from tests.support.clocked_stages import Station, names_on
from tests.support.events.traffic import HOUR, MINUTE, SECOND, START
from tests.support.expected_metrics import problems, samples, series
from tests.support.producer import PARTITIONS, crowd
from tests.support.random_runs import POLICY, RULES, FragileLog
from tests.support.run_comparison import documents
from tests.worker.detect.test_rule_errors import with_touchy
from tests.worker.engine.test_idle_inputs import GLITCH, TICK
from worker.detect.stage import DETECT, detect
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord, TopicPartition
from worker.engine.stage import Pace
from worker.errors import LogError
from worker.logs.memory import MemoryLog
from worker.observe.ages import BOUNDS_MS, Ages
from worker.observe.meter import Meter
from worker.observe.metrics import Metrics
from worker.triage.stage import TRIAGE, triage

STAGES = (DETECT, TRIAGE)


class Measured:
    """Metrics of all workers, one after the other, and a clock for them."""

    def __init__(self, rules: Any = RULES) -> None:
        self.now = START
        self.asked: list[str] = []
        self.metrics = Metrics(STAGES, rules)
        self.ends: dict[str, list[tuple[int, int]]] = {}
        self.meter = Meter(self.metrics, self._offsets, lambda: self.now)

    def _offsets(self, topic: str) -> list[tuple[int, int]]:
        self.asked.append(topic)
        return self.ends.get(topic, [(0, 0)] * PARTITIONS)

    def open_incidents(self) -> list[float]:
        """Return how many errors, warnings and infos are open."""
        names = ("error", "warning", "info")
        return [self.value("incidents_open", severity=name) or 0 for name in names]

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample; None if there is no such series."""
        return self.metrics.registry.get_sample_value(f"walletwatch_{name}", labels)


@pytest.fixture
def measured() -> Measured:
    return Measured()


def run(log: FragileLog, measured: Measured, mishaps: float, rng: Random) -> None:
    """Work until all is done; now and then a commit fails, and the workers are made anew."""
    pace = Pace(poll_records=150, idle_advances=False, progress_interval=0, max_buffered=50)
    stages = (detect(POLICY), triage(POLICY, PARTITIONS))
    done = False
    while not done:
        workers = [
            StageWorker(log, stage, None, lambda: START, pace, measured.meter) for stage in stages
        ]
        try:
            while sum(worker.run_once() for worker in workers):
                if rng.random() < mishaps:
                    log.mishap = "before"
            done = log.mishap is None
            log.mishap = None
        except LogError:
            pass
        for worker in workers:
            worker.close()


def test_counters_say_what_was_published(measured: Measured) -> None:
    """Also when commits fail and work is done again: that is counted when it is committed."""
    log = FragileLog(partitions=PARTITIONS)
    log.append([r for stream in crowd(5, 1_500).streams.values() for r in stream])
    run(log, measured, 0.2, Random(5))
    assert log.crashes > 3
    found = samples(measured.metrics.registry.collect())
    assert problems(found, log) == []
    assert found["incidents_open", "error"] > 1
    assert found["dead_letters_total", "event_id_conflict", TRANSACTIONS] > 1
    assert found["events_processed_total", "duplicate", TRANSACTIONS] > 1
    assert found["events_processed_total", "late", TRANSACTIONS] > 1
    assert found["restore_seconds_count", TRIAGE] == PARTITIONS * (log.crashes + 1)


def test_open_incidents_are_right_after_a_restart(measured: Measured) -> None:
    """They are those of the restored tasks, and of no others."""
    log = FragileLog(partitions=PARTITIONS)
    log.append([r for stream in crowd(6, 500).streams.values() for r in stream])
    run(log, measured, 0, Random(6))
    before = measured.open_incidents()
    parts = []
    for tasks in ([0, 1], [2, 3]):
        anew = Measured()
        StageWorker(
            log, triage(POLICY, PARTITIONS), tasks, lambda: START, Pace(), anew.meter
        ).close()
        parts.append(anew.open_incidents())
    assert all(before[:2])
    assert before == [sum(both) for both in zip(*parts, strict=True)]


def test_everything_known_stands_at_zero_from_the_start(measured: Measured) -> None:
    """Else the first of its kind would not be an increase."""
    at_zero = [
        ("events_consumed_total", {"topic": SIGNALS}),
        ("events_processed_total", {"topic": LOGINS, "outcome": "duplicate"}),
        ("fields_mended_total", {"topic": LOGINS, "field": "user_agent", "how": "cut"}),
        ("fields_mended_total", {"topic": BALANCES, "field": "extra", "how": "dropped"}),
        ("dead_letters_total", {"topic": BALANCES, "reason": "rule_error"}),
        ("event_age_seconds_count", {"topic": TRANSACTIONS}),
        ("event_age_seconds_bucket", {"topic": TRANSACTIONS, "le": "30.0"}),
        ("alerts_total", {"rule": "pipeline_silent", "kind": "cured", "severity": "error"}),
        ("alerts_total", {"rule": "cannot_log_in", "kind": "raised", "severity": "info"}),
        ("rule_errors_total", {"rule": "cannot_log_in"}),
        ("incidents_opened_total", {"severity": "warning"}),
        ("incidents_open", {"severity": "critical"}),
        ("commits_total", {"stage": "triage"}),
        ("rebalances_total", {"stage": "detect"}),
        ("assigned_tasks", {"stage": "detect"}),
        ("restored_tasks", {"stage": "triage"}),
        ("restore_seconds_count", {"stage": "triage"}),
    ]
    assert [(name, measured.value(name, **labels)) for name, labels in at_zero] == [
        (name, 0) for name, _ in at_zero
    ]
    assert measured.value("last_poll_timestamp_seconds") == START / 1000


def test_only_what_can_happen_stands_there() -> None:
    """A process that runs one stage, or a rule in shadow, has no series of others."""
    names = {key[0] for key in _all(Metrics((DETECT,), RULES[:1]))}
    assert "incidents_open" not in names
    in_shadow = Metrics(STAGES, [type(RULES[0])(RULES[0].params, "shadow")])
    rules = {key[:3:2] for key in _all(in_shadow) if key[0].endswith("alerts_total")}
    assert rules == {
        ("alerts_total", "pipeline_silent"),
        ("shadow_alerts_total", RULES[0].id),
    }
    assert {key[1:] for key in _all(in_shadow) if key[0] == "rule_errors_total"} == {(RULES[0].id,)}
    mended = {key[1:3] for key in _all(in_shadow) if key[0] == "fields_mended_total"}
    assert {how for field, how in mended if field == "user_agent"} == {"cleaned", "cut", "dropped"}
    assert {how for field, how in mended if field == "network"} == {"dropped"}
    assert not {field for field, _ in mended} & {"event_id", "amount", "occurred_at", "status"}


def _all(metrics: Metrics) -> set[tuple[str, ...]]:
    """Return every series, by name and values of labels."""
    return {series(sample) for each in metrics.registry.collect() for sample in each.samples}


def test_rules_that_fail_and_rules_in_shadow_are_counted() -> None:
    """An event on which a rule failed was processed all the same."""
    policy = with_touchy({"*"})
    measured = Measured(policy.rules)
    station = Station(policy=policy, observer=measured.meter)
    for n in range(7):
        station.transaction("owner", START + n * SECOND)
    station.work(START + MINUTE)
    assert measured.value("rule_errors_total", rule="touchy") == 7
    assert measured.value("events_processed_total", topic=TRANSACTIONS, outcome="ok") == 7
    assert measured.value("events_processed_total", topic=TRANSACTIONS, outcome="invalid") == 0
    assert measured.value("dead_letters_total", topic=TRANSACTIONS, reason="rule_error") == 7


def test_late_signals_are_told_of_triage(measured: Measured) -> None:
    """An origin that was passed over sends its alerts too late."""
    station = Station(partitions=2, observer=measured.meter)
    station.restart(detecting=(0,))
    for number in range(2):
        station.transaction(names_on(number, 2, 1)[0], START, "failed", **GLITCH)
    for now in range(START, START + 10 * MINUTE, TICK):
        station.work(now)
    station.restart(detecting=(0, 1))
    for _ in range(10):
        station.work(station.now + TICK)
    assert measured.value("events_processed_total", topic=SIGNALS, outcome="late") == 1
    alerts = len(documents(station.log, ALERTS))
    assert measured.value("events_processed_total", topic=SIGNALS, outcome="ok") == alerts - 1


# -- time -----------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(-10_000, 4_000_000)), max_size=3),
    st.integers(-10_000, 4_000_000),
)
def test_ages_are_those_of_each_event(batches: list[list[int]], now: int) -> None:
    """Counted by whole batches, they are as if each had been put into its bucket."""
    ages = Ages()
    for times in batches:
        ages = ages.add(sorted(times), now)
    each = [max(0, now - time) for times in batches for time in times]
    assert ages.at_most == tuple(sum(age <= bound for age in each) for bound in BOUNDS_MS)
    assert (ages.count, ages.total_ms) == (len(each), sum(each))


def test_ages_and_watermarks_follow_the_events(measured: Measured) -> None:
    """Each topic has its own; the clock is that of the commit."""
    station = Station(observer=measured.meter)
    station.transaction("owner", START)
    station.login("owner", START + 2 * SECOND)
    measured.now = START + 7 * SECOND
    station.work(START + 8 * SECOND)
    assert measured.value("event_age_seconds_sum", topic=TRANSACTIONS) == 7
    assert measured.value("event_age_seconds_sum", topic=LOGINS) == 5
    assert measured.value("event_age_seconds_bucket", topic=LOGINS, le="5.0") == 1
    assert measured.value("event_age_seconds_bucket", topic=LOGINS, le="2.5") == 0
    assert measured.value("watermark_timestamp_seconds", stage=DETECT, task="0") == (
        START / 1000 + 3
    )
    assert measured.value("last_poll_timestamp_seconds") == START / 1000 + 8


def test_a_task_without_time_has_no_watermark(measured: Measured) -> None:
    """Not one in the year -146,000,000."""
    station = Station(pace=Pace(idle_advances=False), observer=measured.meter)
    station.log.append([NewRecord(LOGINS, b"owner", b"junk", 0)])
    station.work()
    assert measured.value("commits_total", stage=DETECT) == 1
    assert measured.value("watermark_timestamp_seconds", stage=DETECT, task="0") is None


def test_restores_are_timed(measured: Measured) -> None:
    """From the moment at which a task is asked of the log until it can work."""

    class Slow(MemoryLog):
        def open_session(self, *args: Any) -> Any:
            session = super().open_session(*args)
            restore = session.restore

            def slowly(task: int) -> Any:
                measured.now += 1_500
                return restore(task)

            session.restore = slowly  # type: ignore[method-assign]
            return session

    StageWorker(Slow(partitions=2), detect(POLICY), None, lambda: START, Pace(), measured.meter)
    assert measured.value("restore_seconds_sum", stage=DETECT) == 3
    assert measured.value("restore_seconds_count", stage=DETECT) == 2


def test_lag_is_what_is_left_to_read(measured: Measured) -> None:
    """Measured every 5 s at most; an input at its end has none, whatever its offsets say."""
    station = Station(pace=Pace(poll_records=10, idle_advances=False), observer=measured.meter)
    for n in range(25):
        station.transaction("owner", START + n)
    measured.ends = {topic: [(0, 99)] for topic in (LOGINS, BALANCES, SIGNALS)}
    measured.ends[TRANSACTIONS] = station.log.offsets(TRANSACTIONS)
    lags = []
    for now in (START, START + 4 * SECOND, START + 5 * SECOND, START + 10 * SECOND):
        station.now = now
        station.step()
        lags.append(
            measured.value("consumer_lag_records", stage=DETECT, topic=TRANSACTIONS, partition="0")
        )
    assert lags == [15, 15, 0, 0]
    assert measured.asked == [TRANSACTIONS]
    for topic in (LOGINS, BALANCES):
        labels = {"stage": DETECT, "topic": topic, "partition": "0"}
        assert measured.value("consumer_lag_records", **labels) == 0


def test_holds_are_timed(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """From when an open transaction is found to hide records of an input; 0 where none does."""
    station = Station(observer=measured.meter)
    station.log.append([NewRecord(LOGINS, b"owner", b"junk", 0)])
    poll, at = station.detect._session.poll, TopicPartition(LOGINS, 0)

    def holding(*arguments: Any, **options: Any) -> Any:
        batch = poll(*arguments, **options)
        if station.now < START + 20 * SECOND:
            batch.at_end.discard(at)
            batch.held[at] = range(1, 4)
        return batch

    monkeypatch.setattr(station.detect._session, "poll", holding)
    measured.ends = {LOGINS: [(0, 4)]}
    found = []
    for now in range(START, START + 25 * SECOND, 10 * SECOND):
        station.work(now)
        labels = {"stage": DETECT, "topic": LOGINS, "partition": "0"}
        names = ("input_held_seconds", "consumer_lag_records")
        found.append(tuple(measured.value(name, **labels) for name in names))
    assert found == [(0, 3), (10, 3), (0, 0)]
    others = {"stage": DETECT, "topic": TRANSACTIONS, "partition": "0"}
    assert measured.value("input_held_seconds", **others) == 0


def test_tasks_that_leave_take_their_series_with_them(measured: Measured) -> None:
    """What others work on now is theirs to tell."""
    station = Station(partitions=2, observer=measured.meter)
    for number in range(2):
        (owner,) = names_on(number, 2, 1)
        provider = next(p for p in "abcdef" if partition_of(f"provider:{p}".encode(), 2) == number)
        station.transaction(owner, START, "failed", provider=provider, **GLITCH)
    for topic in (LOGINS, BALANCES, TRANSACTIONS):
        station.control(topic, "heartbeat", START + HOUR, (0, 1))
    station.work(START + HOUR)
    both = {("lag", "0"), ("lag", "1"), ("time", "0"), ("time", "1")}
    assert _tasks(measured, TRIAGE) == _tasks(measured, DETECT) == both
    assert sum(measured.open_incidents()) == 2
    for stage in STAGES:
        measured.meter.moved(stage, (1, 3), (1,))
    assert _tasks(measured, TRIAGE) == _tasks(measured, DETECT) == {("lag", "1"), ("time", "1")}
    assert measured.value("rebalances_total", stage=TRIAGE) == 1
    assert measured.value("assigned_tasks", stage=TRIAGE) == 2
    assert measured.value("restored_tasks", stage=TRIAGE) == 1
    assert sum(measured.open_incidents()) == 1


def _tasks(measured: Measured, stage: str) -> set[tuple[str, str]]:
    found = set()
    for family in measured.metrics.registry.collect():
        for sample in family.samples:
            if sample.labels.get("stage") == stage and "partition" in sample.labels:
                found.add(("lag", sample.labels["partition"]))
            if sample.labels.get("stage") == stage and "task" in sample.labels:
                found.add(("time", sample.labels["task"]))
    return found
