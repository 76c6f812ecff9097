"""One commit as one transaction, with a fake client behind the seam."""

from collections.abc import Mapping, Sequence

import pytest

from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.client import (
    ClusterPartition,
    CommittedOffset,
    GroupMetadata,
    Outgoing,
    Producer,
)
from worker.logs.kafka.client_errors import ClientError, RecordTooLarge, Replaced
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.transaction import TransactionalProducer

OUT = ClusterPartition("out", 0)
CHANGELOG = ClusterPartition("changelog", 1)
RECORDS: list[Outgoing] = [(OUT, b"k", b"small", ()), (CHANGELOG, b"n", b"v" * 300, ())]
OFFSETS = {ClusterPartition("in", 0): CommittedOffset(7, "mark")}
GROUP = GroupMetadata("group", 3, "member")


class FakeProducer(Producer):
    """Notes its calls; the one named fails."""

    broker_version = (4, 0)

    def __init__(self, failing: str = "", error: ClientError | None = None) -> None:
        self.calls: list[str] = []
        self._failing = failing
        self._error = error

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self._failing and self._error is not None:
            raise self._error

    def init_transactions(self) -> None:
        self._called("init")

    def begin_transaction(self) -> None:
        self._called("begin")

    def send(
        self, records: Sequence[Outgoing], timestamp: int, timeout: float
    ) -> dict[ClusterPartition, int]:
        self._called("send")
        return dict.fromkeys((record[0] for record in records), 10)

    def send_offsets(
        self, offsets: Mapping[ClusterPartition, CommittedOffset], group: GroupMetadata
    ) -> None:
        self._called("offsets")

    def commit_transaction(self) -> None:
        self._called("commit")

    def close(self) -> None:
        self._called("close")


def taken(
    fake: FakeProducer, written: dict[ClusterPartition, int], monkeypatch: pytest.MonkeyPatch
) -> TransactionalProducer:
    monkeypatch.setattr(Cluster, "producer", lambda *_: fake)
    return TransactionalProducer(Cluster(), "id", written)


def test_records_and_offsets_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is known once it is committed."""
    fake, written = FakeProducer(), dict[ClusterPartition, int]()
    taken(fake, written, monkeypatch).commit(RECORDS, 1, OFFSETS, GROUP)
    assert fake.calls == ["init", "begin", "send", "offsets", "commit"]
    assert written == {OUT: 10, CHANGELOG: 10}


@pytest.mark.parametrize("failing", ["begin", "send", "offsets", "commit"])
def test_a_failure_ends_the_transaction_there(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is called after it, not even to abort; nothing counts as written."""
    fake, written = FakeProducer(failing, ClientError("text")), dict[ClusterPartition, int]()
    with pytest.raises(LogError, match="id: the commit failed: text") as caught:
        taken(fake, written, monkeypatch).commit(RECORDS, 1, OFFSETS, GROUP)
    assert not isinstance(caught.value, LogInDoubt)
    assert fake.calls[-1] == failing
    assert not written


@pytest.mark.parametrize("failing", ["begin", "send", "offsets", "commit"])
def test_a_replaced_worker_is_in_doubt(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeProducer(failing, Replaced("Fenced()"))
    with pytest.raises(LogInDoubt, match=r"taken over its slot or its tasks \(Fenced\(\)\)"):
        taken(fake, {}, monkeypatch).commit(RECORDS, 1, OFFSETS, GROUP)


def test_the_largest_record_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the client itself refuses it, before it has sent anything."""
    fake = FakeProducer("send", RecordTooLarge("text"))
    with pytest.raises(LogError, match="Topic changelog takes no record of 300 bytes"):
        taken(fake, {}, monkeypatch).commit(RECORDS, 1, OFFSETS, GROUP)


def test_an_id_that_cannot_be_taken_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeProducer("init", ClientError("text"))
    with pytest.raises(LogError, match="id: cannot begin transactions: text"):
        taken(fake, {}, monkeypatch)
    assert fake.calls == ["init", "close"]
