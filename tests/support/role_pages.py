"""The pages of docs/roles: their commands, and how they are run as they are printed."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from typer.testing import CliRunner

from schemas.topics import ALERTS, INCIDENTS
from tests.support.commands import ROOT, WALLETWATCH, heed_ctrl_c
from worker.cli.app import app
from worker.engine.log import Log
from worker.engine.log import stored as records

FOLDER: Final = ROOT / "docs" / "roles"
PAGES: Final = sorted(FOLDER.glob("*.md"))
EMBEDDED: Final = "export WALLETWATCH_LOG__URL=sqlite:///demo/walletwatch.db"
KAFKA: Final = "kafka://broker1:9092"
"""The address that pages show."""
STAYS: Final = {"run", "--follow"}
"""What goes on until Ctrl-C."""


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    output: str


def shown(page: Path) -> list[str]:
    """Return the lines that a page shows to be typed."""
    return re.findall(r"^    (.*)$", page.read_text("utf-8"), re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Return the command lines among them for the log of the demo."""
    lines = shown(page)
    return [line for line in lines if "walletwatch " in line and KAFKA not in line]


def write_files(page: Path, folder: Path) -> None:
    """Write the files that a page shows, named by a comment in their first line."""
    block = r"(?ms)^```toml\n# (\S+)\n(.*?)^```"
    for name, text in re.findall(block, page.read_text("utf-8")):
        (folder / name).write_text(text)
    (folder / "today.toml").touch()


def names(log: Log) -> dict[str, str]:
    """Return something that is in the log for each placeholder of the pages."""
    alert, incident = (
        next(json.loads(record.value) for _, record in records(log, topic) if record.value)
        for topic in (ALERTS, INCIDENTS)
    )
    return {
        "ACCOUNT": alert["account_id"],
        "ALERT_ID": alert["alert_id"],
        "EVENT_ID": alert["evidence"][0]["event_id"],
        "INCIDENT_ID": incident["incident_id"],
        "RULE": "A5",
    }


def execute(line: str, placeholders: Mapping[str, str], environment: Mapping[str, str]) -> Ended:
    """Run a command line in this directory; end what goes on with Ctrl-C, once it has printed."""
    words = [placeholders.get(word, word) for word in shlex.split(line)]
    at = words.index("walletwatch")
    variables = dict(environment) | dict(_assigned(words[:at]))
    arguments = words[at + 1 :]
    if STAYS & {*arguments}:
        return _until_ctrl_c(arguments, variables)
    done = CliRunner().invoke(app, arguments, env=variables)
    return Ended(done.exit_code, done.output)


def _assigned(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, _, value = word.partition("=")
        yield name, "0" if name == "WALLETWATCH_METRICS__PORT" else value


def _until_ctrl_c(arguments: list[str], variables: Mapping[str, str]) -> Ended:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    options: dict[str, Any] = {
        "env": {**os.environ, **variables, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "preexec_fn": heed_ctrl_c,
    }
    with subprocess.Popen([*WALLETWATCH, *arguments], **options) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    return Ended(process.returncode, first + rest)
