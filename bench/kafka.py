"""Shared by the benchmarks on Kafka: a broker, topics of their own, and workers as processes."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import RetriableError

from scripts.broker import ALONE, Broker, Unavailable
from tests.support.kafka_clients import library_client
from worker.config.load import load_settings
from worker.config.settings import Settings
from worker.detect.stage import DETECT
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.ops.topics import Topics

Committed = dict[TopicPartition, int]
"""Per partition of the inputs of detect: the offset that is read next."""


def on_a_broker(name: str, measure: Callable[[str, Path], int]) -> int:
    """Measure on a broker, host:port, with an empty folder; print "SKIPPED" if there is no broker.

    $WALLETWATCH_TEST_KAFKA names the broker, else one is started.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, _broker() as address:
            return measure(address, Path(folder))
    except Unavailable as missing:
        print(f"{name}: SKIPPED, {missing}; or name a broker in $WALLETWATCH_TEST_KAFKA")
        return 0


@contextmanager
def _broker() -> Iterator[str]:
    if named := os.environ.get("WALLETWATCH_TEST_KAFKA"):
        yield named
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "kafka")
        broker.start()
        try:
            yield broker.address
        finally:
            broker.kill()


@contextmanager
def topics(address: str, partitions: int) -> Iterator[tuple[Cluster, Settings]]:
    """Make the topics under a prefix of their own; they are deleted afterwards."""
    cluster = Cluster(f"bench-{uuid.uuid4().hex[:8]}.", (address,))
    settings = load_settings(None, ALONE, log_url=f"kafka://{address}").settings
    made = Topics(cluster, settings, partitions).create()
    try:
        yield cluster, settings
    finally:
        with closing(library_client(cluster.admin())) as admin:
            admin.delete_topics(made)


@contextmanager
def detecting(
    cluster: Cluster, folder: Path, slot: str, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run detect as a process; its output is in the folder. It is killed afterwards."""
    own = {"WALLETWATCH_KAFKA__PREFIX": cluster.prefix, "WALLETWATCH_KAFKA__SLOT": slot}
    log = f"kafka://{','.join(cluster.servers)}"
    command = ["run", "--stage", DETECT, "--log", log, *options]
    with (
        (folder / f"{slot}.log").open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "walletwatch", *command],
            env={**os.environ, **ALONE, **own},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def committed(cluster: Cluster, admin: KafkaAdminClient) -> Committed:
    """Return the committed positions of detect."""
    group = cluster.group(DETECT)
    try:
        found = admin.list_group_offsets({group: None})[group]
    except RetriableError:
        return {}  # a broker without groups so far is still creating their topic
    return {at: each.offset for at, each in found.items()}
