"""Two producers on Kafka, each a process of its own, which do a step for each line of stdin.

The transactional one appends the traffic of `producer`, a slice per transaction, compressed with
each codec in turn. A transaction ends only after the next has begun on every partition, so that
there is always an open one. Before some slices comes a transaction with other records, which is
aborted. The last one follows the ends of all inputs, and is aborted, too.

The hostile one appends hostile records to the same partitions, in no transaction.

Arguments: `transactional` or `hostile`, then address, prefix, seed, events, slices.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from kafka import KafkaProducer

from tests.support.commands import ROOT
from tests.support.crashing_worker import Producer
from tests.support.hostile_records import hostile_records
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import crowd, sliced
from worker.engine.records import NewRecord

CODECS: Final = ("gzip", "snappy", "lz4", "zstd")
LARGEST: Final = 6 * 1024 * 1024
"""Bytes of a record that the hostile one sends, at most."""
_ABORTED: Final = b',"channel":"aborted"}'
TRANSACTIONAL: Final = "transactional"
HOSTILE: Final = "hostile"


class Traffic(NamedTuple):
    """What both producers append, in how many slices."""

    seed: int
    events: int
    slices: int

    def honest(self) -> list[list[NewRecord]]:
        """Return the records that the transactional producer commits, per partition."""
        streams = list(crowd(self.seed, self.events).streams.values())
        assert min(map(len, streams)) >= self.slices, "a slice has a record for each partition"
        return streams

    def hostile(self) -> list[NewRecord]:
        """Return the records of the hostile producer: a tenth of all."""
        others = self.honest()
        return list(hostile_records(self.seed, sum(map(len, others)) // 9, others))

    def transactions(self) -> Iterator[tuple[bool, list[NewRecord]]]:
        """Yield whether a transaction is committed, and its records."""
        records: list[NewRecord] = []
        for number, records in enumerate(sliced(self.honest(), self.slices)):
            if number % 3 == 1:
                yield False, _altered(records)
            yield True, records
        yield False, _altered(records)

    @property
    def steps(self) -> int:
        """How many lines the transactional producer reads: it begins or ends a transaction."""
        return len(list(self.transactions())) + 1


def _altered(records: Sequence[NewRecord]) -> list[NewRecord]:
    """Return the records with the same ids and other contents, as no reader may see them."""
    return [
        NewRecord(r.topic, r.key, (r.value or b"").replace(b"}", _ABORTED, 1), r.partition)
        for r in records
    ]


@contextmanager
def producing_on(place: KafkaPlace, role: str, traffic: Traffic, steps: int) -> Iterator[Producer]:
    """Start one of the two producers."""
    arguments = [role, place.url.removeprefix("kafka://"), place.prefix, *map(str, traffic)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.kafka_producers", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Producer(process, steps)
        finally:
            process.kill()


def _send(producer: KafkaProducer, prefix: str, records: Sequence[NewRecord]) -> None:
    """Append records, and return when brokers have them."""
    sent = [
        producer.send(prefix + r.topic, r.value, r.key, list(r.headers), r.partition)
        for r in records
    ]
    for each in sent:
        each.get(60)


def _transact(address: str, prefix: str, traffic: Traffic) -> None:
    ring = [
        KafkaProducer(
            bootstrap_servers=address,
            transactional_id=f"{prefix}payments-{codec}",
            transaction_timeout_ms=900_000,
            compression_type=codec,
        )
        for codec in CODECS
    ]
    for producer in ring:
        producer.init_transactions()

    def end(number: int, commits: bool) -> None:
        producer = ring[number % len(ring)]
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()

    committed = False
    for number, (commits, records) in enumerate(traffic.transactions()):
        sys.stdin.readline()
        ring[number % len(ring)].begin_transaction()
        _send(ring[number % len(ring)], prefix, records)
        if number:
            end(number - 1, committed)
        committed = commits
    sys.stdin.readline()
    end(number, committed)
    for producer in ring:
        producer.close()


def _harass(address: str, prefix: str, traffic: Traffic) -> None:
    records = traffic.hostile()
    producer = KafkaProducer(bootstrap_servers=address, max_request_size=LARGEST)
    for part in sliced([records], traffic.slices):
        sys.stdin.readline()
        _send(producer, prefix, part)
    producer.close()


if __name__ == "__main__":
    role, address, prefix, *numbers = sys.argv[1:]
    run = {TRANSACTIONAL: _transact, HOSTILE: _harass}[role]
    run(address, prefix, Traffic(*map(int, numbers)))
