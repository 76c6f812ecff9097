"""`simulate --log` and `ingest` that end within an append: by Ctrl-C, or by the brokers."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from schemas.topics import DETECT_INPUTS
from scripts.broker import Broker
from tests.support.commands import ROOT, WALLETWATCH, heed_ctrl_c
from tests.support.crashing_worker import DEADLINE_SECONDS, Process, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import PARTITIONS
from worker.logs.kafka.client import Admin, ClusterPartition, OpenTransaction
from worker.run.open_log import cluster_at
from worker.simulate import SimulateConfig, simulate

COMMANDS = ["simulate", "ingest"]
NEVER = "600000"
"""Milliseconds after which the brokers abort: longer than any test waits."""


@contextmanager
def appending(command: str, place: KafkaPlace, folder: Path) -> Iterator[Process]:
    """Start a command that appends for as long as the test needs."""
    arguments = ["simulate", "--accounts", "20000", "--days", "20"]
    if command == "ingest":
        event = next(iter(simulate(SimulateConfig(accounts=2, days=1), 1, [])))
        (folder / "events.ndjson").write_bytes((msgspec.json.encode(event) + b"\n") * 300_000)
        arguments = ["ingest", str(folder / "events.ndjson")]
    with (
        place.errors.open("w") as errors,
        subprocess.Popen(
            [*WALLETWATCH, *arguments, "--log", place.url],
            cwd=ROOT,
            env={**os.environ, **place.environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it makes one call of the system, and no lock
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def open_now(admin: Admin, place: KafkaPlace) -> list[OpenTransaction]:
    """Return what is open on the inputs."""
    topics = [place.prefix + name for name in DETECT_INPUTS]
    return admin.open_transactions(
        [ClusterPartition(name, number) for name in topics for number in range(PARTITIONS)]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_leaves_no_transaction_open(
    command: str, kafka_address: str, tmp_path: Path
) -> None:
    """It would hold the clocks of all workers until the brokers abort it."""
    place = KafkaPlace(tmp_path / "place", kafka_address)
    place.environment["WALLETWATCH_KAFKA__TRANSACTION_TIMEOUT_MS"] = NEVER
    with closing(cluster_at(place.url, place.settings.kafka).admin()) as admin:
        with appending(command, place, tmp_path) as process:
            wait_until(lambda: bool(open_now(admin, place)), "an append", look=0)
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_SECONDS) == (130 if command == "ingest" else 0)
        wait_until(lambda: not open_now(admin, place), "the end of the transaction", limit=20)
    place.remove()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("command", COMMANDS)
def test_brokers_that_are_gone_end_it_with_a_sentence(
    command: str, number: signal.Signals, own_broker: Broker, tmp_path: Path
) -> None:
    """Killed or frozen, while one append follows the other."""
    place = KafkaPlace(tmp_path / "place", own_broker.address)
    with appending(command, place, tmp_path) as process:
        with closing(cluster_at(place.url, place.settings.kafka).admin()) as admin:
            wait_until(lambda: bool(open_now(admin, place)), "an append", look=0)
        os.kill(own_broker.pid, number)
        assert process.wait(DEADLINE_SECONDS) == 70
    own_broker.resume()
    said = place.errors.read_text().splitlines()[-1]
    assert said.startswith(f"walletwatch: {place.prefix}walletwatch.append."), said
