"""SQLite logs for tests, and the processes that share one."""

import sqlite3
import subprocess
import sys

import pytest

from tests.support.commands import ROOT
from worker.engine.records import Commit, NewRecord, StateChange, TopicPartition
from worker.errors import LogError
from worker.logs.sqlite.log import SqliteLog
from worker.logs.sqlite.session import SqliteSession
from worker.logs.topics import Cleanup

TOPICS: dict[str, Cleanup] = {"in": "delete", "out": "delete"}
AT = TopicPartition("in", 0)


def fill(log: SqliteLog, count: int, size: int = 10) -> None:
    log.append([NewRecord("in", b"k", b"%0*d" % (size, n), 0) for n in range(count)])


def session(log: SqliteLog) -> SqliteSession:
    opened = log.open_session("detect", ["in"], [0])
    list(opened.restore(0).states)
    return opened


def raw(opened: SqliteLog | SqliteSession) -> sqlite3.Connection:
    return opened._connection._db


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def commit_until_full(worker: SqliteSession) -> int:
    """Commit numbered units of three outputs and five states; return how many fitted."""
    committed = []

    def commit_all() -> None:
        for done in range(10_000):
            name = b"%d" % done
            outputs = [NewRecord("out", name, b"x" * 1000, part) for part in range(3)]
            changes = [StateChange(0, b"%s-%d" % (name, n), name * 500) for n in range(5)]
            worker.commit(Commit(outputs, changes, {AT: min(done, 5)}, {0: name}))
            committed.append(name)

    with pytest.raises(LogError, match=r"disk is full|disk I/O") as caught:
        commit_all()
    assert caught.type is LogError
    return len(committed)
