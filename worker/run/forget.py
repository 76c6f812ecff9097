"""Removing what detect keeps of one account, in one commit: its open alerts expire with it.

Records on topics are not touched: they go when their retention has passed.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import msgspec

from rules.habits import Habits
from schemas.topics import DETECT_INPUTS
from worker.detect.account import Account, SavedAccounts
from worker.detect.alerts import Change, Publisher
from worker.detect.id_segments import KeptSegments
from worker.detect.overflow import Overflows
from worker.detect.redelivery import ROWS
from worker.detect.stage import DETECT, Policy
from worker.detect.unkeyed_ids import UNKEYED
from worker.engine.context import Context
from worker.engine.keyed_state import payload_of
from worker.engine.log import Log
from worker.engine.murmur2 import partition_of
from worker.engine.outbox import numbered
from worker.engine.records import Commit, StateChange
from worker.engine.segments import is_segment, owner_of
from worker.engine.task_meta import TaskMeta, read_meta


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was removed."""

    open_alerts: int
    """Each was published as expired."""
    event_ids: int
    balances: int
    holds: int
    habits: int
    """Devices, countries, payees, places, failed logins, changes of credentials, currencies."""
    timers: int


def forget(log: Log, policy: Policy, account_id: str, now: int) -> Forgotten | None:
    """Remove an account's state and expire its open alerts; None if nothing is kept of it.

    Args:
        now: wall time, milliseconds.

    Raises:
        TaskTaken: a worker runs the account's task; names the process.
        LogError: the log cannot be used, or a newer release has written it; nothing was changed.
    """
    key = account_id.encode()
    task = partition_of(key, log.partitions(DETECT_INPUTS[0]))
    with closing(log.open_session(DETECT, DETECT_INPUTS, [task])) as session:
        snapshot = session.restore(task)
        kept = {each: value for each, value in snapshot.states if owner_of(each) == key}
        if key not in kept or snapshot.meta is None:
            return None
        meta = read_meta(snapshot.meta, DETECT, DETECT_INPUTS)
        account = SavedAccounts(policy.known_rules).read(payload_of(kept[key]))
        found = _count(account, kept)
        context = _context(task, meta, key, now)
        _expire_all(account, policy, context)
        outputs = numbered(context.outbox.outputs, context.next_signal)
        advanced = msgspec.structs.replace(meta, now=context.now, signals=context.signals)
        session.commit(
            Commit(
                outputs=outputs,
                states=[StateChange(task, each, b"") for each in kept],
                metas={task: msgspec.msgpack.encode(advanced)},
            )
        )
    return found


def _context(task: int, meta: TaskMeta, key: bytes, now: int) -> Context:
    """Return a context at the watermark: nothing decided later has an order time below it."""
    context = Context(task, max(meta.now, meta.watermark), meta.signals)
    context.wall, context.key = now, key
    return context


def _expire_all(account: Account, policy: Policy, context: Context) -> None:
    publisher = Publisher(DETECT_INPUTS, policy.tokens)
    overflows = Overflows(publisher, policy.horizons.max_open_alerts)
    rules = {rule.state_code: rule for rule in policy.known_rules}
    for code, kept in sorted(account.alerts.items()):
        for alert in kept:
            publisher.publish(rules[code], alert, Change("expired"), context)
        if kept.overflow is not None:
            overflows.close(rules[code], account, Change("expired"), context)


def _count(account: Account, kept: Mapping[bytes, bytes]) -> Forgotten:
    segments = [KeptSegments().load(value) for key, value in kept.items() if is_segment(key)]
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
