"""The last record of a partition, looked for with a fake client behind the seam."""

from collections.abc import Collection
from random import Random

import pytest

from worker.engine.records import Record
from worker.logs.kafka.client import ClusterPartition
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.reader import Reader

AT = ClusterPartition("in", 0)


class FakeConsumer:
    """One partition: its offsets from `first` on, each with a record or with none."""

    def __init__(self) -> None:
        self.first = 0
        self.offsets: list[bool] = []
        self.open: int | None = None
        """Where the oldest open transaction begins."""
        self.read_from: list[int] = []
        self._position = 0

    def last(self) -> int | None:
        """The offset of the last record that can be read."""
        stored = (at for at in range(self.first, self.stable) if self.offsets[at])
        return max(stored, default=None)

    @property
    def stable(self) -> int:
        """The offset before which everything can be read."""
        return len(self.offsets) if self.open is None else self.open

    def beginning_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, int]:
        return {AT: self.first}

    def end_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, int]:
        return {AT: len(self.offsets)}

    def stable_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, int]:
        return {AT: self.stable}

    def assign(self, partitions: Collection[ClusterPartition]) -> None:
        pass

    def seek(self, partition: ClusterPartition, offset: int) -> None:
        self._position = offset

    def position(self, partition: ClusterPartition) -> int:
        return self._position

    def poll(self, timeout_ms: int, limit: int) -> dict[ClusterPartition, list[Record]]:
        found: list[Record] = []
        self.read_from.append(self._position)
        while self._position < self.stable and len(found) < limit:
            if self.offsets[self._position]:
                found.append(Record(self._position, 1, None, None))
            self._position += 1
        return {AT: found} if found else {}


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    consumer = FakeConsumer()
    monkeypatch.setattr(Cluster, "consumer", lambda *_, **__: consumer)
    return consumer


@pytest.mark.parametrize("seed", range(30))
def test_the_last_record_is_found_wherever_it_lies(consumer: FakeConsumer, seed: int) -> None:
    """Behind few or many offsets without a record; once retention has dropped it, there is none.

    While an open transaction hides the end, it is the last one before that.
    """
    rng, reader = Random(seed), Reader(Cluster(), {})
    for _ in range(50):
        consumer.open = len(consumer.offsets) if rng.random() < 0.3 else None
        for _ in range(rng.randrange(3)):
            consumer.offsets += [True] * rng.randrange(5) + [False] * rng.choice((0, 1, 2, 7, 500))
        if rng.random() < 0.2:
            consumer.first = rng.randint(consumer.first, consumer.stable)
        (found,) = reader.last_records([AT])
        assert (found and found.offset) == consumer.last()


def test_what_is_hidden_is_counted_and_no_record_is_read_beyond_it(consumer: FakeConsumer) -> None:
    """The offsets of the partition go on behind an open transaction."""
    reader = Reader(Cluster(), {})
    consumer.offsets, consumer.open = [True] * 10, 7
    assert reader.extents([AT]) == [(0, 10)]
    assert reader.hidden([AT]) == [3]
    assert [record.offset for record in reader.read(AT, 5, 9)] == [5, 6]
    assert reader.read(AT, 8, 9) == []


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no wait be long."""
    monkeypatch.setattr("worker.logs.kafka.reader._ANSWER_MS", 20)


@pytest.mark.usefixtures("hurry")
def test_what_others_hide_of_its_own_commits_is_waited_for_once(consumer: FakeConsumer) -> None:
    """The brokers may be slow to show a commit; they show none behind an open transaction."""
    written = {AT: 9}
    reader = Reader(Cluster(), written)
    consumer.offsets, consumer.open = [True] * 10, 7
    reader.await_written()
    assert written == {}
    assert [record.offset for record in reader.read(AT, 5, 9)] == [5, 6]


def test_what_was_looked_through_is_not_read_again(consumer: FakeConsumer) -> None:
    """A producer whose transactions are aborted again and again costs what each appends."""
    reader = Reader(Cluster(), {})
    consumer.offsets = [True] + [False] * 10_000
    assert reader.last_records([AT])[0] is not None
    assert min(consumer.read_from) == 0
    assert len(consumer.read_from) < 10
    consumer.read_from.clear()
    assert reader.last_records([AT])[0] is not None
    assert consumer.read_from == []
    consumer.offsets += [False] * 2
    assert reader.last_records([AT])[0] is not None
    assert consumer.read_from == [10_001]


def test_a_topic_made_anew_has_another_last_record(consumer: FakeConsumer) -> None:
    """Its end lies before the one that was known."""
    reader = Reader(Cluster(), {})
    consumer.offsets = [True] * 10
    (before,) = reader.last_records([AT])
    consumer.offsets = [True, False]
    (after,) = reader.last_records([AT])
    assert before is not None
    assert after is not None
    assert (before.offset, after.offset) == (9, 0)
