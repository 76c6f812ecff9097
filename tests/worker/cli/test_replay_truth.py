"""`walletwatch replay --truth`, and how a replay goes about files: what is said, and exit codes."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.time import format_time
from tests.support.events.traffic import MINUTE, START
from worker.cli import replay as command
from worker.cli.app import app
from worker.run.spool import Room

RULE = "cannot_log_in"
GRACE = 10 * MINUTE


def logins(account: str, count: int, at: int = 0) -> list[dict[str, Any]]:
    """Return that many failed logins, a second apart."""
    return [
        {
            "kind": "login",
            "event_id": f"{account}-{n}",
            "account_id": account,
            "action": "login",
            "outcome": "failure",
            "reason": "bad_credentials",
            "occurred_at": format_time(START + at + n * 1_000),
        }
        for n in range(count)
    ]


def planted(account: str, expect: str, variant: str, count: int, **fields: Any) -> dict[str, Any]:
    """Return the truth about that many failed logins of an account."""
    anchor = START + 4_000
    must = {
        "severity": "info",
        "earliest_at": format_time(anchor + GRACE),
        "severity_at": format_time(anchor + GRACE),
    }
    return {
        "expect": expect,
        "rule": RULE,
        "variant": variant,
        "account_id": account,
        "event_ids": [f"{account}-{n}" for n in range(count)],
        "at": format_time(anchor),
        **(must if expect == "alert" else {}),
        **fields,
    }


class Files:
    """Events and a truth in a directory, and the command that compares them."""

    def __init__(self, directory: Path) -> None:
        self.events = directory / "events.ndjson"
        self.truth = directory / "the truth.ndjson"
        self.write(
            self.events, [*logins("good", 4), *logins("bad", 5), *logins("end", 1, 3600_000)]
        )

    def write(self, path: Path, records: list[dict[str, Any]]) -> None:
        """Write records as lines."""
        path.write_text("".join(json.dumps(record) + "\n" for record in records))

    def judged(self, *truth: dict[str, Any]) -> tuple[int, str]:
        """Return exit code and output of a replay against this truth."""
        self.write(self.truth, list(truth))
        return self.run("--truth", str(self.truth))

    def run(self, *args: str) -> tuple[int, str]:
        """Return exit code and output of a replay."""
        done = CliRunner().invoke(app, ["replay", str(self.events), *args])
        return done.exit_code, done.output


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Four failed logins of one account, five of another."""
    return Files(tmp_path)


TRAP = planted("good", "silent", "typing_errors", 4)
LOCKED_OUT = planted("bad", "alert", "forgotten", 5)


def test_what_is_all_right_exits_0(files: Files) -> None:
    code, output = files.judged(TRAP, LOCKED_OUT)
    assert "All of it is right." in output
    assert "(10.0% of 10 events are background" in output
    assert code == 0


@pytest.mark.parametrize(
    ("truth", "problem", "explained"),
    [
        ([TRAP], "false: cannot_log_in, background", None),
        ([planted("bad", "silent", "trap", 5)], "false: cannot_log_in, trap", None),
        ([LOCKED_OUT, planted("good", "alert", "v", 4)], "missed: cannot_log_in, v", "good-3"),
        (
            [LOCKED_OUT | {"severity": "warning"}],
            "wrong severity: cannot_log_in, forgotten",
            None,
        ),
        (
            [LOCKED_OUT | {"earliest_at": format_time(START + 4_001 + GRACE)}],
            "too early: cannot_log_in, forgotten",
            None,
        ),
        (
            [LOCKED_OUT | {"earliest_at": format_time(START + 4_000 + GRACE - 6_001)}],
            "too late: cannot_log_in, forgotten",
            None,
        ),
        (
            [LOCKED_OUT | {"cured_at": format_time(START + 3_600_000)}],
            "not cured: cannot_log_in, forgotten",
            None,
        ),
    ],
)
def test_what_is_not_right_is_listed_with_its_command_and_exits_1(
    truth: list[dict[str, Any]], problem: str, explained: str | None, files: Files
) -> None:
    code, output = files.judged(*truth)
    assert code == 1
    lines = output.splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.startswith(f"  {problem}, at 2026-"))
    words = lines[place + 1].split()
    assert words[:2] == ["walletwatch", "explain"]
    assert words[3:] == ["--from", str(files.events)]
    assert words[2] == explained if explained else len(words[2]) == 32


def test_max_delay_is_how_late_an_alert_may_be(files: Files) -> None:
    early = LOCKED_OUT | {"earliest_at": format_time(START + 4_000 + GRACE - 6_001)}
    files.write(files.truth, [TRAP, early])
    assert files.run("--truth", str(files.truth), "--max-delay", "6001")[0] == 0
    assert files.run("--truth", str(files.truth), "--max-delay", "6000")[0] == 1


def test_json_has_everything_as_one_object(files: Files) -> None:
    """The score is beside the summary, under `truth`."""
    files.write(files.truth, [planted("good", "alert", "v", 4), planted("bad", "silent", "w", 5)])
    code, output = files.run("--truth", str(files.truth), "--json")
    found = json.loads(output)
    assert code == 1
    assert found["alerts"][RULE]["raised"] == {"info": 1}
    truth = found["truth"]
    assert truth["right"] is False
    assert truth["events"] == {"total": 10, "background": 1, "background_share": 0.1}
    assert [(p["problem"], p["variant"]) for p in truth["problems"]] == [
        ("missed", "v"),
        ("false", "w"),
    ]
    assert truth["rules"][RULE]["variants"]["w"]["false"] == 1
    assert (truth["total"]["precision"], truth["total"]["recall"]) == (0, 0)


def test_only_the_first_problems_are_shown(files: Files) -> None:
    """And how many more there are."""
    many = [planted("good", "alert", f"v-{n:02}", 4) for n in range(25)]
    code, output = files.judged(LOCKED_OUT, *many)
    assert (code, output.count("walletwatch explain ")) == (1, 20)
    assert output.endswith("  and 5 more (--json lists them)\n")


def test_without_a_truth_nothing_is_judged(files: Files) -> None:
    code, output = files.run("--json")
    assert code == 0
    assert "truth" not in json.loads(output)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "line 1: record: not JSON that can be read: EOF while parsing"),
        (b"\nsecret", "line 2: record: not JSON that can be read: expected value"),
        (json.dumps(LOCKED_OUT | {"rule": "secret"}).encode(), "line 1: rule: unknown; the rules"),
    ],
)
def test_a_truth_that_cannot_be_used_is_told_with_the_line(
    content: bytes, sentence: str, files: Files
) -> None:
    files.truth.write_bytes(content)
    code, output = files.run("--truth", str(files.truth))
    assert code == 2
    assert f"{files.truth}, {sentence}" in output
    assert "secret" not in output


def test_a_truth_that_is_not_there_is_told(files: Files) -> None:
    code, output = files.run("--truth", str(files.truth))
    assert (code, output) == (2, f"walletwatch: {files.truth}: No such file or directory\n")


def test_files_that_need_the_disk_give_the_same_and_leave_nothing(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the directory that --tmp-dir names."""
    made = []
    make = tempfile.TemporaryFile

    def watched(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs["dir"])
        return make(*args, **kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    monkeypatch.setattr(command, "Room", lambda directory: Room(1, 1, directory))
    space = tmp_path / "space"
    space.mkdir()
    files.write(files.truth, [TRAP, LOCKED_OUT])
    code, output = files.run("--truth", str(files.truth), "--tmp-dir", str(space))
    assert (code, made, list(space.iterdir())) == (0, [space], [])
    assert "All of it is right." in output
    assert files.run("--tmp-dir", str(tmp_path / "nowhere"))[0] == 2
