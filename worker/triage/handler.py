"""The stage that turns alerts into incidents: its reader of signals, and its handler. Pure.

Each detect task is an *origin*, an input of its own within the signals partition: its frontier
is the largest `detected_at` it has sent, progress included. Signals are merged by (detected_at,
account token or cause, order of writing), so that neither the split of the accounts over tasks
nor scheduling shows in the result.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
from pydantic import ValidationError

from rules.incidents.lifecycle import IncidentState, apply
from rules.incidents.record import record_of
from schemas.alert import Alert
from schemas.base import Severity
from schemas.signal import SignalKind
from schemas.time import parse_time
from schemas.topics import INCIDENTS
from worker.codec.codec import explain
from worker.engine.context import Family, Turn
from worker.engine.event_time import Source
from worker.engine.keyed_state import Timer, payload_of
from worker.engine.outbox import Outbox
from worker.engine.outcomes import AlertOfNoIncident, IncidentPublished, LateSignal
from worker.engine.packing import Unpacker, packed
from worker.engine.records import NewRecord, Record
from worker.engine.reorder import EVENT, OCCURRED, ORDER, Entry
from worker.engine.saved import numbered
from worker.engine.task import Task
from worker.tokens import Tokens

_ORIGIN: Final = "detect-"
_RETENTION: Final = "retention"


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
            what = explain(error)[1]
        outbox.dead_letter(task.addresses[source.index], stored, "schema", what)


class _Live:
    """The newest incident of one dedup_key, decoded."""

    __slots__ = ("state", "timers")

    def __init__(self, state: IncidentState | None, timers: list[Timer]) -> None:
        self.state = state
        self.timers = timers


class _Stored(msgspec.Struct, array_like=True):
    """Layout 1 of an incident's record."""

    layout: int
    state: IncidentState | None
    timers: list[Timer]


_STORED = Unpacker(_Stored)


def severity_if_open(stored: bytes) -> Severity | None:
    """Return how severe the incident of a saved state is, None if it is resolved or forgotten.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    if not stored:
        return None
    state = numbered(_STORED, payload_of(stored), "incidents").state
    return state.severity if state is not None and state.status != "resolved" else None


class Incidents:
    """Keeps the incidents; one key per (cause, dedup_key).

    Args:
        retention: milliseconds a resolved incident is remembered, and kept on its topic.
    """

    def __init__(self, tokens: Tokens, retention: int) -> None:
        self.families: Mapping[bytes, Family] = {b"": self}
        self._tokens = tokens
        self._retention = retention

    def renewed(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return nothing: incidents have always been kept by the same keys."""
        return {}

    def load(self, stored: bytes | None) -> _Live:
        """Decode an incident.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        if stored is None:
            return _Live(None, [])
        saved = numbered(_STORED, payload_of(stored), "incidents")
        return _Live(saved.state, saved.timers)

    def dump(self, live: _Live) -> bytes:
        """Encode an incident; empty when it is forgotten."""
        if live.state is None and not live.timers:
            return b""
        return packed(_Stored(1, live.state, live.timers))

    def on_keyless(self, entry: Entry, turn: Turn) -> None:
        """Every signal that is buffered belongs to an incident: there are none without a key."""

    def on_event(self, live: _Live, entry: Entry, turn: Turn) -> None:
        """Take one alert record over into its incident."""
        alert: Alert = entry[EVENT]
        if entry[ORDER] > entry[OCCURRED]:
            turn.outbox.counts[LateSignal(alert.origin)] += 1
        token = self._tokens.of(alert.account_id) if alert.account_id else None
        state = apply(live.state, alert, turn.now, token)
        if state is None:
            turn.outbox.counts[AlertOfNoIncident(alert.rule)] += 1
            return
        live.state = state
        self._publish(state, turn)
        if state.status == "resolved":
            due = turn.now + self._retention
            turn.set_timer(live, Timer(due, _RETENTION, state.incident_id))

    def on_timer(self, live: _Live, timer: Timer, turn: Turn) -> None:
        """Forget a resolved incident, here and on its topic."""
        key = timer.name.encode()
        turn.outbox.records.append(NewRecord(INCIDENTS, key, None, partition=turn.task))
        if live.state is not None and live.state.incident_id == timer.name:
            live.state = None

    def finish(self, watermark: int, turn: Turn) -> None:
        """Do nothing: what there is to say has been said."""

    def _publish(self, state: IncidentState, turn: Turn) -> None:
        incident = record_of(state, turn.published_at)
        turn.outbox.counts[IncidentPublished(state.last_change, state.severity)] += 1
        value = incident.model_dump_json(exclude_none=True).encode()
        key = state.incident_id.encode()
        turn.outbox.records.append(NewRecord(INCIDENTS, key, value, partition=turn.task))
