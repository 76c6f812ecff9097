"""ingest and tail: lines into the log, records out of it."""

import gzip
import json
import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rules.builders import balance, login, txn
from schemas.dead_letter import DeadLetterHeaders
from schemas.time import parse_time
from schemas.topics import BALANCES, DEAD_LETTERS, LOGINS, TRANSACTIONS
from worker.cli import ingest as module
from worker.cli.app import app
from worker.engine.log import Log, stored
from worker.engine.records import NewRecord, Record, TopicPartition
from worker.errors import LogError
from worker.logs.sqlite.log import SqliteLog
from worker.run.open_log import open_log

URL = "sqlite:///log.db"
EVENTS = [txn("t1", "10:00:00"), login("10:00:01"), balance("10:00:02", "5.00"), login("09:59:00")]

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without configuration and log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)
    monkeypatch.setattr(module, "wall_clock", lambda: parse_time("2026-03-02T12:00:00Z"))
    return tmp_path


def write(name: str, lines: list[Any]) -> None:
    """Write events, or lines as they are."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    Path(name).write_text("".join(f"{text}\n" for text in texts))


def records(topic: str) -> list[tuple[TopicPartition, Record]]:
    """Return what the log holds of a topic."""
    log = open_log(URL)
    try:
        return list(stored(log, topic))
    finally:
        log.close()


def values(topic: str) -> list[Any]:
    """Return the values of a topic as JSON."""
    return [json.loads(record.value or b"") for _, record in records(topic)]


def test_events_go_to_their_topics_by_account() -> None:
    """As bytes, unchanged; and it prints how many each topic got."""
    write("events.ndjson", EVENTS)
    ended = run(app, ["ingest", "events.ndjson"])
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert [line.split() for line in ended.stderr.splitlines()] == [
        ["1", BALANCES],
        ["2", LOGINS],
        ["1", TRANSACTIONS],
    ]
    assert values(LOGINS) == [EVENTS[1], EVENTS[3]]
    ((_, record),) = records(TRANSACTIONS)
    assert record.key == b"acc-1"
    assert record.value == json.dumps(EVENTS[0]).encode()


def test_files_may_be_many_zipped_and_stdin() -> None:
    """In the order in which they are named."""
    write("a.ndjson", EVENTS[:1])
    Path("b.gz").write_bytes(gzip.compress(json.dumps(EVENTS[1]).encode()))
    stdin = json.dumps(EVENTS[2])
    ended = run(app, ["ingest", "a.ndjson", "b.gz", "-", "--json"], input=stdin)
    assert json.loads(ended.stdout) == {
        "topics": {TRANSACTIONS: 1, LOGINS: 1, BALANCES: 1},
        "dead_letters": {},
        "late": {},
        "end": None,
    }


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is appended once, whatever the size of the chunks."""
    monkeypatch.setattr(module, "_CHUNK_RECORDS", 3)
    events = [login("10:00:00", event_id=f"e{number}") for number in range(10)]
    write("events.ndjson", events)
    summary = json.loads(run(app, ["ingest", "events.ndjson", "--json"]).stdout)
    assert summary["topics"] == {LOGINS: 10}
    assert values(LOGINS) == events


def test_heartbeats_go_to_all_partitions_or_to_theirs() -> None:
    """As the line names it."""
    beat = {"kind": "heartbeat", "occurred_at": "2026-03-02T10:00:00.000Z", "topic": LOGINS}
    write("beats.ndjson", [beat, beat | {"partition": 2}])
    assert run(app, ["ingest", "beats.ndjson"]).exit_code == 0
    assert Counter(at.partition for at, _ in records(LOGINS)) == {0: 1, 1: 1, 2: 2, 3: 1}


def test_lines_without_a_place_are_dead_letters() -> None:
    """With the name of the file, the number of the line, and what is wrong; never its folder."""
    Path("jane-doe").mkdir()
    beat = {"kind": "end", "occurred_at": "2026-03-02T10:00:00Z", "topic": LOGINS, "partition": 4}
    write("jane-doe/events.ndjson", ["", "{", EVENTS[0], {"kind": "login"}, beat])
    ended = run(app, ["ingest", "jane-doe/events.ndjson", "--json"])
    assert ended.exit_code == 1
    assert "jane-doe" not in ended.stderr
    assert json.loads(ended.stdout)["dead_letters"] == {"not_json": 1, "schema": 2}
    letters = [record for _, record in records(DEAD_LETTERS)]
    assert [letter.value for letter in letters] == [
        b"{",
        b'{"kind": "login"}',
        json.dumps(beat).encode(),
    ]
    for letter, number in zip(letters, (2, 4, 5), strict=True):
        headers = {name: value.decode() for name, value in letter.headers}
        assert headers["dlq_topic"] == "events.ndjson"
        assert headers["dlq_offset"] == str(number)
        assert headers["dlq_stage"] == "ingest"
        assert set(headers) <= set(DeadLetterHeaders.model_fields)


def test_dead_letters_are_listed_with_what_is_wrong_and_what_to_do() -> None:
    """On stderr, the first ten; the command that shows them works on this log."""
    lines = [f'{{"kind":"login","phone":"phone-{n}"}}' for n in range(12)]
    write("events.ndjson", [*EVENTS, *lines])
    ended = run(app, ["ingest", "events.ndjson", "--end", "--log", "sqlite:///my other.db"])
    assert ended.exit_code == 1
    told = ended.stderr.splitlines()
    first = told.index("walletwatch: 12 lines could not be used:")
    schema = "occurred_at: required; account_id: required (schema)"
    assert told[first + 1 :] == [
        *(f"  events.ndjson, line {n}: {schema}" for n in range(5, 15)),
        "  and 2 more",
        "To see them whole: walletwatch dlq peek --values --log 'sqlite:///my other.db'",
    ]
    assert "Every input ends at 2026-03-02T10:00:02.001Z." in told
    shown = run(app, shlex.split(told[-1].partition(": walletwatch ")[2]))
    assert shown.exit_code == 0
    assert shown.stdout.count("phone-") == 10


def test_one_line_that_is_no_event_is_listed_too_where_a_file_breaks_off() -> None:
    """Both are said, and the end is not marked."""
    whole = gzip.compress(b"{\n" + json.dumps(EVENTS[0]).encode() + b"\n" * 9_999, 0)
    Path("cut.gz").write_bytes(whole[:-9_000])
    ended = run(app, ["ingest", "cut.gz", "--end"])
    assert ended.exit_code == 1
    sentences = ended.stderr[ended.stderr.index("walletwatch: ") :].splitlines()
    assert sentences[:3] == [
        "walletwatch: cut.gz: the gzip data is cut short or damaged",
        "The end was not marked.",
        "1 line could not be used:",
    ]


def test_the_end_is_a_millisecond_after_the_newest_event() -> None:
    """On every partition of every input of detect; triage gets its own from detect."""
    write("events.ndjson", EVENTS)
    summary = json.loads(run(app, ["ingest", "events.ndjson", "--end", "--json"]).stdout)
    assert summary["end"] == "2026-03-02T10:00:02.001Z"
    end = {"kind": "end", "occurred_at": summary["end"]}
    for topic in (TRANSACTIONS, LOGINS, BALANCES):
        last = {at: json.loads(record.value or b"") for at, record in records(topic)}
        assert list(last.values()) == [end] * 4
    assert records("wallet.signals") == []
    assert records("wallet.incident-updates") == []


def test_an_event_from_the_future_does_not_move_the_end() -> None:
    """It will be a dead letter; nothing may end in the year 9999 because of it."""
    future = login("10:00:00", occurred_at="9999-01-01T00:00:00Z")
    write("events.ndjson", [*EVENTS, future, login("10:00:00", occurred_at="yesterday")])
    summary = json.loads(run(app, ["ingest", "events.ndjson", "--end", "--json"]).stdout)
    assert summary["end"] == "2026-03-02T10:00:02.001Z"


@pytest.mark.parametrize(
    ("now", "options", "warned"),
    [
        ("2026-03-09T10:00:02Z", [], True),
        ("2026-03-09T10:00:01.999Z", [], False),
        ("2026-03-09T10:00:02Z", ["--end"], False),
        ("2026-03-09T10:00:02Z", ["--json"], False),
    ],
)
def test_events_older_than_what_stays_open_are_told(
    monkeypatch: pytest.MonkeyPatch, now: str, options: list[str], warned: bool
) -> None:
    """Seven days: a worker that follows the clock would let their alerts expire at once."""
    monkeypatch.setattr(module, "wall_clock", lambda: parse_time(now))
    write("events.ndjson", EVENTS)
    summary = run(app, ["ingest", "events.ndjson", *options]).stderr
    assert ("The newest event is of 2026-03-02T10:00:02.000Z." in summary) is warned


def test_where_no_clock_moves_time_old_events_are_no_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "wall_clock", lambda: parse_time("2027-01-01T00:00:00Z"))
    monkeypatch.setenv("WALLETWATCH_ENGINE__IDLE_ADVANCES", "false")
    write("events.ndjson", EVENTS)
    assert "newest event" not in run(app, ["ingest", "events.ndjson"]).stderr


def test_without_events_there_is_no_end() -> None:
    """Its time would be unknown."""
    Path("empty").touch()
    assert run(app, ["ingest", "empty"]).exit_code == 0
    ended = run(app, ["ingest", "empty", "--end"])
    assert ended.exit_code == 1
    assert "no event with a time was read" in ended.stderr


@pytest.mark.parametrize("files", [["cut.gz", "whole.ndjson"], ["whole.ndjson", "cut.gz"]])
def test_a_file_that_is_cut_short_is_told_after_all_the_rest(files: list[str]) -> None:
    """What could be read is appended, other files too; the end is not marked."""
    lines = b"".join(
        json.dumps(login("10:00:00", event_id=f"e{n}")).encode() + b"\n" for n in range(999)
    )
    zipped = gzip.compress(lines, 0)
    Path("cut.gz").write_bytes(zipped[: len(zipped) // 2])
    write("whole.ndjson", EVENTS[:1])
    ended = run(app, ["ingest", *files, "--end", "--json"])
    assert ended.exit_code == 1
    assert "cut.gz: the gzip data is cut short or damaged" in ended.stderr
    assert "The end was not marked." in ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["topics"][TRANSACTIONS] == 1
    assert summary["topics"][LOGINS] == len(values(LOGINS)) > 100


@pytest.mark.parametrize("name", ["gone.ndjson", "folder"])
def test_a_file_that_cannot_be_read_stops_it_before_anything_is_appended(name: str) -> None:
    """Exit code 2; not even a log is made."""
    Path("folder").mkdir()
    write("events.ndjson", EVENTS)
    ended = run(app, ["ingest", "events.ndjson", name])
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"walletwatch: {name}: ")
    assert not Path("log.db").exists()


def test_an_unusable_log_is_told_with_what_was_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 70; chunks before the failure are stored and counted."""
    append, calls = SqliteLog.append, []

    def full(log: SqliteLog, chunk: list[NewRecord]) -> None:
        calls.append(chunk)
        if len(calls) == 3:
            raise LogError("The disk is full.")
        append(log, chunk)

    monkeypatch.setattr(SqliteLog, "append", full)
    monkeypatch.setattr(module, "_CHUNK_RECORDS", 2)
    write("events.ndjson", [login("10:00:00", event_id=f"e{n}") for n in range(9)])
    ended = run(app, ["ingest", "events.ndjson", "--json"])
    assert ended.exit_code == 70
    assert "The disk is full." in ended.stderr
    assert json.loads(ended.stdout)["topics"] == {LOGINS: 4} == {LOGINS: len(records(LOGINS))}


def test_a_log_with_other_partitions_is_used_unless_the_configuration_insists() -> None:
    """The default is for new logs only."""
    open_log(URL, 2).close()
    write("events.ndjson", EVENTS)
    assert run(app, ["ingest", "events.ndjson"]).exit_code == 0
    insisting = run(app, ["ingest", "events.ndjson"], env={"WALLETWATCH_LOG__PARTITIONS": "4"})
    assert insisting.exit_code == 78
    assert "2 partitions" in insisting.stderr


# tail


@pytest.fixture
def log() -> Iterator[Log]:
    """A log with ten logins in partitions 0 and 1, a millisecond between them."""
    log = open_log(URL, clock=count().__next__)
    for number in range(10):
        log.append([NewRecord(LOGINS, b"acc", b"%d" % number, number % 2)])
    yield log
    log.close()


def tailed(*args: str) -> list[Any]:
    """Return the values that `tail --json` prints."""
    ended = run(app, ["tail", LOGINS, "--json", *args])
    assert ended.exit_code == 0
    return [json.loads(line)["value"] for line in ended.stdout.splitlines()]


def test_tail_shows_the_newest_over_all_partitions(log: Log) -> None:
    """Ten unless another number is given."""
    assert sorted(tailed()) == list(range(10))
    assert sorted(tailed("-n", "4")) == [6, 7, 8, 9]
    assert tailed("-n", "0") == []
    log.append([NewRecord(LOGINS, b"acc", b"10", 0)])
    assert sorted(tailed()) == list(range(1, 11))


def test_tail_from_the_start_shows_all_or_the_oldest(log: Log) -> None:
    """Partition by partition."""
    assert tailed("--from-start") == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    assert tailed("--from-start", "-n", "3") == [0, 2, 4]


def test_tail_begins_at_an_offset_of_a_partition(log: Log) -> None:
    """A negative one counts from the end, at most to the oldest record."""
    at = ("--partition", "1", "--offset")
    assert tailed("-p", "1", "-o", "3") == [7, 9]
    assert tailed(*at, "0", "-n", "2") == [1, 3]
    assert tailed(*at, "-2") == [7, 9]
    assert tailed(*at, "-2", "-n", "1") == [7]
    assert tailed(*at, "-99") == [1, 3, 5, 7, 9]
    assert tailed(*at, "5") == []
    assert tailed(*at, "0", "-n", "0") == []


def test_tail_shows_one_partition(log: Log) -> None:
    assert tailed("--partition", "1") == [1, 3, 5, 7, 9]
    assert tailed("--partition", "0", "-n", "2") == [6, 8]
    assert tailed("--partition", "1", "--from-start", "-n", "2") == [1, 3]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-p", "1", "-o", "6"), "--offset: wallet.logins, partition 1, holds the offsets 0 to 4."),
        (
            ("-p", "2", "-o", "1"),
            "--offset: wallet.logins, partition 2, holds no record that can be read; the next ",
        ),
        (("-p", "4", "-o", "0"), "--partition: wallet.logins has the partitions 0 to 3."),
        (("-p", "4"), "--partition: wallet.logins has the partitions 0 to 3."),
        (("-o", "4"), "--offset needs --partition, "),
        (("-p", "0", "-o", "4", "--from-start"), "--offset needs --partition, "),
    ],
)
def test_tail_names_what_is_stored_where_an_offset_is_not(
    log: Log, args: tuple[str, ...], said: str
) -> None:
    ended = run(app, ["tail", LOGINS, *args])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"walletwatch: {said}")


def test_tail_names_the_oldest_record_where_older_ones_are_pruned(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets = [(3, 5), (0, 5), (0, 0), (0, 0)]
    monkeypatch.setattr(type(log), "offsets", lambda *_: offsets)
    ended = run(app, ["tail", LOGINS, "-p", "0", "-o", "2"])
    assert ended.exit_code == 2
    assert "partition 0, holds the offsets 3 to 4." in ended.stderr


def test_tail_of_a_partition_follows_that_one_alone(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the end on, if that is where it begins."""
    waits = iter([1, 0, 1])

    def wait(seconds: float) -> None:
        partition = next(waits, None)
        if partition is None:
            raise KeyboardInterrupt
        log.append([NewRecord(LOGINS, b"acc", b"%d" % partition, partition)])

    monkeypatch.setattr("time.sleep", wait)
    ended = run(app, ["tail", LOGINS, "--json", "-p", "1", "-o", "5", "--follow"])
    assert ended.exit_code == 130
    assert [json.loads(line)["value"] for line in ended.stdout.splitlines()] == [1, 1]


def test_tail_follows_what_comes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record once, until it is interrupted."""
    waits = iter([[b"10", b"11"], [], [b"12"]])

    def wait(seconds: float) -> None:
        new = next(waits, None)
        if new is None:
            raise KeyboardInterrupt
        if new:
            log.append([NewRecord(LOGINS, b"acc", value, 1) for value in new])

    monkeypatch.setattr("time.sleep", wait)
    ended = run(app, ["tail", LOGINS, "--json", "-n", "1", "--follow"])
    assert ended.exit_code == 130
    followed = [json.loads(line)["value"] for line in ended.stdout.splitlines()]
    assert followed[1:] == [10, 11, 12]


def test_tail_prints_one_line_a_record_whatever_is_in_it(log: Log) -> None:
    """Nothing of it reaches the terminal as a command."""
    log.append(
        [
            NewRecord(
                DEAD_LETTERS, b"k", b"\x1b[2J\xff\n", 0, headers=(("dlq_reason", b"not_utf8"),)
            ),
            NewRecord(DEAD_LETTERS, None, None, 0),
        ]
    )
    lines = run(app, ["tail", DEAD_LETTERS]).stdout.splitlines()
    assert lines[0].endswith("  0/0  k  dlq_reason=not_utf8  \\x1b[2J\\xff\\n")
    assert lines[1].endswith("  0/1  -  (tombstone)")


def test_tail_prints_json_digit_for_digit(log: Log) -> None:
    """A number is not read as a float on its way; what is no JSON is base64."""
    log.append(
        [
            NewRecord(DEAD_LETTERS, b"\xff", b'{"a":\n 0.10000000000000000001}', 0),
            NewRecord(DEAD_LETTERS, None, b"\xff", 0, headers=(("dlq_reason", b"not_utf8"),)),
            NewRecord(DEAD_LETTERS, b"k", None, 0),
        ]
    )
    lines = run(app, ["tail", DEAD_LETTERS, "--json"]).stdout.splitlines()
    assert lines[0].endswith('"key":"\\\\xff","value":{"a":0.10000000000000000001}}')
    second, third = map(json.loads, lines[1:])
    assert second["value_base64"] == "/w=="
    assert second["headers"] == {"dlq_reason": "not_utf8"}
    assert (third["offset"], third["value"]) == (2, None)


def test_tail_needs_a_log_and_a_topic_that_exist() -> None:
    """And makes neither."""
    ended = run(app, ["tail", LOGINS])
    assert ended.exit_code == 2
    assert "There is no log at sqlite:///log.db yet" in ended.stderr
    assert not Path("log.db").exists()
    ended = run(app, ["tail", "wallet.login"])
    assert ended.exit_code == 2
    assert f"the nearest is {LOGINS}" in ended.stderr
