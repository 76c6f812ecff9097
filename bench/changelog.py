"""The changelog in blocks, beside one record per account: what a commit and a restore cost.

Every figure is CPU time of this process, all threads. Both layouts write the same changes, in turn,
in the same run; blocks are cleaned at their steady pace.

Use: python -m bench.changelog [--kafka HOST:PORT] [--accounts N] [--changed N]
$WALLETWATCH_TEST_KAFKA may name the broker instead.
"""

import argparse
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from kafka.admin import NewTopic

from tests.support.kafka_clients import library_client
from worker.logs.kafka.blocks import Blocks, Key, Written
from worker.logs.kafka.client import ClusterPartition, GroupMetadata
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.kafka_python.decode import decode_lean
from worker.logs.kafka.restore import restore
from worker.logs.kafka.transaction import TransactionalProducer

BROKER: Final = "WALLETWATCH_TEST_KAFKA"
ACCOUNTS: Final = 100_000
CHANGED: Final = 2_000
STATE_BYTES: Final = 370
ROUNDS, COMMITS = 5, 20
_FETCH_BYTES: Final = 8 * 1024 * 1024
LEAST: Final = 2.0
"""How many times as many changes per CPU-second blocks must commit, to be worth it."""


class Records(Blocks):
    """One record per key, as changelogs usually are."""

    def write(
        self, changes: Mapping[Key, bytes], note: bytes = b"", erase: bool = False
    ) -> Written:
        """Return the records to append."""
        return [(key or b"", value or None) for key, value in changes.items()]

    def apply(self, name: bytes | None, block: bytes | None) -> None:
        """Take a record."""
        if block is None:
            self._values.pop(name, None)
        else:
            self._values[name or None] = block


@dataclass
class Layout:
    """One of the two layouts, and its figures."""

    name: str
    kind: Callable[[], Blocks]
    accounts: int
    changed: int
    """How many of them one commit changes."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    """Both layouts get the same changes."""
    figures: list[float] = field(default_factory=list)
    """Microseconds of CPU per changed account, by round."""

    def __post_init__(self) -> None:
        self.log = self.kind()

    @property
    def cost(self) -> float:
        """The median."""
        return statistics.median(self.figures)


def unit(layout: Layout, accounts: Sequence[int]) -> dict[Key, bytes]:
    """Return changes of these accounts; the keys are other objects each time, as in a worker."""
    return {b"acc-%08d" % account: layout.chance.randbytes(STATE_BYTES) for account in accounts}


def drawn(layout: Layout) -> dict[Key, bytes]:
    """Return changes of accounts that are drawn evenly."""
    return unit(layout, layout.chance.sample(range(layout.accounts), layout.changed))


def units(layout: Layout) -> Iterator[dict[Key, bytes]]:
    """Yield changes that bring each account in once, then until cleaning is at its pace."""
    for first in range(0, layout.accounts, CHANGED):
        yield unit(layout, range(first, min(first + CHANGED, layout.accounts)))
    for _ in range(3 * layout.accounts // CHANGED):
        yield unit(layout, layout.chance.sample(range(layout.accounts), CHANGED))


def measure(layouts: Sequence[Layout], commit: Callable[[Layout, Written], object]) -> None:
    """Fill in the figures of both layouts, in turn."""
    for layout in layouts:
        for changes in units(layout):
            commit(layout, layout.log.write(changes))
    for _ in range(ROUNDS):
        for layout in layouts:
            todo = [drawn(layout) for _ in range(COMMITS)]
            began = time.process_time()
            for changes in todo:
                commit(layout, layout.log.write(changes))
            spent = time.process_time() - began
            layout.figures.append(spent / (COMMITS * layout.changed) * 1e6)


def compare(what: str, layouts: Sequence[Layout]) -> float:
    """Print the figures and return how many times as much the second layout costs."""
    first, second = layouts
    ratio = statistics.median(b / a for a, b in zip(first.figures, second.figures, strict=True))
    print(f"{what}, µs of CPU per changed account; per CPU-second")
    for layout in layouts:
        print(f"  {layout.name:24} {layout.cost:>8.2f} {1e6 / layout.cost:>12,.0f}")
    print(f"  blocks are {ratio:.2f} times as fast")
    return ratio


def both(accounts: int, changed: int) -> tuple[Layout, Layout]:
    """Return the two layouts."""
    return (
        Layout("blocks", Blocks, accounts, changed),
        Layout("a record per account", Records, accounts, changed),
    )


def written(layout: Layout, records: Written) -> None:
    """Send nothing: only what comes before that is measured."""


@contextmanager
def topics(cluster: Cluster, names: Sequence[str]) -> Iterator[None]:
    """Make topics of one partition, and delete them at the end."""
    configs = {"cleanup.policy": "compact", "max.message.bytes": str(8 * 1024 * 1024)}
    with closing(library_client(cluster.admin())) as admin:
        admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs) for name in names])
        admin.wait_for_topics(list(names))
        try:
            yield
        finally:
            admin.delete_topics(list(names))


def on_kafka(address: str, layouts: Sequence[Layout]) -> float:
    """Commit and restore on a real broker; return how many times as fast blocks commit."""
    cluster = Cluster(servers=(address,), prefix=f"bench-{uuid.uuid4().hex[:8]}.")
    places = {
        layout.name: ClusterPartition(cluster.changelog(f"{n}"), 0)
        for n, layout in enumerate(layouts)
    }
    decode_lean(True)
    with topics(cluster, [place.topic for place in places.values()]):
        producer = TransactionalProducer(cluster, cluster.transactional_id("bench", "0"), {})

        def commit(layout: Layout, records: Written) -> None:
            at, stamp = places[layout.name], int(time.time() * 1000)
            producer.commit(
                [(at, *record, ()) for record in records], stamp, {}, GroupMetadata(None)
            )

        with closing(producer):
            measure(layouts, commit)
        ratio = compare("committed on Kafka", layouts)
        print("restored from Kafka, nothing compacted, µs of CPU per account")
        truth = dict(layouts[0].log.items())
        for layout in layouts:
            print(
                f"  {layout.name:24} {restored(cluster, places[layout.name], layout, truth):>8.2f}"
            )
    return ratio


def restored(
    cluster: Cluster, place: ClusterPartition, layout: Layout, truth: Mapping[Key, bytes]
) -> float:
    """Return the microseconds of CPU per account that it takes to read a changelog back."""
    figures = []
    for _ in range(3):
        found = layout.kind()
        with (
            closing(cluster.consumer(max_partition_fetch_bytes=_FETCH_BYTES)) as consumer,
            closing(cluster.admin()) as admin,
        ):
            began = time.process_time()
            restore(consumer, admin, place, found, lambda: None, lambda: None)
            figures.append((time.process_time() - began) / layout.accounts * 1e6)
        if dict(found.items()) != truth:
            raise AssertionError(f"{layout.name}: something else was restored than was committed")
    return statistics.median(figures)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.changelog")
    parser.add_argument("--kafka", metavar="HOST:PORT", default=os.environ.get(BROKER))
    parser.add_argument("--accounts", metavar="N", type=int, default=ACCOUNTS)
    parser.add_argument("--changed", metavar="N", type=int, default=CHANGED, help="per commit")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; return 1 if blocks commit less than they must on Kafka."""
    options = options_of(arguments)
    size = options.accounts, options.changed
    print(f"{size[0]:,} accounts of {STATE_BYTES} bytes, {size[1]:,} changed per commit")
    layouts = both(*size)
    measure(layouts, written)
    compare("made, and not sent", layouts)
    if options.kafka is None:
        print(f"on Kafka: not measured, neither --kafka nor ${BROKER} names a broker")
        return 0
    ratio = on_kafka(options.kafka, both(*size))
    print("changelog: " + ("as required" if ratio >= LEAST else "BELOW what is required"))
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
