"""Retention in a SQLite log."""

import sqlite3
from collections.abc import Collection

from worker.logs.sqlite.file import Connection
from worker.logs.sqlite.records import Topic

_ANY_AGE = 2**63 - 1
_AT_ONCE = 10_000
"""Offsets per transaction, so that no other process waits long for the write lock."""


def prune(connection: Connection, topic: Topic, cutoff: int, readers: Collection[str]) -> int:
    """Drop records appended before `cutoff` (ms) that all readers passed; return how many."""
    dropped = 0
    for partition in range(topic.partitions):
        at = (topic.id, partition)
        with connection.reading() as db:
            first, bound = removable(db, at, readers, cutoff)
        if topic.compacted and first < bound:
            with connection.writing() as db:
                dropped += _compact(db, at, bound)
            continue
        for start in range(first, bound, _AT_ONCE):
            with connection.writing() as db:
                dropped += _delete(db, at, min(start + _AT_ONCE, bound))
    return dropped


def removable(
    db: sqlite3.Connection,
    at: tuple[int, int],
    readers: Collection[str],
    cutoff: int = _ANY_AGE,
) -> tuple[int, int]:
    """Return the oldest stored offset and the one below which all may go that is old enough.

    Args:
        readers: stages that must have passed it.
        cutoff: append time (ms) before which it is old enough.
    """
    first, bound = db.execute(
        "SELECT first, next FROM partitions WHERE topic = ? AND partition = ?", at
    ).fetchone()
    young = db.execute(
        "SELECT offset FROM records WHERE topic = ? AND partition = ? AND append_time >= ?"
        " ORDER BY offset LIMIT 1",
        (*at, cutoff),
    ).fetchone()
    bound = young[0] if young else bound
    for stage in readers:
        passed = db.execute(
            "SELECT offset FROM offsets JOIN tasks ON tasks.id = offsets.task"
            " WHERE topic = ? AND tasks.task = ? AND stage = ?",
            (*at, stage),
        ).fetchone()
        bound = min(bound, passed[0] if passed else first)
    return first, bound


def _delete(db: sqlite3.Connection, at: tuple[int, int], bound: int) -> int:
    dropped = db.execute(
        "DELETE FROM records WHERE topic = ? AND partition = ? AND offset < ?", (*at, bound)
    ).rowcount
    db.execute(
        "UPDATE partitions SET first = max(first, ?) WHERE topic = ? AND partition = ?",
        (bound, *at),
    )
    return dropped


def _compact(db: sqlite3.Connection, at: tuple[int, int], bound: int) -> int:
    """Drop what a newer record of the same key supersedes, and tombstones."""
    dropped = db.execute(
        "DELETE FROM records WHERE topic = ?1 AND partition = ?2 AND offset < ?3"
        " AND (value IS NULL OR offset NOT IN ("
        "  SELECT max(offset) FROM records WHERE topic = ?1 AND partition = ?2 GROUP BY key))",
        (*at, bound),
    ).rowcount
    begin_at_the_oldest(db, at)
    return dropped


def begin_at_the_oldest(db: sqlite3.Connection, at: tuple[int, int]) -> None:
    """Let a partition begin at its oldest record, or where the next one will be."""
    db.execute(
        "UPDATE partitions SET first = ifnull((SELECT offset FROM records"
        " WHERE topic = ?1 AND partition = ?2 ORDER BY offset LIMIT 1), next)"
        " WHERE topic = ?1 AND partition = ?2",
        at,
    )
