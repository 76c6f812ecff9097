"""`alerts list`: what is listed, in which order, and what each option lets through."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rules.registry import ALL
from schemas.time import parse_time
from schemas.topics import ALERTS, ALERTS_SHADOW
from worker.cli import alerts as command
from worker.cli.app import app
from worker.cli.filters import rule_ids, time_of
from worker.engine.records import NewRecord
from worker.errors import UsageError
from worker.run.open_log import open_log

URL = "sqlite:///log.db"
NOW = parse_time("2026-03-09T12:00:00Z")

run = CliRunner().invoke


def step(alert_id: str, sequence: int = 1, kind: str = "raised", **fields: Any) -> NewRecord:
    """Return one record of an alert, a minute after the one before."""
    topic = ALERTS_SHADOW if fields.get("mode") == "shadow" else ALERTS
    record = {
        "alert_id": alert_id,
        "kind": kind,
        "sequence": sequence,
        "rule": "cannot_log_in",
        "severity": "warning",
        "title": f"Title of {alert_id}",
        "detected_at": f"2026-03-09T10:{sequence:02}:00.000Z",
        "account_id": "acc-1",
        "facts": [{"name": "quoted", "value": 1}],
    } | fields
    return NewRecord(topic, b"auth", json.dumps(record).encode(), partition=0)


RECORDS = [
    step("a1"),
    step("a2", rule="account_lockout", severity="error", provider="acme", account_id="acc-2"),
    step("a1", 2, "updated", severity="error"),
    step("a3", detected_at="2026-03-09T10:00:59.999Z", rule="outside", provider="Acme"),
    step("a3", 2, "cured", severity="info", rule="outside", provider="Acme"),
    step("a4", detected_at="2026-03-09T10:01:00.001Z", rule="pipeline_silent", account_id=None),
    step("a5", 3, "expired", provider="acme"),
    step("s1", mode="shadow", severity="info"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that holds alerts, made once: making one takes longer than a command."""
    path = tmp_path_factory.mktemp("filled") / "log.db"
    log = open_log(f"sqlite:///{path}")
    log.append(RECORDS)
    log.close()
    return path


@pytest.fixture(autouse=True)
def folder(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a copy of the log, and a clock that does not move."""
    shutil.copy(filled, tmp_path / "log.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)
    monkeypatch.setattr(command, "wall_clock", lambda: NOW)


def append(*records: NewRecord) -> None:
    """Append to the log."""
    log = open_log(URL)
    log.append(records)
    log.close()


def listed(*words: str) -> list[str]:
    """Return the ids that `alerts list --json` prints."""
    ended = run(app, ["alerts", "list", "--json", *words])
    assert ended.exit_code == 0, ended.stderr
    return [json.loads(line)["alert_id"] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", ["a5", "a4", "a1", "a2", "a3"]),
        ("--open", ["a4", "a1", "a2"]),
        ("--shadow", ["s1"]),
        ("--rule A5", ["a5", "a1"]),
        ("--rule a5", ["a5", "a1"]),
        ("--rule cannot_log_in", ["a5", "a1"]),
        ("--rule outside", ["a3"]),
        ("--rule pipeline_silent", ["a4"]),
        ("--rule A4 --rule outside", ["a2", "a3"]),
        ("--rule A1", []),
        ("--severity error", ["a1", "a2"]),
        ("--severity info", ["a3"]),
        ("--severity info --severity error", ["a1", "a2", "a3"]),
        ("--severity critical", []),
        ("--provider acme", ["a5", "a2"]),
        ("--provider Acme", ["a3"]),
        ("--provider acme --provider Acme", ["a5", "a2", "a3"]),
        ("--provider ac", []),
        ("--account acc-1", ["a5", "a1", "a3"]),
        ("--account acc-2", ["a2"]),
        ("--account acc", []),
        ("--since 2026-03-09T10:01:00Z", ["a5", "a4", "a1", "a2"]),
        ("--since 2026-03-09T10:01:00.001Z", ["a5", "a4"]),
        ("--since 2026-03-09T10:03:00.001Z", []),
        ("--since 119min", ["a5", "a4", "a1", "a2"]),
        ("--since 7140s", ["a5", "a4", "a1", "a2"]),
        ("--since 7139s", ["a5"]),
        ("--since 1h", []),
        ("--since 2h", ["a5", "a4", "a1", "a2", "a3"]),
        ("--since 0d", []),
        ("--since 2026-03-09", ["a5", "a4", "a1", "a2", "a3"]),
        ("--since 2026-03-10", []),
        ("--open --provider acme --severity error --rule A4 --since 1d --account acc-2", ["a2"]),
        ("--open --provider acme --severity error --rule A5", []),
    ],
)
def test_list_chooses(words: str, ids: list[str]) -> None:
    """Those found last first; by the severity of now, and by the time at which it was raised."""
    assert listed(*words.split()) == ids


def test_list_takes_the_records_of_an_alert_in_any_order() -> None:
    """Its first record says when it was found, its newest what has become of it."""
    append(step("b1", 3, "cured"), step("b1", 2, "updated"), step("b1", 1, "raised"))
    row = next(line for line in run(app, ["alerts", "list"]).stdout.splitlines() if "b1" in line)
    assert row.split()[:5] == [
        "b1", "cannot_log_in", "warning", "cured", "2026-03-09T10:01:00.000Z",
    ]  # fmt: skip


def test_list_is_a_table_for_people() -> None:
    """With the state, the account and the title of each; and prints a sentence instead of none."""
    lines = run(app, ["alerts", "list"]).stdout.splitlines()
    assert lines[0].split() == [
        "alert", "rule", "severity", "state", "found", "at", "account", "title",
    ]  # fmt: skip
    rows = {line.split()[0]: line.split()[2:] for line in lines[1:]}
    at = "2026-03-09T10:01:00.000Z"
    assert rows["a1"] == ["error", "open", at, "acc-1", "Title", "of", "a1"]
    assert rows["a3"][:2] == ["info", "cured"]
    assert rows["a4"][3] == "-"
    none = run(app, ["alerts", "list", "--provider", "other"])
    assert (none.exit_code, none.stdout) == (0, "There is no such alert.\n")
    open_log("sqlite:///empty.db").close()
    none = run(app, ["alerts", "list", "--log", "sqlite:///empty.db"])
    assert (none.exit_code, none.stdout) == (0, "There is no alert.\n")
    assert run(app, ["alerts", "list", "--log", "sqlite:///no.db"]).exit_code == 2


def test_list_prints_the_newest_record_as_it_was_published() -> None:
    """With --json: with all of its fields."""
    lines = run(app, ["alerts", "list", "--json", "--rule", "outside"]).stdout.splitlines()
    assert json.loads(lines[0]) == json.loads(RECORDS[4].value or b"")


@pytest.mark.parametrize(
    "value", [b"{}", b"[]", b"hunter2", b"\xff", b"", b'{"alert_id": "hunter2"}', None]
)
def test_a_record_that_is_no_alert_is_named_by_its_address(value: bytes | None) -> None:
    """Without what is in it."""
    append(NewRecord(ALERTS, b"auth", value, partition=2))
    ended = run(app, ["alerts", "list"])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "wallet.alerts, partition 2, offset 0: the record is not an alert" in ended.stderr
    assert "hunter2" not in ended.output


# -- the options --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-09T12:00:00Z", NOW),
        ("2026-03-09T13:00:00+01:00", NOW),
        ("2026-03-09T12:00:00.001Z", NOW + 1),
        ("2026-03-09", NOW - 12 * 3_600_000),
        ("0s", NOW),
        ("1s", NOW - 1_000),
        ("90min", NOW - 90 * 60_000),
        ("24h", NOW - 24 * 3_600_000),
        ("7d", NOW - 7 * 24 * 3_600_000),
        ("999999d", NOW - 999_999 * 24 * 3_600_000),
    ],
)
def test_since_is_a_time_a_day_or_a_span(text: str, at: int) -> None:
    """A day begins at midnight UTC; a span ends now."""
    assert time_of(text, NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "now", "yesterday", "24", "h", "24 h", "24H", "-1h", "+1h", "1.5h", "1m", "1w",
        "1000000d", "\u0661d", "24h ", "24h\n", "2026-03", "2026-02-30", "2026-13-01",
        "2026-03-09T12:00:00", "2026-03-09 12:00", "2026-03-09\n", "12:00", "1773057600000",
        "\udcff",
    ],
)  # fmt: skip
def test_since_refuses_what_is_neither(text: str) -> None:
    """With what is allowed, and without what was given."""
    with pytest.raises(UsageError) as refused:
        time_of(text, NOW)
    assert str(refused.value) == (
        "--since must be a time with its offset from UTC, as 2026-03-09T12:00:00Z; a day, as "
        "2026-03-09; or a span before now, a whole number of s, min, h or d, as 24h."
    )


@pytest.mark.parametrize("name", ["A9", "", "account", "ACCOUNT_LOCKOUT ", "a4\n", "\udcff", "*"])
def test_a_rule_that_is_nowhere_is_refused(name: str) -> None:
    """With the nearest."""
    with pytest.raises(UsageError, match="there is no rule of that name; the nearest is "):
        rule_ids(["A4", name], ALL, {"outside"})


def test_rules_are_named_by_id_or_code_whatever_its_case() -> None:
    """Also those of a package that is not installed, by what the log has of them."""
    names = ["A1", "a4", "cannot_log_in", "outside"]
    assert rule_ids(names, ALL, {"outside", "account_lockout"}) == {
        "failed_payment_sufficient_balance", "account_lockout", "cannot_log_in", "outside",
    }  # fmt: skip
    assert rule_ids([], ALL, ()) == set()
