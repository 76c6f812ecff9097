"""Records in a SQLite log: how they are written and read, inside a given transaction."""

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from worker.engine.murmur2 import partition_of
from worker.engine.records import Headers, NewRecord, Record
from worker.errors import LogError
from worker.logs.reading import size, within

_ROWS_AT_ONCE = 32
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Headers).decode


class Topic(NamedTuple):
    """A row of the topics table."""

    id: int
    partitions: int
    compacted: bool


Topics = Mapping[str, Topic]


def load_topics(db: sqlite3.Connection) -> dict[str, Topic]:
    """Return all topics of the file by name."""
    rows = db.execute("SELECT name, id, partitions, compacted FROM topics")
    return {name: Topic(id_, count, bool(compacted)) for name, id_, count, compacted in rows}


def topic_of(topics: Topics, name: str) -> Topic:
    """Return the topic; LogError if there is none."""
    if name not in topics:
        raise LogError(f"The log has no topic {name}.")
    return topics[name]


def partition_in(topics: Topics, topic: str, partition: int) -> tuple[int, int]:
    """Return the address of a partition in the tables; LogError if there is none."""
    found = topic_of(topics, topic)
    if not 0 <= partition < found.partitions:
        raise LogError(
            f"Topic {topic} has no partition {partition}, only 0 to {found.partitions - 1}."
        )
    return found.id, partition


def append(db: sqlite3.Connection, topics: Topics, records: Sequence[NewRecord], now: int) -> None:
    """Insert records with the next offsets; append times never fall within a partition."""
    ends: dict[tuple[int, int], tuple[int, int]] = {}
    rows = []
    for record in records:
        at = _address(topics, record)
        offset, time = ends.get(at) or _end(db, at, now)
        ends[at] = offset + 1, time
        headers = _encode(record.headers) if record.headers else None
        rows.append((*at, offset, time, record.key, record.value, headers))
    db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    db.executemany(
        "UPDATE partitions SET next = ?, newest = ? WHERE topic = ? AND partition = ?",
        [end + at for at, end in ends.items()],
    )


def read(
    db: sqlite3.Connection,
    at: tuple[int, int],
    offset: int,
    limit: int,
    most: int = sys.maxsize,
) -> list[Record]:
    """Return up to `limit` records at or after the offset, with at most so many bytes; see within.

    Few are read at once, so that memory is bounded however large they are.
    """
    rows = db.execute(
        "SELECT offset, append_time, key, value, headers FROM records"
        " WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
        (*at, offset, limit),
    )
    records: list[Record] = []
    left = most
    while left > 0 and (some := rows.fetchmany(_ROWS_AT_ONCE)):
        new = [
            Record(offset, time, key, value) if headers is None
            else Record(offset, time, key, value, _decode(headers))
            for offset, time, key, value, headers in some
        ]  # fmt: skip
        records += new
        left -= sum(map(size, new))
    return records if left >= 0 else within(records, most)


def last(db: sqlite3.Connection, at: tuple[int, int]) -> Record | None:
    """Return the newest record; None if nothing is stored."""
    newest = "SELECT max(offset) FROM records WHERE topic = ? AND partition = ?"
    (offset,) = db.execute(newest, at).fetchone()
    return None if offset is None else read(db, at, offset, 1)[0]


def _address(topics: Topics, record: NewRecord) -> tuple[int, int]:
    if record.partition is not None:
        return partition_in(topics, record.topic, record.partition)
    if record.key is None:
        raise ValueError("a record without a key needs a partition")
    topic = topic_of(topics, record.topic)
    return topic.id, partition_of(record.key, topic.partitions)


def _end(db: sqlite3.Connection, at: tuple[int, int], now: int) -> tuple[int, int]:
    row = db.execute(
        "SELECT next, max(ifnull(newest, ?), ?) FROM partitions WHERE topic = ? AND partition = ?",
        (now, now, *at),
    ).fetchone()
    if row is None:
        raise LogError("The log is damaged (a partition is missing): nothing was changed.")
    return int(row[0]), int(row[1])
