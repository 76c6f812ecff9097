"""What an id names: an alert, an incident or an event, by the whole id or its beginning."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple

import msgspec

from schemas.topics import ALERTS, ALERTS_SHADOW, DETECT_INPUTS, INCIDENTS
from worker.engine.log import Log, stored
from worker.engine.records import Record, TopicPartition

SHORTEST: Final = 6
"""Characters that the beginning of an id must have; a whole id may have fewer."""
LISTED: Final = 20
"""Ids that are collected at most, and one more to see that there are more."""

Kind = Literal["alert", "incident", "event"]


class Named(NamedTuple):
    """Something that an id names."""

    kind: Kind
    id: str
    about: str
    """The rule of an alert, the title of an incident, the account of an event."""
    at: TopicPartition
    record: Record
    """The first that has the id."""


Head = tuple[str, Any]
"""The id of a record, empty if it has none, and what it is about."""


def _reads(id_name: str, about_name: str) -> Callable[[bytes], Head]:
    """Return what reads two fields of a record; the rest of it may be anything."""
    fields = [
        ("id", str, msgspec.field(default="", name=id_name)),
        ("about", Any, msgspec.field(default="", name=about_name)),
    ]
    decode = msgspec.json.Decoder(msgspec.defstruct("Head", fields)).decode

    def read(value: bytes) -> Head:
        try:
            head: Any = decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return "", ""
        return head.id, head.about

    return read


_ALERT: Final = _reads("alert_id", "rule")
_INCIDENT: Final = _reads("incident_id", "title")
_EVENT: Final = _reads("event_id", "account_id")

_SEARCHED: Final[tuple[tuple[str, Kind, Callable[[bytes], Head]], ...]] = (
    (ALERTS, "alert", _ALERT),
    (ALERTS_SHADOW, "alert", _ALERT),
    (INCIDENTS, "incident", _INCIDENT),
    *((topic, "event", _EVENT) for topic in DETECT_INPUTS),
)
"""In this order: of several that have the very id, the first is meant."""


def named(log: Log, wanted: str) -> list[Named]:
    """Return what has this id, else what has an id that begins so, each once.

    At most LISTED + 1 are returned. A beginning of fewer than SHORTEST characters finds nothing.
    """
    found: dict[tuple[Kind, str], Named] = {}
    for each in _beginning(log, wanted) if wanted else ():
        if each.id == wanted:
            return [each]
        if len(wanted) >= SHORTEST and len(found) <= LISTED:
            found.setdefault((each.kind, each.id), each)
    return list(found.values())


def _beginning(log: Log, wanted: str) -> Iterator[Named]:
    sought = wanted.encode(errors="replace")
    for topic, kind, read in _SEARCHED:
        for at, record in stored(log, topic):
            value = record.value or b""
            # An id with escaped characters in it is not found by its bytes.
            if sought not in value and b"\\" not in value:
                continue
            found, about = read(value)
            if found.startswith(wanted):
                yield Named(kind, found, str(about), at, record)
