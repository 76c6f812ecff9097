"""How many events a second workers get through together, each a process of its own.

Seconds from the start of the processes until all inputs have ended, less what it takes on empty
inputs. Wall-clock time: on a machine with few cores the broker's work is part of it.

Use: python -m bench.scale [EVENTS]; $WALLETWATCH_TEST_KAFKA names a broker, else one is started.
"""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Final

from bench.cluster import broker_address, fill
from bench.speed import events
from scripts.broker import ALONE, Unavailable
from worker.config import load_settings
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.topics import Topics
from worker.stages import DETECT

EVENTS: Final = 60_000
PARTITIONS: Final = 4
WORKERS: Final = (1, 2, 4)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures."""
    try:
        with broker_address() as address, tempfile.TemporaryDirectory() as folder:
            _measure(address, Path(folder), int(arguments[0]) if arguments else EVENTS)
    except Unavailable as missing:
        print(f"scale: SKIPPED, {missing}; or name a broker in $WALLETWATCH_TEST_KAFKA")
    return 0


def _measure(address: str, folder: Path, count: int) -> None:
    lines = list(islice(events(accounts=max(1, count // 40), days=3), count))
    print(f"{len(lines):,} events, {PARTITIONS} partitions, {os.cpu_count()} cores for all")
    for workers in WORKERS:
        idle = _seconds(address, folder, lines[:PARTITIONS], workers)
        busy = _seconds(address, folder, lines, workers)
        print(f"{workers} workers: {len(lines) / (busy - idle):>8,.0f} events a second", flush=True)


def _seconds(address: str, folder: Path, lines: Sequence[bytes], workers: int) -> float:
    """Return how long so many workers need for the lines."""
    cluster = Cluster(f"bench-{uuid.uuid4().hex[:8]}.", (address,))
    settings = load_settings(None, ALONE, log_url=f"kafka://{address}").settings
    made = Topics(cluster, settings, PARTITIONS).create()
    try:
        fill(cluster, settings, lines)
        began = time.monotonic()
        with ExitStack() as stack:
            processes = [
                stack.enter_context(_worker(cluster, address, folder, str(slot)))
                for slot in range(workers)
            ]
            codes = [process.wait() for process in processes]
        assert codes == [0] * workers, (folder / "0.log").read_text()
        return time.monotonic() - began
    finally:
        with closing(cluster.admin()) as admin:
            admin.delete_topics(made)


def _worker(cluster: Cluster, address: str, folder: Path, slot: str) -> subprocess.Popen[bytes]:
    command = ["run", "--stage", DETECT, "--until-ended", "--log", f"kafka://{address}"]
    own = {"WALLETWATCH_KAFKA__PREFIX": cluster.prefix, "WALLETWATCH_KAFKA__SLOT": slot}
    with (folder / f"{slot}.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "worker.cli.app", *command],
            env={**os.environ, **ALONE, **own},
            stdout=output,
            stderr=output,
        )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
