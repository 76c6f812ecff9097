"""The cost of restoring the states of a million accounts from one partition of a changelog.

The states are those of simulated accounts, each written many times under other names. CPU time of
this process, from opening the session until the task could go on; the client's thread included.

Use: python -m bench.restore [ACCOUNTS]; $WALLETWATCH_TEST_KAFKA names a broker, else one is
started.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from typing import Final

from bench.kafka import on_a_broker, topics
from bench.speed import events, policy
from schemas.topics import DETECT_INPUTS
from worker.detect.stage import DETECT, detect
from worker.engine.records import Commit, StateChange
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock
from worker.run.replay import replay

ACCOUNTS: Final = 1_000_000
MOST, AIM = 10.0, 5.0
"""CPU seconds for a million accounts."""
_COMMIT: Final = 5_000
_SAMPLE_ACCOUNTS: Final = 300


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; return 1 if it takes longer than it may."""
    accounts = int(arguments[0]) if arguments else ACCOUNTS
    return on_a_broker("restore", lambda address, _: _measure(address, accounts))


def _measure(address: str, accounts: int) -> int:
    meta, states = _sample()
    named = ((b"account-%d" % n, state) for n, state in enumerate(islice(cycle(states), accounts)))
    with topics(address, 1) as (cluster, _):
        size = _write(cluster, meta, named)
        spent, waited = _restore(cluster, accounts)
    a_million = spent * ACCOUNTS / accounts
    print(
        f"restored {accounts:,} accounts, {size / accounts:.0f} bytes each: {spent:.1f} "
        f"CPU-seconds ({a_million:.1f} a million), {waited:.1f} s"
    )
    print("restore: " + ("as required" if a_million <= MOST else "SLOWER than required"))
    return 0 if a_million <= MOST else 1


def _sample() -> tuple[bytes, list[bytes]]:
    """Return the saved bytes of a task, and the states of its accounts."""
    lines = events(accounts=_SAMPLE_ACCOUNTS, days=4)
    log = replay((("bench", n, line) for n, line in enumerate(lines, 1)), policy()).log
    saved = log.open_session(DETECT, (), (0,)).restore(0)
    assert saved.meta is not None
    return saved.meta, [state for _, state in saved.states]


def _write(cluster: Cluster, meta: bytes, states: Iterator[tuple[bytes, bytes]]) -> int:
    """Commit the states; return the bytes of all of them."""
    size = 0
    with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
        session = log.open_session(DETECT, DETECT_INPUTS, (0,))
        session.restore(0)
        session.poll(1)
        while chunk := [StateChange(0, *each) for each in islice(states, _COMMIT)]:
            size += sum(len(change.value) for change in chunk)
            session.commit(Commit(states=chunk, metas={0: meta}))
        session.close()
    return size


def _restore(cluster: Cluster, accounts: int) -> tuple[float, float]:
    """Return the CPU seconds and the seconds that it took."""
    stage = detect(policy())
    with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
        spent, waited = time.process_time(), time.monotonic()
        session = log.open_session(DETECT, DETECT_INPUTS, (0,))
        task = stage.make(0, session.restore(0))
        spent, waited = time.process_time() - spent, time.monotonic() - waited
        assert task.keys == accounts, task.keys
        session.close()
    return spent, waited


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
