"""Times: RFC 3339 text on the wire, integer milliseconds since 1970-01-01T00:00Z inside."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.(\d{1,9}))?(?:[Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_MINUTES: dict[str, int] = {}
_MINUTES_KEPT = 20_000
_SECOND_TEXTS = [f":{second:02d}." for second in range(60)]
_MILLI_TEXTS = [f"{millis:03d}Z" for millis in range(1000)]
_SECONDS = {text: second * 1000 for second, text in enumerate(_SECOND_TEXTS)}
_MILLIS = {text: millis for millis, text in enumerate(_MILLI_TEXTS)}


def parse_time(text: str) -> int:
    """Return milliseconds since the epoch of RFC 3339 text with a UTC offset.

    Digits beyond the millisecond are cut off, not rounded.

    Raises:
        ValueError: the text is not RFC 3339, has no offset, or is no real date.
    """
    # "2026-01-01T00:00:00.123Z" is what most producers write: three look-ups, no parsing.
    try:
        return _MINUTES[text[:16]] + _SECONDS[text[16:20]] + _MILLIS[text[20:]]
    except KeyError:
        return _parse_any(text)


def _parse_any(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not RFC 3339 text with an offset")
    fraction = match.group(1) or ""
    whole = text[:19] + text[20 + len(fraction) if fraction else 19 :]
    moment = _in_utc(datetime.fromisoformat(whole.upper()))
    second = (moment - _EPOCH) // _MILLISECOND
    if text[-1] == "Z" and text[10] == "T":
        if len(_MINUTES) >= _MINUTES_KEPT:
            _MINUTES.clear()
        _MINUTES[text[:16]] = second - moment.second * 1000
    return second + int((fraction + "00")[:3])


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not in the years 1 to 9999 of UTC") from None


def format_time(millis: int) -> str:
    """Return milliseconds since the epoch as RFC 3339 text in UTC with three decimals."""
    minute, rest = divmod(millis, MINUTE_MS)
    return _minute_text(minute) + _SECOND_TEXTS[rest // 1000] + _MILLI_TEXTS[rest % 1000]


@lru_cache(maxsize=_MINUTES_KEPT)
def _minute_text(minute: int) -> str:
    return (_NAIVE_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")


_FIRST: Final = parse_time("0001-01-01T00:00:00Z")
_LAST: Final = parse_time("9999-12-31T23:59:59.999Z")


def is_time(millis: int) -> bool:
    """Return whether `format_time` can write it; what a log calls a time may be any number."""
    return _FIRST <= millis <= _LAST


def format_any(millis: int | None) -> str | None:
    """Return a time as `format_time` does; None for none, and for a number that is no time."""
    return format_time(millis) if millis is not None and is_time(millis) else None


_UNITS: Final = (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS), ("s", SECOND_MS))


def format_span(milliseconds: int) -> str:
    """Return a length of time for people, exactly: "90 d", "2 min", "1 min 30 s", "250 ms"."""
    if milliseconds < 0:
        return f"-{format_span(-milliseconds)}"
    parts = []
    for unit, size in _UNITS:
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count} {unit}")
    if milliseconds or not parts:
        parts.append(f"{milliseconds} ms")
    return " ".join(parts)
