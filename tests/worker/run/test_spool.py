"""The external merge sort: what comes out, what goes to disk, and what is left there."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import IO, Any

import pytest

from worker.engine.records import NewRecord
from worker.errors import UsageError
from worker.run.spool import Room, Spool, Timed

TOPICS = ("first", "second", "third")


def chances(seed: int, count: int) -> list[Timed]:
    """Return records with few different times, each value naming its place."""
    rng = Random(seed)
    return [
        (
            rng.choice((-(2**62), 0, 1, 2, 3, 1_780_000_000_000)),
            NewRecord(
                rng.choice(TOPICS),
                rng.choice((None, b"", b"key-\xff")),
                b"%d:" % place + bytes(rng.randint(0, 300)),
                rng.randint(0, 3),
                rng.choice(((), (("name", b"\x00value"),))),
            ),
        )
        for place in range(count)
    ]


def spooled(items: list[Timed], by_time: bool, room: Room) -> dict[str, list[NewRecord]]:
    """Return what a spool gives back per topic, reading the topics in turns."""
    with Spool(by_time, room) as spool:
        for time, record in items:
            spool.add(time, record, len(record.value or b""))
        reading = {topic: spool.records(topic) for topic in TOPICS}
        found: dict[str, list[NewRecord]] = {topic: [] for topic in TOPICS}
        while reading:
            for topic in list(reading):
                following = next(reading[topic], None)
                if following is None:
                    del reading[topic]
                else:
                    found[topic].append(following)
        return found


def taken(into: list[IO[bytes]]) -> Callable[..., IO[bytes]]:
    """Return a TemporaryFile that remembers what it has made."""
    make = tempfile.TemporaryFile

    def made(*args: Any, **kwargs: Any) -> IO[bytes]:
        into.append(make(*args, **kwargs))
        return into[-1]

    return made


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("sort_bytes", [1, 700, 5_000, 60_000, 1 << 30])
def test_the_order_does_not_depend_on_how_the_runs_were_cut(sort_bytes: int, by_time: bool) -> None:
    """By time, equal times as they came; or everything as it came."""
    for seed in range(20):
        items = chances(seed, Random(seed).choice((0, 1, 2, 50, 400)))
        ordered = sorted(items, key=lambda item: item[0]) if by_time else items
        wanted = {t: [r for _, r in ordered if r.topic == t] for t in TOPICS}
        assert spooled(items, by_time, Room(sort_bytes)) == wanted, f"seed {seed}"


def test_records_of_any_size_come_back(tmp_path: Path) -> None:
    """Larger than a block, larger than what memory may hold, and empty."""
    values = [b"x" * size for size in (0, 3_000_000, 1, 70_000, 200_000)]
    items = [(9 - n, NewRecord("first", b"k", value, 0)) for n, value in enumerate(values)]
    found = spooled(items, True, Room(100_000, directory=tmp_path))
    assert [record.value for record in found["first"]] == values[::-1]


def test_few_records_never_touch_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No temporary file is even made."""
    files: list[IO[bytes]] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", taken(files))
    spooled(chances(1, 400), True, Room())
    assert files == []
    spooled(chances(1, 400), True, Room(10_000))
    assert len(files) == 1


def test_no_more_is_held_than_allowed(tmp_path: Path) -> None:
    """The rest is on disk, in one file, whatever the number of runs."""
    with Spool(True, Room(20_000, directory=tmp_path)) as spool:
        for time, record in chances(2, 2_000):
            spool.add(time, record, len(record.value or b""))
            held = [r for records in spool._held.values() for _, r in records]
            assert sum(len(record.value or b"") for record in held) <= 20_000
        assert spool.spilled > 200_000
        assert 30 < sum(map(len, spool._runs.values())) < 200


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_on_disk_when_it_is_broken_off(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while it runs does the file have a name that could be left behind."""
    files: list[IO[bytes]] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", taken(files))

    def broken_off() -> None:
        with Spool(True, Room(1_000, directory=tmp_path)) as spool:
            for time, record in chances(3, 100):
                spool.add(time, record, len(record.value or b""))
            assert next(spool.records("first")).topic == "first"
            assert os.fstat(files[0].fileno()).st_size > 0
            assert list(tmp_path.iterdir()) == []
            raise error

    with pytest.raises(error):
        broken_off()
    assert [file.closed for file in files] == [True]
    assert list(tmp_path.iterdir()) == []


class _Full:
    """A file on a disk that is full."""

    def tell(self) -> int:
        return 0

    def write(self, _: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Nothing was opened."""


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """In one sentence, with the system's reason."""
    directory = tmp_path / "nowhere"
    with pytest.raises(UsageError) as caught:
        spooled(chances(4, 100), True, Room(1_000, directory=directory))
    assert str(caught.value) == (
        f"{directory}: the temporary file for sorting cannot be used: No such file or directory."
    )


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whatever else is wrong with the directory."""
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: _Full())
    with pytest.raises(UsageError, match=r": No space left on device\.$"):
        spooled(chances(4, 100), True, Room(1_000, directory=tmp_path))
