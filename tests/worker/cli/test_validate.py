"""`walletwatch validate`: what it prints, its exit codes, and how little it keeps in memory."""

import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner, Result

from schemas.base import Network
from schemas.examples import EXAMPLES
from schemas.transaction import TransactionStatus
from tests.support.events.mutations import compact, full_login, full_transaction, mutants
from worker.cli.app import app
from worker.codec.lines import read_lines

GOOD = [compact(dict(EXAMPLES[kind])) for kind in ("transaction", "login", "balance", "end")]
STATUSES = ", ".join(get_args(TransactionStatus))
NETWORKS = ", ".join(get_args(Network))
SECRET = "zq9-marked-zq9"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["validate", *arguments], input=stdin)


def written(name: str, *lines: bytes) -> str:
    """Write a file of lines and return its name."""
    Path(name).write_bytes(b"\n".join(lines) + b"\n")
    return name


def test_good_events_give_no_line_and_0() -> None:
    result = run(written("good.ndjson", *GOOD))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "4 lines, 0 bad.\n"


def test_each_bad_line_is_named_with_its_field_and_what_is_allowed() -> None:
    name = written(
        "events.ndjson",
        GOOD[0],
        compact(full_transaction(status="done", amount=12.5)),
        b"",
        compact(full_transaction(event_id="e2", amount="1.005")),
        b'{"a":}',
        GOOD[0],
        compact(full_login(network="5g")),
    )
    result = run(name)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"events.ndjson:2: status: not one of {STATUSES} (schema)",
        "events.ndjson:2: amount: must be a string holding a decimal number (schema)",
        "events.ndjson:4: amount: more decimals than EUR has (2) (amount)",
        "events.ndjson:5: record: not JSON at character 5: Expecting value (not_json)",
    ]
    assert result.stderr.splitlines() == [
        "6 lines, 3 bad.",
        "           1  delivered again: recognised by their ids",
        f"           1  login: network would be dropped: not one of {NETWORKS}",
    ]


def test_json_is_one_object_a_line_and_a_summary() -> None:
    name = written("events.ndjson", *GOOD, compact(full_login(outcome="so so", hat=1)))
    strict = written("more.ndjson", compact(full_login(user_agent="x" * 300, hat=1)))
    result = run(name, strict, "--json", "--strict")
    assert result.exit_code == 1
    one, two, summary = map(json.loads, result.stdout.splitlines())
    assert one == {
        "file": "events.ndjson",
        "line": 5,
        "reason": "schema",
        "problems": [{"where": "outcome", "what": "not one of success, failure"}],
    }
    what = "must not have more than 256 characters"
    assert two == {
        "file": "more.ndjson",
        "line": 1,
        "reason": "mended",
        "problems": [{"where": "user_agent", "what": f"{what}: would be cut"}],
    }
    mended = {"kind": "login", "field": "user_agent", "how": "cut", "what": what, "count": 1}
    assert summary == {
        "summary": {
            "lines": 6,
            "bad": 2,
            "redelivered": 0,
            "unknown_fields": 1,
            "mended": [mended],
        }
    }


def test_what_would_be_mended_is_bad_only_if_asked_for() -> None:
    name = written("events.ndjson", compact(full_login(network="5g")))
    assert run(name).exit_code == 0
    assert run(name, "--json").exit_code == 0
    result = run(name, "--strict")
    assert result.exit_code == 1
    assert result.stdout.startswith("events.ndjson:1: network: not one of residential, ")
    assert result.stdout.endswith(" would be dropped (mended)\n")


def test_records_of_a_topic_need_no_kind() -> None:
    """Those of another kind do not belong there."""
    bare = {name: value for name, value in EXAMPLES["login"].items() if name != "kind"}
    heartbeat = b'{"kind":"heartbeat","occurred_at":"2026-03-02T10:00:00Z"}'
    name = written("logins.ndjson", compact(bare), GOOD[1], heartbeat, GOOD[0])
    result = run(name, "--topic", "wallet.logins")
    assert result.exit_code == 1
    shown = {line.partition(": ")[0] for line in result.stdout.splitlines()}
    assert shown == {"logins.ndjson:4"}
    assert "logins.ndjson:4: kind: must be login (schema)" in result.stdout
    assert "1  delivered again" in result.stderr
    assert "logins.ndjson:1: kind: required (schema)" in run(name).stdout
    for wrong in ("wallet.alerts", "logins"):
        assert run(name, "--topic", wrong).exit_code == 2


@pytest.mark.parametrize("zipped", [False, True])
def test_stdin_is_read_too(zipped: bool) -> None:
    text = b"\n".join([*GOOD, b"[]"])
    result = run("-", stdin=gzip.compress(text) if zipped else text)
    assert result.exit_code == 1
    assert result.stdout == "stdin:5: record: must be an object (schema)\n"


def test_the_configuration_counts() -> None:
    event = written("events.ndjson", compact(full_transaction(currency="GEM")))
    assert run(event).exit_code == 1
    Path("gems.toml").write_text("currencies.GEM = 2\n")
    assert run(event, "--config", "gems.toml").exit_code == 0
    Path("wrong.toml").write_text("currencies.GEM = 99\n")
    assert run(event, "--config", "wrong.toml").exit_code == 78


def test_what_cannot_be_read_is_told() -> None:
    """A file that is cut is checked up to there."""
    assert run("nowhere.ndjson").exit_code == 2
    text = b"\n".join([*GOOD, compact(full_login(outcome="so so"))] * 500)
    Path("cut.gz").write_bytes(gzip.compress(text)[:-500])
    result = run("cut.gz", written("good.ndjson", *GOOD))
    assert result.exit_code == 1
    assert result.stdout.startswith("cut.gz:5: outcome: not one of success, failure (schema)\n")
    assert "cut.gz: the gzip data is cut short or damaged. The lines before" in result.stderr


def test_names_of_files_do_no_harm_to_a_terminal() -> None:
    result = run(written("\x1b[31m.ndjson", b"[]"))
    assert result.stdout == "\\x1b[31m.ndjson:1: record: must be an object (schema)\n"


# -- lines of any length ------------------------------------------------------------------


class Long(io.RawIOBase):
    """A line of that many bytes, which is never in memory as a whole, and a good one."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._parts = self._content(size)

    def _content(self, size: int) -> Iterator[bytes]:
        yield from (b" " * 8192 for _ in range(size // 8192))
        yield b"x\n" + GOOD[0]

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, into: Any) -> int:
        """Give the next part."""
        part = next(self._parts, b"")
        into[: len(part)] = part
        return len(part)


def test_a_line_of_any_length_is_too_large_and_takes_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """100 MB here, and what comes behind it is checked."""
    stream = io.BufferedReader(Long(100_000_000), 8192)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    tracemalloc.start()
    lines = [(number, len(line)) for number, line in read_lines("-", 262_144)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (first, size), second = lines
    assert (first, second) == (1, (2, len(GOOD[0])))
    assert 262_144 < size < 300_000
    assert peak < 2_000_000


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("more", [-6, -5, -1, 0, 1, 2, 3, 4, 5, 6, 7, 50, 1000])
@pytest.mark.parametrize("filler", [b" ", b"\r", b"x"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_limit_changes_no_line_within_it(
    end: bytes, more: int, filler: bytes, mark: bytes
) -> None:
    """One that is longer is still longer; lines behind it keep their numbers."""
    most = len(GOOD[0])
    content = GOOD[0] + filler * more + b"." if more >= 0 else GOOD[0][:more]
    name = "lines"
    Path(name).write_bytes(mark + content + end + (b"next" if end else b""))
    plain, limited = list(read_lines(name, 1 << 20)), list(read_lines(name, most))
    assert len(plain) == len(limited)
    for (number, whole), (same, part) in zip(plain, limited, strict=True):
        assert number == same
        if len(whole) <= most:
            assert part == whole
        else:
            assert most < len(part) <= most + 8


# -- nothing but sentences ----------------------------------------------------------------


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "count", [2_000, pytest.param(10_000, id="large", marks=pytest.mark.bench)]
)
def test_mutants_give_sentences_and_no_value(count: int) -> None:
    lines = [raw.replace(b"\n", b" ") for _, _, raw in mutants(count, seed=11)]
    result = run(written("mutants.ndjson", *lines))
    assert result.exit_code == 1
    shown = result.stdout.splitlines()
    assert len(shown) > count * 3 // 10
    for line in shown:
        file, number, where, what = line.split(":", 3)
        assert (file, number.isdigit(), bool(what.strip())) == ("mutants.ndjson", True, True)
        assert where.strip().replace("_", "").replace(".", "").isalpha()
    for value in ("mutant-", "acme-pay", "s-4711", "2001:db8", "phone-1", "north", "Traceback"):
        assert value not in result.output


def test_no_secret_of_an_event_is_printed() -> None:
    lines = []
    for name in full_login():
        for bad in (SECRET, f"{SECRET} {SECRET}", [SECRET], {SECRET: SECRET}, SECRET * 30):
            lines += [compact(full_login() | {name: bad}), compact({SECRET: 1, name: bad})]
    result = run(written("events.ndjson", *lines), "--strict", "--json")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) > 100
    assert SECRET not in result.output
