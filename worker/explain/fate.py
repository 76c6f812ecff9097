"""The fate of one event: what the rules did with it, and the alerts that cite it."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from schemas.time import format_span
from schemas.topics import ALERTS, ALERTS_SHADOW
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.explain.checked import Place
from worker.explain.derive import address_of
from worker.explain.history import Trace, noted
from worker.explain.ids import Named


class Fate(Struct):
    """What became of one event."""

    record: str
    """Its address: topic/partition@offset."""
    trace: Trace
    alerts: Sequence[dict[str, str]]
    """alert_id, rule and kind of each alert record that cites it."""


def fate(place: Place, event: Named) -> Fate:
    """Run the history of the event's account again, and return what became of the event."""
    at, record = event.at, event.record
    address = f"{at.topic}/{at.partition}@{record.offset}"
    trace = noted(place.log, at, event.about, record.offset, place.policy)
    return Fate(address, trace, list(_citing(place, address)))


def document(found: Fate) -> dict[str, Any]:
    """Return what machines read of it."""
    return {"record": found.record, **structs.asdict(found.trace), "alerts": found.alerts}


def lines(found: Fate, policy: Policy) -> Iterator[str]:
    """Yield what people read of it, line by line."""
    yield from _of_rules(found.trace, policy)
    for each in found.alerts:
        yield f"cited by alert {each['alert_id']} ({each['rule']}, {each['kind']})"
    if not found.alerts:
        yield "no alert cites it"


def _of_rules(trace: Trace, policy: Policy) -> Iterator[str]:
    if not trace.happened:
        yield "it never reached the rules: it is a dead letter, or a login under an unknown name"
        return
    yield trace.happened
    if trace.late_by:
        span = format_span(trace.late_by)
        yield f"it came {span} late: it may cure, or be judged by itself, no more"
    for reason in trace.counted:
        yield f"counted: {reason}"
    for rule in policy.rules:
        did = trace.did.get(rule.id)
        yield f"{rule.code} {rule.id}: {', '.join(did) if did else 'saw nothing in it'}"


def _citing(place: Place, address: str) -> Iterator[dict[str, str]]:
    for topic in (ALERTS, ALERTS_SHADOW):
        for _, record in stored(place.log, topic):
            step = msgspec.json.decode(record.value or b"{}")
            if any(address_of(cited) == address for cited in step.get("evidence", ())):
                yield {name: step[name] for name in ("alert_id", "rule", "kind")}
