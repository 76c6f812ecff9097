"""What is in a log after the last run, and in what two such logs differ."""

from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE, SIGNALS
from tests.support.crashing_worker import Place
from tests.support.producer import crowd
from tests.support.run_comparison import (
    Comparable,
    comparable,
    dangling,
    documents,
    misplaced,
    set_aside,
    volumes,
)
from worker.engine.log import Log, stored
from worker.engine.records import Headers

_WHERE: Final = ("dlq_offset", "dlq_timestamp")
"""What each log counts in its own way: on Kafka every transaction takes an offset itself."""


class Outcome(NamedTuple):
    """What is in a log after the last run."""

    found: Comparable
    aside: list[str]
    """Late records and dead letters, without the offsets and append times of their originals, and
    without what is left of keys and values that were cut."""
    volumes: list[str]
    misnumbered: list[str]
    """Ids that occur more than once, and gaps in the numbers of an origin's signals."""
    dangling: int
    """Citations, late records and dead letters whose address does not hold what they name."""


def outcome(place: Place) -> Outcome:
    """Read what was committed."""
    with closing(place.open()) as log:
        return outcome_of(log)


def outcome_of(log: Log) -> Outcome:
    """Read what was committed to an open log."""
    aside = [
        repr((topic, *_unless_cut(key, value, headers), _of_the_record(headers)))
        for topic, key, value, headers in set_aside(log)
    ]
    told = list(map(repr, volumes(log)))
    nowhere = len(dangling(log)) + len(misplaced(log))
    return Outcome(comparable(log), sorted(aside), told, _misnumbered(log), nowhere)


def _of_the_record(headers: Headers) -> Headers:
    return tuple(header for header in headers if header[0] not in _WHERE)


def _unless_cut(
    key: bytes | None, value: bytes | None, headers: Headers
) -> tuple[bytes | None, bytes | None]:
    """Return key and value, but None where headers have size and digest of the whole one.

    How much is left of it depends on how many digits its offset has.
    """
    names = {name for name, _ in headers}
    return (
        None if "dlq_key_sha256" in names else key,
        None if "dlq_sha256" in names else value,
    )


def of_the_embedded_log(folder: Path, seed: int, events: int, poll: int) -> Outcome:
    """Return what an uninterrupted run on the embedded log makes of that traffic."""
    place = Place(folder / "whole", poll)
    place.fill(crowd(seed, events))
    place.finish()
    return outcome(place)


def differences(one: Outcome, other: Outcome) -> list[str]:
    """Say what one has and the other has not, a few of each kind."""
    told = []
    pairs = {
        ALERTS: (one.found.alerts, other.found.alerts),
        INCIDENTS: (one.found.incidents, other.found.incidents),
        f"{LATE}, {DEAD_LETTERS}": (one.aside, other.aside),
        SIGNALS: (one.volumes, other.volumes),
    }
    for name, (mine, yours) in pairs.items():
        for which, excess in (
            ("only the first", Counter(mine) - Counter(yours)),
            ("only the second", Counter(yours) - Counter(mine)),
        ):
            if excess:
                told.append(f"{name}: {which} has {excess.total()}, such as {min(excess)[:300]}")
    return told


def _misnumbered(log: Log) -> list[str]:
    ids = Counter(
        (topic, document[id_], document[number])
        for topic, id_, number in (
            (ALERTS, "alert_id", "sequence"),
            (INCIDENTS, "incident_id", "revision"),
        )
        for _, document in documents(log, topic)
        if "tombstone" not in document
    )
    # Progress goes to every partition under one number.
    signals = Counter(
        (at.partition, signal["origin"], signal["origin_sequence"])
        for at, record in stored(log, SIGNALS)
        for signal in [msgspec.json.decode(record.value or b"")]
    )
    numbers: dict[str, set[int]] = defaultdict(set)
    for _, origin, number in signals:
        numbers[origin].add(number)
    found = [
        f"{id_}: {count} times" for id_, count in (*ids.items(), *signals.items()) if count > 1
    ]
    return found + [
        f"{origin}: {len(seen)} signals are numbered up to {max(seen)}"
        for origin, seen in numbers.items()
        if len(seen) != max(seen)
    ]
