"""Local times: those that come twice, those that never come, those without a year; reasons."""

import pytest
from pydantic import ValidationError

from tests.support.mapped_files import LOGIN, converter_of, mapped, mapping_of
from worker.convert.rows import FileRow

CSV = '[input]\nformat = "csv"\ncolumns = ["at"]\ndelimiter = ";"\n'
BERLIN = 'format = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"'
NEW_YORK = 'format = "%Y-%m-%d %H:%M"\nzone = "America/New_York"'
LORD_HOWE = 'format = "%Y-%m-%d %H:%M"\nzone = "Australia/Lord_Howe"'
SYSLOG = 'format = "%b %d %H:%M:%S"\nzone = "UTC"'


def times(time: str, *rows: str) -> list[str]:
    """Return the time of each row as "26T00:10Z", or the reason."""
    found = mapped(f"{CSV}[time]\n{time}\n{LOGIN}", "".join(f"{row}\n" for row in rows))
    moments = {int(event["event_id"]): event["occurred_at"] for event in found.events}
    return [
        moments[line][8:16] if line in moments else found.rejects[line]
        for line in range(1, len(rows) + 1)
    ]


def october(*rows: str, fold: str = "file_order") -> list[str]:
    """Return the times of a night in Berlin, given as "26 02:10"; 02:00 to 03:00 comes twice."""
    local = (f"{row[:2]}.10.2025 {row[3:]}" for row in rows)
    return times(f'{BERLIN}\nfold = "{fold}"', *local)


def back(*rows: str) -> list[str]:
    return list(reversed(rows))


@pytest.mark.parametrize(
    ("fold", "row", "moment"),
    [
        ("first", "26 02:00", "26T00:00"),
        ("first", "26 02:59", "26T00:59"),
        ("second", "26 02:00", "26T01:00"),
        ("second", "26 02:59", "26T01:59"),
        ("first", "26 01:59", "25T23:59"),
        ("second", "26 01:59", "25T23:59"),
        ("first", "26 03:00", "26T02:00"),
        ("second", "26 03:00", "26T02:00"),
        ("file_order", "26 02:30", "26T00:30"),
        ("second", "25 02:30", "25T00:30"),
    ],
)
def test_a_time_that_comes_twice_is_read_as_declared(fold: str, row: str, moment: str) -> None:
    """From the first minute of that hour to the last, and no other."""
    assert october(row, fold=fold) == [moment]


ONE_NIGHT = ["26 01:30", "26 02:10", "26 02:50", "26 02:05", "26 02:40", "26 03:20"]
ITS_TIMES = ["25T23:30", "26T00:10", "26T00:50", "26T01:05", "26T01:40", "26T02:20"]


@pytest.mark.parametrize(
    ("rows", "moments"),
    [
        (ONE_NIGHT, ITS_TIMES),
        (back(*ONE_NIGHT), back(*ITS_TIMES)),
        (ONE_NIGHT[1:], ITS_TIMES[1:]),
        (ONE_NIGHT[:-1], ITS_TIMES[:-1]),
        (["26 02:10", "26 02:10", "26 02:09"], ["26T00:10", "26T00:10", "26T01:09"]),
        (["26 01:30", "26 02:10", "26 03:10"], ["25T23:30", "26T00:10", "26T02:10"]),
        (["27 10:00", "26 03:10", "26 02:10"], ["27T09:00", "26T02:10", "26T01:10"]),
        (["27 10:00", "26 02:10", "26 02:50"], ["27T09:00", "26T01:10", "26T00:50"]),
        (["26 02:59", "26 02:00"], ["26T00:59", "26T01:00"]),
        # Wallet by wallet, each in order.
        (
            ["25 09:00", "25 10:00", "27 08:00", "26 02:50", "26 02:10", "26 09:00"],
            ["25T07:00", "25T08:00", "27T07:00", "26T00:50", "26T01:10", "26T08:00"],
        ),
        (
            ["26 02:50", "26 02:10", "26 03:20", "26 01:30", "26 02:20", "26 02:10"],
            ["26T00:50", "26T01:10", "26T02:20", "25T23:30", "26T00:20", "26T01:10"],
        ),
        (["26 02:50", "26 02:10", "26 02:20"], ["26T00:50", "26T01:10", "26T01:20"]),
    ],
)
def test_the_order_of_the_file_tells_the_hours_apart(rows: list[str], moments: list[str]) -> None:
    """Oldest first or newest first."""
    assert october(*rows) == moments


def test_the_next_years_hour_begins_anew() -> None:
    """Also where no row stands between."""
    rows = ("27.10.2024 02:50", "27.10.2024 02:10", "26.10.2025 02:20", "26.10.2025 02:10")
    assert times(f'{BERLIN}\nfold = "file_order"', *rows) == [
        *("27T00:50", "27T01:10", "26T00:20", "26T01:10")
    ]


def test_a_file_that_goes_back_twice_is_in_no_order() -> None:
    """That row is rejected; those after it are read on."""
    reason = (
        "occurred_at: column 'at' is a local time that comes twice, and the order of the file"
        " goes back more than once; see fold"
    )
    assert october("26 02:10", "26 02:05", "26 02:01", "26 03:00") == [
        *("26T00:10", "26T01:05", reason, "26T02:00")
    ]
    rows = ("27 09:00", "26 04:00", "26 02:10", "26 02:50", "26 02:55", "26 01:00")
    assert october(*rows)[2:] == ["26T01:10", "26T00:50", reason, "25T23:00"]


def test_other_zones() -> None:
    """New York in November, half an hour on Lord Howe Island in April; a fixed offset has none."""
    rows = ("2025-11-02 01:30", "2025-11-02 01:10", "2025-11-02 02:00")
    assert times(f'{NEW_YORK}\nfold = "file_order"', *rows) == [
        *("02T05:30", "02T06:10", "02T07:00")
    ]
    rows = ("2025-04-06 01:45", "2025-04-06 01:31", "2025-04-06 01:15")
    assert times(f'{LORD_HOWE}\nfold = "second"', *rows) == ["05T15:15", "05T15:01", "05T14:15"]
    fixed = 'format = "%d.%m.%Y %H:%M"\nzone = "+01:00"\nfold = "second"'
    assert times(fixed, "26.10.2025 02:30") == ["26T01:30"]


@pytest.mark.parametrize(
    ("time", "row"),
    [
        (BERLIN, "30.03.2025 02:00"),
        (BERLIN, "30.03.2025 02:59"),
        (f'{BERLIN}\nfold = "second"', "30.03.2025 02:30"),
        (f'{BERLIN}\nfold = "file_order"', "30.03.2025 02:30"),
        (NEW_YORK, "2025-03-09 02:30"),
        (LORD_HOWE, "2025-10-05 02:15"),
        # At midnight, and a whole day.
        (NEW_YORK.replace("America/New_York", "America/Santiago"), "2025-09-07 00:30"),
        (NEW_YORK.replace("America/New_York", "Europe/London"), "2025-03-30 01:00"),
        (NEW_YORK.replace("America/New_York", "Africa/Cairo"), "2025-04-25 00:59"),
        (NEW_YORK.replace("America/New_York", "Pacific/Apia"), "2011-12-30 12:00"),
    ],
)
def test_a_time_that_never_comes_is_rejected(time: str, row: str) -> None:
    """Whatever fold says."""
    zone = time.partition("zone = ")[2].split('"')[1]
    reason = f"occurred_at: column 'at' is a local time that the clocks of {zone} skip"
    assert times(time, row) == [reason]


def test_the_hours_beside_the_gap_are_read() -> None:
    """Up to its first minute and from its last."""
    rows = ("30.03.2025 01:59", "30.03.2025 03:00")
    assert times(f'{BERLIN}\nfold = "file_order"', *rows) == ["30T00:59", "30T01:00"]


def test_rows_with_such_a_time_are_counted() -> None:
    """Once a row, whatever fold says; not those that are skipped or rejected."""
    two = LOGIN + 'lock_until = "until"'
    for fold in ("", '\nfold = "first"', '\nfold = "second"', '\nfold = "file_order"'):
        converter = converter_of(
            f'[input]\nformat = "csv"\n[time]\n{BERLIN}{fold}\n'
            f'[[skip]]\ncolumn = "s"\nequals = "x"\n{two}'
        )
        twice, once = "26.10.2025 02:30", "26.10.2025 04:30"
        for at, until, skip in (
            *((twice, twice, ""), (once, once, ""), (once, twice, "")),
            *((twice, once, "x"), (twice, "", ""), (twice, "never", "")),
        ):
            converter.outcome(FileRow(1, {"at": at, "until": until, "s": skip}))
        assert converter.repeated_local_times == 3


def test_two_events_of_a_row_have_one_time() -> None:
    """A column is read in the order of the file once, however many fields read it."""
    second = LOGIN.replace("{line}", "{line}-b").replace(
        "[event.fields]", '[[event.when]]\ncolumn = "b"\nequals = "y"\n[event.fields]'
    )
    mapping = f'[input]\nformat = "csv"\n[time]\n{BERLIN}\nfold = "file_order"\n{LOGIN}{second}'
    rows = ("50,", "05,", "55,y")
    data = "at,b\n" + "".join(f"26.10.2025 02:{row}\n" for row in rows)
    moments = {event["event_id"]: event["occurred_at"] for event in mapped(mapping, data).events}
    assert moments["4"] == moments["4-b"] == "2025-10-26T01:55:00.000Z"


@pytest.mark.parametrize(
    ("rows", "years"),
    [
        (["Mar  2 10:00:00"], [2026]),
        (["Mar 02 10:00:00", "Mar 02 09:59:59"], [2026, 2026]),
        (["Dec 31 23:59:59", "Jan  1 00:00:00"], [2026, 2027]),
        (["Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:58"], [2026, 2027, 2026]),
        (["Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 20 10:00:00"], [2026, 2027, 2026]),
        (["Jan  5 10:00:00", "Sep  5 10:00:00"], [2026, 2026]),
        (["Sep  5 10:00:00", "Jan  5 10:00:00"], [2026, 2027]),
        (["Jan 03 10:00:00", "Jan 02 10:00:00", "Sep  1 10:00:00"], [2026, 2026, 2025]),
        (["Dec  3 10:00:00", "Dec 02 10:00:00", "Jan  5 10:00:00"], [2026, 2026, 2026]),
        (["Jul  5 10:00:00", "Jun  5 10:00:00"], [2026, 2026]),
        (["Jan 03 10:00:00", "Jan 02 10:00:00", "Dec 31 10:00:00"], [2026, 2026, 2025]),
        (["Oct  1 10:00:00", "Feb 28 10:00:00", "Mar  1 10:00:00"], [2026, 2027, 2027]),
        (["Nov  1 10:00:00", "Jan  1 10:00:00", "Dec  1 10:00:00"], [2026, 2027, 2027]),
    ],
)
def test_times_without_a_year_follow_one_another(rows: list[str], years: list[int]) -> None:
    """The first row is of the year that the mapping gives."""
    found = mapped(f"{CSV}[time]\n{SYSLOG}\nyear = 2026\n{LOGIN}", "\n".join(rows))
    assert [int(event["occurred_at"][:4]) for event in found.events] == years


def test_the_leap_day_needs_no_year_of_its_own() -> None:
    """Feb 29 is a day in a leap year only."""
    row = "Feb 29 10:00:00"
    assert times(f"{SYSLOG}\nyear = 2024", row) == ["29T10:00"]
    (reason,) = times(f"{SYSLOG}\nyear = 2026", row)
    assert reason.endswith(
        "is no time as %b %d %H:%M:%S describes, such as Nov 30 22:50:40; see format"
    )
    assert times(f"{SYSLOG}\nyear = 2023", "Nov 30 10:00:00", row)[1] == "29T10:00"


RFC3339 = "is no RFC 3339 time, such as 2024-01-01T00:00:00Z; see format"
DESCRIBED = "is no time as %d.%m.%Y %H:%M describes, such as 30.11.2021 22:50; see format"
MILLIS = "is no count of milliseconds, such as 1704067200000; see format"
BEYOND = "is beyond the years 1 to 9999; see format"
SINCE = 'since = "2024-01-01T00:00:00Z"\nunit ='


@pytest.mark.parametrize(
    ("time", "text", "reason"),
    [
        ("", "2024-01-01T10:00:00", "has no offset from UTC; see format and zone"),
        ("", "2024-01-01 10:00", "has no offset from UTC; see format and zone"),
        ("", "1704067200", "is a number; see epoch_seconds and epoch_millis"),
        ("", "01.01.2024", RFC3339),
        ("", "2024-02-30T00:00:00Z", RFC3339),
        ("", "0001-01-01T00:00:00+14:00", RFC3339),
        ('format = "epoch_seconds"', "x", "is no count of seconds, such as 1704067200; see format"),
        ('format = "epoch_millis"', "x", MILLIS),
        ('format = "epoch_seconds"', "1704067200000", BEYOND),
        ('format = "epoch_millis"', "9" * 30, BEYOND),
        (f'{SINCE} "hours"', "x", "is no count of hours, such as 36; see unit"),
        (f'{SINCE} "days"', "1e9", "is beyond the years 1 to 9999; see unit"),
        (BERLIN, "26.10.25 02:30", DESCRIBED),
        (BERLIN, "31.09.2025 02:30", DESCRIBED),
        (BERLIN, "26.10.2025 02:30 ü", DESCRIBED),
        ('format = "%Y%m%d"\nzone = "+14:00"', "00010101", BEYOND),
        ('format = "%Y%m%d"\nzone = "Asia/Tokyo"', "00010101", BEYOND),
        ('format = "%Y%m%d"\nzone = "America/New_York"', "89991231", None),
        ('format = "%Y%m%d %H"\nzone = "America/New_York"', "99991231 20", BEYOND),
    ],
)
def test_a_reason_says_what_would_be_accepted(time: str, text: str, reason: str | None) -> None:
    """Never the time itself."""
    (found,) = times(time, text)
    if reason is None:
        assert found == "31T05:00"
    else:
        assert found == f"occurred_at: column 'at' {reason}"
        assert text not in found


@pytest.mark.parametrize(
    ("time", "sentence"),
    [
        (f'{BERLIN}\nfold = "third"', "Input should be 'first', 'second' or 'file_order'"),
        ('fold = "first"', "fold is only for a format with a zone"),
        ('format = "epoch_millis"\nfold = "first"', "fold is only for a format with a zone"),
        ('format = "%Y-%m-%d %z"\nfold = "first"', "fold is only for a format with a zone"),
        ('since = "2024-01-01T00:00:00Z"\nunit = "days"\nfold = "first"', "leave no room for"),
        ("year = 2026", "year is only for a format without a year, such as %b %d %H:%M:%S"),
        (f"{BERLIN}\nyear = 2026", "year is only for a format without a year"),
        (f"{SYSLOG}\nyear = 0", "greater than or equal to 1970"),
        (f"{SYSLOG}\nyear = '2026'", "valid integer"),
        (SYSLOG, "that gives year, month and day, such as %Y-%m-%d %H:%M:%S, or"),
        ('format = "%H:%M"\nzone = "UTC"\nyear = 2026', "month and day"),
    ],
)
def test_a_wrong_table_of_times(time: str, sentence: str) -> None:
    """One sentence says what is allowed."""
    with pytest.raises(ValidationError, match=r"\w") as caught:
        mapping_of(f"{CSV}[time]\n{time}\n{LOGIN}")
    assert sentence in str(caught.value)
