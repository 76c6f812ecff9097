"""From an event on its topic to its committed alert, at low load: the time that walletwatch adds.

A row that does not add up comes every half second. Its alert has to wait until nothing older can
come, which is the allowed lateness; the time beyond is measured.

Use: python -m bench.latency [EVENTS]; $WALLETWATCH_TEST_KAFKA names a broker, else one is started.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from bench.kafka import detecting, on_a_broker, topics
from rules.builders import row
from schemas.time import format_time
from schemas.topics import ALERTS, TRANSACTIONS
from tests.support.kafka_clients import library_client
from worker.engine.records import NewRecord
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock

EVENTS: Final = 200
PARTITIONS: Final = 2
PAUSE_SECONDS: Final = 0.5
AIM_MS: Final = 100.0
"""At the 99th percentile: an aim, not a mark."""
_WARM: Final = 5
"""Events that only warm up: the worker starts with the first of them."""


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures."""
    count = int(arguments[0]) if arguments else EVENTS
    return on_a_broker("latency", lambda address, folder: _measure(address, folder, count))


def _measure(address: str, folder: Path, count: int) -> int:
    sent: dict[str, float] = {}
    with (
        topics(address, PARTITIONS) as (cluster, settings),
        detecting(cluster, folder, "0"),
        closing(_alerts(cluster)) as alerts,
    ):
        seen = dict(_seen(alerts, _send_all(cluster, sent, count), count + _WARM))
    lateness = settings.inputs.transactions.lateness_ms
    beyond = [(seen[account] - at) * 1000 - lateness for account, at in list(sent.items())[_WARM:]]
    cuts = statistics.quantiles(beyond, n=100, method="inclusive")
    print(
        f"{count} alerts, one every {PAUSE_SECONDS} s; beyond the lateness of {lateness} ms: "
        f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, worst {max(beyond):.0f} ms "
        f"(aim: p99 {AIM_MS:.0f} ms)"
    )
    return 0


def _alerts(cluster: Cluster) -> KafkaConsumer:
    consumer = library_client(cluster.consumer(fetch_max_wait_ms=1_000))
    places = [TopicPartition(cluster.topic(ALERTS), number) for number in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    return consumer


def _send_all(cluster: Cluster, sent: dict[str, float], count: int) -> Thread:
    """Begin to append events; `sent` gets the moment of each, by account."""

    def send() -> None:
        with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
            for number in range(count + _WARM):
                account = f"account-{number}"
                wrong = row(number, "10:00:00", "1.00", "100.00", "90.00", account_id=account)
                now = time.time()
                at = {"occurred_at": format_time(int(now * 1000))}
                value = msgspec.json.encode(wrong | at)
                sent[account] = now
                log.append([NewRecord(TRANSACTIONS, account.encode(), value)])
                time.sleep(PAUSE_SECONDS)

    thread = Thread(target=send)
    thread.start()
    return thread


def _seen(alerts: KafkaConsumer, sending: Thread, count: int) -> Iterator[tuple[str, float]]:
    """Yield when the alert of each account could be read."""
    waiting = count
    while waiting:
        for records in alerts.poll(1_000).values():
            now = time.time()
            for record in records:
                waiting -= 1
                yield msgspec.json.decode(record.value)["account_id"], now
    sending.join()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
