"""Rows of damaged, foreign and odd files: a sentence or a rejected row, and the rest goes on."""

import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from worker.codec.files import open_input
from worker.convert.csvrows import MAX_LINES_OF_A_ROW
from worker.convert.jsonrows import MAX_DEPTH
from worker.convert.lines import MAX_LINE_BYTES
from worker.convert.mapping import Mapping
from worker.convert.reader import read_rows
from worker.convert.rows import BadRow, FileRow, UnmatchedRow
from worker.errors import CheckFailed, ConfigError, UsageError


def mapping_of(**written: Any) -> Mapping:
    """A mapping that reads the columns id and at."""
    fields = {
        "event_id": "id",
        "account_id": {"constant": "w"},
        "action": {"constant": "login"},
        "outcome": {"constant": "success"},
        "occurred_at": "at",
    }
    return Mapping.model_validate(
        {"input": written, "event": [{"kind": "login", "fields": fields}]}
    )


def rows_of(data: bytes, **written: Any) -> list[FileRow | BadRow]:
    rows = read_rows(io.BytesIO(data), "in", mapping_of(**written), "map.toml")
    return [row for row in rows if not isinstance(row, UnmatchedRow)]


def csv(data: bytes, **written: Any) -> list[tuple[int, Any]]:
    """Line and id of every row, or line and reason."""
    return [
        (row.line, row.reason if isinstance(row, BadRow) else row.columns["id"])
        for row in rows_of(data, format="csv", **written)
    ]


def ndjson(data: bytes) -> list[tuple[int, Any]]:
    """Line and columns of every row, or line and reason."""
    return [
        (row.line, row.reason if isinstance(row, BadRow) else row.columns)
        for row in rows_of(data, format="ndjson")
    ]


QUOTES = "not valid CSV (a stray or unclosed quote?)"


def test_csv_rows_have_the_line_where_they_start() -> None:
    """Quoted cells may go over lines; blank lines are no rows; all line ends will do."""
    data = b'\xef\xbb\xbfid, at\r\n"1\n""x""",a\n\n2,"b\n\nc"\r\n3,d'
    assert csv(data) == [(2, '1\n"x"'), (5, "2"), (8, "3")]
    assert rows_of(data, format="csv")[1] == FileRow(5, {"id": "2", "at": "b\n\nc"})


def test_csv_dialects() -> None:
    """Delimiter, quote, lines above the header, names of columns, encoding."""
    assert csv(b"title\nx,y\nid;at\n'1;2';b\n", delimiter=";", quote="'", skip_lines=2) == [
        (4, "1;2")
    ]
    assert csv(b"1,b\n2,c\n", columns=["id", "at"]) == [(1, "1"), (2, "2")]
    assert csv("id,at\nä€,b\n".encode("cp1252"), encoding="cp1252") == [(2, "ä€")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"x", "has 1 cells where there are 2 columns"),
        (b"x,y,z", "has 3 cells where there are 2 columns"),
        (b"\xff\xfe,y", "not utf-8 text"),
        (b"x,\xed\xa0\x80", "not utf-8 text"),
        (b"x\0,y", "contains a NUL byte"),
        (b'"x"y,z', QUOTES),
        (b'"x,y', QUOTES),
        (b"x\ry,z", QUOTES),
        (b"x" * 10_000_000, f"longer than {MAX_LINE_BYTES} bytes"),
        (b"x," + b"y" * 200_000, QUOTES),
    ],
)
def test_a_bad_csv_row_is_rejected_and_the_rest_goes_on(bad: bytes, reason: str) -> None:
    """Also when it is the last, and also when a quote is never closed."""
    before, after = b"id,at\n1,a\n", b"\n3,c\n4,d\n"
    assert csv(before + bad + after) == [(2, "1"), (3, reason), (4, "3"), (5, "4")]
    assert csv(before + bad) == [(2, "1"), (3, reason)]


def test_an_unclosed_quote_rejects_its_own_line_in_a_long_file() -> None:
    """Thousands of rows behind it are still read."""
    data = b'id,at\n"1,a\n' + b"".join(b"%d,x\n" % number for number in range(2, 3000))
    rows = csv(data)
    assert rows[0] == (2, QUOTES)
    assert [row[1] for row in rows[1:]] == [str(number) for number in range(2, 3000)]


def test_an_unclosed_quote_is_looked_behind_for_a_bounded_way_only() -> None:
    """So that a file full of them takes linear time."""
    stream = io.BytesIO(b'id,at\n"1,a\n' + b"2,x\n" * 10_000)
    rows = read_rows(stream, "in", mapping_of(format="csv"), "map.toml")
    assert next(rows) == BadRow(2, QUOTES)
    assert stream.tell() <= len(b'id,at\n"1,a\n') + len(b"2,x\n") * MAX_LINES_OF_A_ROW


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "^in is empty$"),
        (b"\n\n", "^in has no header line$"),
        (b"\xff\xfei\0d\0", "^in is UTF-16 text: convert it to UTF-8 first$"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            r"^in: the header \(line 1\) cannot be read: not utf-8 text$",
        ),
        (b"id\0,at\n", r"^in: the header \(line 1\) cannot be read: contains a NUL byte$"),
    ],
)
def test_a_file_that_cannot_be_csv_is_one_sentence(data: bytes, sentence: str) -> None:
    """Without a header no row can be read."""
    with pytest.raises(CheckFailed, match=sentence):
        csv(data)


def test_a_column_that_is_missing_or_there_twice_is_a_bad_mapping() -> None:
    """Only a near match of the header is named: without a header it would be somebody's data."""
    with pytest.raises(ConfigError) as caught:
        csv(b"idd,at\n")
    assert str(caught.value) == (
        "map.toml: event #1.fields.event_id reads column 'id', which in does not have;"
        " did you mean 'idd'?"
    )
    with pytest.raises(ConfigError) as caught:
        csv(b"Erika Mustermann,2024\n")
    assert "Erika" not in str(caught.value)
    with pytest.raises(ConfigError, match="which in has 2 times"):
        csv(b"id,at,id\n")


def test_ndjson_is_flattened_and_numbers_stay_as_written() -> None:
    """Objects and lists by dotted names, true and null as words and nothing."""
    data = b"""{"id": 1.0E7, "n": 12345678901234567890123, "deep": {"a": [true, {"b": null}]}}

    {"s": "\\u00e4"}"""
    assert ndjson(data) == [
        (1, {"id": "1.0E7", "n": "12345678901234567890123"} | DEEP),
        (3, {"s": "ä"}),
    ]


DEEP = {"deep.a.0": "true", "deep.a.1.b": ""}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"secret", "not JSON from character 1 on"),
        (b'{"a": "secret"', "not JSON from character 15 on"),
        (b'{"a": 1} {"b": 2}', "not JSON from character 10 on"),
        (b'["secret"]', "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"a": NaN}', "holds NaN or Infinity"),
        (b'{"a": -Infinity}', "holds NaN or Infinity"),
        (b'{"a": 1, "a": 2}', "names one column twice"),
        (b'{"a": {"b": 1}, "a.b": 2}', "names one column twice"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested too deeply"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not utf-8 text"),
        (b'{"a": "\0"}', "contains a NUL byte"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', f"longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_a_bad_ndjson_row_is_rejected_and_the_rest_goes_on(bad: bytes, reason: str) -> None:
    """The reason quotes nothing of the row."""
    assert ndjson(b'{"a": "1"}\n' + bad + b'\n{"a": "3"}\n') == [
        (1, {"a": "1"}),
        (2, reason),
        (3, {"a": "3"}),
    ]


def read_file(path: Path) -> list[int]:
    """The lines of the rows of a CSV file; an error ends the list with -1."""
    lines: list[int] = []
    with open_input(str(path)) as stream:
        rows = read_rows(stream, "in", mapping_of(format="csv"), "map.toml")
        try:
            lines.extend(row.line for row in rows)
        except CheckFailed as failure:
            lines.append(-1 if "gzip data is damaged or breaks off" in str(failure) else -2)
    return lines


def test_gzip_is_recognised_by_its_bytes_and_may_break_off(tmp_path: Path) -> None:
    """Whatever the name; what came before the break has been read."""
    text = b"id,at\n" + b"".join(b"%d,%d\n" % (number, number**5) for number in range(20_000))
    packed = gzip.compress(text)
    for name in ("in.gz", "in.csv"):
        (tmp_path / name).write_bytes(packed)
        assert read_file(tmp_path / name) == list(range(2, 20_002))
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    lines = read_file(tmp_path / "cut.gz")
    assert lines[:-1] == list(range(2, len(lines) + 1))
    assert len(lines) > 5_000
    assert lines[-1] == -1
    (tmp_path / "junk.gz").write_bytes(packed + b"junk")
    assert read_file(tmp_path / "junk.gz") == [*range(2, 20_002), -1]
    damaged = bytearray(packed)
    damaged[-6] ^= 0xFF
    (tmp_path / "damaged.gz").write_bytes(bytes(damaged))
    assert read_file(tmp_path / "damaged.gz")[-1] == -1


def test_a_gzip_file_of_nothing_but_its_first_bytes(tmp_path: Path) -> None:
    """It breaks off before the first line: one sentence."""
    (tmp_path / "in.gz").write_bytes(b"\x1f\x8b")
    with (
        open_input(str(tmp_path / "in.gz")) as stream,
        pytest.raises(CheckFailed, match="breaks off after line 0"),
    ):
        read_rows(stream, "in", mapping_of(format="csv"), "map.toml")


def test_an_input_that_cannot_be_opened_is_a_wrong_argument(tmp_path: Path) -> None:
    """A missing file and a folder."""
    for path, sentence in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=sentence), open_input(str(path)):
            pass
