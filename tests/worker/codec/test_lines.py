"""Files of every kind become lines with a place, dead letters, or one clear sentence."""

import gzip
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.builders import login
from schemas.topics import BALANCES, LOGINS, TRANSACTIONS
from tests.support.events.mutations import FULL, compact, full_login, full_transaction
from worker.codec.bad_record import BadRecord
from worker.codec.lines import PlacedLine, place, read_lines
from worker.errors import CheckFailed, Exit, UsageError

MOST = 1 << 20
SECRET = "zq9-marked-zq9"
LINES = [compact(full_login(event_id=f"e{number}")) for number in range(2000)]


def read(path: Path, content: bytes) -> list[tuple[int, bytes]]:
    """Return what is read of a file with that content."""
    path.write_bytes(content)
    return list(read_lines(str(path), MOST))


# -- files --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_are_numbered_from_1_whatever_ends_them(
    tmp_path: Path, end: bytes, last: bool
) -> None:
    content = b"{1}" + end + end + b"  \t" + end + b"{4}" + (end if last else b"")
    assert read(tmp_path / "file", content) == [(1, b"{1}"), (4, b"{4}")]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    for content in (b"", b"\n\n\r\n  \n", gzip.compress(b"")):
        assert read(tmp_path / "file", content) == []


def test_gzip_is_recognised_by_its_first_bytes_also_in_several_members(tmp_path: Path) -> None:
    content = gzip.compress(b"{1}\n{2}\n") + gzip.compress(b"{3}\n")
    assert read(tmp_path / "no.suffix", content) == [(1, b"{1}"), (2, b"{2}"), (3, b"{3}")]


def test_stdin_is_a_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{1}\n{2}")))
    assert list(read_lines("-", MOST)) == [(1, b"{1}"), (2, b"{2}")]


def damaged(content: bytes, how: str) -> bytes:
    """Return gzip data that is cut, cut in its header, has flipped bytes, or rubbish behind it."""
    match how:
        case "cut":
            return content[: len(content) * 2 // 3]
        case "without its end":
            return content[:-3]
        case "flipped":
            middle = len(content) // 2
            return (
                content[:middle]
                + bytes(255 - b for b in content[middle : middle + 9])
                + content[middle + 9 :]
            )
        case "no deflate":
            return content[:10] + b"\xff" * 50 + content[60:]
        case "wrong checksum":
            return content[:-8] + b"\0\0\0\0" + content[-4:]
        case "rubbish behind":
            return content + b"rubbish"
        case _:
            return content[:2]


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "without its end",
        "flipped",
        "no deflate",
        "wrong checksum",
        "rubbish behind",
        "2 bytes",
    ],
)
def test_damaged_gzip_gives_its_good_lines_and_then_one_sentence(tmp_path: Path, how: str) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(damaged(gzip.compress(b"\n".join(LINES) + b"\n"), how))
    found: list[tuple[int, bytes]] = []
    with pytest.raises(CheckFailed) as raised:
        found.extend(read_lines(str(path), MOST))
    whole = [line for _, line in found][:-1]
    # What flipped bytes inflate to is anybody's guess; then only the sentence counts.
    assert how in ("flipped", "no deflate") or whole == LINES[: len(whole)]
    assert len(whole) > 500 or how in ("no deflate", "2 bytes")
    assert str(raised.value) == f"{path}: the gzip data is cut short or damaged"
    assert raised.value.exit_code == Exit.FOUND


@pytest.mark.parametrize("name", ["nowhere.ndjson", "."])
def test_what_cannot_be_opened_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^(nowhere\.ndjson: No such file|\.: Is a directory)"):
        list(read_lines(name, MOST))


def test_every_encoding_but_utf8_is_dead_letters_not_an_error(tmp_path: Path) -> None:
    """In UTF-16 a line's end falls apart."""
    text = b"\n".join(LINES[:5]).decode().replace("north", "nörd")
    for encoding in ("utf-16", "utf-16-be", "utf-32"):
        placed = [place(line) for _, line in read(tmp_path / encoding, text.encode(encoding))]
        assert not any(isinstance(line, PlacedLine) for line in placed)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    """Before a second line it is: two files joined; that line's event is a dead letter."""
    mark, text = b"\xef\xbb\xbf", b"\n".join(LINES[:5])
    plain = read(tmp_path / "plain", text)
    assert read(tmp_path / "marked", mark + text) == plain
    assert read(tmp_path / "marked.gz", gzip.compress(mark + text)) == plain
    assert read(tmp_path / "alone", mark + b"\n" + text) == [(n + 1, line) for n, line in plain]
    joined = read(tmp_path / "joined", text + b"\n" + mark + text)
    assert [isinstance(place(line), BadRecord) for _, line in joined] == [n == 5 for n in range(10)]


# -- places -------------------------------------------------------------------------------


def test_an_event_goes_to_its_topic_with_its_account_as_key() -> None:
    for kind, topic in (("transaction", TRANSACTIONS), ("login", LOGINS), ("balance", BALANCES)):
        raw = compact(FULL[kind](account_id="Zoë"))
        line = place(raw)
        assert isinstance(line, PlacedLine)
        assert (line.topic, line.key, line.partition, line.value) == (
            topic,
            "Zoë".encode(),
            None,
            raw,
        )


def test_heartbeats_and_ends_go_where_they_say() -> None:
    raw = b'{"kind":"%b","occurred_at":"2026-03-02T10:00:00Z","topic":"wallet.logins"%b}'
    one, every = place(raw % (b"end", b',"partition":3')), place(raw % (b"heartbeat", b""))
    assert isinstance(one, PlacedLine)
    assert isinstance(every, PlacedLine)
    assert (one.topic, one.key, one.partition, one.value[9:12]) == (LOGINS, None, 3, b"end")
    assert (every.topic, every.key, every.partition) == (LOGINS, None, None)


KINDS_ALLOWED = "must be one of transaction, login, balance, heartbeat, end"
END = b'{"kind":"end","occurred_at":"2026-03-02T10:00:00Z"%b}'
UNPLACED = [
    ("not_json", b"rubbish", "character 0"),
    ("not_json", b"", "character 0"),
    ("not_json", compact(full_login())[:-5], "character"),
    ("not_utf8", b'{"kind":"\xe9"}', "byte 9"),
    ("not_utf8", bytes(range(256)) * 100, "byte"),
    ("too_deep", b"[" * 100_000, "more than 16 levels"),
    ("too_deep", b"[" * 50_000 + b"]" * 50_000, "more than 16 levels"),
    ("too_deep", b'{"kind":' * 50_000, "more than 16 levels"),
    ("schema", b"[]", "must be an object"),
    ("schema", b"{}", "kind: required; occurred_at: required; account_id: required"),
    ("schema", b'"login"', "must be an object"),
    ("schema", compact(full_login(kind=None)), "kind: required"),
    ("schema", compact(full_login(kind=["login"])), "kind: must be a string"),
    ("schema", compact(full_login(kind="complaint")), f"kind: {KINDS_ALLOWED}, in files"),
    ("schema", compact(full_login(kind="incident_update")), f"kind: {KINDS_ALLOWED}, in files"),
    ("schema", compact(full_login(account_id="")), "account_id: required"),
    ("schema", compact(full_login(account_id=5)), "account_id: must be a string"),
    ("schema", compact(full_login(account_id=None)), "account_id: required"),
    ("schema", compact(full_login(occurred_at=5)), "occurred_at: must be a string"),
    ("schema", compact(full_login(occurred_at="@")).replace(b'"@"', b"1" * 5000), "occurred_at:"),
    ("schema", END % b"", "topic: must be one of wallet.transactions, wallet.logins,"),
    ("schema", END % b',"topic":"wallet.alerts"', "topic: must be one of wallet.transactions,"),
    ("schema", END % b',"topic":5', "topic: must be a string"),
    ("schema", END % b',"topic":"wallet.logins","partition":"x"', "partition: must be a whole"),
    ("schema", END % b',"topic":"wallet.logins","partition":true', "partition: must be a whole"),
    ("schema", END % b',"topic":"wallet.logins","partition":-1', "partition: must not be less"),
    ("schema", b'{"kind":"end","topic":"wallet.logins"}', "occurred_at: required"),
    ("duplicate_key", b'{"x":1,"x":2}', "twice"),
    ("not_json", b'{"kind":NaN}', "NaN is not JSON"),
]


@pytest.mark.parametrize("number", range(len(UNPLACED)))
def test_a_line_without_a_place_has_its_reason(number: int) -> None:
    reason, raw, error = UNPLACED[number]
    found = place(raw)
    assert isinstance(found, BadRecord)
    assert (found.reason, error in found.error) == (reason, True)


@pytest.mark.parametrize(
    "field",
    [
        *(b'"user_agent":"\\ud83d"', b'"\\udfff":1', b'"asn":' + b"1" * 5000, b'"topic":5'),
        *(b'"partition":"x"', b'"partition":true', b'"topic":null', b'"partition":-1'),
        *(b'"topic":"wallet.alerts"', b'"latitude":1e1000000', b'"extra":{"a":"\\udc00\\ud800"}'),
    ],
)
def test_what_is_wrong_beside_its_head_does_not_keep_a_line_from_its_place(field: bytes) -> None:
    raw = compact(login("10:00:00"))[:-1] + b"," + field + b"}"
    found = place(raw)
    assert isinstance(found, PlacedLine)
    assert (found.topic, found.key, found.value) == (LOGINS, b"acc-1", raw)


def test_ten_megabytes_on_one_line_are_placed_or_refused_like_any_other() -> None:
    long = compact(full_transaction(user_note="x" * 10_000_000))
    assert isinstance(place(long), PlacedLine)
    for raw in (long[:-1], b"[" * 10_000_000, b'{"a":"' + b'\\"' * 500_000, b"1" * 10_000_000):
        assert isinstance(place(raw), BadRecord)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    for line in (raw, b'{"kind":"login","occurred_at":"","account_id":"%b"}' % raw):
        place(line)


def test_no_error_quotes_what_stood_on_the_line() -> None:
    for name in full_login():
        for bad in (SECRET, [SECRET], {SECRET: SECRET}, f"{SECRET}\0"):
            event = full_login() | {name: bad}
            for raw in (compact(event), compact(event)[:-1], compact({SECRET: SECRET, name: bad})):
                found = place(raw)
                assert isinstance(found, PlacedLine) or "zq9" not in found.error
