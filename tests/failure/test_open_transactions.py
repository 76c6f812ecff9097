"""Producers whose transactions stay open for long, on a real broker: nothing is judged too early.

A transaction hides its records, and all that follow in the partition, until it ends.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec
import pytest

from schemas.time import format_time
from schemas.topics import ALERTS, BALANCES, DETECT_INPUTS, LATE, LOGINS, TRANSACTIONS
from tests.support.crashing_worker import DEADLINE_SECONDS, wait_until
from tests.support.events.traffic import HOUR, MINUTE, SECOND
from tests.support.kafka_place import KafkaPlace
from tests.support.open_transaction import OpenTransaction
from tests.support.producer import PARTITIONS
from tests.support.run_comparison import documents
from tests.support.scraping import Pages
from worker.cli.tail import appended, readable_ends
from worker.config.load import load_settings
from worker.detect.stage import DETECT
from worker.engine.holds import Hold
from worker.engine.log import Log, stored
from worker.engine.murmur2 import partition_of
from worker.engine.observer import Observer, Work
from worker.engine.records import NewRecord, TopicPartition
from worker.logs.kafka.client import ClusterPartition, Outgoing
from worker.logs.sqlite.log import wall_clock
from worker.run.open_log import cluster_at
from worker.run.runner import Runner
from worker.triage.stage import TRIAGE

OWNER, OTHER = "owner", "visitor"
AT = TopicPartition(LOGINS, partition_of(OWNER.encode(), PARTITIONS))
A5, SILENT = "cannot_log_in", "pipeline_silent"


class Watch(Observer):
    """Keeps what the last unit of work of detect reported."""

    def __init__(self) -> None:
        self.at_end: set[TopicPartition] = set()
        self.held: dict[TopicPartition, Hold] = {}

    def worked(self, work: Work) -> None:
        """Take it over."""
        if work.stage == DETECT:
            self.at_end, self.held = set(work.at_end), dict(work.held)


class Desk:
    """Workers of both stages on a log on Kafka, and a clock that can be set ahead."""

    def __init__(self, log: Log, place: KafkaPlace) -> None:
        place.config.write_text("", "utf-8")
        environment = place.environment | {"PATH": os.environ["PATH"]}
        self._settings = load_settings(place.config, environment, log_url=place.url).settings
        self.log = log
        self._ids = 0
        self.cluster = cluster_at(place.url, self._settings.kafka)
        self.ahead = 0
        self.watch = Watch()
        self.runner: Runner = self._hire()

    def _hire(self) -> Runner:
        stages = (DETECT, TRIAGE)
        return Runner(self.log, self._settings, stages, None, self.clock, observer=self.watch)

    def clock(self) -> int:
        """Return the time of the workers."""
        return wall_clock() + self.ahead

    def restart(self) -> None:
        """Begin anew from what is committed."""
        self.runner.close()
        self.runner = self._hire()

    def login(self, account: str, ago: int, outcome: str = "success") -> NewRecord:
        """Return a login event of so many milliseconds ago."""
        self._ids += 1
        fields = {
            "event_id": f"event-{self._ids}",
            "account_id": account,
            "occurred_at": format_time(wall_clock() - ago),
            "action": "login",
            "outcome": outcome,
        }
        if outcome == "failure":
            fields["reason"] = "bad_credentials"
        return NewRecord(LOGINS, account.encode(), msgspec.json.encode(fields))

    def fail(self, account: str, ago: int) -> None:
        """Append five failed logins, the last of so many milliseconds ago."""
        times = range(ago + 4 * SECOND, ago - 1, -SECOND)
        self.log.append([self.login(account, each, "failure") for each in times])

    def begin(self, *records: NewRecord, seconds: int = 600) -> OpenTransaction:
        """Append records in a transaction that brokers abort after so many seconds."""
        return OpenTransaction(self.cluster, self.outgoing(records), seconds)

    def outgoing(self, records: Sequence[NewRecord]) -> list[Outgoing]:
        """Return records of the owner as a producer sends them."""
        at = ClusterPartition(self.cluster.topic(AT.topic), AT.partition)
        return [(at, each.key, each.value, each.headers) for each in records]

    def work(self, units: int = 8) -> None:
        """Do some units of work, whether or not there is anything to do."""
        for _ in range(units):
            self.runner._run_once(0.1)

    def work_until_read(self) -> None:
        """Work until every input is read to its end, then once more by the clock."""

        def is_read() -> bool:
            self.work(1)
            return self.watch.at_end == _inputs()

        wait_until(is_read, "the end of all inputs", look=0)
        self.work()

    def alerts(self, rule: str) -> list[tuple[str, str]]:
        """Return (kind, account) of each alert record of a rule."""
        return [
            (alert["kind"], alert.get("account_id", ""))
            for _, alert in documents(self.log, ALERTS)
            if alert["rule"] == rule
        ]

    def late(self) -> list[Any]:
        """Return the events that came too late."""
        return list(stored(self.log, LATE))


def _inputs() -> set[TopicPartition]:
    return {TopicPartition(topic, n) for topic in DETECT_INPUTS for n in range(PARTITIONS)}


@pytest.fixture
def desk(place: KafkaPlace) -> Iterator[Desk]:
    with closing(place.open()) as log:
        desk = Desk(log, place)
        with closing(desk.runner):
            yield desk


@pytest.mark.parametrize("restarts", [False, True])
def test_events_of_a_long_transaction_are_judged_in_time(desk: Desk, restarts: bool) -> None:
    """Though it is open for an hour, and what it hides disproves an absence; others go on."""
    desk.fail(OWNER, 11 * MINUTE)
    desk.fail(OTHER, 11 * MINUTE)
    assert partition_of(OTHER.encode(), PARTITIONS) != AT.partition
    transaction = desk.begin(desk.login(OWNER, 5 * MINUTE))
    desk.work()
    transaction.send(desk.outgoing([desk.login(OWNER, 4 * MINUTE)]))
    for _ in range(3):
        desk.ahead += 20 * SECOND
        desk.work(3)
        if restarts:
            desk.restart()
            desk.work(3)
    assert desk.watch.at_end == _inputs() - {AT}
    assert len(desk.watch.held[AT].hidden) == 2
    assert desk.alerts(A5) == [("raised", OTHER)]
    transaction.commit()
    desk.work_until_read()
    assert desk.watch.held == {}
    assert desk.late() == []
    assert desk.alerts(A5) == [("raised", OTHER)]


def test_a_hanging_transaction_holds_the_clock_until_it_is_aborted(desk: Desk) -> None:
    """What its dead producer had sent never counts."""
    desk.fail(OWNER, 11 * MINUTE)
    transaction = desk.begin(desk.login(OWNER, 5 * MINUTE), seconds=6)
    transaction.kill()
    desk.ahead += HOUR
    desk.work()
    assert AT in desk.watch.held
    assert desk.alerts(A5) == []
    transaction.await_end()
    desk.work_until_read()
    assert desk.late() == []
    assert desk.alerts(A5)[0] == ("raised", OWNER)


def test_a_topic_that_is_hidden_is_not_silent(desk: Desk) -> None:
    """It is once the transaction has come to nothing."""
    desk.log.append([desk.login(OWNER, 0)])
    transaction = desk.begin(desk.login(OWNER, 0))
    desk.ahead += 5 * MINUTE
    desk.work()
    assert desk.alerts(SILENT) == []
    transaction.abort()
    desk.work_until_read()
    desk.ahead += 2 * SECOND
    desk.work()
    assert desk.alerts(SILENT) == [("raised", "")]


def test_a_run_until_the_end_waits_for_what_is_hidden_behind_it(desk: Desk) -> None:
    """Whether records follow an end is known once the transaction has ended."""
    at = format_time(wall_clock())
    end = msgspec.json.encode({"kind": "end", "occurred_at": at})
    desk.log.append(
        [
            NewRecord(topic, None, end, number)
            for topic in (TRANSACTIONS, LOGINS, BALANCES)
            for number in range(PARTITIONS)
        ]
    )
    desk.begin(desk.login(OWNER, 0), seconds=3).kill()
    assert sum(desk.log.hidden(LOGINS)) == 1
    desk.runner.run(lambda: False, until_ended=True)
    assert desk.log.hidden(LOGINS) == [0] * PARTITIONS


def test_following_a_topic_shows_what_was_hidden(desk: Desk) -> None:
    """Once it is committed, and each record once."""
    desk.fail(OWNER, 0)
    transaction = desk.begin(desk.login(OWNER, 0))
    ends = readable_ends(desk.log, LOGINS)
    assert list(appended(desk.log, LOGINS, ends)) == []
    transaction.commit()
    ((partition, record),) = appended(desk.log, LOGINS, ends)
    assert (partition, list(desk.log.read(*AT, 0, 9))[-1]) == (AT.partition, record)
    assert list(appended(desk.log, LOGINS, ends)) == []


def test_a_hold_is_shown_where_operators_look(place: KafkaPlace) -> None:
    """In the metrics, in the probe of readiness and on stderr; it is not a reason to restart."""
    place.environment |= {
        "WALLETWATCH_METRICS__PORT": "0",
        "WALLETWATCH_ENGINE__SILENCE_LIMIT_MS": "1000",
    }
    cluster = place.cluster
    at = ClusterPartition(cluster.topic(LOGINS), 2)
    transaction = OpenTransaction(cluster, [(at, b"owner", b"junk", ())] * 3)
    labels = ("2", DETECT, LOGINS)
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: "has been held" in pages.get("/readyz")[1], "the probe to notice")
        assert pages.get("/readyz")[0] == 503
        assert "wallet.logins/2 has been held for" in pages.get("/readyz")[1]
        assert pages.get("/livez") == (200, "ok\n")
        wait_until(lambda: pages.samples()["input_held_seconds", *labels] > 1, "the metric")
        assert pages.samples()["consumer_lag_records", *labels] == 3
        transaction.abort()
        wait_until(lambda: pages.get("/readyz") == (200, "ok\n"), "the probe to be content")
        wait_until(lambda: pages.samples()["input_held_seconds", *labels] == 0, "the metric")
        assert pages.samples()["consumer_lag_records", *labels] == 0
        assert pages.samples()["events_consumed_total", LOGINS] == 0
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    said = place.errors.read_text()
    assert said.count("wallet.logins/2 has been held for") == 1
    assert said.count("wallet.logins/2 is read on: that transaction has ended.") == 1
