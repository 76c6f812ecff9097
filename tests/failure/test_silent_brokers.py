"""Brokers that cannot be reached, or do not answer: a sentence with their address, and /readyz."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from scripts.broker import Broker, free_port
from tests.support.commands import PUBLIC_TOKENS, ROOT, WALLETWATCH
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import crowd
from tests.support.scraping import Pages

COMMANDS = (
    "run",
    "ingest {file}",
    "tail wallet.alerts",
    "topics create",
    "topics check",
    "dlq peek",
    "incidents list",
    "alerts list",
    "doctor",
)
LIBRARY = re.compile(r"Kafka\w*Error|Traceback|KafkaConnection|Bootstrap|Errno|\[Error")
"""Words of the client's own texts."""


ADVICE = re.escape("Look at its brokers (walletwatch doctor), or at who locks its file.")


@contextmanager
def refused() -> Iterator[str]:
    """A port on which nothing listens."""
    yield f"127.0.0.1:{free_port()}"


@contextmanager
def unknown() -> Iterator[str]:
    """A name that does not resolve."""
    yield "broker.invalid:9092"


@contextmanager
def black_hole() -> Iterator[str]:
    """A port that accepts connections, which nothing answers, as of a frozen broker."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


DeadEnd = Callable[[], AbstractContextManager[str]]
DEAD_ENDS: dict[DeadEnd, str] = {
    refused: "the connection is refused: nothing listens there",
    unknown: "the name cannot be resolved",
    black_hole: "it does not answer",
}


@pytest.mark.parametrize("dead_end", DEAD_ENDS, ids=["refused", "unknown", "black hole"])
def test_every_command_says_which_broker_and_why(dead_end: DeadEnd, tmp_path: Path) -> None:
    """One sentence, exit code 70, and nothing of what the client logs; doctor has more lines."""
    (tmp_path / "empty.ndjson").write_text("{}\n", "utf-8")
    with dead_end() as address:
        environment = {
            **os.environ,
            "WALLETWATCH_LOG__URL": f"kafka://{address}",
            **PUBLIC_TOKENS,
        }
        processes = {
            command: subprocess.Popen(
                [*WALLETWATCH, *command.format(file=tmp_path / "empty.ndjson").split()],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for command in COMMANDS
        }
        said = {
            command: process.communicate(timeout=DEADLINE_SECONDS)
            for command, process in processes.items()
        }
    for command, (out, errors) in said.items():
        assert not LIBRARY.search(out + errors), (command, out, errors)
        if command == "doctor":
            assert (processes[command].returncode, errors) == (1, "")
            assert f"broker {address}: " in out
            assert ("the broker may hang" in out) == (dead_end is black_hole)
            continue
        assert processes[command].returncode == 70, command
        if command.startswith("ingest"):
            assert errors.splitlines()[:-1] == ["Nothing was appended."]
        assert errors.splitlines()[-1] == (
            f"walletwatch: No Kafka broker at {address} can be used ({DEAD_ENDS[dead_end]}); "
            "tried for 10 s. walletwatch doctor says more."
        )


def test_readiness_ends_while_a_frozen_broker_does_not_answer(
    own_broker: Broker, tmp_path: Path
) -> None:
    """And is back when it answers again; the worker goes on."""
    place = _filled(own_broker, tmp_path)
    # A commit that waits for long: the worker lives for as long as the broker is frozen.
    place.environment["WALLETWATCH_KAFKA__REQUEST_TIMEOUT_MS"] = "14000"
    place.environment["WALLETWATCH_KAFKA__DELIVERY_TIMEOUT_MS"] = "15000"
    place.environment["WALLETWATCH_KAFKA__SESSION_TIMEOUT_MS"] = "30000"
    place.environment["WALLETWATCH_KAFKA__TRANSACTION_TIMEOUT_MS"] = "30000"
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the worker to be ready")
        own_broker.pause()
        wait_until(lambda: pages.get("/readyz")[0] == 503, "the probe to notice")
        sentence = pages.get("/readyz")[1]
        alive = pages.get("/livez")
        own_broker.resume()
        assert re.fullmatch(
            rf"The log {place.url} has not answered for \d+ s: the worker waits in .+\. {ADVICE}\n",
            sentence,
        )
        assert alive == (200, "ok\n")
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the worker to be ready again")
        assert process.poll() is None


def test_readiness_ends_while_another_process_locks_the_file(embedded: Place) -> None:
    """The same for the embedded log: what is not right with it is the log, too."""
    embedded.environment["WALLETWATCH_METRICS__PORT"] = "0"
    # Time goes on by the clock, which is committed again and again.
    embedded.environment["WALLETWATCH_ENGINE__IDLE_ADVANCES"] = "true"
    embedded.append([])
    with embedded.running() as process, closing(sqlite3.connect(embedded.path)) as other:
        pages = Pages(embedded.errors)
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the worker to be ready")
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: pages.get("/readyz")[0] == 503, "the probe to notice")
        other.execute("ROLLBACK")
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the worker to be ready again")
        assert process.poll() is None


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_worker_without_brokers_ends_with_one_sentence(
    how: signal.Signals, own_broker: Broker, tmp_path: Path
) -> None:
    """With their address and since when, and exit code 70; the next one does what was left."""
    place = _filled(own_broker, tmp_path)
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: pages.get("/readyz")[0] == 200, "the worker to be ready")
        before = place.errors.read_text()
        if how is signal.SIGKILL:
            own_broker.kill()
        else:
            own_broker.pause()
        assert process.wait(DEADLINE_SECONDS) == 70
    own_broker.resume() if how is signal.SIGSTOP else own_broker.start()
    (sentence,) = place.errors.read_text().removeprefix(before).splitlines()
    assert sentence.startswith("walletwatch: ")
    assert own_broker.address in sentence
    assert re.search(r" since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \(for \d+ s\)", sentence)
    assert not LIBRARY.search(sentence)
    place.finish()


def _filled(broker: Broker, folder: Path) -> KafkaPlace:
    place = KafkaPlace(folder / "place", broker.address)
    place.environment["WALLETWATCH_METRICS__PORT"] = "0"
    place.fill(crowd(3, 200))
    return place
