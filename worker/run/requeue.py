"""Dead letters judged again, as the reader of detect would judge them now. Pure."""

from typing import Final

from worker.codec.bad_record import BadRecord
from worker.codec.codec import Codec, Control
from worker.codec.lines import PlacedLine, place
from worker.detect.stage import Policy
from worker.engine.records import NewRecord
from worker.run.dead_letters import DeadLetter

INGEST: Final = "ingest"
"""The stage of dead letters that never had a topic: lines of files."""

_DECIDED: Final = {
    "rule_error": "the event was taken, only a rule failed on it",
    "event_id_conflict": "another event has its id",
}
"""Reasons that do not follow from the record's own bytes: reading it again changes nothing."""


class Judge:
    """Decides which dead letters would be accepted now.

    Args:
        policy: what the worker would run with: its limits, currencies, and allowed clock skew.
        now: milliseconds since the epoch at which they would be appended again.
    """

    def __init__(self, policy: Policy, now: int) -> None:
        self._codecs = {each.topic: Codec(each.kind, policy.limits) for each in policy.inputs}
        self._latest = {each.topic: now + each.max_clock_skew for each in policy.inputs}

    def again(self, dead: DeadLetter) -> NewRecord | str:
        """Return the record to append to its topic once more, or why it would stay dead."""
        headers, value = dead.headers, dead.record.value
        if headers is None:
            return "it was not written by walletwatch"
        if headers.dlq_reason in _DECIDED:
            return _DECIDED[headers.dlq_reason]
        if headers.is_cut:
            return "it was cut to what its topic takes: the whole is in its input only"
        if value is None:
            return "not_json"
        topic, key = headers.dlq_topic, dead.record.key
        if headers.dlq_stage == INGEST:
            line = place(value)
            if not isinstance(line, PlacedLine):
                return line.reason
            topic, key = line.topic, line.key
        return self._judged(topic, key, value)

    def _judged(self, topic: str, key: bytes | None, value: bytes) -> NewRecord | str:
        codec = self._codecs.get(topic)
        if codec is None:
            return "its topic is no input of detect"
        event = codec.decode(value)
        if isinstance(event, BadRecord):
            return event.reason
        if isinstance(event, Control):
            return "the time of a heartbeat or an end is past"
        if event.occurred_at > self._latest[topic]:
            return "future_timestamp"
        if key != event.account_id.encode():
            return "key_mismatch"
        return NewRecord(topic, key, value)
