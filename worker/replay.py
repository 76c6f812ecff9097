"""The whole job in memory, in event time: lines in, alerts and incidents out.

The same stages and the same loop as on a server; only the log is in memory, the clock stands still,
and every input ends 1 ms after the largest time of all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from schemas.dead_letter import DeadLetterHeaders
from schemas.time import format_time, parse_time
from schemas.topics import DEAD_LETTERS
from worker.collector import calm_collector
from worker.lines import place
from worker.logs.memory import MemoryLog
from worker.logs.murmur2 import partition_of
from worker.logs.port import NewRecord
from worker.loop import Pace, StageWorker
from worker.merge import BEGINNING
from worker.refusal import BadRecord
from worker.shapes import FIRST_TIME, LAST_TIME
from worker.stages import DETECT_INPUTS, Policy, detect, triage
from worker.state import Timer

_PACE = Pace(poll_records=20_000, idle_advances=False, progress_interval=0)


@dataclass(slots=True)
class Replayed:
    """What a replay found; the records themselves are in `log`."""

    log: MemoryLog
    events: int = 0
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    undecided: list[tuple[str, str, Timer]] = field(default_factory=list)
    """(account_id, rule code, timer) of what would be decided after the end."""


class _Arrival:
    """Records of placed lines, with their times, in the order in which they are to be read."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.records: list[tuple[int, NewRecord]] = []
        self.dead: list[NewRecord] = []
        self.refused: Counter[tuple[str, ...]] = Counter()
        self.latest = FIRST_TIME - 1
        self.lines = 0

    def add(self, name: str, number: int, raw: bytes) -> None:
        line = place(raw)
        if isinstance(line, BadRecord):
            self.dead.append(dead_line(name, number, raw, line))
            self.refused["dead_letter", "lines", line.reason] += 1
            return
        self.lines += 1
        try:
            occurred = parse_time(line.occurred_at)
            if self.latest < occurred < LAST_TIME:
                self.latest = occurred
        except ValueError:  # the codec will say so; it keeps its place behind the line before
            occurred = self.records[-1][0] if self.records else BEGINNING
        key, only = line.key, self._partitions == 1
        if key is not None:
            partition = 0 if only else partition_of(key, self._partitions)
            self.records.append((occurred, NewRecord(line.topic, key, raw, partition)))
            return
        if line.partition is not None and line.partition >= self._partitions:
            # It speaks of a part of what is one partition here: that says nothing of the whole.
            self.refused["passed_over", line.topic] += 1
            return
        for partition in range(self._partitions):
            if line.partition in (None, partition):
                self.records.append((occurred, NewRecord(line.topic, None, raw, partition)))


def dead_line(
    name: str, number: int, raw: bytes, bad: BadRecord, stage: str = "detect"
) -> NewRecord:
    """Return the dead letter of a line that belongs to no topic."""
    headers = DeadLetterHeaders(
        dlq_reason=bad.reason,
        dlq_error=bad.error,
        dlq_topic=name,
        dlq_partition=0,
        dlq_offset=number,
        dlq_stage=stage,
    )
    return NewRecord(DEAD_LETTERS, b"", raw, headers=headers.to_headers())


def replay(
    lines: Iterable[tuple[str, int, bytes]],
    policy: Policy,
    as_is: bool = False,
    partitions: int = 1,
) -> Replayed:
    """Run both stages over lines (file name, number, text), sorted by occurred_at unless `as_is`.

    Neither the order of equal times nor the number of partitions changes what is found.
    """
    with calm_collector():
        return _replay(lines, policy, as_is, partitions)


def _replay(
    lines: Iterable[tuple[str, int, bytes]], policy: Policy, as_is: bool, partitions: int
) -> Replayed:
    arrival = _Arrival(partitions)
    for name, number, raw in lines:
        arrival.add(name, number, raw)
    if not as_is:
        arrival.records.sort(key=_occurred)
    log = MemoryLog(partitions=partitions)
    result = Replayed(log, arrival.lines)
    log.append(arrival.dead)
    result.counts.update(arrival.refused)
    log.append([record for _, record in arrival.records])
    arrival.records.clear()
    if arrival.latest >= FIRST_TIME:
        log.append(ends(arrival.latest + 1, partitions))
    _run(log, policy, partitions, result)
    return result


def _occurred(item: tuple[int, NewRecord]) -> int:
    return item[0]


def ends(at: int, partitions: int) -> list[NewRecord]:
    """Return the records that end every partition of every input of detect, `at` in milliseconds.

    The signals need none: detect tells triage how far it is.
    """
    end = msgspec.json.encode({"kind": "end", "occurred_at": format_time(at)})
    return [NewRecord(topic, None, end, n) for topic in DETECT_INPUTS for n in range(partitions)]


def _run(log: MemoryLog, policy: Policy, partitions: int, result: Replayed) -> None:
    numbers = range(partitions)
    for stage in (detect(policy), triage(policy, partitions)):
        worker = StageWorker(log, stage, numbers, lambda: 0, _PACE)
        while worker.run_once():
            pass
        result.counts.update(worker.counts)
        if stage.policies:
            result.undecided = [
                (key.decode(), owner, Timer(due, owner, name))
                for task in worker.tasks.values()
                for due, key, owner, name in task.undecided()
                if owner
            ]
        worker.close()
