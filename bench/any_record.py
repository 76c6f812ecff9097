"""Fuzzed records on real logs: any key, value, headers and size, in any partition of the inputs.

The worker may not end; every record is processed, recognised as redelivered, set aside with a
reason, or one dead letter, whole or cut; no message quotes an event.

Use: python -m bench.any_record [RECORDS [SEED [sqlite|kafka]]]
"""

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench import kafka
from bench.bad_input import Ordeal
from schemas.dead_letter import DeadLetterHeaders
from schemas.topics import DEAD_LETTERS, DETECT_INPUTS
from tests.support.events.mutations import KIND_OF, mutants
from worker.detect.stage import detect
from worker.engine.log import Log, stored
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.outcomes import Counts
from worker.engine.records import Headers, NewRecord, Record
from worker.engine.stage import Pace
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import SqliteLog, wall_clock
from worker.triage.stage import triage

RECORDS: Final = 1_000_000
PARTITIONS: Final = 4
_CHUNK: Final = 5_000
_LARGE: Final = 0.0002
"""The share of records with up to a megabyte: key, value, or headers."""
_MEGABYTE: Final = 900_000
_END: Final = b'{"kind": "end", "occurred_at": "8999-12-30T00:00:00Z"}'


def records(count: int, seed: int) -> Iterator[NewRecord]:
    """Yield records of which most are what a producer may write by mistake, and some by malice."""
    chance = random.Random(seed)
    for kind, account, value in mutants(count, seed):
        own = account.encode()
        key = own if chance.random() < 0.8 else _bytes(chance, own)
        body = value if chance.random() < 0.9 else _bytes(chance, value)
        number = partition_of(key or b"", PARTITIONS)
        if chance.random() < 0.05:
            number = chance.randrange(PARTITIONS)
        topic = DETECT_INPUTS[KIND_OF[kind]]
        yield NewRecord(topic, key, body, number, _headers(chance))


def _bytes(chance: random.Random, given: bytes) -> bytes | None:
    """Return something else than what was given: nothing, noise, or very much."""
    if chance.random() < _LARGE * 10:
        return chance.randbytes(9) * chance.randrange(_MEGABYTE // 9)
    return chance.choice(
        [None, b"", b"\0", chance.randbytes(chance.randrange(99)), given[::-1], given + b" ", given]
    )


def _headers(chance: random.Random) -> Headers:
    if chance.random() < 0.9:
        return ()
    if chance.random() < _LARGE * 10:
        return (("large", chance.randbytes(9) * chance.randrange(_MEGABYTE // 9)),)
    names = ("dlq_reason", "dlq_topic", "", "n\u00e4me", "\x1b[31m", "traceparent", "\U0001f600")
    many = chance.choice([1, 2, 300])
    return tuple(
        (chance.choice(names), chance.randbytes(chance.randrange(30))) for _ in range(many)
    )


def judge(log: Log, count: int, seed: int) -> tuple[list[str], Counter[str]]:
    """Append the records and run both stages; return (what is wrong, dead letters by reason)."""
    source, ordeal = records(count, seed), Ordeal()
    counts, appended = Counts(), 0
    while chunk := list(islice(source, _CHUNK)):
        log.append(chunk)
        appended += len(chunk)
        counts.update(_work(log, ordeal))
    log.append([NewRecord(t, None, _END, n) for t in DETECT_INPUTS for n in range(PARTITIONS)])
    counts.update(_work(log, ordeal))
    problems, reasons = check_letters(log)
    if appended != count:
        problems.append(f"{appended} of {count} records were appended")
    return problems + ordeal.account_for(count, log, counts), reasons


def _work(log: Log, ordeal: Ordeal) -> Counts:
    """Run both stages, begun anew, until there is nothing more to read."""
    policy, counts = ordeal.policy, Counts()
    stages = detect(policy, lambda key: partition_of(key, PARTITIONS)), triage(policy, PARTITIONS)
    for stage in stages:
        worker = StageWorker(log, stage, None, wall_clock, Pace(idle_advances=False))
        try:
            while worker.run_once():
                pass
        finally:
            worker.close()
        counts.update(worker.counts)
    return counts


class _Originals:
    """The records of the inputs, read by the thousand: their dead letters are nearly in order."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._near: dict[tuple[str, int], dict[int, Record]] = {}

    def at(self, topic: str, partition: int, offset: int) -> Record:
        """Return the record at an address."""
        near = self._near.get((topic, partition), {})
        if offset not in near:
            read = self._log.read(topic, partition, offset, 1_000)
            near = self._near[topic, partition] = {record.offset: record for record in read}
        return near[offset]


def check_letters(log: Log) -> tuple[list[str], Counter[str]]:
    """Return the dead letters that are not what they should be, and all by reason."""
    problems, reasons, seen, originals = [], Counter[str](), set(), _Originals(log)
    for at, letter in stored(log, DEAD_LETTERS):
        headers = DeadLetterHeaders.from_headers(letter.headers)
        reasons[headers.dlq_reason] += 1
        place = headers.dlq_topic, headers.dlq_partition, headers.dlq_offset
        if headers.dlq_reason != "rule_error" and place in seen:
            problems.append(f"a second dead letter of {place}")
        seen.add(place)
        original = originals.at(*place)
        for kept, whole, digest in (
            (letter.value, original.value, headers.dlq_sha256),
            (letter.key, original.key, headers.dlq_key_sha256),
        ):
            content = whole or b""
            cut = None if digest is None else sha256(content).hexdigest()
            same = (kept or b"") == content if digest is None else content.startswith(kept or b"")
            if digest != cut or not same:
                problems.append(f"{at}: dead letter of {place} is another one")
    return problems, reasons


def _on_sqlite(count: int, seed: int) -> tuple[list[str], Counter[str]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteLog(Path(folder) / "log.db", partitions=PARTITIONS)) as log,
    ):
        return judge(log, count, seed)


def _on_kafka(address: str, count: int, seed: int) -> tuple[list[str], Counter[str]]:
    with (
        kafka.topics(address, PARTITIONS) as (cluster, _),
        closing(KafkaLog(cluster, "0", wall_clock)) as log,
    ):
        return judge(log, count, seed)


def _report(
    where: str, measure: Callable[[], tuple[list[str], Counter[str]]], say: Callable[[str], Any]
) -> int:
    started = time.monotonic()
    problems, reasons = measure()
    say(
        f"any record on {where}: {reasons.total()} dead letters, {time.monotonic() - started:.0f} s"
    )
    for reason, number in reasons.most_common():
        say(f"  {number:7} {reason}")
    for problem in problems[:20]:
        say(f"  WRONG: {problem}")
    say("  FAILED" if problems else "  ok: all accounted for")
    return 1 if problems else 0


def main(arguments: Sequence[str] = (), say: Callable[[str], Any] = print) -> int:
    """Run it, print the results, and return 0 if all is well, else 1."""
    count = int(arguments[0]) if arguments else RECORDS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    logs = arguments[2:] or ("sqlite", "kafka")
    code = 0
    if "sqlite" in logs:
        code = _report("SQLite", lambda: _on_sqlite(count, seed), say)
    if "kafka" in logs:
        code |= kafka.on_a_broker(
            "any record",
            lambda address, _: _report("Kafka", lambda: _on_kafka(address, count, seed), say),
        )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
