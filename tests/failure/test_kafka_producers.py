"""On a real broker: what producers do while workers die changes nothing that is found.

One has a transaction open at all times, some aborted, each compressed with another codec; another
mixes in bad, odd and oversized records. The result is compared with an uninterrupted run on the
embedded log over the same committed records.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from schemas.topics import DEAD_LETTERS, DETECT_INPUTS
from tests.support.crashing_worker import Kill, Place, Process, Producer, wait_until
from tests.support.hostile_records import as_read
from tests.support.kafka_place import KafkaPlace
from tests.support.kafka_producers import HOSTILE, LARGEST, TRANSACTIONAL, Traffic, producing_on
from tests.support.log_comparison import Outcome, differences, outcome
from worker.engine.log import Log, stored
from worker.engine.loop import COMMITTING, READING, RELEASING
from worker.engine.records import NewRecord, TopicPartition

POLL = 100
AIMS = (READING, RELEASING, COMMITTING)
REASONS = (
    *("too_large", "not_utf8", "not_json", "schema", "key_mismatch", "wrong_partition"),
    "event_id_conflict",
)
WORKERS = 2
PATIENCE = 50
"""Units of work after which a worker is killed in whichever phase it is."""
ENDS = 10
"""How often workers may end by themselves, beside once per kill."""
SETTINGS = {"WALLETWATCH_ENGINE__DEAD_LETTER_LIMIT": "400"}


class Size(NamedTuple):
    """How much a test does."""

    traffic: Traffic
    kills: int


SHORT = Size(Traffic(seed=41, events=1_500, slices=18), kills=6)
LONG = Size(Traffic(seed=43, events=20_000, slices=150), kills=100)
LONG_MARKS = [pytest.mark.chaos, pytest.mark.timeout(3_600)]


@pytest.fixture
def place(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A log on Kafka without records, whose inputs take larger ones than the dead letters."""
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL, login=SETTINGS)
    place.configure(DETECT_INPUTS, max_message_bytes=LARGEST)
    place.configure([DEAD_LETTERS], max_message_bytes=1024 * 1024)
    yield place
    place.remove()


class Team:
    """Workers in slots of their own; one that has ended is started again."""

    def __init__(self, place: KafkaPlace, processes: ExitStack) -> None:
        self._places = [place, *(place.beside(str(n)) for n in range(1, WORKERS))]
        self._processes = processes
        self._running = [self._start(each) for each in self._places]
        self._starts = WORKERS
        self._kills: list[Kill] = []

    @property
    def _commits(self) -> int:
        """How many commits all have ended."""
        return sum(each.page.commits for each in self._places)

    @property
    def between(self) -> int:
        """How many kills there were between the first and the last commit."""
        return sum(0 < kill.commits < self._commits for kill in self._kills)

    def kill(self, rng: Random, aim: str, feed: Callable[[], None]) -> None:
        """Kill one in that phase of one of its next units of work; feed until then.

        Something is committed between two kills. A worker that has nothing to commit for a while is
        killed where it is.
        """
        slot = rng.randrange(WORKERS)
        page = self._places[slot].page
        units = page.units + rng.randint(1, 4)
        commits = self._kills[-1].commits if self._kills else 0

        def is_met() -> bool:
            feed()
            self.keep_up()
            is_there = page.phase == aim or page.units > units + PATIENCE
            return page.units >= units and is_there and self._commits > commits

        wait_until(is_met, f"{aim} of a worker", look=0.0005)
        self._running[slot].kill()
        self._running[slot].wait()
        self._kills.append(Kill(page.phase, self._commits))

    def keep_up(self) -> bool:
        """Start those that have ended again; return whether all have read everything.

        A worker may end when another dies, but not over and over.
        """
        codes = [process.poll() for process in self._running]
        for slot, code in enumerate(codes):
            assert code in (None, 0, 70, -signal.SIGKILL), self._places[slot].errors.read_text()
            if code:
                self._starts += 1
                ends = self._starts - WORKERS - len(self._kills)
                assert ends <= ENDS + len(self._kills), self._places[slot].errors.read_text()
                self._running[slot] = self._start(self._places[slot])
        return codes == [0] * WORKERS

    def report(self) -> str:
        """Return the counts as a text."""
        phases = Counter(kill.phase for kill in self._kills)
        return (
            f"{len(self._kills)} kills ({dict(phases)}), {self.between} between the first and the "
            f"last of {self._commits} commits; {self._starts} starts"
        )

    def _start(self, place: KafkaPlace) -> Process:
        return self._processes.enter_context(place.running("--until-ended"))


class Feed:
    """Both producers, in step."""

    def __init__(self, place: KafkaPlace, traffic: Traffic, processes: ExitStack) -> None:
        def begin(role: str, steps: int) -> Producer:
            return processes.enter_context(producing_on(place, role, traffic, steps))

        self._slices, self._steps = traffic.slices, traffic.steps
        self._hostile = begin(HOSTILE, self._slices)
        self._honest = begin(TRANSACTIONAL, self._steps)

    def append(self, share: float) -> None:
        """Let such a share be appended, but for what ends the inputs."""
        self._honest.append(int(share * (self._steps - 3)))
        self._hostile.append(int(share * self._slices))

    def end(self) -> None:
        """Append the rest; the ends come last."""
        self._hostile.append_rest()
        self._honest.append_rest()


def committed_inputs(log: Log) -> dict[TopicPartition, list[NewRecord]]:
    """Return what readers of the inputs see, per partition."""
    found: dict[TopicPartition, list[NewRecord]] = {}
    for topic in DETECT_INPUTS:
        for at, record in stored(log, topic):
            new = NewRecord(topic, record.key, record.value, at.partition, record.headers)
            found.setdefault(at, []).append(new)
    return found


def assert_complete(found: dict[TopicPartition, list[NewRecord]], traffic: Traffic) -> None:
    """Everything that was committed can be read, in the order of its producer, and nothing else."""
    honest = {TopicPartition(s[0].topic, s[0].partition or 0): s for s in traffic.honest()}
    hostile: dict[TopicPartition, list[NewRecord]] = {at: [] for at in honest}
    for record in map(as_read, traffic.hostile()):
        hostile[TopicPartition(record.topic, record.partition or 0)].append(record)
    assert found.keys() == honest.keys()
    for at, records in found.items():
        left = [iter(honest[at]), iter(hostile[at])]
        heads = [next(each, None) for each in left]
        for record in records:
            assert record in heads, f"{at} has a record that no producer has committed next"
            producer = heads.index(record)
            heads[producer] = next(left[producer], None)
        assert heads == [None, None], f"{at} lacks records"


def of_the_embedded_log(folder: Path, inputs: dict[TopicPartition, list[NewRecord]]) -> Outcome:
    """Return what an uninterrupted run on the embedded log makes of these records."""
    place = Place(folder / "embedded", POLL)
    place.environment |= SETTINGS
    for records in inputs.values():
        place.append(records)
    place.finish()
    return outcome(place)


@pytest.mark.parametrize(
    "size", [SHORT, pytest.param(LONG, marks=LONG_MARKS)], ids=["short", "long"]
)
def test_rough_producers_and_kills_change_nothing(
    size: Size, place: KafkaPlace, tmp_path: Path
) -> None:
    """Two workers, of which one after the other is killed while producers append."""
    rng, started = Random(8), time.monotonic()
    with ExitStack() as processes, closing(place.open()) as log:
        feed = Feed(place, size.traffic, processes)
        team = Team(place, processes)
        for number in range(size.kills):
            share = (number + 1) / (size.kills + 1)
            team.kill(rng, AIMS[number % 3], partial(feed.append, share))
        feed.end()
        wait_until(team.keep_up, "the end of all inputs")
        inputs = committed_inputs(log)
    print(f"{team.report()}, {sum(map(len, inputs.values()))} records")
    print(f"{time.monotonic() - started:.0f} s")
    assert_complete(inputs, size.traffic)
    expected = of_the_embedded_log(tmp_path, inputs)
    assert_much_to_lose(expected, size)
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, expected) == []
    assert found.dangling == 0
    assert team.between >= 0.8 * size.kills


def assert_much_to_lose(expected: Outcome, size: Size) -> None:
    """The run on the embedded log finds much of everything, and numbers it well."""
    found, aside, volumes, misnumbered, dangling = expected
    assert len(found.alerts) > size.traffic.events // 10
    assert len(found.incidents) > size.traffic.events // 10
    assert volumes
    kinds = ("wallet.late", "dlq_sha256", "dlq_key_sha256", *REASONS)
    assert [kind for kind in kinds if not any(kind in text for text in aside)] == []
    assert (misnumbered, dangling) == ([], 0)
