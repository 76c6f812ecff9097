"""The command: where events, rejects and the summary go, exit codes, and the shipped examples."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from worker.cli.convert import convert
from worker.errors import CheckFailed, ConfigError, UsageError

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
PAYSIM = "paysim/paysim_sample.csv.gz"

MAPPING = """
[input]
format = "csv"

[[skip]]
column = "state"
equals = "draft"

[[event]]
kind = "login"

[event.fields]
event_id = "id"
account_id = "wallet"
action = { constant = "login" }
outcome = { column = "state", map = { ok = "success", bad = "failure" } }
occurred_at = "at"
"""
GOOD = "1,w,2024-01-01T00:00:00Z,ok"
HEADER = "id,wallet,at,state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with map.toml."""
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path


def run(folder: Path, *rows: str, as_json: bool = False, rejects: bool = False) -> None:
    (folder / "in.csv").write_text("\n".join((HEADER, *rows)))
    convert(
        source=str(folder / "in.csv"),
        mapping=folder / "map.toml",
        output=str(folder / "out.ndjson"),
        rejects=str(folder / "rejects.ndjson") if rejects else None,
        as_json=as_json,
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_all_rows_converted_or_skipped_is_success(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Events are in the file, the summary is on stderr, stdout stays empty."""
    run(folder, GOOD, "2,w,2024-01-01T00:00:00Z,draft")
    assert [event["event_id"] for event in lines_of(folder / "out.ndjson")] == ["1"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "2 rows: 1 converted, 1 skipped, 0 rejected; events: 1 login\n"


def test_rejects_are_explained_on_stderr(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The first five, with line and reason but no values; exit code 1; the others are there."""
    bad = [f"{number},w,secret,ok" for number in range(7)]
    with pytest.raises(CheckFailed, match=r"7 of 8 rows of .*in\.csv were rejected") as caught:
        run(folder, *bad, GOOD)
    assert caught.value.exit_code == 1
    assert len(lines_of(folder / "out.ndjson")) == 1
    err = capfd.readouterr().err
    assert err.count("occurred_at: column 'at' is no RFC 3339 time, such as") == 5
    assert err.startswith("line 2: occurred_at: ")
    assert "secret" not in err
    assert "--rejects FILE" in err


def test_rejects_go_to_their_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line of JSON each, with line number and reason."""
    with pytest.raises(CheckFailed):
        run(folder, "secret", GOOD, "3,w,2024-01-01T00:00:00Z,secret", rejects=True)
    assert lines_of(folder / "rejects.ndjson") == [
        {"line": 2, "reason": "has 1 cells where there are 4 columns"},
        {
            "line": 4,
            "reason": "outcome: column 'state' holds what the map does not list;"
            " add it there, or give a default",
        },
    ]
    assert "line 2" not in capfd.readouterr().err


def test_the_summary_for_machines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One JSON object on stdout, since the events go to a file."""
    run(folder, GOOD, as_json=True)
    out, err = capfd.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "rows": 1,
        "converted": 1,
        "skipped": 0,
        "rejected": 0,
        "unmatched": 0,
        "repeated_local_times": 0,
        "mended": {},
        "complete": True,
        "events": {"login": 1},
    }


def test_local_times_that_come_twice_are_counted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And the summary says how they were read; nothing is said where there are none."""
    time = '[time]\nformat = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"\n'
    rows = [f"{day},w,{day}.10.2025 02:30,ok" for day in (25, 26, 27)]
    (folder / "map.toml").write_text(time + MAPPING)
    run(folder, *rows)
    said = " a local time that comes twice when the clocks are put back; it was read by fold = "
    assert f'1 row has{said}"first"\n' in capfd.readouterr().err
    (folder / "map.toml").write_text(f'{time}fold = "file_order"\n{MAPPING}')
    run(folder, *rows, rows[1])
    assert f'2 rows have{said}"file_order"\n' in capfd.readouterr().err
    run(folder, *rows, as_json=True)
    assert json.loads(capfd.readouterr().out)["repeated_local_times"] == 1
    run(folder, rows[0])
    assert "twice" not in capfd.readouterr().err


def test_an_input_that_breaks_off_is_told_after_the_summary(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What could be read has been converted; exit code 1."""
    rows = "\n".join(f"{number},{number**7},2024-01-01T00:00:00Z,ok" for number in range(9000))
    packed = gzip.compress(f"{HEADER}\n{rows}".encode())
    (folder / "in.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(CheckFailed, match="breaks off after line"):
        convert(str(folder / "in.gz"), folder / "map.toml", str(folder / "out.ndjson"), None, True)
    summary = json.loads(capfd.readouterr().out)
    assert summary["complete"] is False
    assert summary["converted"] == len(lines_of(folder / "out.ndjson")) > 1000


def test_a_wrong_mapping_leaves_an_earlier_output_alone(folder: Path) -> None:
    """Nothing is opened for writing before mapping and header are known to be right."""
    (folder / "out.ndjson").write_text("kept")
    (folder / "map.toml").write_text(MAPPING.replace('"wallet"', '"walet"'))
    with pytest.raises(ConfigError, match="did you mean 'wallet'"):
        run(folder, GOOD)
    assert (folder / "out.ndjson").read_text() == "kept"


def test_no_file_is_used_twice(folder: Path) -> None:
    """Writing the events over the input would destroy it."""
    (folder / "in.csv").write_text(HEADER)
    same = str(folder / "in.csv")
    for output, rejects in ((f"{folder}/./in.csv", None), ("-", "-"), ("-", same)):
        with pytest.raises(UsageError, match="must be four files"):
            convert(same, folder / "map.toml", output, rejects, False)
    assert (folder / "in.csv").read_text() == HEADER


def test_an_output_that_cannot_be_written(folder: Path) -> None:
    """A missing folder is a wrong argument; a full disk means that input was not processed."""
    (folder / "in.csv").write_text(f"{HEADER}\n{GOOD}\n")
    source, mapping = str(folder / "in.csv"), folder / "map.toml"
    with pytest.raises(UsageError, match="No such file"):
        convert(source, mapping, str(folder / "none" / "out"), None, False)
    if Path("/dev/full").exists():
        with pytest.raises(CheckFailed, match="writing failed: No space left"):
            convert(source, mapping, "/dev/full", None, False)


MAIN = """
import sys, typer
from worker.cli.convert import convert
from worker.errors import WalletwatchError
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(convert)
try:
    app()
except WalletwatchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


# Without a buffer, nothing is left over that could fail at exit.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


def command(folder: Path, stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, "-", "--mapping", str(folder / "map.toml"), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )


def test_a_pipe_of_gzip_in_and_events_out(folder: Path) -> None:
    """Events alone on stdout; the summary, also as JSON, on stderr."""
    done = command(folder, gzip.compress(f"{HEADER}\n{GOOD}\n".encode()), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["account_id"] == "w"
    assert json.loads(done.stderr)["converted"] == 1


@pytest.mark.parametrize(
    "stdin", [b"", b"\0\1\2\xff", b"\x1f\x8b\x08", b"\xff" * 1_000_000, b'"' * 5000, b"{}\n"]
)
def test_junk_is_one_sentence_and_no_traceback(folder: Path, stdin: bytes) -> None:
    """Whatever comes in."""
    done = command(folder, stdin)
    assert done.returncode in (1, 78)
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly(folder: Path) -> None:
    """`walletwatch convert ... | head -1` ends with one sentence."""
    rows = "\n".join(GOOD for _ in range(20_000))
    (folder / "in.csv").write_text(f"{HEADER}\n{rows}\n")
    arguments = [str(folder / "in.csv"), "--mapping", str(folder / "map.toml")]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert b"the output was closed before everything was written" in err
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err


def test_the_help_has_an_example() -> None:
    """And every option is described."""
    app = typer.Typer()
    app.command()(convert)
    text = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert "Example: walletwatch convert --mapping" in text
    assert "Where line and reason of bad rows" in text


@pytest.mark.parametrize(
    ("example", "source", "summary"),
    [
        (
            "csv-ledger",
            "ledger.csv",
            {"rows": 9, "converted": 8, "skipped": 1, "events": {"transaction": 8, "balance": 8}},
        ),
        (
            "ndjson-gateway",
            "gateway.ndjson",
            {"rows": 10, "converted": 8, "skipped": 2, "events": {"login": 3, "transaction": 5}},
        ),
    ],
)
def test_the_examples_convert_without_rejects(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], example: str, source: str, summary: Any
) -> None:
    """As their README describes, with ids that are unique per topic."""
    folder = EXAMPLES / example
    out = tmp_path / "out.ndjson"
    convert(str(folder / source), folder / "mapping.toml", str(out), None, True)
    assert json.loads(capfd.readouterr().out) == summary | {
        "rejected": 0,
        "unmatched": 0,
        "repeated_local_times": 0,
        "mended": {},
        "complete": True,
    }
    ids = [(event["kind"], event["account_id"], event["event_id"]) for event in lines_of(out)]
    assert len(set(ids)) == len(ids)


def test_the_ledger_example_breaks_where_its_readme_says(tmp_path: Path) -> None:
    """Only the last row is off, by 0.01; corrections carry their sign; times are in UTC."""
    out, folder = tmp_path / "out.ndjson", EXAMPLES / "csv-ledger"
    convert(str(folder / "ledger.csv"), folder / "mapping.toml", str(out), None, True)
    rows = [event for event in lines_of(out) if event["kind"] == "transaction"]
    credit_types = ("topup", "adjustment")
    drift = {}
    for row in rows:
        moved = Decimal(row["amount"]) if row["type"] in credit_types else -Decimal(row["amount"])
        moved -= Decimal(row.get("fee", "0"))
        gap = Decimal(row["balance_after"]) - Decimal(row["balance_before"]) - moved
        drift[row["event_id"]] = gap
    assert {name: gap for name, gap in drift.items() if gap} == {"B-1009": Decimal("0.01")}
    assert [row["amount"] for row in rows if row["type"] == "adjustment"] == ["-7.50", "0.50"]
    assert [row["occurred_at"] for row in rows[2:4]] == [
        "2026-03-29T00:59:59.000Z",
        "2026-03-29T01:00:00.000Z",
    ]


@pytest.fixture(scope="module")
def paysim(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The events of the whole PaySim sample."""
    out = tmp_path_factory.mktemp("paysim") / "out.ndjson"
    convert(str(data / PAYSIM), EXAMPLES / "paysim" / "mapping.toml", str(out), None, True)
    return lines_of(out)


@pytest.mark.needs_data(PAYSIM)
def test_paysim_converts_without_rejects(paysim: list[dict[str, Any]]) -> None:
    """Every row is one completed transaction with an id of its own and text amounts."""
    assert len(paysim) == 51_392
    assert len({event["event_id"] for event in paysim}) == 51_392
    assert {event["status"] for event in paysim} == {"completed"}
    assert Counter(event["type"] for event in paysim) == {
        "withdrawal": 18_504 + 327,
        "payment": 17_112,
        "topup": 10_650,
        "transfer_out": 4_799,
    }
    assert all(
        type(event[name]) is str
        for event in paysim
        for name in ("amount", "balance_before", "balance_after")
    )
    assert min(event["occurred_at"] for event in paysim) == "2024-01-01T01:00:00.000Z"


@pytest.mark.needs_data(PAYSIM)
def test_paysim_is_off_as_often_as_exact_decimals_say(paysim: list[dict[str, Any]]) -> None:
    """30,776 rows by 0.01 or more, 27,751 by more."""
    off = []
    for event in paysim:
        amount = Decimal(event["amount"])
        moved = amount if event["type"] == "topup" else -amount
        off.append(abs(Decimal(event["balance_before"]) + moved - Decimal(event["balance_after"])))
    cent = Decimal("0.01")
    assert sum(gap >= cent for gap in off) == 30_776
    assert sum(gap > cent for gap in off) == 27_751
    assert sum(0 < gap < cent for gap in off) == 0
