"""Removing chosen records from a SQLite log before their retention has passed."""

from collections.abc import Callable, Collection
from functools import partial

from worker.engine.records import Record, TopicPartition
from worker.logs.reading import UNIT_BYTES
from worker.logs.sqlite.file import Connection
from worker.logs.sqlite.prune import begin_at_the_oldest, removable
from worker.logs.sqlite.records import Topic, read

_AT_ONCE = 1_000
"""Records per transaction, so that no other process waits long for the write lock."""


def erase(
    connection: Connection,
    name: str,
    topic: Topic,
    chosen: Callable[[TopicPartition, Record], bool],
    readers: Collection[str],
) -> int:
    """Delete the chosen records of a topic that all readers have passed; return how many."""
    erased = 0
    for partition in range(topic.partitions):
        at = (topic.id, partition)
        chosen_here = partial(chosen, TopicPartition(name, partition))
        offsets = _find(connection, at, topic.compacted, chosen_here, readers)
        for start in range(0, len(offsets), _AT_ONCE):
            with connection.writing() as db:
                some = offsets[start : start + _AT_ONCE]
                db.executemany(
                    "DELETE FROM records WHERE topic = ? AND partition = ? AND offset = ?",
                    [(*at, offset) for offset in some],
                )
                begin_at_the_oldest(db, at)
        erased += len(offsets)
    return erased


def _find(
    connection: Connection,
    at: tuple[int, int],
    compacted: bool,
    chosen: Callable[[Record], bool],
    readers: Collection[str],
) -> list[int]:
    """Return the offsets of what may go: of a compacted topic the newest of each key may not."""
    with connection.reading() as db:
        offset, bound = removable(db, at, readers)
    found: list[int] = []
    newest: dict[bytes | None, int] = {}
    while offset < bound:
        with connection.reading() as db:
            records = read(db, at, offset, min(_AT_ONCE, bound - offset), UNIT_BYTES)
        for record in records:
            if record.offset < bound and chosen(record):
                found.append(record.offset)
            if compacted:
                newest[record.key] = record.offset
        offset = records[-1].offset + 1 if records else bound
    kept = set(newest.values())
    return [each for each in found if each not in kept]
