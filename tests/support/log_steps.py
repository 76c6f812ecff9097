"""What the tests of the log port's contract do again and again.

The contract is what the port's docstrings promise; it holds on every log. Offsets are never
assumed to be dense or to begin at 0: only their order counts.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from worker.engine.log import Log, Session, stored
from worker.engine.records import Batch, NewRecord, TopicPartition

ORDERS, VISITS = "orders", "visits"
INPUTS = (ORDERS, VISITS)
IN0 = TopicPartition(ORDERS, 0)
IN1 = TopicPartition(ORDERS, 1)
Reopen = Callable[[], Log]


class Clock(Protocol):
    """The wall clock of the log under test (milliseconds)."""

    now: int


def new(
    value: bytes | None, topic: str = ORDERS, partition: int | None = 0, key: bytes | None = b"k"
) -> NewRecord:
    return NewRecord(topic, key, value, partition)


def fill(log: Log, count: int, at: TopicPartition = IN0, start: int = 0) -> None:
    log.append([new(b"%d" % n, *at) for n in range(start, start + count)])


def session(
    log: Log, tasks: Iterable[int] = (0,), stage: str = "detect", inputs: tuple[str, ...] = INPUTS
) -> Session:
    """A session on which every task is restored."""
    opened = log.open_session(stage, inputs, list(tasks))
    for task in opened.tasks:
        list(opened.restore(task).states)
    return opened


def values(batch: Batch, at: TopicPartition = IN0) -> list[bytes | None]:
    return [record.value for record in batch.records.get(at, [])]


def everything(log: Log, topic: str = "results") -> list[bytes | None]:
    return [record.value for _, record in stored(log, topic)]


def last_offset(batch: Batch, at: TopicPartition = IN0) -> int:
    return batch.records[at][-1].offset


def states(log: Log, task: int = 0, stage: str = "detect") -> dict[bytes, bytes]:
    """What is committed of a task whose session is closed."""
    opened = log.open_session(stage, INPUTS, [task])
    found = dict(opened.restore(task).states)
    opened.close()
    return found
