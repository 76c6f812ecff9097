"""On a real broker: a worker that starts, joins or returns either works or ends; it never idles.

Every round moves the end of each input on. All of it must be read and committed soon, by whichever
workers live then: a member that holds tasks and does nothing is seen by what it leaves unread.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from random import Random
from typing import Final

import kafka
import msgspec
import pytest
from kafka import KafkaAdminClient
from kafka.errors import RetriableError

from schemas.time import format_time
from schemas.topics import DETECT_INPUTS
from tests.support.crashing_worker import DEADLINE_SECONDS, Process
from tests.support.kafka_place import KafkaPlace
from tests.support.producer import PARTITIONS
from worker.detect.stage import DETECT
from worker.engine.log import Log
from worker.engine.loop import READING
from worker.engine.records import NewRecord

LONG: Final = [pytest.mark.chaos, pytest.mark.timeout(3_600)]
WORKERS: Final = 3
SILENT_SECONDS: Final = 30
"""After which a member that neither works nor ends is a silent one."""
LOOK_SECONDS: Final = 0.05


class Inputs:
    """The inputs of detect: their ends, and how much of them the group has committed."""

    def __init__(self, place: KafkaPlace, log: Log, admin: KafkaAdminClient) -> None:
        self._log = log
        self._admin = admin
        self._cluster = place.cluster
        self._rounds = 0

    def move_on(self) -> None:
        """Append a later end to each partition of each input."""
        self._rounds += 1
        at = format_time(1_700_000_000_000 + self._rounds)
        value = msgspec.json.encode({"kind": "end", "occurred_at": at})
        places = [(topic, number) for topic in DETECT_INPUTS for number in range(PARTITIONS)]
        self._log.append([NewRecord(topic, None, value, number) for topic, number in places])

    def unread(self) -> list[str]:
        """Return the partitions of which something is not committed yet."""
        group = self._cluster.group(DETECT)
        try:
            committed = self._admin.list_group_offsets({group: None})[group]
        except RetriableError:
            committed = {}  # a broker that never had a group is about to make the place for them
        return [
            f"{topic}/{number}"
            for topic in DETECT_INPUTS
            for number, (_, end) in enumerate(self._log.offsets(topic))
            if _offset(committed, self._cluster.topic(topic), number) < end - 1
        ]


def _offset(committed: dict[kafka.TopicPartition, object], topic: str, number: int) -> int:
    found = committed.get(kafka.TopicPartition(topic, number))
    return getattr(found, "offset", -1)


@pytest.fixture
def inputs(place: KafkaPlace) -> Iterator[Inputs]:
    """The inputs of the place."""
    with closing(place.open()) as log, place.admin() as admin:
        yield Inputs(place, log, admin)


@pytest.mark.parametrize("starts", [8, pytest.param(200, marks=LONG)])
def test_no_start_ends_in_a_silent_member(starts: int, place: KafkaPlace, inputs: Inputs) -> None:
    """Workers start, are killed and are stopped, at random; after each start all is read soon."""
    rng = Random(17)
    places = [place, *(place.beside(str(number)) for number in range(1, WORKERS))]
    running: dict[int, Process] = {}
    slowest = 0.0
    with ExitStack() as stack:
        for _ in range(starts):
            if len(running) == WORKERS or (running and rng.random() < 0.3):
                _end(running.pop(rng.choice(list(running))), rng)
            slot = rng.choice([slot for slot in range(WORKERS) if slot not in running])
            running[slot] = stack.enter_context(places[slot].running())
            inputs.move_on()
            slowest = max(slowest, _read_everything(inputs, places, running, stack))
    print(f"{starts} starts; the slowest took {slowest:.1f} s until everything was committed")


def _end(process: Process, rng: Random) -> None:
    process.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
    process.wait(DEADLINE_SECONDS)


def _read_everything(
    inputs: Inputs, places: list[KafkaPlace], running: dict[int, Process], stack: ExitStack
) -> float:
    """Wait until all is committed, restarting each worker that ends; return seconds."""
    begun = time.monotonic()
    while unread := inputs.unread():
        silent = time.monotonic() - begun
        errors = {slot: places[slot].errors.read_text() for slot in running}
        assert silent < SILENT_SECONDS, f"unread after {silent:.0f} s: {unread}, {errors}"
        for slot, process in running.items():
            if process.poll() is not None:
                running[slot] = stack.enter_context(places[slot].running())
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - begun


@pytest.mark.parametrize("seconds", [pytest.param(15, marks=LONG)])
def test_a_worker_frozen_beyond_the_poll_interval_is_replaced_and_ends_or_rejoins(
    seconds: int, place: KafkaPlace, inputs: Inputs
) -> None:
    """Frozen for longer than max.poll.interval (10 s) and the session; another works meanwhile."""
    place.environment["WALLETWATCH_KAFKA__MAX_POLL_INTERVAL_MS"] = "10000"
    other = place.beside("other")
    with place.running() as frozen, other.running() as living:
        running = {0: living}
        inputs.move_on()
        with ExitStack() as stack:
            _read_everything(inputs, [other], running, stack)
            place.await_phase(frozen, 3, READING)
            frozen.send_signal(signal.SIGSTOP)
            time.sleep(seconds)  # the interval has to pass: there is nothing to wait for
            inputs.move_on()
            _read_everything(inputs, [other], running, stack)
            frozen.send_signal(signal.SIGCONT)
            inputs.move_on()
            _read_everything(inputs, [place, other], {0: frozen, 1: running[0]}, stack)
