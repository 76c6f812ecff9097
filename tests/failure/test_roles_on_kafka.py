"""What the pages of docs/roles show works on Kafka as on the embedded log."""

import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.broker import ALONE
from tests.support.role_pages import KAFKA, PAGES, commands, execute, names, shown, write_files
from worker.cli.app import app
from worker.config.load import load_settings
from worker.run.open_log import open_log

SMALL = ("--accounts", "60", "--days", "1")


def test_commands_of_pages_work(
    kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a log that the demo has made, and those for Kafka alone on an empty cluster."""
    monkeypatch.chdir(tmp_path)
    url = f"kafka://{kafka_address}"
    variables = {**ALONE, "WALLETWATCH_LOG__URL": url, "WALLETWATCH_KAFKA__PREFIX": _prefix()}
    made = CliRunner().invoke(app, ["demo", "--log", url, *SMALL], env=variables)
    assert made.exit_code == 0, made.output
    log = open_log(url, kafka=load_settings(None, variables).settings.kafka)
    found = names(log)
    log.close()
    for page in PAGES:
        write_files(page, tmp_path)
        for line in commands(page):
            ended = execute(line, found, variables)
            assert ended.code in (0, 130), f"{line}\n{ended.output}"
    variables["WALLETWATCH_KAFKA__PREFIX"] = _prefix()
    for line in [each for page in PAGES for each in shown(page) if KAFKA in each]:
        ended = execute(line.replace(KAFKA, url), found, variables)
        assert ended.code == 0, f"{line}\n{ended.output}"


def _prefix() -> str:
    return f"{uuid.uuid4().hex[:12]}."
