"""How long the tasks of a worker that goes away stop, under load, until another worker goes on.

Workers are processes; each way to go is tried many times: killed (-9) and started again at once in
the same slot; killed, and another worker takes over; stopped in good order. Seconds from the signal
until every partition of the lost tasks has a later committed position than at the signal.

Use: python -m bench.takeover [SAMPLES [ACCOUNTS PER PARTITION]]; $WALLETWATCH_TEST_KAFKA names a
broker, else one is started.
"""

import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Final, NamedTuple

import msgspec
from kafka import TopicPartition

from bench.kafka import Committed, committed, detecting, on_a_broker, topics
from rules.builders import balance, login, row
from schemas.time import format_time
from schemas.topics import DETECT_INPUTS
from tests.support.kafka_clients import library_client
from worker.detect.stage import DETECT
from worker.engine.records import NewRecord
from worker.logs.kafka.client import Admin
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.group_consumer import owners_of
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock

SAMPLES: Final = 20
ACCOUNTS: Final = 100_000
"""Accounts with a state, per partition."""
PARTITIONS: Final = 2
RATE: Final = 400
"""Events a second that come in meanwhile."""
MOST: Final = {"killed, same slot again": 10.0, "killed, another takes over": 20.0, "stopped": 5.0}
"""Seconds, at the 95th percentile."""
_LOOK_SECONDS: Final = 0.02
_GIVE_UP_SECONDS: Final = 120.0
_BATCHES_A_SECOND: Final = 10


class LoadedCluster(NamedTuple):
    """A cluster under load."""

    cluster: Cluster
    admin: Admin
    folder: Path

    def committed(self) -> Committed:
        """Return the committed positions of detect."""
        return committed(self.cluster, library_client(self.admin))


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; return 1 if one is longer than it may be."""
    samples = int(arguments[0]) if arguments else SAMPLES
    accounts = int(arguments[1]) if arguments[1:] else ACCOUNTS
    return on_a_broker(
        "takeover", lambda address, folder: _measure(address, folder, samples, accounts)
    )


def _measure(address: str, folder: Path, samples: int, accounts: int) -> int:
    with topics(address, PARTITIONS) as (cluster, _), closing(cluster.admin()) as admin:
        good = _try_all(LoadedCluster(cluster, admin, folder), samples, accounts)
    print("takeover: " + ("as required" if good else "SLOWER than required"))
    return 0 if good else 1


def _try_all(world: LoadedCluster, samples: int, accounts: int) -> bool:
    """Print how long each way takes; return whether all are as quick as they must be."""
    good = True
    ways = dict(zip(MOST, (_restarted, _taken_over, _stopped), strict=True))
    with closing(KafkaLog(world.cluster, "load", wall_clock)) as log:
        _fill(log, accounts * PARTITIONS)
        print(
            f"{accounts:,} accounts per partition, {PARTITIONS} partitions, {RATE} events a "
            f"second, {samples} times each; seconds until all partitions go on"
        )
        with _loaded(log, accounts * PARTITIONS):
            for name, way in ways.items():
                found = way(world, samples)
                p95 = statistics.quantiles(found, n=20, method="inclusive")[-1]
                good &= p95 <= MOST[name]
                print(
                    f"{name:<28}median {statistics.median(found):5.1f}  p95 {p95:5.1f}  "
                    f"worst {max(found):5.1f}  (p95 at most {MOST[name]:.0f})",
                    flush=True,
                )
    return good


def _fill(log: KafkaLog, accounts: int) -> None:
    """Give every account a login, a balance and a transaction."""
    records = (record for n in range(accounts) for record in _events(n, wall_clock() - 3_600_000))
    chunk: list[NewRecord] = []
    for record in records:
        chunk.append(record)
        if len(chunk) == 5_000:
            log.append(chunk)
            chunk = []
    log.append(chunk)


def _events(number: int, at: int) -> Iterator[NewRecord]:
    account = f"account-{number}"
    own = {"account_id": account, "occurred_at": format_time(at)}
    makers = (
        login("10:00:00", device_id="phone", country="DE"),
        balance("10:00:00", "100.00", as_of=format_time(at)),
        row(1, "10:00:00", "1.00", "101.00", "100.00", ledger_sequence=None),
    )
    for topic, event in zip(
        (DETECT_INPUTS[1], DETECT_INPUTS[2], DETECT_INPUTS[0]), makers, strict=True
    ):
        whole = event | own | {"event_id": f"{event['kind']}-{number}-{at}"}
        value = msgspec.json.encode({key: each for key, each in whole.items() if each is not None})
        yield NewRecord(topic, account.encode(), value)


@contextmanager
def _loaded(log: KafkaLog, accounts: int) -> Iterator[None]:
    """Append events of random accounts until the end of the block."""
    stop, rng = Event(), Random(1)

    def load() -> None:
        while not stop.wait(1 / _BATCHES_A_SECOND):
            numbers = [rng.randrange(accounts) for _ in range(RATE // _BATCHES_A_SECOND // 3 + 1)]
            now = wall_clock()
            log.append([record for number in numbers for record in _events(number, now)])

    thread = Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# -- workers ---------------------------------------------------------------------------------


def _restarted(world: LoadedCluster, samples: int) -> list[float]:
    """Kill the only worker and start it again in its slot."""
    found = []
    with ExitStack() as stack:
        process = stack.enter_context(detecting(world.cluster, world.folder, "a"))
        _await(lambda: _moved(world, {}, range(PARTITIONS)))
        for _ in range(samples):
            before = world.committed()
            began = time.monotonic()
            process.kill()
            process.wait()
            process = stack.enter_context(detecting(world.cluster, world.folder, "a"))
            found.append(_await_moved(world, before, range(PARTITIONS), began))
    return found


def _taken_over(world: LoadedCluster, samples: int) -> list[float]:
    """Kill one of two workers; the other gets its task. Start it again for the next time."""
    return _leaving(world, samples, signal.SIGKILL)


def _stopped(world: LoadedCluster, samples: int) -> list[float]:
    """Stop one of two workers in good order."""
    return _leaving(world, samples, signal.SIGTERM)


def _leaving(world: LoadedCluster, samples: int, how: signal.Signals) -> list[float]:
    found = []
    with ExitStack() as stack:
        stack.enter_context(detecting(world.cluster, world.folder, "stays"))
        for _ in range(samples):
            with detecting(world.cluster, world.folder, "goes") as goes:
                _await(lambda: len(_owners(world)) == 2)
                lost = [task for task, owner in _owned(world).items() if str(goes.pid) in owner]
                _await_moved(
                    world,
                    world.committed(),
                    range(PARTITIONS),
                    time.monotonic(),
                )
                before = world.committed()
                began = time.monotonic()
                goes.send_signal(how)
                goes.wait()
                found.append(_await_moved(world, before, lost, began))
    return found


def _owned(world: LoadedCluster) -> dict[int, str]:
    return owners_of(world.admin, world.cluster.group(DETECT))


def _owners(world: LoadedCluster) -> set[str]:
    owned = _owned(world)
    return set(owned.values()) if len(owned) == PARTITIONS else set()


# -- positions -------------------------------------------------------------------------------


def _moved(world: LoadedCluster, before: Committed, tasks: Sequence[int]) -> bool:
    """Return whether every input of the tasks has a later position than before."""
    now = world.committed()
    places = [TopicPartition(world.cluster.topic(name), n) for name in DETECT_INPUTS for n in tasks]
    return all(now.get(at, -1) > before.get(at, -1) for at in places)


def _await_moved(
    world: LoadedCluster, before: Committed, tasks: Sequence[int], began: float
) -> float:
    _await(lambda: _moved(world, before, tasks))
    return time.monotonic() - began


def _await(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker has gone on for {_GIVE_UP_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
