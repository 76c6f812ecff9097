"""What starting a command costs: CPU seconds of each, beside a Python that does nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROUNDS = 5
MOST_SECONDS = 0.4
LOG = "sqlite:///log.db"
COMMANDS = (
    "--help",
    "--version",
    "alerts list",
    "incidents list",
    "config check",
    "dlq peek",
    "doctor",
    "tail wallet.alerts",
)


def main() -> int:
    """Print the costs, medians of rounds in turn; return 1 if one is above the mark."""
    nothing = [sys.executable, "-c", "pass"]
    commands = {name: [sys.executable, "-m", "walletwatch", *name.split()] for name in COMMANDS}
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "WALLETWATCH_LOG__URL": LOG}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.ndjson").touch()
        _seconds([*commands["--help"][:-1], "ingest", "empty.ndjson"], folder, environment)
        rows = {name: [0.0] * ROUNDS for name in commands}
        idle = [0.0] * ROUNDS
        for turn in range(ROUNDS):
            idle[turn] = _seconds(nothing, folder, environment)
            for name, command in commands.items():
                rows[name][turn] = _seconds(command, folder, environment)
    print(f"CPU seconds, medians of {ROUNDS} (least to most); Python alone {median(idle):.3f}")
    for name, seconds in rows.items():
        print(f"{name:<20} {median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})")
    good = max(map(median, rows.values())) <= MOST_SECONDS
    print("commands: " + ("as required" if good else f"NOT within {MOST_SECONDS} s"))
    return 0 if good else 1


def _seconds(command: list[str], folder: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds of one process, its start included."""
    before = os.times()
    subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=True, timeout=120
    )
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


if __name__ == "__main__":
    raise SystemExit(main())
