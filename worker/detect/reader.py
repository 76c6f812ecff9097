"""The reader of detect: records of the three inputs into entries, time and dead letters. Pure."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from rules.events import RANKS, Event, Login, Transaction
from schemas.time import format_span
from schemas.topics import INPUTS
from worker.codec.bad_record import BadRecord, bad
from worker.codec.codec import Codec, Control, Limits
from worker.detect.dead_letter_limit import DeadLetterWindow
from worker.detect.redelivery import begun, identity_of
from worker.engine.event_time import InputTime, Source
from worker.engine.outbox import Outbox
from worker.engine.outcomes import FieldMended, UnknownFields
from worker.engine.records import Record
from worker.engine.reorder import Entry
from worker.engine.task import Task

_PENDING: Final = -2
"""In place of the ledger_sequence of a pending transaction that has none: it comes first."""


class InputPolicy(Struct, frozen=True):
    """How one input is read; times in milliseconds."""

    topic: str
    kind: int
    lateness: int = 5_000
    may_be_silent: bool = False
    max_clock_skew: int = 300_000


class EventReader:
    """Reads the inputs of one detect task."""

    def __init__(
        self,
        inputs: Sequence[InputPolicy],
        limits: Limits,
        window: DeadLetterWindow,
        partition_of: Callable[[bytes], int] | None = None,
    ) -> None:
        self._inputs = inputs
        self._codecs = [Codec(policy.kind, limits) for policy in inputs]
        self._hashes: list[blake2b] = []
        """Per input, made with the key of the task."""
        self._window = window
        self._partition_of = partition_of

    def read(
        self, task: Task, source: Source, records: Sequence[Record], outbox: Outbox
    ) -> list[Entry]:
        """Decode a batch of one source.

        What was decided at reading before a restart (offsets below `reread_until`) is not decided
        again; events that were applied before it are skipped.
        """
        at, codec = task.addresses[source.index], self._codecs[source.index]
        if not self._hashes:
            self._hashes = [begun(policy.topic, task.secret) for policy in self._inputs]
        entries = self._entries(task, source, records, outbox)
        if codec.unknown_fields:
            outbox.counts[UnknownFields(at.topic)] += codec.unknown_fields
            codec.unknown_fields = 0
        if codec.mended:
            for mended, times in codec.mended.items():
                outbox.counts[FieldMended(at.topic, mended.field, mended.how)] += times
            codec.mended.clear()
        return entries

    def _entries(
        self, task: Task, source: Source, records: Sequence[Record], outbox: Outbox
    ) -> list[Entry]:
        policy, index, time = self._inputs[source.index], source.index, source.inputs[0]
        decode, hashed, lateness = (
            self._codecs[index].decode,
            self._hashes[index],
            policy.lateness,
        )
        states, is_elsewhere = task.states, self._is_elsewhere(task)
        proof, floor = time.proof, time.floor  # only this loop moves them
        entries: list[Entry] = []
        for record in records:
            event = decode(record.value)
            if isinstance(event, BadRecord):
                self._refuse(event, task, source, record, outbox)
                continue
            if isinstance(event, Control):
                _control(event, time, record, lateness)
                proof = time.proof
                continue
            occurred = usable = event.occurred_at
            appended, key = record.append_time, record.key
            if appended is not None and appended < occurred:
                usable = appended
            if (
                occurred - usable > policy.max_clock_skew
                or key != event.account_id.encode()
                or (key not in states and is_elsewhere(key))
            ):
                self._refuse(_misfit(policy, record, event), task, source, record, outbox)
                continue
            frontier = proof if proof >= floor else floor
            order = occurred if occurred >= frontier else frontier
            if usable - lateness > proof:
                if floor > proof:
                    time.prove(usable - lateness)
                proof = time.proof = usable - lateness
            if record.offset >= source.reread_until or order >= task.applied_until:
                identity = identity_of(hashed, event)
                entries.append(_entry(order, index, record, event, identity))
        source.ended = isinstance(event, Control) and event.is_end
        return entries

    def _is_elsewhere(self, task: Task) -> Callable[[bytes], bool]:
        """Return what says of a key whether it belongs to another partition.

        One with state was asked about before.
        """
        number, partition_of = task.number, self._partition_of
        if partition_of is None:
            return lambda _: False
        return lambda key: partition_of(key) != number

    def _refuse(
        self, bad: BadRecord, task: Task, source: Source, record: Record, outbox: Outbox
    ) -> None:
        if record.offset >= source.reread_until:
            at = task.addresses[source.index]
            outbox.dead_letter(at, record, bad.reason, bad.error)
            self._window.add(at, source, record, bad.reason)


def _entry(order: int, index: int, record: Record, event: Event, identity: bytes) -> Entry:
    sequence, key = -1, record.key
    if type(event) is Transaction:
        if event.ledger_sequence is not None:
            sequence = event.ledger_sequence
        elif event.status == "pending":
            sequence = _PENDING
    elif type(event) is Login and event.reason == "unknown_account":
        key = None
    return (
        order,
        event.occurred_at,
        RANKS[index],
        sequence,
        event.event_id,
        record.offset,
        index,
        record,
        event,
        key,
        identity,
    )


def _control(control: Control, time: InputTime, record: Record, lateness: int) -> None:
    """Take over a heartbeat or an end; only an end says that nothing older will follow."""
    if control.is_end:
        time.prove(control.occurred_at)
        return
    usable = control.occurred_at
    if record.append_time is not None:
        usable = min(usable, record.append_time)
    time.prove(usable - lateness)


def _misfit(policy: InputPolicy, record: Record, event: Event) -> BadRecord:
    """Return what is wrong with the record around a valid event."""
    appended = record.append_time
    if appended is not None and event.occurred_at - appended > policy.max_clock_skew:
        return future(policy)
    if record.key != event.account_id.encode():
        return bad("key_mismatch", "key", "key")
    return bad("wrong_partition", "key", "key_elsewhere")


def future(policy: InputPolicy) -> BadRecord:
    """Return what is wrong with an event too long after its append time."""
    setting = next(each.setting for each in INPUTS if each.topic == policy.topic)
    about = {"span": format_span(policy.max_clock_skew), "setting": setting}
    return bad("future_timestamp", "occurred_at", "future", **about)
