"""The memory of a worker that is ten million records behind: it must not grow while it reads.

Detect is a process of its own that starts with the whole lag before it. Its resident memory is read
every second while it catches up. What it must remember of its accounts is the same from the second
day of event time on; if fetches, buffers or the client grew with the lag, the second half would
show it.

Use: python -m bench.lag [RECORDS [SECONDS]]; $WALLETWATCH_TEST_KAFKA names a broker, else one is
started.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from kafka import KafkaAdminClient

from bench.kafka import committed, detecting, on_a_broker, topics
from schemas.time import DAY_MS, format_time
from schemas.topics import LOGINS, TRANSACTIONS
from tests.support.kafka_clients import library_client
from worker.engine.records import NewRecord
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.log import KafkaLog
from worker.logs.sqlite.log import wall_clock

RECORDS: Final = 10_000_000
SECONDS: Final = 150
PARTITIONS: Final = 4
ACCOUNTS: Final = 20_000
EVENTS_A_DAY: Final = 600_000
MOST_GROWTH: Final = 1.10
"""Peak of the second half divided by that of the first."""
_CHUNK: Final = 20_000
_MIB: Final = 1 << 20


class Sample(NamedTuple):
    """The worker at one moment."""

    memory: int
    """Resident bytes."""
    read: int
    """Records whose positions are committed."""


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; return 1 if memory grows."""
    records = int(arguments[0]) if arguments else RECORDS
    seconds = int(arguments[1]) if arguments[1:] else SECONDS
    return on_a_broker("lag", lambda address, folder: _measure(address, folder, records, seconds))


def _measure(address: str, folder: Path, records: int, seconds: int) -> int:
    with (
        topics(address, PARTITIONS) as (cluster, _),
        closing(library_client(cluster.admin())) as admin,
    ):
        _fill(cluster, records)
        samples = list(_watched(cluster, admin, folder, seconds))
    print(f"{records:,} records, {ACCOUNTS:,} accounts, {PARTITIONS} partitions, one worker")
    for number in range(0, len(samples), max(1, len(samples) // 10)):
        memory, read = samples[number]
        print(f"  {number + 1:>4} s  {read:>10,} read, {memory / _MIB:>6.0f} MiB")
    half = len(samples) // 2
    first, second = (max(each.memory for each in part) for part in (samples[:half], samples[half:]))
    left = records - samples[-1].read
    growth = second / first
    print(
        f"peak of the first half {first / _MIB:.0f} MiB, of the second {second / _MIB:.0f} MiB "
        f"({growth:.2f}); {left:,} records were still to be read"
    )
    good = growth <= MOST_GROWTH and left > 0
    print("lag: " + ("as required" if good else "MEMORY GROWS, or the lag was too short to judge"))
    return 0 if good else 1


def _fill(cluster: Cluster, records: int) -> None:
    """Append payments and logins, which all lie in the past."""
    began = wall_clock() - records * DAY_MS // EVENTS_A_DAY - DAY_MS
    found = (_record(n, began + n * DAY_MS // EVENTS_A_DAY) for n in range(records))
    with closing(KafkaLog(cluster, "bench", wall_clock)) as log:
        while chunk := list(islice(found, _CHUNK)):
            log.append(chunk)


def _record(number: int, at: int) -> NewRecord:
    account = b"account-%d" % (number * 7_919 % ACCOUNTS)
    head = b'"account_id":"%b","event_id":"event-%d","occurred_at":"%b"' % (
        account,
        number,
        format_time(at).encode(),
    )
    if number % 3:
        value = (
            b'{"kind":"transaction",%b,"transaction_id":"tx-%d","type":"payment",'
            b'"status":"completed","amount":"10.00","currency":"EUR","provider":"acme",'
            b'"counterparty_id":"shop-%d","device_id":"phone","country":"DE"}'
            % (head, number, number % 50)
        )
        return NewRecord(TRANSACTIONS, account, value)
    value = b'{"kind":"login",%b,"action":"login","outcome":"success","device_id":"phone"}' % head
    return NewRecord(LOGINS, account, value)


def _watched(
    cluster: Cluster, admin: KafkaAdminClient, folder: Path, seconds: int
) -> Iterator[Sample]:
    """Run the worker, and sample it every second from its first commit on."""
    with detecting(cluster, folder, "0") as process:
        status = Path(f"/proc/{process.pid}/status")
        found = 0
        while found < seconds:
            time.sleep(1)
            assert process.poll() is None, (folder / "0.log").read_text()
            read = sum(committed(cluster, admin).values())
            if read:
                found += 1
                yield Sample(_resident(status.read_text()), read)


def _resident(status: str) -> int:
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
