"""A count becomes so many events, spread evenly over the span that it was counted in."""

import pytest
from pydantic import ValidationError

from tests.support.mapped_files import LOGIN, mapped, mapping_of
from worker.convert.repeats import MAX_EVENTS

COUNTS = '[input]\nformat = "csv"\ndelimiter = ";"\n' + LOGIN.replace(
    "[event.fields]", '[event.repeat]\ncount = "n"\nover = 1\nunit = "minutes"\n[event.fields]'
).replace('"{line}"', '"{at}-{number}"')
AT = "2024-01-01T10:00:00Z"


def moments(count: str, mapping: str = COUNTS, at: str = AT) -> list[str] | str | None:
    """Return the seconds of each event; the reason of a reject; None for a row that is skipped."""
    found = mapped(mapping, f'at;n\n{at};"{count}"\n')
    assert len({event["event_id"] for event in found.events}) == len(found.events)
    if found.rejects:
        return found.rejects[2]
    return [event["occurred_at"][11:-1] for event in found.events] or None


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ("1", ["10:00:00.000"]),
        ("2", ["10:00:00.000", "10:00:30.000"]),
        ("3", ["10:00:00.000", "10:00:20.000", "10:00:40.000"]),
        (
            "7",
            [
                f"10:00:{second}"
                for second in ("00.000", "08.571", "17.142", "25.714", "34.285", "42.857", "51.428")
            ],
        ),
        ("0", None),
        (" 2 ", ["10:00:00.000", "10:00:30.000"]),
        ("2.0", ["10:00:00.000", "10:00:30.000"]),
        ("2e0", ["10:00:00.000", "10:00:30.000"]),
        ("", "column 'n' is empty; see repeat and when"),
        ("-1", "column 'n' is negative; see repeat"),
        ("1.5", "column 'n' is no whole number, such as 3; see repeat"),
        ("x", "column 'n' has no digit; see empty"),
        ("1,000", "column 'n' has a comma, which is not declared; see separator and thousands"),
        (
            f"{MAX_EVENTS + 1}",
            "column 'n' is more than 100,000, the most events of a row; see repeat",
        ),
        ("1e60", "column 'n' is more than 100,000, the most events of a row; see repeat"),
    ],
)
def test_events_are_spread_evenly(count: str, expected: list[str] | str | None) -> None:
    """From the time of the row on, before the end of the span; milliseconds are cut off."""
    assert moments(count) == expected


def test_counts_are_in_the_files_notation() -> None:
    """With its thousands; the largest count that is allowed."""
    mapping = COUNTS.replace("[[event]]", '[decimal]\nthousands = ","\n[[event]]')
    found = moments("1,000", mapping)
    assert isinstance(found, list)
    assert (len(found), found[-1]) == (1_000, "10:00:59.940")
    found = moments(str(MAX_EVENTS))
    assert isinstance(found, list)
    assert (len(found), found[-1]) == (MAX_EVENTS, "10:00:59.999")


@pytest.mark.parametrize(
    ("over", "last"),
    [
        ('over = 1\nunit = "seconds"', "10:00:00.750"),
        ('over = 5\nunit = "minutes"', "10:03:45.000"),
        ('over = 2\nunit = "hours"', "11:30:00.000"),
        ('over = 1\nunit = "days"', "04:00:00.000"),
    ],
)
def test_any_span(over: str, last: str) -> None:
    """Four events in it; also beyond midnight."""
    found = moments("4", COUNTS.replace('over = 1\nunit = "minutes"', over))
    assert isinstance(found, list)
    assert found[-1] == last


def test_an_hour_that_comes_twice_is_spread_as_any_other() -> None:
    """The first minute of the second hour, in the order of the file; counted as one row."""
    time = '[time]\nformat = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"\nfold = "file_order"\n'
    mapping = COUNTS.replace("[[event]]", f"{time}[[event]]").replace("{at}-", "{line}-")
    found = mapped(mapping, "at;n\n26.10.2025 02:59;2\n26.10.2025 02:00;2\n")
    assert [event["occurred_at"][11:19] for event in found.events] == [
        *("00:59:00", "00:59:30", "01:00:00", "01:00:30")
    ]


def test_several_counts_of_a_row() -> None:
    """One table each, with conditions of their own; a row whose counts are 0 gives nothing."""
    good = (
        COUNTS.partition("[[event]]")[2].replace('"n"', '"ok"').replace("{number}", "{number}-ok")
    )
    mapping = f"{COUNTS}\n[[event]]{good}"
    data = f"at;n;ok\n{AT};2;1\n2024-01-01T10:01:00Z;0;0\n2024-01-01T10:02:00Z;0;1\n"
    found = mapped(mapping, data)
    assert len(found.events) == 4
    assert found.skipped == [3]


def test_another_table_has_the_time_of_the_row() -> None:
    """Only what is repeated is spread."""
    mapping = COUNTS + LOGIN.replace("{line}", "{line}-once")
    events = mapped(mapping, f"at;n\n{AT};2\n").events
    assert [event["occurred_at"][14:19] for event in events] == ["00:00", "00:30", "00:00"]
    locks = mapped(COUNTS + 'lock_until = "at"', f"at;n\n{AT};2\n").events
    assert [event["lock_until"][14:19] for event in locks] == ["00:00", "00:00"]


def test_each_and_repeat_together() -> None:
    """Each item has a count of its own."""
    mapping = (
        COUNTS.replace('"csv"\ndelimiter = ";"', '"ndjson"')
        .replace("[event.repeat]", 'each = "minutes"\n[event.repeat]')
        .replace('"n"', '"minutes.n"')
        .replace('"{at}-{number}"', '"{item}-{number}"')
        .replace('occurred_at = "at"', 'occurred_at = "minutes.at"')
    )
    found = mapped(
        mapping,
        '{"minutes": [{"at": "2024-01-01T10:00:00Z", "n": 2},'
        ' {"at": "2024-01-01T10:01:00Z", "n": 1}]}',
    )
    assert [(event["event_id"], event["occurred_at"][14:19]) for event in found.events] == [
        ("1-1", "00:00"),
        ("1-2", "00:30"),
        ("2-1", "01:00"),
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ('count = "n"', "", "repeat.count: Field required"),
        ("over = 1", "over = 0", "greater than or equal to 1"),
        ("over = 1", "over = 1.5", "valid integer"),
        ("over = 1", "over = 9999999999999", "less than or equal to"),
        ('"minutes"', '"weeks"', "Input should be 'seconds', 'minutes', 'hours' or 'days'"),
        ("{at}-{number}", "{at}", "event_id needs a template with {number}"),
        ('{ template = "{at}-{number}" }', '{ hash = ["at"] }', "needs a template with {number}"),
        ("{at}-{number}", "{number", "brace"),
    ],
)
def test_a_wrong_repeat(right: str, wrong: str, sentence: str) -> None:
    """One sentence says what is allowed; the same id for all would make them one event."""
    assert right in COUNTS
    with pytest.raises(ValidationError, match=r"\w") as caught:
        mapping_of(COUNTS.replace(right, wrong))
    assert sentence.rpartition(": ")[2] in str(caught.value)


def test_a_time_beyond_the_years() -> None:
    """A sentence, as for any other time."""
    hour = COUNTS.replace('"minutes"', '"days"')
    assert moments("2", hour, "9999-12-31T23:00:00Z") == (
        "occurred_at: must be in the years 1000 to 8999"
    )
