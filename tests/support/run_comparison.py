"""When two runs are equal (design §5): same alerts and incidents, wherever their events stood."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from schemas.dead_letter import OriginHeaders
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE, SIGNALS
from worker.engine.log import Log, stored
from worker.engine.records import Headers

_NOTHING = b"no record stands there"
_ACCIDENTAL = ("origin", "origin_sequence", "published_at")
_canonical = msgspec.json.Encoder(order="deterministic")


class Volume(NamedTuple):
    """What one signal says of one bucket of one cause; times as texts."""

    origin: str
    cause: str
    detected_at: str
    at: str
    revision: int
    counts: dict[str, int]


class Comparable(NamedTuple):
    """What a run found, as sorted JSON texts."""

    alerts: list[str]
    incidents: list[str]


def comparable(log: Log) -> Comparable:
    """Return everything found but what scheduling decides, and but the silence of topics."""
    alerts = [alert for _, alert in documents(log, ALERTS) if alert["rule"] != "pipeline_silent"]
    incidents, silences = [], set()
    for key, incident in documents(log, INCIDENTS):
        if incident.get("category") == "pipeline":
            silences.add(key)
        elif key not in silences:
            incidents.append(incident)
    return Comparable(sorted(map(_reduced, alerts)), sorted(map(_reduced, incidents)))


def documents(log: Log, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (key, record) of all records of a topic; a tombstone is {"tombstone": key}."""
    found = []
    for _, record in stored(log, topic):
        key = (record.key or b"").decode()
        document = {"tombstone": key} if record.value is None else msgspec.json.decode(record.value)
        found.append((key, document))
    return found


def volumes(log: Log) -> list[Volume]:
    """Return what was told of volumes, sorted."""
    found = []
    for key, signal in documents(log, SIGNALS):
        if signal["kind"] == "count":
            body = signal["body"]
            assert (body["measure"], body["cause"], body["bucket_ms"]) == ("volume", key, 10_000)
            found += [Volume(signal["origin"], key, **volume) for volume in body["volumes"]]
    return sorted(found, key=lambda volume: volume[:-1])


def set_aside(log: Log) -> list[tuple[str, bytes | None, bytes | None, Headers]]:
    """Return all late records and dead letters, sorted: topic, key, value, headers."""
    found = [
        (topic, record.key, record.value, record.headers)
        for topic in (LATE, DEAD_LETTERS)
        for _, record in stored(log, topic)
    ]
    return sorted(found, key=repr)


def dangling(log: Log) -> list[dict[str, Any]]:
    """Return the citations of alerts and incidents whose address does not hold that event."""
    cited = [
        citation
        for topic in (ALERTS, INCIDENTS)
        for _, document in documents(log, topic)
        for citation in _citations(document)
    ]
    held = _held(log, {citation["topic"] for citation in cited})
    return [
        citation
        for citation in cited
        if _event_id(held.get((citation["topic"], citation["partition"], citation["offset"])))
        != citation["event_id"]
    ]


def misplaced(log: Log) -> list[OriginHeaders]:
    """Return where late records and dead letters say they come from, and their bytes are not."""
    aside = [
        (OriginHeaders.from_headers(headers), value) for _, _, value, headers in set_aside(log)
    ]
    held = _held(log, {origin.dlq_topic for origin, _ in aside})
    return [
        origin
        for origin, value in aside
        if not _is_of(
            held.get((origin.dlq_topic, origin.dlq_partition, origin.dlq_offset), _NOTHING),
            value,
            origin,
        )
    ]


def _is_of(original: bytes | None, value: bytes | None, origin: OriginHeaders) -> bool:
    """Return whether a value is the original one, or its beginning if that was cut."""
    if origin.dlq_sha256 is None:
        return value == original
    whole = original or b""
    is_whole = (len(whole), sha256(whole).hexdigest()) == (origin.dlq_size, origin.dlq_sha256)
    return is_whole and whole.startswith(value or b"")


def _held(log: Log, topics: set[str]) -> dict[tuple[str, int, int], bytes | None]:
    """Return what stands at each address of these topics: (topic, partition, offset)."""
    return {
        (*at, record.offset): record.value for topic in topics for at, record in stored(log, topic)
    }


def _citations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from document.get("evidence", ())
    yield from (fact for fact in document.get("facts", ()) if "topic" in fact)


def _event_id(value: bytes | None) -> str | None:
    try:
        event = msgspec.json.decode(value or b"null")
    except msgspec.DecodeError:
        return None
    return event.get("event_id") if isinstance(event, dict) else None


def _reduced(document: dict[str, Any]) -> str:
    kept = {name: value for name, value in document.items() if name not in _ACCIDENTAL}
    if "evidence" in kept:
        kept["evidence"] = [(item["event_id"], item["role"]) for item in kept["evidence"]]
    if "facts" in kept:
        kept["facts"] = [
            (fact["name"], fact.get("value"), fact.get("event_id")) for fact in kept["facts"]
        ]
    return _canonical.encode(kept).decode()
