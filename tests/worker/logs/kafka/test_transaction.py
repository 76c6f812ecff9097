"""One commit as one transaction, with a fake client behind the seam."""

import re
from collections.abc import Mapping, Sequence

import pytest

from worker.errors import LogError, LogInDoubt
from worker.logs.kafka.blocks import Blocks
from worker.logs.kafka.client import (
    ClusterPartition,
    CommittedOffset,
    GroupMetadata,
    Outgoing,
    Producer,
)
from worker.logs.kafka.client_errors import ClientError, RecordTooLarge, Replaced
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.limits import Limits
from worker.logs.kafka.transaction import TransactionalProducer

OUT = ClusterPartition("out", 0)
CHANGELOG = ClusterPartition("changelog", 1)
RECORDS: list[Outgoing] = [(OUT, b"k", b"small", ()), (CHANGELOG, b"n", b"v" * 300, ())]
LARGER: Outgoing = (ClusterPartition("out", 3), b"larger", b"v" * 50, ((("name", b"v" * 38),)))
OFFSETS = {ClusterPartition("in", 0): CommittedOffset(7, "mark")}
HASH = re.compile(r"[0-9a-f]{8}")
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

    def abort_transaction(self) -> None:
        self._called("abort")

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
    fake = FakeProducer("send", RecordTooLarge("text", "out"))
    with pytest.raises(LogError) as caught:
        taken(fake, {}, monkeypatch).commit([*RECORDS, LARGER], 1, OFFSETS, GROUP)
    said = str(caught.value)
    assert said.startswith("Topic out takes records of fewer bytes (max.message.bytes), and a re")
    assert "and a record for partition 3 has 1" in said
    assert "larger" not in said
    assert HASH.search(said) is None
    assert fake.calls == ["init", "begin", "send"]


def test_a_record_above_a_known_limit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither it nor anything else: no transaction begins."""
    fake = FakeProducer()
    monkeypatch.setattr(Cluster, "producer", lambda *_: fake)
    fits = TransactionalProducer(Cluster(), "id", {}, Limits({"out": 168}))
    fits.commit([LARGER], 1, OFFSETS, GROUP)
    fake.calls.clear()
    producer = TransactionalProducer(Cluster(), "id", {}, Limits({"out": 167}))
    with pytest.raises(LogError, match=r"Topic out takes records of at most 167 bytes .* has 168"):
        producer.commit([*RECORDS, LARGER], 1, OFFSETS, GROUP)
    assert fake.calls == ["init"]


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (None, "the state of the task itself"),
        (b"account-1", "the state of one key"),
    ],
)
def test_a_state_above_the_limit_is_named_without_its_key(
    key: bytes | None, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the changelog has a number as its key, which names no account."""
    monkeypatch.setattr(Cluster, "producer", lambda *_: FakeProducer())
    limits = Limits({"changelog": 2_000}, "changelog")
    blocks = Blocks(limits.block)
    changes = {b"small": b"s", key: b"v" * 2_000, b"other": b"o"}
    records: list[Outgoing] = [(CHANGELOG, *block, ()) for block in blocks.write(changes)]
    producer = TransactionalProducer(Cluster(), "id", {}, limits)
    with pytest.raises(LogError) as caught:
        producer.commit(records, 1, OFFSETS, GROUP)
    said = str(caught.value)
    assert f"at most 2000 bytes (max.message.bytes), and {what} for partition 1 has " in said
    assert "account-1" not in said
    assert HASH.search(said) is None


def test_an_id_that_cannot_be_taken_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeProducer("init", ClientError("text"))
    with pytest.raises(LogError, match="id: cannot begin transactions: text"):
        taken(fake, {}, monkeypatch)
    assert fake.calls == ["init", "close"]
