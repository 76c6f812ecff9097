"""The engine's own alert: a topic from which nothing comes any more. Pure.

The task of partition 0 raises it once per silence, and takes it back with the topic's next record.
It depends on the clock, so it is left out when runs are compared.
"""

from typing import Final

import msgspec

from schemas.alert import Alert, AlertKind
from worker.detect.alerts import derived_id, send
from worker.engine.context import Context

RULE = "pipeline_silent"
_NO_KEY: Final = b""  # no account is in its ids, and its cure makes the same one again


class Silence(msgspec.Struct, array_like=True):
    """A topic that is silent now."""

    topic: str
    since: int
    """Append time of its last record, milliseconds."""


_SILENCES = msgspec.msgpack.Decoder(list[Silence])


def watch(saved: bytes, newest: dict[str, int], limit: int, now: int, context: Context) -> bytes:
    """Raise and cure, and return what to save.

    Args:
        saved: what the last call returned, empty at first.
        newest: newest append time per topic that is expected to speak, milliseconds; `now` of one
            that has ended: it is never silent.
        limit: how long a topic may say nothing, milliseconds.
        now: wall time, milliseconds.
        context: where to publish.
    """
    silences = {silence.topic: silence for silence in (_SILENCES.decode(saved) if saved else [])}
    for topic, since in newest.items():
        known = silences.get(topic)
        if known is not None and since > known.since:
            _publish(known, limit, "cured", 2, context)
            del silences[topic]
        if topic not in silences and now - since > limit:
            silences[topic] = Silence(topic, since)
            _publish(silences[topic], limit, "raised", 1, context)
    return msgspec.msgpack.encode(list(silences.values()))


def _publish(
    silence: Silence, limit: int, kind: AlertKind, sequence: int, context: Context
) -> None:
    at = silence.since + limit
    send(
        Alert(
            alert_id=derived_id(_NO_KEY, RULE, silence.topic, str(silence.since)),
            kind=kind,
            sequence=sequence,
            rule=RULE,
            rule_version=1,
            mode="live",
            category="pipeline",
            severity="error",
            title=f"Nothing has come on {silence.topic}"[:130],
            cause=f"pipeline:{silence.topic}",
            dedup_key=f"{RULE}:topic:{silence.topic}",
            at=at,
            first_event_at=silence.since,
            last_event_at=silence.since,
            detected_at=context.now,
            published_at=context.published_at,
            late=False,
            evidence_total=0,
            parameters={"silence_limit_ms": limit},
            suspected_root_cause="technical",
            origin=context.origin,
            origin_sequence=0,
        ),
        context,
    )
