"""The whole job in one process, in event time: lines in, alerts and incidents out.

The same stages and the same loop as on a server, but the log is in memory, the clock does not
move, and every input ends 1 ms after the largest time of all. The lines are read once to learn
that time and to sort them, if need be on disk. Then the log is filled as it is read: a topic gets
its next records when a task has read all it has of it and can go on no more. So what is in memory
at a time does not grow with the files, unless the inputs are kept.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec

from schemas.dead_letter import DeadLetterHeaders, OriginHeaders
from schemas.time import format_time, parse_time
from schemas.topics import DEAD_LETTERS, DETECT_INPUTS, LATE, SIGNALS
from worker.codec.bad_record import BadRecord
from worker.codec.lines import PlacedLine, place
from worker.codec.validation import FIRST_TIME, LAST_TIME
from worker.detect.stage import Policy, detect
from worker.engine.event_time import BEGINNING
from worker.engine.keyed_state import Timer
from worker.engine.log import Log
from worker.engine.loop import StageWorker
from worker.engine.murmur2 import partition_of
from worker.engine.outcomes import Counts, DeadLettered, PassedOver
from worker.engine.records import Headers, NewRecord, TopicPartition
from worker.engine.stage import Pace
from worker.logs.memory import MemoryLog
from worker.run.gc_pause import calm_collector
from worker.run.runner import READERS
from worker.run.spool import Room, Spool
from worker.triage.stage import triage

DEFAULT_ROOM: Final = Room()
_PACE: Final = Pace(poll_records=100_000, idle_advances=False, progress_interval=0)
_FORGOTTEN: Final = dict.fromkeys(READERS, 0)
"""Per topic how old a record is, once read, when it is forgotten: milliseconds."""
_LINE: Final = "line"
"""Header of an input record here: number of its file << 40 | number of its line, 8 bytes."""
_NUMBER_BITS: Final = 40
_BEGINNING_BYTES: Final = 1024
"""What is kept of a line that is too large."""

Line = tuple[str, int]
"""Name of a file, and number of a line from 1."""


@dataclass(slots=True)
class Replayed:
    """What a replay found; the records themselves are in `log`."""

    log: MemoryLog
    events: int = 0
    counts: Counts = field(default_factory=Counts)
    undecided: list[tuple[str, str, Timer]] = field(default_factory=list)
    """(account_id, rule code, timer) of the decisions due after the end."""
    lines: dict[tuple[TopicPartition, int], Line] = field(default_factory=dict)
    """Of dead letters and late events, by their own addresses: the lines they were."""


class _Arrival:
    """Places lines: into the spool what belongs to a topic, aside what does not."""

    def __init__(self, partitions: int, spool: Spool, at_most: int) -> None:
        self._partitions = partitions
        self._at_most = at_most
        self._spool = spool
        self._time = BEGINNING
        """Of the last record; one whose own cannot be read keeps its place behind it."""
        self.dead: list[NewRecord] = []
        self.files: dict[str, int] = {}
        """Numbers of files by their names."""
        self.refused = Counts()
        self.latest = FIRST_TIME - 1
        self.lines = 0

    def add(self, name: str, number: int, raw: bytes) -> None:
        line = place(raw, self._at_most)
        if isinstance(line, BadRecord):
            self.dead.append(dead_line(name, number, raw, line))
            self.refused[DeadLettered("lines", line.reason)] += 1
            return
        self.lines += 1
        try:
            occurred = parse_time(line.occurred_at)
            if self.latest < occurred < LAST_TIME:
                self.latest = occurred
        except ValueError:  # the codec reports it
            occurred = self._time
        key, origin = line.key, self._origin(name, number)
        if key is None:
            self._add_control(line, occurred, origin)
            return
        self._time = occurred
        partition = 0 if self._partitions == 1 else partition_of(key, self._partitions)
        self._spool.add(occurred, NewRecord(line.topic, key, raw, partition, origin), len(raw))

    def _origin(self, name: str, number: int) -> Headers:
        file = self.files.setdefault(name, len(self.files))
        return ((_LINE, (file << _NUMBER_BITS | number).to_bytes(8)),)

    def _add_control(self, line: PlacedLine, occurred: int, origin: Headers) -> None:
        if line.partition is not None and line.partition >= self._partitions:
            # It is true of a part of what is one partition here, not of the whole.
            self.refused[PassedOver(line.topic)] += 1
            return
        self._time = occurred
        for partition in range(self._partitions):
            if line.partition in (None, partition):
                record = NewRecord(line.topic, None, line.value, partition, origin)
                self._spool.add(occurred, record, len(line.value))


class _Feed:
    """Puts records into the log, topic by topic, as they are asked for."""

    def __init__(self, log: MemoryLog, spool: Spool, end: Sequence[NewRecord], size: int) -> None:
        self._log = log
        self._end = end
        self._size = size
        topics = dict.fromkeys((*DETECT_INPUTS, *spool.topics))
        self._left = {topic: spool.records(topic) for topic in topics}

    def next(self, wanted: Collection[str]) -> bool:
        """Append the next slice of the topics wanted, or, if they have none, of all others.

        Return whether there was any.
        """
        asked = [topic for topic in self._left if topic in wanted] or list(self._left)
        for topic in asked:
            records = list(islice(self._left[topic], self._size))
            if len(records) < self._size:
                records += (end for end in self._end if end.topic == topic)
                del self._left[topic]
            self._log.append(records)
        return bool(asked)


class _Origins:
    """Finds the line that each dead letter and each late event was.

    It must look before the log forgets the records they were.
    """

    def __init__(self, log: Log, files: Sequence[str]) -> None:
        self._log = log
        self._files = files
        # What is there already are lines that belong to no topic: they name themselves.
        self._seen = dict(self._ends())
        self.lines: dict[tuple[TopicPartition, int], Line] = {}

    def look(self) -> None:
        """Take in what was set aside since the last time."""
        for at, end in self._ends():
            start, self._seen[at] = self._seen[at], end
            for record in self._log.read(*at, start, end - start):
                line = self._line_of(record.headers)
                if line is not None:
                    self.lines[at, record.offset] = line

    def _ends(self) -> Iterator[tuple[TopicPartition, int]]:
        for topic in (DEAD_LETTERS, LATE):
            for number, (_, end) in enumerate(self._log.offsets(topic)):
                yield TopicPartition(topic, number), end

    def _line_of(self, headers: Headers) -> Line | None:
        """Return the line of the record that was set aside; None if it was none."""
        named = OriginHeaders.from_headers(headers)
        if named.dlq_topic not in DETECT_INPUTS:
            return None
        at = (named.dlq_topic, named.dlq_partition)
        for record in self._log.read(*at, named.dlq_offset, 1):
            for name, value in record.headers:
                if name == _LINE:
                    file, line = divmod(int.from_bytes(value), 1 << _NUMBER_BITS)
                    return self._files[file], line
        return None


def dead_line(
    name: str, number: int, raw: bytes, bad: BadRecord, stage: str = "detect"
) -> NewRecord:
    """Return the dead letter of a line that belongs to no topic.

    Of one that is too large it has the beginning: the file has the rest, and memory is for others.
    """
    headers = DeadLetterHeaders(
        dlq_reason=bad.reason,
        dlq_error=bad.error,
        dlq_topic=name,
        dlq_partition=0,
        dlq_offset=number,
        dlq_stage=stage,
    )
    if bad.reason == "too_large":
        raw = raw[:_BEGINNING_BYTES] + b"..."
    return NewRecord(DEAD_LETTERS, b"", raw, headers=headers.to_headers())


def replay(
    lines: Iterable[tuple[str, int, bytes]],
    policy: Policy,
    as_is: bool = False,
    partitions: int = 1,
    *,
    keep_inputs: bool = True,
    room: Room = DEFAULT_ROOM,
) -> Replayed:
    """Run both stages over lines (file name, number, text), sorted by occurred_at unless `as_is`.

    Neither the order of equal times nor the number of partitions changes what is found. Without
    `keep_inputs` the log forgets inputs and signals when they have been read; offsets stay.

    Raises:
        UsageError: temporary files cannot be used.
    """
    with calm_collector(), Spool(not as_is, room) as spool:
        return _replay(lines, policy, spool, partitions, None if keep_inputs else _FORGOTTEN, room)


def _replay(
    lines: Iterable[tuple[str, int, bytes]],
    policy: Policy,
    spool: Spool,
    partitions: int,
    retention: Mapping[str, int] | None,
    room: Room,
) -> Replayed:
    arrival = _Arrival(partitions, spool, policy.limits.max_event_bytes)
    for name, number, raw in lines:
        arrival.add(name, number, raw)
    log = MemoryLog(partitions=partitions)
    result = Replayed(log, arrival.lines)
    log.append(arrival.dead)
    result.counts.update(arrival.refused)
    end = ends(arrival.latest + 1, partitions) if arrival.latest >= FIRST_TIME else []
    feed = _Feed(log, spool, end, room.slice_records)
    origins = _Origins(log, list(arrival.files))
    _run(log, policy, feed, retention, result, origins)
    result.lines = origins.lines
    return result


def ends(at: int, partitions: int) -> list[NewRecord]:
    """Return the records that end every partition of every input of detect, `at` in milliseconds.

    The signals need none: detect publishes its progress.
    """
    end = msgspec.json.encode({"kind": "end", "occurred_at": format_time(at)})
    return [NewRecord(topic, None, end, n) for topic in DETECT_INPUTS for n in range(partitions)]


def _run(
    log: MemoryLog,
    policy: Policy,
    feed: _Feed,
    retention: Mapping[str, int] | None,
    result: Replayed,
    origins: _Origins,
) -> None:
    numbers = range(log.partitions(SIGNALS))
    stages = (detect(policy), triage(policy, len(numbers)))
    workers = [StageWorker(log, stage, numbers, None, _PACE) for stage in stages]
    detecting = workers[0].tasks.values()
    while feed.next(
        {task.addresses[s.index].topic for task in detecting for s, _ in task.blocking()}
    ):
        for worker in workers:
            while worker.run_once():
                pass
        origins.look()
        if retention is not None:
            log.prune(retention, READERS)
    for worker in workers:
        result.counts.update(worker.counts)
        worker.close()
    result.undecided = [
        (key.decode(), owner, Timer(due, owner, name))
        for task in detecting
        for due, key, owner, name in task.undecided()
        if owner
    ]
