"""Times as foreign files write them, read to integer milliseconds since the epoch (UTC)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from schemas.time import parse_time
from worker.convert.decimals import PLAIN
from worker.convert.localtimes import Track

TimeReader = Callable[[str, Track], int]
"""Returns milliseconds since the epoch; raises ValueError or OverflowError."""

UNITS = {"seconds": 1_000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
"""Milliseconds of each unit."""

NAMED: dict[str, TimeReader] = {}
"""The formats that have a name."""

_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)
_SAMPLE = datetime(2021, 11, 30, 22, 50, 40, 600_000, tzinfo=UTC)


def elapsed(start_ms: int, unit_ms: int) -> TimeReader:
    """Read a count of units since a start, such as hours; cut off, not rounded, to the ms."""

    def read(text: str, _: Track) -> int:
        digits, decimals = PLAIN.read(text)
        return start_ms + digits * unit_ms // int(10**decimals)

    return read


def _rfc3339(text: str, _: Track) -> int:
    return parse_time(text)


NAMED["rfc3339"] = _rfc3339
NAMED["epoch_seconds"] = elapsed(0, 1_000)
NAMED["epoch_millis"] = elapsed(0, 1)


def names_a_day(layout: str) -> bool:
    """Return whether a strptime format is valid and gives year, month and day."""
    try:
        day = datetime.strptime(_SAMPLE.strftime(layout), layout).date()  # noqa: DTZ007 (no zone)
    except (ValueError, re.error):
        return False
    return day == _SAMPLE.date()


def example(layout: str) -> str:
    """Return a time in a strptime format, for messages."""
    return _SAMPLE.strftime(layout)


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
