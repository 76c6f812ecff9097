"""The handler of triage: one incident per cause and dedup_key. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from rules.incidents.lifecycle import IncidentState, apply, end_forgotten, renewed
from rules.incidents.record import record_of
from schemas.alert import Alert
from schemas.base import Severity
from schemas.topics import INCIDENTS
from worker.engine.context import Context, Family
from worker.engine.keyed_state import Timer, payload_of
from worker.engine.outcomes import (
    AlertOfNoIncident,
    IncidentForgotten,
    IncidentPublished,
    LateSignal,
)
from worker.engine.packing import Unpacker, packed
from worker.engine.records import NewRecord
from worker.engine.reorder import EVENT, OCCURRED, ORDER, Entry
from worker.engine.saved import numbered
from worker.tokens import Tokens

_RETENTION: Final = "retention"
MAX_RESOLVED: Final = 100
"""Resolved incidents of one dedup_key that are kept until their retention has passed."""


class _LiveIncident:
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


class IncidentHandler:
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

    def load(self, stored: bytes | None) -> _LiveIncident:
        """Decode an incident.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        if stored is None:
            return _LiveIncident(None, [])
        saved = numbered(_STORED, payload_of(stored), "incidents")
        state = renewed(saved.state) if saved.state is not None else None
        return _LiveIncident(state, saved.timers)

    def dump(self, live: _LiveIncident) -> bytes:
        """Encode an incident; empty when it is forgotten."""
        if live.state is None and not live.timers:
            return b""
        return packed(_Stored(1, live.state, live.timers))

    def on_keyless(self, entry: Entry, context: Context) -> None:
        """Every signal that is buffered belongs to an incident: there are none without a key."""

    def on_event(self, live: _LiveIncident, entry: Entry, context: Context) -> None:
        """Take one alert record over into its incident."""
        alert: Alert = entry[EVENT]
        if entry[ORDER] > entry[OCCURRED]:
            context.outbox.counts[LateSignal(alert.origin)] += 1
        token = self._tokens.of(alert.account_id) if alert.account_id else None
        state = apply(live.state, alert, context.now, token)
        if state is None:
            context.outbox.counts[AlertOfNoIncident(alert.rule)] += 1
            return
        live.state = state
        self._publish(state, context)
        if state.status == "resolved":
            due = context.now + self._retention
            context.set_timer(live, Timer(due, _RETENTION, state.incident_id))
            if len(live.timers) > MAX_RESOLVED:
                context.outbox.counts[IncidentForgotten()] += 1
                self.on_timer(live, live.timers.pop(0), context)

    def on_timer(self, live: _LiveIncident, timer: Timer, context: Context) -> None:
        """Forget a resolved incident, here and on its topic."""
        key = timer.name.encode()
        context.outbox.outputs.append(NewRecord(INCIDENTS, key, None, partition=context.task))
        if live.state is not None and live.state.incident_id == timer.name:
            live.state = None

    def forget(self, live: _LiveIncident, context: Context) -> None:
        """Forget the incidents of an account that is forgotten: those of one dedup_key.

        Those that are resolved go now, here and on their topic. An open one is resolved; nothing is
        kept of it but when its record is to go from the topic.
        """
        for timer in live.timers:
            self.on_timer(live, timer, context)
        live.timers = []
        if live.state is not None:
            state = end_forgotten(live.state, context.now)
            self._publish(state, context)
            due = context.now + self._retention
            context.set_timer(live, Timer(due, _RETENTION, state.incident_id))
            live.state = None

    def finish(self, watermark: int, context: Context) -> None:
        """Publish nothing: every event has published its incident."""

    def _publish(self, state: IncidentState, context: Context) -> None:
        incident = record_of(state, context.published_at)
        context.outbox.counts[IncidentPublished(state.last_change, state.severity)] += 1
        value = incident.model_dump_json(exclude_none=True).encode()
        key = state.incident_id.encode()
        context.outbox.outputs.append(NewRecord(INCIDENTS, key, value, partition=context.task))
