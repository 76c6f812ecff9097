"""Detect on a real broker, beside the cost of the client alone and of a plain consumer.

All read the same records of the same topics in the same run: the client's own poll, that and
validation, that and a transaction per poll; then the stage with all rules, its state and its
exactly-once commits. CPU time of this process, the client's thread included.

Use: python -m bench.cluster [EVENTS]; $WALLETWATCH_TEST_KAFKA names a broker, else one is started.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

from kafka import OffsetAndMetadata, TopicPartition

from bench.baseline import validator
from bench.changelog_stage import ran
from bench.kafka import on_a_broker, topics
from bench.speed import events
from schemas.topics import DETECT_INPUTS
from tests.support.kafka_clients import library_client
from worker.cli.ingest import Appender
from worker.config.settings import Settings
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.kafka_python.decode import decode_lean
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock

EVENTS: Final = 60_000
PARTITIONS: Final = 4
ROUNDS: Final = 3
DAYS: Final = {1_500: 3, 20_000: 1}
"""Of traffic, by accounts: more than the events that are read."""
FEW_ACCOUNTS: Final = 1_500
LEAST, AIM = 0.65, 0.80
"""Of poll and validation, with few accounts."""
_POLL: Final = 2_000
"""Records per poll: the default of the worker."""

Polled = dict[TopicPartition, list[Any]]
PerPoll = Callable[[Polled, Any], object]
"""Handles the records that a consumer has polled."""


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; return 1 if detect misses what it must reach."""
    count = int(arguments[0]) if arguments else EVENTS
    return on_a_broker("cluster", lambda address, _: _measure(address, count))


def _measure(address: str, count: int) -> int:
    shares = {accounts: _measured(address, count, accounts) for accounts in DAYS}
    reached = shares[FEW_ACCOUNTS]
    print("cluster: " + ("as required" if reached >= LEAST else "BELOW what is required"))
    return 0 if reached >= LEAST else 1


def _measured(address: str, count: int, accounts: int) -> float:
    """Print the figures for so many accounts; return what share of poll and validation is met."""
    lines = list(islice(events(accounts, DAYS[accounts]), count))
    rounds = [_round(address, lines) for _ in range(ROUNDS)]
    names = ("poll", "poll, validate", "poll, validate, transaction", "detect")
    print(
        f"{len(lines):,} events of {accounts:,} accounts, {PARTITIONS} partitions; "
        f"medians of {ROUNDS} rounds"
    )
    print("                               events per CPU-second   of poll and validate")
    for index, name in enumerate(names):
        speed = statistics.median(len(lines) / each[index] for each in rounds)
        share = statistics.median(each[1] / each[index] for each in rounds)
        print(f"{name:<30}{speed:>21,.0f}  {share:>21.1%}")
    return statistics.median(each[1] / each[3] for each in rounds)


def _round(address: str, lines: Sequence[bytes]) -> tuple[float, float, float, float]:
    """Return the CPU seconds of poll, of validation too, of a transaction too, and of detect."""
    with topics(address, PARTITIONS) as (cluster, settings):
        fill(cluster, settings, lines)
        decode_lean(False)
        bare = _polled(cluster, _pass)
        validated = _polled(cluster, _validate)
        committed = _transacted(cluster)
        decode_lean(True)
        return bare, validated, committed, ran(cluster, settings, PARTITIONS)


def fill(cluster: Cluster, settings: Settings, lines: Sequence[bytes]) -> None:
    """Append the lines, and the end of every input."""
    with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
        appender = Appender(log, settings, wall_clock())
        appender.take("bench", enumerate(lines, 1))
        appender.end()


def _polled(cluster: Cluster, per_poll: PerPoll) -> float:
    """Read all inputs to their ends; return the CPU seconds."""
    inputs = [
        TopicPartition(cluster.topic(name), number)
        for name in DETECT_INPUTS
        for number in range(PARTITIONS)
    ]
    made = cluster.consumer(max_poll_records=_POLL, group_id="bench")
    with closing(library_client(made)) as consumer:
        consumer.assign(inputs)
        left = consumer.end_offsets(inputs)
        consumer.seek_to_beginning(*inputs)
        began = time.process_time()
        while left:
            per_poll(consumer.poll(200), consumer)
            left = {at: end for at, end in left.items() if consumer.position(at) < end}
        return time.process_time() - began


_VALIDATE: Final = validator(bounded=True)


def _pass(_polled: Polled, _: Any) -> None:
    pass


def _validate(polled: Polled, _: Any) -> None:
    for records in polled.values():
        for record in records:
            _VALIDATE(record.value)


def _transacted(cluster: Cluster) -> float:
    """Validate, and commit the positions of each poll in a transaction of its own."""
    own = cluster.transactional_id("bench", "0")
    with closing(library_client(cluster.producer(own))) as producer:
        producer.init_transactions()

        def commit(polled: Polled, consumer: Any) -> None:
            _validate(polled, consumer)
            if not polled:
                return
            offsets = {
                at: OffsetAndMetadata(records[-1].offset + 1, "", -1)
                for at, records in polled.items()
            }
            producer.begin_transaction()
            producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
            producer.commit_transaction()

        return _polled(cluster, commit)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
