"""How right the rules are: 20 simulations of 10,000 accounts and 3 days, each against its truth."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

SEEDS: Final = range(1, 21)
ACCOUNTS, DAYS = 10_000, 3


def main() -> int:
    """Print each seed's score; return 1 if anything was missed, false, too early or too late."""
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        for seed in SEEDS:
            wrong += not _is_right(seed, Path(directory))
    print("truth: " + ("as required" if not wrong else f"{wrong} seeds are NOT as required"))
    return 1 if wrong else 0


def _is_right(seed: int, directory: Path) -> bool:
    events, truth = str(directory / "events.ndjson"), str(directory / "truth.ndjson")
    size = ("--accounts", str(ACCOUNTS), "--days", str(DAYS), "--seed", str(seed))
    _walletwatch("simulate", *size, "--output", events, "--truth", truth)
    summary = msgspec.json.decode(_walletwatch("replay", events, "--truth", truth, "--json"))
    score = summary["truth"]
    total = score["total"]
    print(
        f"seed {seed}: {summary['events']:,} events, {total['found']} of {total['planted']} found, "
        f"{total['false']} false, {len(score['problems'])} problems",
        flush=True,
    )
    return bool(score["right"])


def _walletwatch(*arguments: str) -> bytes:
    command = [sys.executable, "-m", "walletwatch", *arguments]
    return subprocess.run(command, capture_output=True, check=False).stdout


if __name__ == "__main__":
    raise SystemExit(main())
