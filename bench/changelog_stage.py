"""The stage detect on Kafka, changelog in blocks beside one record per account: the whole worker.

Every event is one of another account, so that each costs a change of state: the most that the
changelog can matter. All rules, one partition, everything committed; CPU time of this process.

Use: python -m bench.changelog_stage HOST:PORT [EVENTS]
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import Final
from unittest.mock import patch

import msgspec

from bench.changelog import Records
from bench.kafka import topics
from worker import simulate as traffic
from worker.cli.ingest import Appender
from worker.config.settings import Settings
from worker.detect.stage import DETECT
from worker.logs.kafka import stage_membership
from worker.logs.kafka.blocks import Blocks
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.kafka_python.decode import decode_lean
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock
from worker.run.runner import Runner

EVENTS: Final = 100_000
COPIES: Final = 10
ROUNDS: Final = 2


def events(count: int) -> list[bytes]:
    """Return simulated events, each given to ten accounts that have no other."""
    config = traffic.SimulateConfig(accounts=count, days=1)
    whole = (event for event in traffic.simulate(config, 1, []) if event["kind"] != "heartbeat")
    return [
        msgspec.json.encode(event | {"account_id": f"acc-{number:06}-{copy}"})
        for number, event in enumerate(islice(whole, count // COPIES))
        for copy in range(COPIES)
    ]


def spent(address: str, lines: Sequence[bytes], kind: Callable[[], Blocks]) -> float:
    """Run the stage over all events; return its CPU seconds."""
    with topics(address, 1) as (cluster, settings):
        with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
            appender = Appender(log, settings, wall_clock())
            appender.take("bench", enumerate(lines, 1))
            appender.end()
        with patch.object(stage_membership, "Blocks", kind):
            return ran(cluster, settings)


def ran(cluster: Cluster, settings: Settings, tasks: int = 1) -> float:
    """Run the stage to the end of its inputs; return its CPU seconds."""
    with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
        began = time.process_time()
        with closing(Runner(log, settings, (DETECT,), range(tasks), wall_clock)) as runner:
            runner.run(lambda: False, until_ended=True)
        return time.process_time() - began


def main(arguments: Sequence[str]) -> int:
    """Print the figures."""
    lines = events(int(arguments[1]) if len(arguments) > 1 else EVENTS)
    decode_lean(True)
    print(f"detect on Kafka, {len(lines):,} events of as many accounts; events per CPU-second")
    for _ in range(ROUNDS):
        blocks, records = (spent(arguments[0], lines, kind) for kind in (Blocks, Records))
        figures = f"blocks {len(lines) / blocks:,.0f}, records {len(lines) / records:,.0f}"
        print(f"  {figures}: {records / blocks:.2f} times as fast", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
