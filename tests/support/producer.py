"""The traffic of these tests, and a producer of it as a process of its own.

The producer appends a slice for each line that it reads from stdin. Its arguments: the log file,
seed and number of events of the traffic, the number of slices, and which part of the traffic it
has, of how many. Parts are made of whole partitions, so that the offsets stay the same.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.support.events.arrivals import Arrival, deliver
from tests.support.events.traffic import DAY, PAUSES, START, Event, Wallet
from worker.engine.records import NewRecord
from worker.logs.sqlite.log import SqliteLog

PARTITIONS: Final = 4
_STORIES: Final = 12


def crowd(seed: int, least: int) -> Arrival:
    """Return at least that many events of many accounts, some late, with junk and id conflicts."""
    rng = Random(seed)
    events: list[Event] = []
    while len(events) < least:
        wallet = Wallet(rng, f"account-{len(events)}", events)
        at = START + rng.randrange(2 * DAY)
        for _ in range(_STORIES):
            rng.choice(wallet.episodes)(at)
            at += rng.choice(PAUSES)
    return deliver(rng, events, PARTITIONS, late_share=0.02)


def sliced(streams: Sequence[Sequence[NewRecord]], slices: int) -> Iterator[list[NewRecord]]:
    """Yield that many slices; each takes equally much of every stream, the last one its end."""
    for n in range(slices):
        yield [
            record
            for stream in streams
            for record in stream[len(stream) * n // slices : len(stream) * (n + 1) // slices]
        ]


def produce(path: Path, seed: int, events: int, slices: int, part: int, parts: int) -> None:
    """Append slice after slice, each in transactions of 100 records."""
    streams = sorted(crowd(seed, events).streams.items())[part::parts]
    log = SqliteLog(path)
    for records in sliced([stream for _, stream in streams], slices):
        sys.stdin.readline()
        for start in range(0, len(records), 100):
            log.append(records[start : start + 100])
    log.close()


if __name__ == "__main__":
    file, *numbers = sys.argv[1:]
    seed, events, slices, part, parts = map(int, numbers)
    produce(Path(file), seed, events, slices, part, parts)
