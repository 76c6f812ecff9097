"""Removing what is kept of one account.

First what triage keeps, then what detect keeps, each in one commit: after a crash in between, the
same command does the rest. Then, where the log is a file, the records of the account.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import msgspec

from rules.alerts import OpenAlert
from rules.habits import Habits
from schemas.topics import DETECT_INPUTS, INCIDENTS, SIGNALS
from worker.detect.account import Account, SavedAccounts
from worker.detect.alerts import Change, Publisher
from worker.detect.id_segments import KeptSegments
from worker.detect.overflow import Overflows
from worker.detect.redelivery import ROWS
from worker.detect.stage import DETECT, Policy
from worker.detect.unkeyed_ids import UNKEYED
from worker.engine.context import Context
from worker.engine.keyed_state import payload_of
from worker.engine.log import Log, Session
from worker.engine.murmur2 import partition_of
from worker.engine.outbox import numbered
from worker.engine.records import Commit, NewRecord, Record, Snapshot, StateChange, TopicPartition
from worker.engine.segments import is_segment, owner_of
from worker.engine.task_meta import TaskMeta, read_meta
from worker.run.forget_incidents import forget_incidents, unhandled
from worker.run.own_records import OwnRecords
from worker.run.runner import READERS
from worker.triage.stage import TRIAGE


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was removed."""

    open_alerts: int = 0
    """Each was published as expired."""
    incidents: int = 0
    """Dedup_keys of which triage kept one; an open one was published as resolved."""
    event_ids: int = 0
    balances: int = 0
    holds: int = 0
    habits: int = 0
    """Devices, countries, payees, places, failed logins, changes of credentials, currencies."""
    timers: int = 0
    records: int = 0
    """On topics; none where brokers keep them."""
    unhandled: bool = False
    """Whether a stage has not handled all of it yet, which will make new state."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What detect keeps of an account."""

    account: Account
    states: Mapping[bytes, bytes]
    """By their keys: its record and its segments, as they are stored."""
    meta: TaskMeta
    """Of its task."""

    def open_alerts(self) -> Iterator[OpenAlert]:
        for kept in self.account.alerts.values():
            yield from kept
            if kept.overflow is not None:
                yield kept.overflow.alert


def forget(log: Log, policy: Policy, account_id: str, now: int) -> Forgotten | None:
    """Remove what the stages keep of an account, and its records where the log can remove them.

    Its open alerts expire and its open incidents are resolved; of these, the last records stay.

    Args:
        now: wall time, milliseconds.

    Returns:
        None if nothing was kept of it.

    Raises:
        TaskTaken: a worker runs the account's task, or one of triage; names the process.
        LogError: the log cannot be used, or a newer release has written it; what is not removed
            yet, the next call removes.
    """
    key = account_id.encode()
    task = partition_of(key, log.partitions(DETECT_INPUTS[0]))
    triage_tasks = range(log.partitions(SIGNALS))
    own = OwnRecords(account_id, policy.tokens.all_of(account_id))
    with (
        closing(log.open_session(DETECT, DETECT_INPUTS, [task])) as detecting,
        closing(log.open_session(TRIAGE, [SIGNALS], triage_tasks)) as judging,
    ):
        snapshot = detecting.restore(task)
        meta = read_meta(snapshot.meta, DETECT, DETECT_INPUTS)
        kept = _read(snapshot, policy, meta, key)
        counted = _count(kept) if kept is not None else Forgotten()
        alerts = kept.open_alerts() if kept is not None else ()
        keys = {f"{alert.cause}\0{alert.dedup_key}".encode() for alert in alerts}
        incidents = forget_incidents(log, judging, policy, own, keys, now)
        published = list(incidents.published)
        if kept is not None:
            context = _context(task, meta, key, now)
            published += _forget_account(detecting, policy, kept, context, incidents.unhandled)
        is_unhandled = incidents.unhandled or any(
            own.has(topic, record)
            for topic in DETECT_INPUTS
            for record in unhandled(log, meta, TopicPartition(topic, task))
        )
        records = log.erase(_to_go(own, published), READERS)
    found = replace(counted, incidents=incidents.keys, records=records, unhandled=is_unhandled)
    return found if found != Forgotten() else None


def _read(snapshot: Snapshot, policy: Policy, meta: TaskMeta, key: bytes) -> _Kept | None:
    states = {each: value for each, value in snapshot.states if owner_of(each) == key}
    if key not in states:
        return None
    account = SavedAccounts(policy.known_rules).read(payload_of(states[key]))
    return _Kept(account, states, meta)


def _context(task: int, meta: TaskMeta, key: bytes, now: int) -> Context:
    """Return a context at the watermark: nothing decided later has an order time below it."""
    context = Context(task, max(meta.now, meta.watermark), meta.signals)
    context.wall, context.key = now, key
    return context


def _forget_account(
    session: Session, policy: Policy, kept: _Kept, context: Context, signals: bool
) -> list[NewRecord]:
    """Remove the account and expire its open alerts; return what was published.

    Args:
        signals: whether triage is to read that they have expired. It need not where all their
            incidents are forgotten.
    """
    _expire_all(kept.account, policy, context)
    outputs = [
        record
        for record in numbered(context.outbox.outputs, context.next_signal)
        if signals or record.topic != SIGNALS
    ]
    advanced = msgspec.structs.replace(kept.meta, now=context.now, signals=context.signals)
    session.commit(
        Commit(
            outputs=outputs,
            states=[StateChange(context.task, each, b"") for each in kept.states],
            metas={context.task: msgspec.msgpack.encode(advanced)},
            erase=True,
        )
    )
    return outputs


def _to_go(
    own: OwnRecords, published: Sequence[NewRecord]
) -> Callable[[TopicPartition, Record], bool]:
    """Return what chooses the records of the account, but for those that were published now."""
    last = {record.value for record in published if record.value is not None}
    ended = {record.key for record in published if record.topic == INCIDENTS}

    def is_to_go(at: TopicPartition, record: Record) -> bool:
        if record.value in last:
            return False
        return own.has(at.topic, record) or (at.topic == INCIDENTS and record.key in ended)

    return is_to_go


def _expire_all(account: Account, policy: Policy, context: Context) -> None:
    publisher = Publisher(DETECT_INPUTS, policy.tokens)
    overflows = Overflows(publisher, policy.horizons.max_open_alerts)
    rules = {rule.state_code: rule for rule in policy.known_rules}
    for code, kept in sorted(account.alerts.items()):
        for alert in kept:
            publisher.publish(rules[code], alert, Change("expired"), context)
        if kept.overflow is not None:
            overflows.close(rules[code], account, Change("expired"), context)


def _count(kept: _Kept) -> Forgotten:
    account = kept.account
    segments = [KeptSegments().load(value) for key, value in kept.states.items() if is_segment(key)]
    rows = sum(len(each.rows) for each in segments) + len(account.ids)
    return Forgotten(
        open_alerts=sum(map(len, account.alerts.values())),
        event_ids=rows // ROWS.size + len(account.unkeyed_ids) // UNKEYED.size,
        balances=len(account.profile.balances),
        holds=len(account.profile.holds),
        habits=_count_habits(account.profile.habits),
        timers=len(account.timers),
    )


def _count_habits(habits: Habits) -> int:
    books = [book for book in (habits.book, habits.former) if book is not None]
    marks = sum(len(book.devices) + len(book.counterparties) for book in books)
    notes = len(habits.places) + len(habits.failures) + len(habits.changes)
    return marks + len(habits.countries) + notes + len(habits.spending)
