"""Times: RFC 3339 text with offset to milliseconds and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.time import format_time, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

moments = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 29),
    timezones=st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
        lambda minutes: timezone(timedelta(minutes=minutes))
    ),
)


@settings(deadline=None)
@given(moments, st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
def test_parsing_agrees_with_datetime(moment: datetime, timespec: str) -> None:
    text = moment.isoformat(timespec=timespec)
    expected = (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)
    assert parse_time(text) == expected


@settings(deadline=None)
@given(moments)
def test_milliseconds_survive_the_text(moment: datetime) -> None:
    millis = (moment - EPOCH) // timedelta(milliseconds=1)
    text = format_time(millis)
    assert len(text) == 24
    # Twice: the second reading takes the minute from the cache.
    assert parse_time(text) == parse_time(text) == millis
    assert datetime.fromisoformat(text) == EPOCH + timedelta(milliseconds=millis)


@settings(deadline=None)
@given(
    st.text(max_size=30)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9٣]{3}Z")
)
def test_garbage_is_a_value_error_and_nothing_else(text: str) -> None:
    try:
        millis = parse_time(text)
    except ValueError:
        return
    assert datetime.fromisoformat(format_time(millis)) == datetime.fromisoformat(text.strip("\n"))


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-01T00:00:00.1Z", 100),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01t00:00:01z", 1000),
        ("1970-01-01T00:00:00-00:00", 0),
    ],
)
def test_times_by_example(text: str, millis: int) -> None:
    assert parse_time(text) == millis


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01",
        "1970-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00,5Z",
        "1970-01-01T00:00:00+0200",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "1970-01-01T00:00:00Z\n",
        "1970-01-01T00:00:00.٣٣٣Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "1e9",
        "",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    parse_time("1970-01-01T00:00:00.000Z")  # The minute is in the cache: no way around the checks.
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def test_the_first_and_the_last_year_have_four_digits() -> None:
    for text in ("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"):
        assert format_time(parse_time(text)) == text
