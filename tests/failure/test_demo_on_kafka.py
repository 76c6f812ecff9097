"""The demo on Kafka finds what it finds on the embedded log, and leaves logs in use alone."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from scripts.broker import ALONE, Unavailable, jars
from tests.support.commands import ROOT, walletwatch

SMALL = ("--accounts", "60", "--days", "1")


def demo(directory: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demo."""
    return walletwatch("demo", "--dir", directory, *SMALL, *options, **ALONE, **environment)


def findings(output: str) -> list[str]:
    """Return what was found, and the alert that is shown, without addresses, ids and tokens."""
    found, _, rest = output.partition("One alert")
    shown = next(line for line in rest.splitlines() if "  error from" in line)
    return [*found.splitlines(), shown.partition(", alert ")[0]]


def test_it_finds_the_same_and_is_not_run_twice_on_one_log(
    kafka_address: str, tmp_path: Path
) -> None:
    embedded = demo(tmp_path / "embedded")
    options = ("--log", f"kafka://{kafka_address}")
    prefix = f"{uuid.uuid4().hex[:12]}."
    on_kafka = demo(tmp_path / "on-kafka", *options, WALLETWATCH_KAFKA__PREFIX=prefix)
    assert embedded.returncode == on_kafka.returncode == 0, on_kafka.stderr
    assert "false alerts: 0" in embedded.stdout
    assert findings(on_kafka.stdout) == findings(embedded.stdout)
    assert f"--log kafka://{kafka_address}" in on_kafka.stdout
    again = demo(tmp_path / "again", *options, WALLETWATCH_KAFKA__PREFIX=prefix)
    assert again.returncode == 2
    assert "the demo needs a log of its own." in again.stderr


def test_make_demo_kafka_runs_it_and_leaves_nothing(tmp_path: Path) -> None:
    """Without a terminal it ends after the demo, and its broker with it."""
    try:
        jars()
    except Unavailable as missing:
        pytest.skip(f"a Kafka broker: {missing}")
    make = [sys.executable, "-m", "scripts.broker", "--demo"]
    folder, path = tmp_path / "work", os.pathsep.join([str(ROOT), *sys.path])
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": path}
    done = subprocess.run(
        make, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "false alerts: 0" in done.stdout
    assert "until Ctrl-C" not in done.stdout
    assert [path.name for path in folder.iterdir()] == ["demo"]
