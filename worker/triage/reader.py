"""The reader of triage: signals into alerts and time. Pure.

Each detect task is an *origin*, an input of its own within the source of signals: its frontier is
the largest `detected_at` it has sent, progress included. Signals are merged by (detected_at,
account token or cause, order of writing), so that neither the split of the accounts over tasks nor
scheduling shows in the result.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
from pydantic import ValidationError

from schemas.alert import Alert
from schemas.signal import SignalKind
from schemas.time import parse_time
from worker.codec.validation import explain
from worker.engine.event_time import Source
from worker.engine.outbox import Outbox
from worker.engine.records import Record
from worker.engine.reorder import Entry
from worker.engine.task import Task
from worker.tokens import Tokens

_ORIGIN: Final = "detect-"


class _Head(msgspec.Struct, gc=False):
    """What every signal says; the body only where its kind is read."""

    kind: SignalKind
    detected_at: str
    origin: str
    body: msgspec.Raw = msgspec.Raw()


_HEAD = msgspec.json.Decoder(_Head)


@lru_cache(maxsize=1024)
def _number_of(origin: str) -> int:
    return int(origin.removeprefix(_ORIGIN))


class SignalReader:
    """Reads one partition of the signals: alerts, and of all other signals only the time."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def read(
        self, task: Task, source: Source, records: Sequence[Record], outbox: Outbox
    ) -> list[Entry]:
        """Decode a batch; what is no alert only moves its origin's time."""
        entries: list[Entry] = []
        decode = _HEAD.decode
        for stored in records:
            try:
                head = decode(stored.value or b"")
                origin = source.inputs[_number_of(head.origin)]
                at = parse_time(head.detected_at)
                if head.kind != "alert":
                    if at > origin.proof:
                        origin.prove(at)
                    continue
                body = Alert.model_validate_json(bytes(head.body))
            except (msgspec.MsgspecError, ValueError, IndexError) as error:
                if stored.offset >= source.reread_until:
                    self._refuse(task, source, stored, error, outbox)
                continue
            order = max(at, origin.frontier)
            origin.prove(at)
            if stored.offset < source.reread_until and order < task.applied_until:
                continue
            tie = self._token(body) or body.cause
            key = f"{body.cause}\0{body.dedup_key}".encode()
            where = stored.offset, source.index, stored, body, key, b""
            entries.append((order, at, 0, -1, tie, *where))
        return entries

    def _token(self, alert: Alert) -> str | None:
        return self._tokens.of(alert.account_id) if alert.account_id else None

    def _refuse(
        self, task: Task, source: Source, stored: Record, error: Exception, outbox: Outbox
    ) -> None:
        what = "kind, detected_at, origin or body: not those of a signal"
        if isinstance(error, ValidationError):
            what = explain(error)
        outbox.dead_letter(task.addresses[source.index], stored, "schema", what)
