"""How many events a second workers get through together, each a process of its own.

Seconds from the start of the processes until all inputs have ended, less what it takes on empty
inputs. Wall-clock time: on a machine with few cores the broker's work is part of it.

Use: python -m bench.scale [EVENTS]; $WALLETWATCH_TEST_KAFKA names a broker, else one is started.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final

from bench.cluster import fill
from bench.kafka import detecting, on_a_broker, topics
from bench.speed import events

EVENTS: Final = 400_000
PARTITIONS: Final = 4
WORKERS: Final = (1, 2, 4)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures."""
    count = int(arguments[0]) if arguments else EVENTS
    return on_a_broker("scale", lambda address, folder: _measure(address, folder, count))


def _measure(address: str, folder: Path, count: int) -> int:
    lines = list(islice(events(accounts=max(1, count // 40), days=3), count))
    print(f"{len(lines):,} events, {PARTITIONS} partitions, {os.cpu_count()} cores for all")
    for workers in WORKERS:
        idle = _seconds(address, folder, lines[:PARTITIONS], workers)
        busy = _seconds(address, folder, lines, workers)
        print(f"{workers} workers: {len(lines) / (busy - idle):>8,.0f} events a second", flush=True)
    return 0


def _seconds(address: str, folder: Path, lines: Sequence[bytes], workers: int) -> float:
    """Return how long so many workers need for the lines."""
    with topics(address, PARTITIONS) as (cluster, settings), ExitStack() as stack:
        fill(cluster, settings, lines)
        began = time.monotonic()
        processes = [
            stack.enter_context(detecting(cluster, folder, str(slot), "--until-ended"))
            for slot in range(workers)
        ]
        codes = [process.wait() for process in processes]
        assert codes == [0] * workers, (folder / "0.log").read_text()
        return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
