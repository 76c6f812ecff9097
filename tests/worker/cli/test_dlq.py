"""dlq: what is dead and why, and what goes back."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rules.builders import login
from schemas.topics import DEAD_LETTERS, LOGINS
from worker.cli import dlq as module
from worker.cli.app import app
from worker.engine.cutting import fitting
from worker.engine.log import stored
from worker.engine.records import NewRecord
from worker.run.open_log import open_log

URL = "sqlite:///log.db"
HOLDS = "zq9-secret"
EXTRA = {f"note{n}": HOLDS * 20 for n in range(6)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a log that walletwatch has found two events too large in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)
    monkeypatch.setenv("WALLETWATCH_LOG__PARTITIONS", "1")
    large = [login(f"10:00:0{n}", event_id=f"large-{n}", extra=EXTRA) for n in range(2)]
    lines = [json.dumps(event) for event in large]
    lines += ['{"kind": "login", "account_id": "a", "occurred_at": "noon"}', "rubbish"]
    Path("events.ndjson").write_text("\n".join([*lines, json.dumps(login("10:00:05"))]))
    assert run("ingest", "events.ndjson", "--end").exit_code == 1  # one line has no topic
    Path("small.toml").write_text("[engine]\nmax_event_bytes = 1024\n")
    assert run("run", "--until-ended", "--config", "small.toml").exit_code == 0


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, arguments)


def logins() -> Sequence[bytes | None]:
    """Return the values on the topic of logins."""
    with closing(open_log(URL)) as log:
        return [record.value for _, record in stored(log, LOGINS)]


def test_peek_counts_and_shows_what_is_wrong_without_values() -> None:
    result = run("dlq", "peek")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[:4]] == [
        ["topic", "reason", "dead", "letters"],
        ["events.ndjson", "not_json", "1"],
        ["wallet.logins", "schema", "1"],
        ["wallet.logins", "too_large", "2"],
    ]
    assert "events.ndjson/0:4  not_json  record: not JSON at character 0" in result.stdout
    assert "wallet.logins/0:2  schema  event_id: required; " in result.stdout
    assert HOLDS not in result.stdout
    assert HOLDS in run("dlq", "peek", "--values").stdout


def test_peek_shows_the_newest_of_what_is_asked_for() -> None:
    result = json.loads(run("dlq", "peek", "--reason", "too_large", "-n", "1", "--json").stdout)
    assert result["counts"] == [{"topic": LOGINS, "reason": "too_large", "count": 2}]
    (newest,) = result["newest"]
    assert (newest["dlq_topic"], newest["dlq_offset"]) == (LOGINS, 1)
    assert "value_base64" not in newest
    assert run("dlq", "peek", "--topic", "wallet.balances").stdout.startswith("There are no such")


def test_peek_of_none_still_counts_all() -> None:
    """With -n 0 there is something to show: how many there are."""
    whole, none = (json.loads(run("dlq", "peek", "--json", "-n", n).stdout) for n in ("9", "0"))
    assert whole["counts"]
    assert none == {"counts": whole["counts"], "newest": []}
    lines = run("dlq", "peek", "-n", "0").stdout.splitlines()
    assert len(lines) == 1 + len(whole["counts"])
    assert "letters" in lines[0]


def test_peek_tells_of_foreign_records() -> None:
    with closing(open_log(URL)) as log:
        log.append([NewRecord(DEAD_LETTERS, b"", b"\x1b[31mhello")])
    result = run("dlq", "peek", "-n", "1", "--values").stdout
    assert "not written by walletwatch" in result
    assert "\\x1b[31mhello" in result


def test_peek_says_what_was_cut_and_shows_times_that_are_none() -> None:
    """A topic may take the time of a record from its producer, who is free to write any number."""
    with closing(open_log(URL, clock=lambda: 2**62)) as log:
        (_, letter), *_ = stored(log, DEAD_LETTERS)
        cut = fitting(NewRecord(DEAD_LETTERS, b"k", b"x" * 9_999, 0, letter.headers), 2_000)
        log.append([cut])
    shown = run("dlq", "peek", "-n", "1").stdout.splitlines()[-1]
    assert shown.startswith("-  0/")
    assert shown.endswith("  (cut to what the topic takes)")
    (newest,) = json.loads(run("dlq", "peek", "-n", "1", "--json").stdout)["newest"]
    assert (newest["append_time"], newest["dlq_size"]) == (None, 9_999)


def test_a_dry_run_says_what_would_be_and_changes_nothing() -> None:
    before = logins()
    result = run("dlq", "replay", "--dry-run")
    assert result.exit_code == 1
    assert [line.split(maxsplit=1) for line in result.stderr.splitlines()] == [
        ["2", "would go to wallet.logins"],
        ["Those", module._LATE.removeprefix("Those ")],
        ["1", "of events.ndjson would stay dead: not_json"],
        ["1", "of wallet.logins would stay dead: schema"],
    ]
    assert logins() == before


def test_replay_warns_that_old_events_will_be_late() -> None:
    """But not where nothing is appended."""
    warning = "Those older than what a worker has judged meanwhile are late"
    assert warning not in run("dlq", "replay", "--config", "small.toml").stderr
    assert warning in run("dlq", "replay").stderr


def test_replay_appends_what_is_accepted_now() -> None:
    before = logins()
    result = run("dlq", "replay", "--reason", "too_large", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "dry_run": False, "replayed": {LOGINS: 2}, "still_dead": []
    }  # fmt: skip
    assert len(logins()) == len(before) + 2
    assert list(logins()[-2:]) == list(before[:2])


def test_replay_under_the_limit_that_refused_appends_nothing() -> None:
    before = logins()
    result = run("dlq", "replay", "--reason", "too_large", "--config", "small.toml")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "Nothing was appended."
    assert result.stderr.split("\n")[1].strip() == "2  of wallet.logins would stay dead: too_large"
    assert logins() == before


def test_the_rate_is_passed_on_but_a_dry_run_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = []

    def at_once(items: Any, rate: int | None, most: int) -> Any:
        rates.append(rate)
        yield list(items)

    monkeypatch.setattr(module, "paced", at_once)
    run("dlq", "replay", "--rate", "7", "--dry-run")
    run("dlq", "replay", "--rate", "7")
    assert rates == [None, 7]


def test_ctrl_c_says_what_was_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = logins()

    def interrupted(items: Any, rate: int | None, most: int) -> Any:
        yield [next(items)]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "paced", interrupted)
    result = run("dlq", "replay", "--reason", "too_large")
    assert result.exit_code == 130
    assert "1  appended to wallet.logins" in result.stderr
    assert len(logins()) == len(before) + 1


@pytest.mark.parametrize("command", ["peek", "replay"])
def test_unknown_reasons_are_refused(command: str) -> None:
    result = run("dlq", command, "--reason", "late")
    assert result.exit_code == 2
    assert "There is no reason late; there are too_large, " in result.stderr


def test_peek_shows_the_records_that_stopped_a_worker(tmp_path: Path) -> None:
    """They are no dead letters: nothing was committed. The command is the one that it prints."""
    rubbish = [NewRecord(LOGINS, b"key-%d" % n, b"zq9-secret", 0) for n in range(3)]
    with closing(open_log(URL)) as log:
        (end,) = [each for each in log.last_records(LOGINS) if each is not None]
        log.append([*rubbish, NewRecord(LOGINS, None, end.value, 0)])
    Path("strict.toml").write_text("[engine]\ndead_letter_limit = 2\n")
    stopped = run("run", "--until-ended", "--config", "strict.toml")
    assert stopped.exit_code == 1
    assert run("dlq", "peek", "--reason", "not_json", "--topic", LOGINS).stdout.startswith("There")
    command = stopped.stderr.partition("walletwatch dlq peek ")[2].split(" If ")[0].split()
    shown = run("dlq", "peek", *command)
    assert shown.exit_code == 0
    assert [line.split() for line in shown.stdout.splitlines()[:2]] == [
        ["topic", "reason", "bad", "records"],
        ["wallet.logins", "not_json", "3"],
    ]
    assert shown.stdout.count("not_json  record: not JSON at character 0") == 3
    assert "wallet.logins/0:5  not_json" in shown.stdout
    assert HOLDS not in shown.stdout
    assert HOLDS in run("dlq", "peek", *command, "--values").stdout
    accept = stopped.stderr.partition("walletwatch run ")[2].split()
    assert run("run", "--until-ended", "--config", "strict.toml", *accept).exit_code == 0
    assert "3" in run("dlq", "peek", "--reason", "not_json", "--topic", LOGINS).stdout


def test_peek_judges_a_range_by_the_configuration_of_now() -> None:
    """Offsets 0 and 1 are large, 2 lacks an id, 3 is good, 4 is an end."""
    every = [f"{LOGINS}/0:0-9"]
    found = json.loads(run("dlq", "peek", "--json", "--input", *every).stdout)
    assert found["counts"] == [{"topic": LOGINS, "reason": "schema", "count": 1}]
    small = ("dlq", "peek", "--json", "--config", "small.toml")
    found = json.loads(run(*small, "--input", *every).stdout)
    assert [row["count"] for row in found["counts"]] == [1, 2]
    ranges = ("--input", f"{LOGINS}/0:1-1", "--input", f"{LOGINS}/0:2-3")
    found = json.loads(run(*small, *ranges, "--reason", "too_large").stdout)
    assert [(each["dlq_offset"], each["offset"]) for each in found["newest"]] == [(1, 1)]
    assert (
        "There are no such bad records." in run("dlq", "peek", "--input", f"{LOGINS}/0:3-9").stdout
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("wallet.logins/0", "is not TOPIC/PARTITION:FROM-TO"),
        ("wallet.logins/0:5-", "is not TOPIC/PARTITION:FROM-TO"),
        ("wallet.logins/0:-5-7", "is not TOPIC/PARTITION:FROM-TO"),
        ("wallet.logins/0:0-99999999999999999999", "is not TOPIC/PARTITION:FROM-TO"),
        ("wallet.alerts/0:1-2", "or TOPIC/PARTITION:OFFSET, with a topic of wallet.trans"),
        ("wallet.logins/0:7-5", "ends before it begins"),
    ],
)
def test_a_range_that_is_none_is_refused(text: str, why: str) -> None:
    for command, option in (("dlq peek", "--input"), ("run", "--accept-dead-letters")):
        result = run(*command.split(), option, text)
        assert result.exit_code == 2
        assert option in result.stderr
        assert why in result.stderr


def test_a_partition_that_is_not_there_is_said() -> None:
    result = run("dlq", "peek", "--input", f"{LOGINS}/7:0-1")
    assert result.exit_code == 70
    assert "has no partition 7" in result.stderr


@pytest.mark.parametrize("rate", ["0", "-1", "1000001"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    result = run("dlq", "replay", "--rate", rate)
    assert result.exit_code == 2
    assert "--rate must be from 1 to 1,000,000 records per second." in result.stderr


@pytest.mark.parametrize("command", ["peek", "replay"])
def test_a_log_that_is_not_there_is_said(command: str) -> None:
    result = run("dlq", command, "--log", "sqlite:///nowhere.db")
    assert result.exit_code == 2
    assert "There is no log at sqlite:///nowhere.db" in result.stderr
