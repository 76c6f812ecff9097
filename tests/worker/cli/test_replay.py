"""What `walletwatch replay` writes and prints of files: whole records, lines by their numbers."""

import gzip
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rules.cannot_log_in.rule import CannotLogIn
from schemas.time import format_time
from tests.support.commands import heed_ctrl_c
from tests.support.events.traffic import HOUR, MINUTE, START
from worker.cli import replay as command
from worker.cli.app import app
from worker.run.spool import Room

DAY = 24 * HOUR
OUTPUTS = ("alerts.ndjson", "incidents.ndjson", "dead-letters.ndjson", "late.ndjson")


def login(account: str, number: int, at: int, **fields: Any) -> dict[str, Any]:
    """Return a failed login, `at` milliseconds after the start."""
    return {
        "kind": "login",
        "event_id": f"{account}-{number}",
        "account_id": account,
        "action": "login",
        "outcome": "failure",
        "reason": "bad_credentials",
        "occurred_at": format_time(START + at),
        **fields,
    }


def locked_out(account: str, at: int = 0, first: int = 0) -> list[dict[str, Any]]:
    """Return five failed logins, a second apart: one alert ten minutes after the last."""
    return [login(account, first + n, at + n * 1_000) for n in range(5)]


def success(account: str, at: int) -> dict[str, Any]:
    """Return a login that succeeds."""
    return login(account, 9_999, at, outcome="success", reason=None)


def lines_of(events: list[dict[str, Any]]) -> list[bytes]:
    """Return events as lines."""
    return [json.dumps(event).encode() for event in events]


def drifted(at: int) -> dict[str, Any]:
    """Return a payment after which far less is left than before it."""
    return {
        "kind": "transaction",
        "event_id": "drifted",
        "account_id": "b",
        "transaction_id": "drifted",
        "type": "payment",
        "status": "completed",
        "amount": "1.00",
        "currency": "EUR",
        "balance_before": "500.00",
        "balance_after": "5.00",
        "balance_kind": "posted",
        "occurred_at": format_time(START + at),
    }


CUT = "cut.gz: the gzip data is cut short or damaged"
BROKEN = login("broken", 7, MINUTE, outcome="secret")
LAST = login("end", 0, HOUR)
EVENTS = [*locked_out("bad"), LAST]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, lines: list[bytes], end: bytes = b"\n") -> None:
    """Write lines, zipped if the name says so."""
    content = b"".join(line + end for line in lines)
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def run(*args: str, stdin: bytes | None = None) -> Result:
    """Return what a command printed; its exit code is that of the shell."""
    return CliRunner().invoke(app, list(args), input=stdin)


def written(folder: str, name: str) -> list[dict[str, Any]]:
    """Return the records of a file, each line of which must be an object."""
    content = (Path(folder) / name).read_text()
    assert content == "" or content.endswith("\n")
    records = [json.loads(line) for line in content.split("\n")[:-1]]
    assert all(isinstance(record, dict) for record in records)
    return records


def places(folder: str, name: str = "dead-letters.ndjson") -> list[tuple[str, str, int]]:
    """Return (file, partition, line) of what was set aside, sorted."""
    return sorted(
        (each["dlq_topic"], each["dlq_partition"], int(each["dlq_offset"]))
        for each in written(folder, name)
    )


# incidents


HISTORIES: dict[str, tuple[list[dict[str, Any]], int]] = {
    "nothing": ([], 0),
    "no incident": ([login("a", 0, 0)], 0),
    "one that is open": ([*locked_out("a"), login("end", 0, 20 * MINUTE)], 1),
    "one that is resolved": (EVENTS, 1),
    "one that is forgotten": ([*locked_out("a"), login("end", 0, 90 * DAY)], 1),
    "forgotten, years ago": ([*locked_out("a"), login("end", 0, 2_000 * DAY)], 1),
    "cured and forgotten": ([*locked_out("a"), success("a", HOUR), login("b", 0, 90 * DAY)], 1),
    "two of one account, one forgotten": (
        [*locked_out("a"), *locked_out("a", 90 * DAY, 10), login("end", 0, 90 * DAY + HOUR)],
        2,
    ),
    "two of one account, both forgotten": (
        [*locked_out("a"), *locked_out("a", 90 * DAY, 10), login("end", 0, 180 * DAY)],
        2,
    ),
    "of two accounts, one forgotten": (
        [*locked_out("a"), *locked_out("b", 60 * DAY), login("end", 0, 60 * DAY + HOUR)],
        2,
    ),
    "of many accounts": (
        [e for n in range(20) for e in locked_out(f"a-{n}", n * 10 * DAY)]
        + [login("end", 0, 200 * DAY)],
        20,
    ),
    "resolved just before it is forgotten": (
        [*locked_out("a"), login("end", 0, 30 * MINUTE + 7 * DAY)],
        1,
    ),
}


@pytest.mark.parametrize("partitions", ["1", "4"])
@pytest.mark.parametrize("name", HISTORIES)
def test_every_incident_that_was_opened_counts(name: str, partitions: str) -> None:
    """Forgotten ones too, by their last status; their tombstones are no lines of the file."""
    events, opened = HISTORIES[name]
    write("events.ndjson", lines_of(events))
    args = ("replay", "events.ndjson", "--out", "found", "--partitions", partitions)
    done = run(*args, "--json")
    incidents = json.loads(done.stdout)["incidents"]
    assert done.exit_code == 0
    assert incidents.pop("total") == opened == sum(incidents.values())
    records = written("found", "incidents.ndjson")
    newest = {record["incident_id"]: record["status"] for record in records}
    assert len(newest) == opened
    assert {status: list(newest.values()).count(status) for status in incidents} == incidents
    (line,) = (line for line in run(*args).stdout.splitlines() if line.startswith("Incidents: "))
    assert line.split()[1] == str(opened)


# lines that cannot be used


BAD: dict[str, bytes] = {
    "no JSON": b"{",
    "binary": b"\x00\x01\x02",
    "no UTF-8": b'{"kind":"\xe4"}',
    "no object": b"[1]",
    "a number": b"7",
    "null": b"null",
    "two objects": b"{}{}",
    "a kind that is unknown": b'{"kind":"x","occurred_at":"2026-03-02T10:00:00Z"}',
    "no account": b'{"kind":"login","occurred_at":"2026-03-02T10:00:00Z"}',
    "a control of no topic": b'{"kind":"end","occurred_at":"2026-03-02T10:00:00Z"}',
    "a heartbeat without a time": (
        b'{"kind":"heartbeat","topic":"wallet.logins","occurred_at":"today"}'
    ),
    "too deep": b"[" * 1_000,
    "a name twice": lines_of([login("a", 0, 0)])[0][:-1] + b',"kind":"login"}',
    "a value that is not allowed": lines_of([BROKEN])[0],
    "no time": lines_of([login("a", 0, 0, occurred_at="yesterday")])[0],
    "a time before all others": lines_of([login("a", 0, 0, occurred_at="0001-01-01T00:00:00Z")])[0],
    "a version that is unknown": lines_of([login("a", 0, 0, schema_version=99)])[0],
    "a known id with other content": lines_of([login("bad", 3, 3_000, channel="web")])[0],
    "too large": lines_of([login("a", 0, 0, extra={"x": "secret" * 100_000})])[0],
}


@pytest.mark.parametrize("as_is", [(), ("--as-is",)], ids=["sorted", "as it came"])
@pytest.mark.parametrize("name", BAD)
def test_a_dead_letter_names_file_and_line(name: str, as_is: tuple[str, ...]) -> None:
    """Wherever in the file it is, and whatever is wrong: exit code 1, and never a value."""
    good = lines_of(EVENTS)
    write("good.ndjson", good)
    write("bad.ndjson", [b"", *good[:4], b" \t", BAD[name], *good[4:]])
    done = run("replay", "good.ndjson", "bad.ndjson", "--out", "found", *as_is)
    assert done.exit_code == 1
    ((where, partition, line),) = places("found")
    assert (where, partition, line) == ("bad.ndjson", "0", 7)
    (letter,) = written("found", "dead-letters.ndjson")
    whole = BAD[name].decode("utf-8", "replace")
    assert letter["value"] == (f"{whole[:1024]}..." if name == "too large" else whole)
    assert done.stderr.splitlines() == [
        "walletwatch: 1 record could not be used:",
        f"  bad.ndjson, line 7: {letter['dlq_error']} ({letter['dlq_reason']})",
        "All of them are in found/dead-letters.ndjson.",
    ]
    assert "secret" not in done.output
    assert "Incidents: 1 (1 resolved)" in done.stdout


SHAPES: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": lambda lines: b"\n".join(lines) + b"\n",
    "no end of the last line": b"\n".join,
    "CRLF": lambda lines: b"\r\n".join(lines) + b"\r\n",
    "a byte order mark": lambda lines: b"\xef\xbb\xbf" + b"\n".join(lines),
    "a byte order mark and CRLF": lambda lines: b"\xef\xbb\xbf" + b"\r\n".join(lines),
    "gzip": lambda lines: gzip.compress(b"\n".join(lines) + b"\n"),
    "two gzip members": lambda lines: (
        gzip.compress(b"\n".join(lines[:3]) + b"\n") + gzip.compress(b"\n".join(lines[3:]))
    ),
    "a byte order mark in gzip": lambda lines: gzip.compress(b"\xef\xbb\xbf" + b"\n".join(lines)),
    "spaces behind": b" \n".join,
    "tabs before": lambda lines: b"\t" + b"\n\t".join(lines),
}


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize("shape", SHAPES)
def test_lines_are_numbered_as_an_editor_does(shape: str, stdin: bool) -> None:
    """Empty ones count; neither mark nor ends of lines belong to a line."""
    good = lines_of(EVENTS)
    content = SHAPES[shape]([good[0], b"", b"{", *good[1:], b"{}", lines_of([BROKEN])[0]])
    Path("file").write_bytes(content)
    args = ("-",) if stdin else ("file",)
    done = run("replay", *args, "--out", "found", stdin=content if stdin else None)
    name = "stdin" if stdin else "file"
    assert done.exit_code == 1
    assert places("found") == [(name, "0", 3), (name, "0", 9), (name, "0", 10)]
    assert "Incidents: 1 (1 resolved)" in done.stdout


@pytest.mark.parametrize("partitions", ["1", "5"])
def test_sorting_on_disk_loses_no_number(partitions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one record in memory at a time."""
    monkeypatch.setattr(command, "Room", lambda directory: Room(1, 1, directory))
    bad = [login(f"a-{n}", 0, (50 - n) * MINUTE, outcome="secret") for n in range(50)]
    write("one.ndjson", lines_of(bad[:20]))
    write("two.gz", lines_of(bad[20:]))
    done = run("replay", "one.ndjson", "two.gz", "--out", "found", "--partitions", partitions)
    assert places("found") == [
        *(("one.ndjson", "0", n) for n in range(1, 21)),
        *(("two.gz", "0", n) for n in range(1, 31)),
    ]
    assert "walletwatch: 50 records could not be used:" in done.stderr
    assert done.stderr.count(", line ") == 10
    assert "  and 40 more\n" in done.stderr


def test_late_events_name_file_and_line() -> None:
    """They are no reason for another exit code: they have been used."""
    events = lines_of([LAST, *locked_out("late")])
    write("events.ndjson", events)
    done = run("replay", "events.ndjson", "--as-is", "--out", "found")
    assert done.exit_code == 0
    assert places("found", "late.ndjson") == [("events.ndjson", "0", n) for n in range(2, 7)]
    for letter in written("found", "late.ndjson"):
        assert letter["value"].encode() == events[int(letter["dlq_offset"]) - 1]
        assert "1970" not in json.dumps(letter)


def test_dead_letters_matter_beside_a_truth_that_holds(folder: Path) -> None:
    """And they are counted in JSON; the object stays alone on stdout."""
    write("events.ndjson", [b"{", *lines_of([login("a", 0, 0)])])
    Path("truth").touch()
    done = run("replay", "events.ndjson", "--truth", "truth", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["truth"]["right"]) == (1, True)
    assert found["dead_letters"] == {"not_json": 1}
    assert done.stderr.endswith("All of them are in dead-letters.ndjson of --out DIR.\n")


def test_a_rule_that_fails_is_reported_and_its_event_by_file_and_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other rules have judged the event; still, not all was done that was asked for."""

    def fail(*_: object) -> None:
        raise ValueError("secret")

    write("events.ndjson", [b"", *lines_of(EVENTS)])
    monkeypatch.setattr(CannotLogIn, "on_timer", fail)
    done = run("replay", "events.ndjson", "--out", "found")
    sentence = "failed {}: what it finds is incomplete. This is an error in it."
    assert done.exit_code == 1
    assert done.stderr == f"walletwatch: Rule cannot_log_in {sentence.format('2 times')}\n"
    monkeypatch.setattr(CannotLogIn, "on_login", fail)
    done = run("replay", "events.ndjson", "--out", "found")
    assert done.exit_code == 1
    assert done.stderr.endswith(f"Rule cannot_log_in {sentence.format('6 times')}\n")
    assert places("found") == [("events.ndjson", "0", n) for n in range(2, 8)]
    assert "secret" not in done.output
    write("events.ndjson", lines_of([LAST]))
    assert sentence.format("once") in run("replay", "events.ndjson").stderr


def test_a_file_that_breaks_off_and_bad_lines_are_both_reported() -> None:
    whole = gzip.compress(b"{\n" + b"".join(line + b"\n" for line in lines_of(EVENTS) * 50), 0)
    Path("cut.gz").write_bytes(whole[:-1_000])
    done = run("replay", "cut.gz")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[:2] == [
        f"walletwatch: {CUT}. The lines before that were replayed.",
        "1 record could not be used:",
    ]


# what to do with an alert


def commands(done: Result) -> list[list[str]]:
    """Return the commands that were printed, without their program."""
    found = (line.partition(": walletwatch ")[2] for line in done.stdout.splitlines())
    return [shlex.split(text) for text in found if text]


def explained(done: Result, stdin: bytes | None = None) -> int:
    """Run the commands that were printed; return how many there were."""
    assert done.exit_code in (0, 1)
    for words in commands(done):
        ended = run(*words, stdin=stdin)
        assert ended.exit_code == 0, f"{words}: {ended.output}"
        assert "unchanged, and the rule finds the same" in ended.output
    return len(commands(done))


@pytest.mark.parametrize("name", ["a.ndjson", "a b$'.ndjson", "-dash.ndjson", "été.gz", "x;y.gz"])
def test_the_command_that_explains_an_alert_works_as_printed(name: str) -> None:
    """Whatever the file is called."""
    write(name, lines_of(EVENTS))
    assert explained(run("replay", "--", name)) == 1


def test_it_replays_what_was_replayed_in_the_same_way() -> None:
    """All files, their order, the rules, the configuration, and what a file that broke off had."""
    Path("strict.toml").write_text("[rules.cannot_log_in]\nthreshold = 3\n")
    Path("my own.toml").write_text("[engine]\nmax_open_ms = 60000\n")
    events = lines_of([login("a", n, n * 1_000) for n in range(3)] + [LAST])
    write("one", [events[2], events[0]])
    write("two", [events[3], events[1]])
    done = run("replay", "two", "one", "--rules", "strict.toml", "--config", "my own.toml")
    assert explained(done) == 1
    assert commands(done)[0][2:] == [
        *("--from", "two", "--from", "one"),
        *("--rules", "strict.toml", "--config", "my own.toml"),
    ]
    assert explained(run("replay", "two", "one", "--rules", "strict.toml")) == 1
    assert explained(run("replay", "two", "one")) == 0


def test_it_keeps_the_order_of_arrival_where_that_was_kept() -> None:
    """Events that come late raise other alerts than in their order, or none."""
    ahead = [login("bad", n, n * 1_000) for n in (0, 1, 2)]
    write("events.ndjson", lines_of([*ahead, LAST, *locked_out("bad", 30 * MINUTE, 10)]))
    write("cured.ndjson", lines_of([*EVENTS, success("bad", 5 * MINUTE)]))
    assert commands(run("replay", "cured.ndjson")) == []
    assert explained(run("replay", "cured.ndjson", "--as-is")) == 1
    write("other.ndjson", lines_of([*EVENTS, *locked_out("b", 2 * HOUR), login("end", 9, DAY)]))
    for name in ("events.ndjson", "other.ndjson"):
        done = run("replay", name, "--as-is")
        assert all(words[-1] == "--as-is" for words in commands(done))
        explained(done)
    assert explained(run("replay", "other.ndjson", "--as-is")) == 2


def test_order_of_arrival_and_rules_are_of_files_only() -> None:
    """A log has been judged already."""
    for option in (("--as-is",), ("--rules", "x.toml")):
        done = run("explain", "abc", *option)
        assert done.exit_code == 2
        assert f"{option[0]} needs --from" in done.stderr


def test_of_a_file_that_broke_off_the_alerts_can_be_explained_too() -> None:
    """As far as it could be read; that it broke off is said again."""
    whole = gzip.compress(b"".join(line + b"\n" for line in lines_of(EVENTS + [LAST] * 50)), 0)
    Path("cut.gz").write_bytes(whole[:-1_000])
    done = run("replay", "cut.gz")
    assert (done.exit_code, explained(done)) == (1, 1)
    ended = run(*commands(done)[0])
    assert ended.stderr == f"{CUT}. The lines before that were replayed.\n"


def test_stdin_is_given_again() -> None:
    """It cannot be read twice; the output says so."""
    content = b"\n".join(lines_of(EVENTS))
    done = run("replay", "-", stdin=content)
    assert "  (- is read again: give it the same input)\n" in done.stdout
    assert explained(done, stdin=content) == 1


def test_the_worst_alerts_that_are_open_come_first_and_the_rest_are_counted() -> None:
    """Ten of them; --json has the same, with what a machine needs."""
    events = [e for n in range(12) for e in locked_out(f"a-{n:02}", n * 40 * MINUTE)]
    write("events.ndjson", lines_of([*events, login("end", 0, 11 * 40 * MINUTE + 15 * MINUTE)]))
    done = run("replay", "events.ndjson", "--out", "my found")
    assert explained(done) == 10
    assert "  and 2 more, in my found/alerts.ndjson\n" in done.stdout
    listed = json.loads(run("replay", "events.ndjson", "--json").stdout)["explain"]
    assert [shlex.split(item["command"])[1:] for item in listed] == commands(done)
    assert [item["kind"] for item in listed] == ["raised"] + ["expired"] * 9
    times = [item["at"] for item in listed]
    assert sorted(times) == [*times[1:], times[0]]
    alerts = {a["alert_id"] for a in written("my found", "alerts.ndjson")}
    assert {item["alert_id"] for item in listed} < alerts
    assert (len(alerts), listed[0]["rule"], listed[0]["severity"]) == (12, "cannot_log_in", "info")
    more = run("replay", "events.ndjson").stdout
    assert "  and 2 more, in alerts.ndjson of --out DIR\n" in more


def test_the_worst_come_first_even_if_they_came_later() -> None:
    write("events.ndjson", lines_of([*locked_out("a"), drifted(30 * MINUTE)]))
    listed = json.loads(run("replay", "events.ndjson", "--json").stdout)["explain"]
    assert [item["severity"] for item in listed] == ["error", "info"]


# files and folders


@pytest.mark.parametrize("name", ["gone.ndjson", "folder"])
def test_a_file_that_cannot_be_read_stops_it_before_anything_is_read(name: str) -> None:
    """Exit code 2, and no output."""
    Path("folder").mkdir()
    write("events.ndjson", lines_of(EVENTS))
    done = run("replay", "events.ndjson", name, "--out", "found")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"walletwatch: {name}: ")
    assert done.stderr.endswith(". Nothing was replayed.\n")
    assert not Path("found").exists()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_that_is_read_is_not_overwritten(name: str) -> None:
    """Also by another name."""
    write(name, lines_of(EVENTS))
    Path("link").symlink_to(name)
    before = Path(name).read_bytes()
    for source in (name, "link"):
        done = run("replay", source, "--out", ".")
        assert done.exit_code == 2
        assert f"{name}: is read, and --out would overwrite it." in done.stderr
    assert Path(name).read_bytes() == before


def test_an_output_that_exists_is_replaced_as_a_whole() -> None:
    """Nothing of a longer one is left, and no part file."""
    write("many.ndjson", [b"{"] * 100 + lines_of(EVENTS))
    write("few.ndjson", lines_of([LAST]))
    run("replay", "many.ndjson", "--out", "found")
    assert len(written("found", "dead-letters.ndjson")) == 100
    assert run("replay", "few.ndjson", "--out", "found").exit_code == 0
    assert all(written("found", name) == [] for name in OUTPUTS)
    assert sorted(path.name for path in Path("found").iterdir()) == sorted(OUTPUTS)


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read() -> None:
    Path("file").touch()
    done = run("replay", "-", "--out", "file", stdin=b"{")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "walletwatch: --out file: File exists.\n"


def test_an_output_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    write("events.ndjson", lines_of(EVENTS))
    run("replay", "events.ndjson", "--out", "found")
    before = written("found", "alerts.ndjson")

    def full(result: object, at: object, record: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_line", full)
    done = run("replay", "events.ndjson", "--out", "found")
    assert done.exit_code == 2
    assert done.stderr == "walletwatch: --out found: No space left on device.\n"
    assert written("found", "alerts.ndjson") == before != []
    assert sorted(path.name for path in Path("found").iterdir()) == sorted(OUTPUTS)


# as a process


def process(*args: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own."""
    line = [sys.executable, "-m", "walletwatch", *args]
    environment = os.environ | {"PYTHONPATH": str(Path(command.__file__).parents[2])}
    return subprocess.Popen(
        line,
        env=environment,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it makes one call of the system, and no lock
        **options,
    )


def test_ctrl_c_while_it_reads_ends_it_and_leaves_the_outputs() -> None:
    write("events.ndjson", lines_of(EVENTS))
    run("replay", "events.ndjson", "--out", "found")
    before = written("found", "alerts.ndjson")
    os.mkfifo("pipe")
    # Opening returns once the command has opened the other end: it reads.
    with (
        process("replay", "pipe", "--out", "found") as running,
        io.FileIO("pipe", "w") as pipe,
    ):
        pipe.write(b"{\n")
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Traceback" not in error
    assert written("found", "alerts.ndjson") == before != []


def test_a_reader_that_has_gone_ends_it_quietly() -> None:
    """As `| head` does; the outputs are whole."""
    write("events.ndjson", [b"{"] * 100 + lines_of(EVENTS))
    reading, writing = os.pipe()
    with process("replay", "events.ndjson", "--out", "found", stdout=writing) as running:
        os.close(writing)
        os.close(reading)
        _, error = running.communicate(timeout=60)
    assert running.returncode == 141
    assert error == b""
    assert len(written("found", "dead-letters.ndjson")) == 100
