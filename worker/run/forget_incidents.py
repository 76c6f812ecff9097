"""Removing what triage keeps of one account, in one commit: its open incidents are resolved."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from schemas.topics import SIGNALS
from worker.detect.stage import Policy
from worker.engine.context import Context
from worker.engine.keyed_state import pack
from worker.engine.log import Log, Session, following
from worker.engine.outbox import numbered
from worker.engine.records import Commit, NewRecord, Record, Snapshot, StateChange, TopicPartition
from worker.engine.task_meta import TaskMeta, read_meta
from worker.run.own_records import OwnRecords
from worker.triage.handler import IncidentHandler
from worker.triage.stage import TRIAGE


@dataclass(slots=True)
class ForgottenIncidents:
    """What was removed, and what is still to come."""

    keys: int = 0
    """Of how many dedup_keys an incident was kept."""
    published: list[NewRecord] = field(default_factory=list)
    unhandled: bool = False
    """Whether triage has not handled all alerts of the account yet."""


def forget_incidents(
    log: Log,
    session: Session,
    policy: Policy,
    own: OwnRecords,
    keys: Collection[bytes],
    now: int,
) -> ForgottenIncidents:
    """Resolve an account's incidents and remove what is kept of them.

    Args:
        session: of all tasks of triage.
        keys: those of the incidents that its open alerts name, whatever key made their tokens.
        now: wall time, milliseconds.
    """
    found, unit = ForgottenIncidents(), Commit(erase=True)
    handler = IncidentHandler(policy.tokens, policy.resolved_retention)
    for task in session.tasks:
        snapshot = session.restore(task)
        meta = read_meta(snapshot.meta, TRIAGE, [SIGNALS])
        context = Context(task, max(meta.now, meta.watermark), meta.signals)
        context.wall = now
        unit.states += _forget(handler, snapshot, own, keys, context)
        unit.outputs += numbered(context.outbox.outputs, context.next_signal)
        found.unhandled |= any(
            map(own.has_alert, unhandled(log, meta, TopicPartition(SIGNALS, task)))
        )
    if unit.states:
        session.commit(unit)
    found.keys, found.published = len(unit.states), unit.outputs
    return found


def unhandled(log: Log, meta: TaskMeta, at: TopicPartition) -> Iterator[Record]:
    """Return the records of an input that its task has not handled yet."""
    source = meta.sources.get(at.topic)
    return following(log, at, source.offset if source is not None else 0)


def _forget(
    handler: IncidentHandler,
    snapshot: Snapshot,
    own: OwnRecords,
    keys: Collection[bytes],
    context: Context,
) -> list[StateChange]:
    changes = []
    for key, stored in snapshot.states:
        live = handler.load(stored)
        # Of what was forgotten before, only the time is kept when its record is to go.
        if live.state is not None and (own.has_token(live.state.account_token) or key in keys):
            handler.forget(live, context)
            payload = handler.dump(live)
            changes.append(
                StateChange(context.task, key, pack(live.timers, payload) if payload else b"")
            )
    return changes
