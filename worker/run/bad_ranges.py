"""The dead letters that records of an input would be, found by reading these again.

A worker that stops at the limit of dead letters commits none of them: they are in the input only.
"""

from collections.abc import Iterator
from typing import Final

from schemas.topics import DETECT_INPUTS
from worker.detect.dead_letter_limit import DeadLetterWindow, Ranges
from worker.detect.reader import EventReader
from worker.detect.stage import DETECT, Policy, detect
from worker.engine.log import Log
from worker.engine.murmur2 import partition_of
from worker.engine.outbox import Outbox
from worker.engine.records import NewRecord, Record, Snapshot, TopicPartition

_AT_ONCE: Final = 1000


def bad_records(
    log: Log, policy: Policy, ranges: Ranges
) -> Iterator[tuple[TopicPartition, Record]]:
    """Yield the bad records of ranges of inputs, with the headers of their dead letters.

    Addresses, append times and values are those of the input.

    Raises:
        LogError: the log cannot be read, or has no such partition.
    """
    partitions = log.partitions(DETECT_INPUTS[0])
    reader = EventReader(
        policy.inputs,
        policy.limits,
        DeadLetterWindow(None),
        lambda key: partition_of(key, partitions),
    )
    stage, outbox = detect(policy), Outbox(DETECT)
    for at, each in ranges.items():
        task = stage.make(at.partition, Snapshot(None, ()))
        source = task.sources[task.addresses.index(at)]
        for first, last in each:
            for record in _stored(log, at, first, last):
                reader.read(task, source, [record], outbox)
                for letter in outbox.outputs:
                    assert isinstance(letter, NewRecord)  # a reader numbers none
                    yield at, _with_headers(record, letter)
                outbox.outputs.clear()


def _with_headers(record: Record, letter: NewRecord) -> Record:
    return Record(record.offset, record.append_time, record.key, record.value, letter.headers)


def _stored(log: Log, at: TopicPartition, first: int, last: int) -> Iterator[Record]:
    while records := log.read(*at, first, _AT_ONCE):
        for record in records:
            if record.offset > last:
                return
            yield record
        first = records[-1].offset + 1
