"""The ways in which events may arrive.

Out of order within the lateness, with redeliveries, heartbeats, junk and, if asked, late events and
ids that are used twice.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

import msgspec

from schemas.time import format_time
from schemas.topics import DETECT_INPUTS
from tests.support.events.traffic import DAY, HOUR, MINUTE, SECOND, Event
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord, TopicPartition

LATENESS: Final = 5 * SECOND
HORIZON: Final = DAY
JUNK: Final = b'{"event_id": 1'


@dataclass
class Arrival:
    """Records per input partition in the order in which they come, ends included."""

    partitions: int
    streams: dict[TopicPartition, list[NewRecord]] = field(default_factory=dict)
    events: int = 0
    disordered: int = 0
    """Events that come behind a younger one on their partition."""
    redelivered: int = 0
    junk: int = 0


class _Delivery(NamedTuple):
    when: int
    tie: float
    at: int | None
    """When the event occurred; None: a copy, a heartbeat, or junk."""
    record: NewRecord


def deliver(
    rng: Random, events: Sequence[Event], partitions: int, late_share: float = 0.0
) -> Arrival:
    """Send events on their way, each up to the lateness after it occurred, some once more.

    With a `late_share` some take longer, and some ids come again with other content.
    """
    arrival = Arrival(partitions, events=len(events))
    last = max(event.at for event in events)
    on_the_way: dict[TopicPartition, list[_Delivery]] = defaultdict(list)
    copied = set(rng.sample(range(len(events)), len(events) * 8 // 100))
    for index, event in enumerate(events):
        number = partition_of(event.account.encode(), partitions)
        record = NewRecord(event.topic, event.account.encode(), event.value, number)
        when = event.at + (_late(rng) if rng.random() < late_share else _jitter(rng))
        stream = on_the_way[TopicPartition(event.topic, number)]
        stream.append(_Delivery(when, rng.random(), event.at, record))
        if index in copied:
            arrival.redelivered += 1
            again = min(when + _wait(rng), max(when, event.at + HORIZON))
            stream.append(_Delivery(again, rng.random(), None, record))
        if rng.random() < 0.05:
            pause = rng.choice((0, 30 * SECOND, 3 * MINUTE, 8 * MINUTE, 2 * DAY))
            beat_at = min(event.at + pause, last)
            for at, beat in _heartbeats(beat_at, partitions):
                on_the_way[at].append(_Delivery(beat_at, rng.random(), None, beat))
        if late_share and rng.random() < 0.02:
            other = NewRecord(event.topic, record.key, _altered(event.value), number)
            stream.append(_Delivery(when + _jitter(rng), rng.random(), None, other))
        if rng.random() < 0.02:
            arrival.junk += 1
            junk = NewRecord(event.topic, b"junk", JUNK, number)
            stream.append(_Delivery(when, rng.random(), None, junk))
    for at, deliveries in on_the_way.items():
        deliveries.sort(key=lambda delivery: delivery[:2])
        arrival.disordered += _disorder(deliveries)
        arrival.streams[at] = [delivery.record for delivery in deliveries]
    for end in ends(events, partitions):
        arrival.streams.setdefault(TopicPartition(end.topic, end.partition or 0), []).append(end)
    return arrival


def in_order(events: Sequence[Event]) -> list[NewRecord]:
    """Return the plain history: sorted by time, each event once, one partition, ends."""
    history = sorted(events, key=lambda event: event.at)
    return [NewRecord(e.topic, e.account.encode(), e.value, 0) for e in history] + ends(events, 1)


def ends(events: Sequence[Event], partitions: int) -> list[NewRecord]:
    """Return an end for every partition of every input, 1 ms after the last event."""
    at = format_time(max(event.at for event in events) + 1)
    end = msgspec.json.encode({"kind": "end", "occurred_at": at})
    return [NewRecord(topic, None, end, n) for topic in DETECT_INPUTS for n in range(partitions)]


def _heartbeats(at: int, partitions: int) -> Iterator[tuple[TopicPartition, NewRecord]]:
    beat = msgspec.json.encode({"kind": "heartbeat", "occurred_at": format_time(at)})
    for topic in DETECT_INPUTS:
        for n in range(partitions):
            yield TopicPartition(topic, n), NewRecord(topic, None, beat, n)


def _altered(value: bytes) -> bytes:
    return value.removesuffix(b"}") + b',"channel":"other"}'


def _jitter(rng: Random) -> int:
    return rng.choice((0, LATENESS, rng.randrange(LATENESS), rng.randrange(LATENESS)))


def _late(rng: Random) -> int:
    return rng.choice((6 * SECOND, MINUTE, 11 * MINUTE, 3 * HOUR, 25 * HOUR))


def _wait(rng: Random) -> int:
    return rng.choice((0, 1, SECOND, MINUTE, HOUR, rng.randrange(HORIZON), HORIZON))


def _disorder(deliveries: Sequence[_Delivery]) -> int:
    """Count the events that a younger one has overtaken."""
    youngest, overtaken = 0, 0
    for delivery in deliveries:
        if delivery.at is not None:
            overtaken += delivery.at < youngest
            youngest = max(youngest, delivery.at)
    return overtaken
