"""Commands that make ids again: with the key of the log, with another, and without any."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.topics import ALERTS, INCIDENTS
from tests.worker.cli.test_explain_command import EVENTS, FEW, URL
from worker.cli.app import app
from worker.config.token_keys import own_key
from worker.engine.log import stored
from worker.explain.checked import OTHER_KEY
from worker.run.open_log import open_log

KEY = Path("log.db.key")
CONFIG = Path("walletwatch.toml")

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with a log that was run to its end, its key, and the file of the events."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)
    Path(EVENTS).write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in FEW))
    for words in (["ingest", EVENTS, "--end"], ["run", "--until-ended"]):
        assert run(app, words).exit_code == 0


def use_key_of_log() -> None:
    """Configure the key of the log, as for files of the same events."""
    key = own_key(KEY)
    assert key is not None
    CONFIG.write_text(f'tokens = {{ key_id = "{key[0]}", key_file = "{KEY}" }}\n')


def in_log(topic: str, name: str) -> set[str]:
    """Return the ids that a topic of the log has."""
    log = open_log(URL)
    found = {json.loads(record.value)[name] for _, record in stored(log, topic) if record.value}
    log.close()
    return found


def in_files() -> list[set[str]]:
    """Replay the file, and return the ids of alerts and incidents."""
    assert run(app, ["replay", EVENTS, "--out", "found"]).exit_code == 0
    return [
        {json.loads(line)[name] for line in Path("found", file).read_text().splitlines()}
        for file, name in (("alerts.ndjson", "alert_id"), ("incidents.ndjson", "incident_id"))
    ]


def test_files_have_the_ids_of_the_log_where_its_key_is_configured() -> None:
    """Those of alerts, and those of incidents."""
    log = [in_log(ALERTS, "alert_id"), in_log(INCIDENTS, "incident_id")]
    assert list(map(len, log)) == [2, 2]
    public = in_files()
    assert public[0].isdisjoint(log[0])
    assert public[1].isdisjoint(log[1])
    use_key_of_log()
    assert in_files() == log


@pytest.mark.parametrize("key", ["kept", "configured", "lost"])
def test_explain_checks_ids_with_the_key_of_the_log(key: str) -> None:
    """Without it all the rest, and it says so; the exit code is that of an alert derived."""
    if key == "configured":
        use_key_of_log()
    elif key == "lost":
        KEY.unlink()
    for alert_id in in_log(ALERTS, "alert_id"):
        ended = run(app, ["explain", alert_id, "--from-history"])
        assert ended.exit_code == 0
        assert (OTHER_KEY in " ".join(ended.stdout.split())) == (key == "lost")
        checked = json.loads(run(app, ["explain", alert_id, "--from-history", "--json"]).stdout)
        assert (checked["derived"], checked["id_checked"]) == (True, key != "lost")


def test_explain_of_files_says_that_ids_depend_on_the_key() -> None:
    alert_id = min(in_log(ALERTS, "alert_id"))
    ended = run(app, ["explain", alert_id, "--from", EVENTS])
    assert ended.exit_code == 1
    assert "ids are made with the configured token key, else with the public one" in " ".join(
        ended.stderr.split()
    )
    assert "token key" not in run(app, ["explain", "nothing-like-it"]).stderr
    use_key_of_log()
    assert run(app, ["explain", alert_id, "--from", EVENTS]).exit_code == 0


def differences(*names: str) -> list[dict[str, Any]]:
    """Return what thresholds change, without ids and the order of equal times."""
    ended = run(app, ["rules", "diff", *names, EVENTS, "--json"])
    assert ended.exit_code == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)["differences"]
    for each in found:
        for side in (each["a"], each["b"]):
            if side is not None:
                assert len(side.pop("alert_id")) == 32
    return sorted(found, key=json.dumps)


def test_diff_makes_the_ids_of_both_runs_with_one_key() -> None:
    """So it matches alerts by what they are of: thresholds cannot bring a key of their own."""
    Path("a.toml").touch()
    Path("b.toml").write_text("[rules.cannot_log_in]\nthreshold = 7\n")
    assert differences("a.toml", "a.toml") == []
    public = differences("a.toml", "b.toml")
    assert [each["change"] for each in public] != []
    use_key_of_log()
    assert differences("a.toml", "b.toml") == public
    Path("b.toml").write_text('tokens.key_id = "k2"\n')
    assert run(app, ["rules", "diff", "a.toml", "b.toml", EVENTS]).exit_code == 78
