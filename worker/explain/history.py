"""The history of one account run again, with every record of its partition for its time.

The rules see that account only. Everything about time is a function of the records, so the same
comes out as in the run that raised an alert, unless the clock had moved an input on (idle advances
are kept with the task, not with the records) or records have been pruned since.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct

from rules.contract import AnyRule
from rules.effects import (
    CancelTimer,
    CountReason,
    Effect,
    RaiseAlert,
    SendSignal,
    SetTimer,
    UpdateAlert,
)
from schemas.topics import ALERTS, ALERTS_SHADOW, DETECT_INPUTS
from worker.detect.handler import AccountHandler
from worker.detect.stage import Policy, detect
from worker.engine.context import Context, Handler
from worker.engine.log import Log
from worker.engine.outcomes import NotJudged
from worker.engine.records import NewRecord, Record, Snapshot, TopicPartition
from worker.engine.reorder import EVENT, OCCURRED, OFFSET, ORDER, SOURCE, Entry
from worker.explain.render import happened

_CHUNK = 1_000


class Trace(Struct):
    """What became of one event when its account's history was run again."""

    happened: str = ""
    """The event in a few words; empty: it never reached the rules."""
    late_by: int = 0
    """Milliseconds; 0: it came in time."""
    counted: list[str] = []
    """Reasons for which it was counted: redelivered, too_old, event_id_conflict, ..."""
    did: dict[str, list[str]] = {}
    """By rule what it asked for."""


class Alone:
    """A handler that shows another one the events of a single key."""

    def __init__(self, handler: Handler, key: bytes) -> None:
        self._handler = handler
        self._key = key
        self.renewed = handler.renewed
        self.families = handler.families
        self.finish = handler.finish

    def on_keyless(self, entry: Entry, context: Context) -> None:
        """Do nothing: events without a key belong to no account."""

    def on_event(self, live: Any, entry: Entry, context: Context) -> None:
        """Pass on what is of the key."""
        if context.key == self._key:
            self._handler.on_event(live, entry, context)


class Watching(Alone):
    """As Alone, and notes what the rules make of one record."""

    def __init__(self, handler: AccountHandler, key: bytes, source: int, offset: int) -> None:
        super().__init__(handler, key)
        self._watched = (source, offset)
        self._accounts = handler
        self.trace = Trace(did={})

    def on_event(self, live: Any, entry: Entry, context: Context) -> None:
        """Pass on, and look on at the one record."""
        if context.key != self._key or (entry[SOURCE], entry[OFFSET]) != self._watched:
            super().on_event(live, entry, context)
            return
        before = context.outbox.counts.copy()
        self._accounts.applier.watch = self._note
        super().on_event(live, entry, context)
        self._accounts.applier.watch = None
        counted = context.outbox.counts - before
        self.trace.happened = happened(entry[EVENT])
        self.trace.late_by = max(0, entry[ORDER] - entry[OCCURRED])
        named = sorted(each.words for each in counted if type(each) is not NotJudged)
        self.trace.counted = [" ".join(words) for words in named]

    def _note(self, rule: AnyRule, asked: Sequence[Effect]) -> None:
        self.trace.did[rule.id] = [_named(effect) for effect in asked]


def _named(effect: Effect) -> str:
    """Return what a rule asked for, without any value of the event."""
    match effect:
        case RaiseAlert():
            return "asked to raise an alert"
        case UpdateAlert():
            return "judged its open alert again"
        case CountReason(reason):
            return f"counted it as {reason.partition(':')[0]}"
        case SetTimer(name):
            return f"set a timer {name.partition(':')[0]}"
        case CancelTimer(name):
            return f"dropped a timer {name.partition(':')[0]}"
        case SendSignal(measure):
            return f"measured {measure}"
    return "closed its open alert"


def noted(log: Log, at: TopicPartition, account_id: str, offset: int, policy: Policy) -> Trace:
    """Run an account's history again, and return what the rules made of one record of it."""
    watching: list[Watching] = []

    def wrap(handler: Handler) -> Handler:
        assert isinstance(handler, AccountHandler)
        source = DETECT_INPUTS.index(at.topic)
        watching.append(Watching(handler, account_id.encode(), source, offset))
        return watching[0]

    _run(log, at.partition, policy, wrap, None)
    return watching[0].trace


def alerts_again(
    log: Log, account_id: str, partition: int, policy: Policy, until: int
) -> list[dict[str, Any]]:
    """Return the alert records that an account's history gives, in order.

    Args:
        log: holds the inputs.
        partition: of the account.
        policy: the rules to run, and how events are read.
        until: event time (milliseconds) up to which every input is taken to be proven.
    """
    outputs = _run(log, partition, policy, lambda h: Alone(h, account_id.encode()), until)
    wanted = (ALERTS, ALERTS_SHADOW)
    return [msgspec.json.decode(out.value or b"") for out in outputs if out.topic in wanted]


def _run(
    log: Log,
    partition: int,
    policy: Policy,
    wrap: Callable[[Handler], Handler],
    until: int | None,
) -> list[NewRecord]:
    """Return the outputs of a partition's task; `until` None: as far as its records prove."""
    task = detect(replace(policy, dead_letter_limit=None), wrap=wrap).make(
        partition, Snapshot(None, ())
    )
    outputs: list[NewRecord] = []
    for topic, records in _in_step(log, partition, lambda n: task.sources[n].inputs[0].frontier):
        task.read(TopicPartition(topic, partition), records)
        outputs += task.numbered(task.work(0))
        task.save()
    newest = max(source.inputs[0].proof for source in task.sources) + 1
    for source in task.sources:
        source.inputs[0].prove(newest if until is None else until)
    outputs += task.numbered(task.work(0))
    return outputs


def _in_step(
    log: Log, partition: int, frontier: Callable[[int], int]
) -> Iterator[tuple[str, Sequence[Record]]]:
    """Yield records of the input that is furthest behind, so that little has to be buffered."""
    offsets = {n: log.offsets(topic)[partition][0] for n, topic in enumerate(DETECT_INPUTS)}
    while offsets:
        index = min(offsets, key=frontier)
        topic = DETECT_INPUTS[index]
        records = log.read(topic, partition, offsets[index], _CHUNK)
        if not records:
            del offsets[index]
            continue
        offsets[index] = records[-1].offset + 1
        yield topic, records
