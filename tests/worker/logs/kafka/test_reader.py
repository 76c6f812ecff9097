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
        self.read_from: list[int] = []
        self._position = 0

    def last(self) -> int | None:
        """The offset of the last record stored."""
        stored = (at for at in range(self.first, len(self.offsets)) if self.offsets[at])
        return max(stored, default=None)

    def beginning_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, int]:
        return {AT: self.first}

    def end_offsets(
        self, partitions: Collection[ClusterPartition], timeout_ms: int
    ) -> dict[ClusterPartition, int]:
        return {AT: len(self.offsets)}

    def assign(self, partitions: Collection[ClusterPartition]) -> None:
        pass

    def seek(self, partition: ClusterPartition, offset: int) -> None:
        self._position = offset

    def position(self, partition: ClusterPartition) -> int:
        return self._position

    def poll(self, timeout_ms: int, limit: int) -> dict[ClusterPartition, list[Record]]:
        found: list[Record] = []
        self.read_from.append(self._position)
        while self._position < len(self.offsets) and len(found) < limit:
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
    """Behind few or many offsets without a record; once retention has dropped it, there is none."""
    rng, reader = Random(seed), Reader(Cluster(), {})
    for _ in range(50):
        for _ in range(rng.randrange(3)):
            consumer.offsets += [True] * rng.randrange(5) + [False] * rng.choice((0, 1, 2, 7, 500))
        if rng.random() < 0.2:
            consumer.first = rng.randint(consumer.first, len(consumer.offsets))
        (found,) = reader.last_records([AT])
        assert (found and found.offset) == consumer.last()


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
