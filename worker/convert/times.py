"""Times as foreign files write them, read to integer milliseconds since the epoch (UTC)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from schemas.time import parse_time
from worker.convert.decimals import PLAIN

TimeReader = Callable[[str], int]
"""Returns milliseconds since the epoch; raises ValueError or OverflowError."""

UNITS = {"seconds": 1_000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
"""Milliseconds of each unit."""

NAMED: dict[str, TimeReader] = {}
"""The formats that have a name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)
_SAMPLE = datetime(2021, 11, 30, 22, 50, 40, 600_000, tzinfo=UTC)


def elapsed(start_ms: int, unit_ms: int) -> TimeReader:
    """Read a count of units since a start, such as hours; cut off, not rounded, to the ms."""

    def read(text: str) -> int:
        digits, decimals = PLAIN.read(text)
        return start_ms + digits * unit_ms // int(10**decimals)

    return read


NAMED["rfc3339"] = parse_time
NAMED["epoch_seconds"] = elapsed(0, 1_000)
NAMED["epoch_millis"] = elapsed(0, 1)


def pattern(layout: str, zone: tzinfo | None) -> TimeReader:
    """Read a strptime format; `zone` applies if the format has no offset.

    A local time that the clocks repeat is read as the first of the two; one that they skip is
    refused.
    """

    def read(text: str) -> int:
        moment = datetime.strptime(text, layout)  # noqa: DTZ007 (the zone follows)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
            if _jumped_over(moment):
                raise ValueError("the clocks jumped over this local time")
        return (moment - _EPOCH) // _MILLISECOND

    return read


def _jumped_over(moment: datetime) -> bool:
    # Converted to UTC and back, a time in the gap is an hour later by the wall clock.
    back = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return back.replace(tzinfo=None) != moment.replace(tzinfo=None)


def names_a_day(layout: str) -> bool:
    """Return whether a strptime format is valid and gives year, month and day."""
    try:
        day = datetime.strptime(_SAMPLE.strftime(layout), layout).date()  # noqa: DTZ007 (no zone)
    except (ValueError, re.error):
        return False
    return day == _SAMPLE.date()


def zone_of(name: str) -> tzinfo:
    """Return the zone of an IANA name or of a fixed offset such as +02:00.

    Raises:
        ValueError: this machine has no such zone.
    """
    offset = _OFFSET.fullmatch(name)
    if offset is None:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("unknown zone") from None
    sign, hours, minutes = offset.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-distance if sign == "-" else distance)
