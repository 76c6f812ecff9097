"""Many processes share one SQLite log."""

import random
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.sqlite_logs import AT, TOPICS, fill, finish, line, session, start
from worker.engine.log import stored
from worker.engine.records import Commit, NewRecord, TopicPartition
from worker.errors import TaskTaken
from worker.logs.sqlite.log import SqliteLog

HOLDER = """
import sys
from pathlib import Path
from worker.logs.sqlite.log import SqliteLog
log = SqliteLog(Path(sys.argv[1]), {"in": "delete", "out": "delete"})
worker = log.open_session("detect", ["in"], [0])
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_task_is_taken_until_its_owner_dies(log: SqliteLog, path: Path) -> None:
    """The refusal names the process; kill -9 frees the task without any clean-up."""
    owner = start(HOLDER, path)
    assert line(owner) == "holding"
    with pytest.raises(TaskTaken, match=f"Task 0 of stage detect .* by process {owner.pid}"):
        log.open_session("detect", ["in"], [0])
    log.open_session("triage", ["in"], [0]).close()
    log.open_session("detect", ["in"], [1]).close()
    owner.send_signal(signal.SIGKILL)
    assert finish(owner) == -signal.SIGKILL
    session(log).close()


def test_two_paths_to_one_file_are_one_log(log: SqliteLog, path: Path) -> None:
    """A symbolic link does not let a second worker in."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    worker = session(log)
    with closing(SqliteLog(link, TOPICS)) as other, pytest.raises(TaskTaken):
        other.open_session("detect", ["in"], [0])
    worker.close()


APPENDER = """
import sys
from pathlib import Path
from worker.engine.records import NewRecord
from worker.logs.sqlite.log import SqliteLog
path, name, chunks = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
sys.stdin.readline()
log = SqliteLog(path, {"in": "delete", "out": "delete"})
for chunk in range(chunks):
    log.append([
        NewRecord("in", b"k%d" % n, b"%s %d" % (name, chunk * 50 + n)) for n in range(50)
    ])
log.close()
"""


def test_many_processes_append_while_a_session_works(path: Path) -> None:
    """They even race to make the file; every record comes once, in order, without a gap."""
    producers = [start(APPENDER, path, name, 40) for name in "abc"]
    for producer in producers:
        assert producer.stdin is not None
        producer.stdin.write("go\n")
        producer.stdin.flush()
    with closing(SqliteLog(path, TOPICS)) as log:
        worker = log.open_session("detect", ["in"], range(4))
        for task in range(4):
            worker.restore(task)
        seen: dict[TopicPartition, list[int]] = {TopicPartition("in", n): [] for n in range(4)}
        per_producer: dict[tuple[bytes, TopicPartition], list[int]] = {}
        total = 0
        while total < 3 * 40 * 50:
            batch = worker.poll(200, wait=20)
            assert batch.records, "the producers have stopped early"
            for at, records in batch.records.items():
                seen[at] += [record.offset for record in records]
                total += len(records)
                for record in records:
                    assert record.value is not None
                    name, number = record.value.split()
                    per_producer.setdefault((name, at), []).append(int(number))
            offsets = {at: found[-1] + 1 for at, found in seen.items() if found}
            worker.commit(Commit([NewRecord("out", b"k", b"v")], offsets=offsets))
        assert all(finish(producer) == 0 for producer in producers)
        assert worker.poll(10).at_end == seen.keys()
        worker.close()
    assert all(offsets == list(range(len(offsets))) for offsets in seen.values())
    assert all(numbers == sorted(set(numbers)) for numbers in per_producer.values())
    assert sum(map(len, per_producer.values())) == total == 6000


WORKER = """
import sys
from pathlib import Path
from worker.engine.records import *
from worker.logs.sqlite.log import SqliteLog
log = SqliteLog(Path(sys.argv[1]), {"in": "delete", "out": "delete"})
worker = log.open_session("detect", ["in"], [0])
snapshot = worker.restore(0)
states = dict(snapshot.states)
number = int(snapshot.meta or b"0")
while True:
    batch = worker.poll(1)
    at, (record,) = next(iter(batch.records.items()))
    assert record.offset == number
    number += 1
    name = b"%d" % number
    outputs = [NewRecord("out", name, b"x" * 2000, n % 4) for n in range(20)]
    changes = [StateChange(0, b"k%d" % n, name) for n in range(20)]
    worker.commit(Commit(outputs, changes, {at: number}, {0: name}))
    print(number, flush=True)
"""


def test_kill_9_in_the_middle_of_commits(log: SqliteLog, path: Path) -> None:
    """Outputs, states, metas and positions are always of the same commit, and none is lost."""
    fill(log, 100_000)
    chance = random.Random(7)
    for _ in range(6):
        process = start(WORKER, path)
        for _ in range(chance.randrange(1, 60)):
            told = int(line(process))
        process.send_signal(signal.SIGKILL)
        finish(process)
        worker = log.open_session("detect", ["in"], [0])
        snapshot = worker.restore(0)
        number = int(snapshot.meta or b"0")
        assert number >= told
        assert dict(snapshot.states) == {b"k%d" % n: b"%d" % number for n in range(20)}
        assert worker.poll(1).records[AT][0].offset == number
        worker.close()
    keys = [record.key for _, record in stored(log, "out")]
    assert sorted(map(str, keys)) == sorted(str(b"%d" % (n // 20 + 1)) for n in range(number * 20))
