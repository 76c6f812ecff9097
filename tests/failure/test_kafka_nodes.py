"""On a cluster of three nodes, of which one after the other falls silent: nothing is lost.

A frozen node is the leader of some partitions, and may be coordinator of groups or transactions,
while the others go on: what the client does not notice would be missing in the end.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.broker import Broker, Unavailable
from tests.support.commands import kafka_variables
from tests.support.crashing_worker import Process, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import crowd

SEED = 37
EVENTS = 3_000
POLL = 50
NODES = 3
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Broker]]:
    """Three running nodes; what the cluster keeps for itself has three replicas."""
    try:
        made = [
            Broker(tmp_path / f"node-{number}", {"node.id": str(number)})
            for number in range(1, NODES + 1)
        ]
    except Unavailable as missing:
        pytest.skip(f"three Kafka brokers: {missing}")
    controllers = [node.given("listeners").rpartition("//")[2] for node in made]
    voters = ",".join(f"{number}@{address}" for number, address in enumerate(controllers, 1))
    kept = ("offsets.topic.", "transaction.state.log.")
    replicated = {f"{name}replication.factor": "3" for name in kept}
    shared = {"controller.quorum.voters": voters, "transaction.state.log.min.isr": "2"}
    for node in made:
        node.change(shared | replicated)
        node.begin()
    try:
        for node in made:
            node.await_start()
        yield made
    finally:
        for node in made:
            node.kill()


class Supervised:
    """A worker that is started again whenever it ends with 70, as a supervisor would."""

    def __init__(self, place: KafkaPlace, processes: ExitStack) -> None:
        self._place = place
        self._processes = processes
        self.starts = 0
        self._process = self._start()

    def await_commits(self, more: int) -> None:
        """Wait for so many more commits to begin, however often it has to be started for that."""
        enough = self._place.page.begun + more
        wait_until(
            lambda: self._keep_up() == 0 or self._place.page.begun >= enough, "a commit", 0.0005
        )

    def await_an_end_or(self, commits: int) -> None:
        """Wait until it gives up, or gets on."""
        enough = self._place.page.commits + commits
        wait_until(
            lambda: self._process.poll() is not None or self._place.page.commits >= enough,
            f"an end, or {commits} commits",
        )

    def await_success(self) -> None:
        """Wait until it has read everything."""
        wait_until(lambda: self._keep_up() == 0, "the end of all inputs")

    def _keep_up(self) -> int | None:
        """Start it again if it has given up; return its exit code, None while it runs."""
        code = self._process.poll()
        assert code in (None, 0, 70), self._place.errors.read_text()
        if code == 70:
            self._process = self._start()
            return None
        return code

    def _start(self) -> Process:
        self.starts += 1
        return self._processes.enter_context(self._place.running("--until-ended"))


@pytest.mark.parametrize(("replication", "in_sync"), [(1, 1), (3, 2)])
def test_a_node_that_falls_silent_loses_nothing(
    replication: int, in_sync: int, nodes: list[Broker], tmp_path: Path, expected: Outcome
) -> None:
    """Each is frozen twice, beyond every limit of the client, while the worker commits."""
    settings = {"REPLICATION": replication, "MIN_INSYNC": in_sync}
    login = kafka_variables(settings)
    address = ",".join(node.address for node in nodes)
    place = KafkaPlace(tmp_path / "place", address, POLL, login=login)
    place.fill(crowd(SEED, EVENTS))
    with ExitStack() as processes:
        worker = Supervised(place, processes)
        for node in nodes * 2:
            worker.await_commits(1)
            node.pause()
            worker.await_an_end_or(commits=5)
            node.resume()
        worker.await_success()
    print(f"replication {replication}: started {worker.starts} times")
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, expected) == []
    assert found.dangling == 0
