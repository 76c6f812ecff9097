"""Records in the order of their times, more of them than memory holds: an external merge sort.

What exceeds the memory allowed is sorted and written to a temporary file, run after run; reading
merges the runs with what is still in memory. Equal times keep the order in which they came, however
the runs were cut. Few records never touch the disk. The file has no name in its directory (or loses
it at once), so that nothing is left of it, however the process ends.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import msgspec

from worker.engine.records import NewRecord
from worker.errors import UsageError

Timed = tuple[int, NewRecord]
"""A record and the time, in milliseconds, that it is sorted by."""

_OVERHEAD: Final = 450
"""Bytes of memory that a record takes beside its value, about."""
_BLOCK: Final = 1 << 16
"""Bytes of memory that are read at a time; merging holds one block of every run."""
_PREFIX: Final = 4

_time = itemgetter(0)
_record = itemgetter(1)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Timed]).decode


@dataclass(frozen=True, slots=True)
class Room:
    """How much memory records may take, and where the others go; changes no result."""

    sort_bytes: int = 256 << 20
    """Of the records to be sorted; above it they go to disk."""
    slice_records: int = 80_000
    """How many records of a topic are put into the log at a time."""
    directory: Path | None = None
    """Where temporary files are made; None: where the system has them."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The bytes of the file that hold one sorted run."""

    start: int
    end: int


class Spool:
    """Takes records in any order, and gives those of a topic back: by time, or as they came.

    Args:
        by_time: sort by time, equal times as they came; else everything as it came.
    """

    def __init__(self, by_time: bool, room: Room) -> None:
        self._by_time = by_time
        self._room = room
        self._held: defaultdict[str, list[Timed]] = defaultdict(list)
        self._runs: defaultdict[str, list[_Run]] = defaultdict(list)
        self._size = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give memory and disk free. May be called twice."""
        self._held.clear()
        if self._file is not None:
            self._file.close()

    @property
    def topics(self) -> list[str]:
        """The topics of which there are records."""
        return list(self._held)

    @property
    def spilled(self) -> int:
        """How many bytes are on disk."""
        return max((run.end for runs in self._runs.values() for run in runs), default=0)

    def add(self, time: int, record: NewRecord, size: int) -> None:
        """Take a record whose value has `size` bytes.

        Raises:
            UsageError: the temporary file cannot be written.
        """
        self._held[record.topic].append((time, record))
        self._size += size + _OVERHEAD
        if self._size > self._room.sort_bytes:
            with self._disk():
                self._spill()

    def records(self, topic: str) -> Iterator[NewRecord]:
        """Return the records of a topic; nothing may be added any more.

        Raises:
            UsageError: the temporary file cannot be read; raised by the iterator.
        """
        held = self._sorted(self._held[topic])
        held.reverse()
        timed = _drained(held)
        if runs := [self._read(run) for run in self._runs[topic]]:
            timed = merge(*runs, timed, key=_time) if self._by_time else chain(*runs, timed)
        return map(_record, timed)

    def _sorted(self, records: list[Timed]) -> list[Timed]:
        if self._by_time:
            records.sort(key=_time)
        return records

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by close()
                buffering=_BLOCK, dir=self._room.directory
            )
        file = self._file
        total = sum(map(len, self._held.values()))
        step = max(1, _BLOCK * total // self._size)
        for topic, records in self._held.items():
            if not records:
                continue
            self._sorted(records)
            start = file.tell()
            for first in range(0, len(records), step):
                block = _encode(records[first : first + step])
                file.write(len(block).to_bytes(_PREFIX))
                file.write(block)
            self._runs[topic].append(_Run(start, file.tell()))
            records.clear()
        self._size = 0

    def _read(self, run: _Run) -> Iterator[Timed]:
        assert self._file is not None
        file, at = self._file, run.start
        while at < run.end:
            with self._disk():
                file.seek(at)
                length = int.from_bytes(file.read(_PREFIX))
                block = file.read(length)
                at = file.tell()
            yield from _decode(block)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self._room.directory or tempfile.gettempdir()
            raise UsageError(
                f"{where}: the temporary file for sorting cannot be used: {error.strerror}."
            ) from error


def _drained(items: list[Timed]) -> Iterator[Timed]:
    """Yield from the end, giving each one's memory free."""
    while items:
        yield items.pop()
