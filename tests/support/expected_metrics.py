"""What metrics must say of a log on which nothing is left to do, worked out from its records."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.topics import (
    ALERTS,
    ALERTS_SHADOW,
    DEAD_LETTERS,
    DETECT_INPUTS,
    INCIDENTS,
    LATE,
    SIGNALS,
)
from tests.support.run_comparison import documents
from worker.engine.log import Log, stored
from worker.engine.records import Record

Samples = dict[tuple[str, ...], float]
"""By name, without the prefix, and values of labels, in the order of the labels' names."""

PREFIX = "walletwatch_"
JUDGED = (
    "events_consumed_total",
    "dead_letters_total",
    "alerts_total",
    "shadow_alerts_total",
    "incidents_opened_total",
    "incidents_open",
)


def samples(families: Iterable[Any]) -> Samples:
    """Return the samples of families that were collected or parsed."""
    return {series(sample): sample.value for each in families for sample in each.samples}


def series(sample: Any) -> tuple[str, ...]:
    """Return the key of a sample."""
    labels = (value for _, value in sorted(sample.labels.items()))
    return (sample.name.removeprefix(PREFIX), *labels)


def problems(found: Samples, log: Log) -> list[str]:
    """Say where counters differ from what was published."""
    expected = _expected(log)
    told = {key: value for key, value in found.items() if key[0] in JUDGED}
    wrong = [
        f"{key}: {told.get(key, 0)} and not {expected[key]}"
        for key in sorted(told.keys() | expected.keys())
        if told.get(key, 0) != expected[key]
    ]
    for topic in (*DETECT_INPUTS, SIGNALS):
        events = sum(_is_judged(topic, record) for _, record in stored(log, topic))
        outcomes = {key[1]: n for key, n in found.items() if _is_outcome(key, topic)}
        if sum(outcomes.values()) != events:
            wrong.append(f"{topic}: {outcomes} are not {events}")
        if outcomes.get("late", 0) != _headed(log, LATE)[topic]:
            wrong.append(f"{topic}: {outcomes} has another number of late events")
    return wrong


def _expected(log: Log) -> Counter[tuple[str, ...]]:
    expected: Counter[tuple[str, ...]] = Counter()
    for topic in (*DETECT_INPUTS, SIGNALS):
        expected["events_consumed_total", topic] = sum(1 for _ in stored(log, topic))
    for (reason, topic), number in _headed(log, DEAD_LETTERS, "dlq_reason").items():
        expected["dead_letters_total", reason, topic] = number
    for name, topic in (("alerts_total", ALERTS), ("shadow_alerts_total", ALERTS_SHADOW)):
        for _, alert in documents(log, topic):
            expected[name, alert["kind"], alert["rule"], alert["severity"]] += 1
    newest = {}
    for key, incident in documents(log, INCIDENTS):
        newest[key] = incident
        if incident.get("revision") == 1:
            expected["incidents_opened_total", incident["severity"]] += 1
    for incident in newest.values():
        if incident.get("status", "resolved") != "resolved":
            expected["incidents_open", incident["severity"]] += 1
    return expected


def _headed(log: Log, topic: str, *headers: str) -> Counter[Any]:
    """Count records by the values of their headers, the last being the topic they came from."""
    found: Counter[Any] = Counter()
    for _, record in stored(log, topic):
        told = {name: value.decode() for name, value in record.headers}
        key = tuple(told[name] for name in (*headers, "dlq_topic"))
        found[key if headers else key[0]] += 1
    return found


def _is_outcome(key: tuple[str, ...], topic: str) -> bool:
    return key[0] == "events_processed_total" and key[2] == topic


def _is_judged(topic: str, record: Record) -> bool:
    """Say whether a record is more than a word about time or volumes."""
    try:
        kind = msgspec.json.decode(record.value or b"").get("kind")
    except msgspec.DecodeError:
        return True
    return kind == "alert" if topic == SIGNALS else kind is None
