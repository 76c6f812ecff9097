"""On a real broker: whatever happens to workers and broker, nothing is lost and nothing doubled.

What comes out is compared with an uninterrupted run on the embedded log.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest

from schemas.topics import ALERTS, DETECT_INPUTS
from scripts.broker import Broker
from tests.support.crashing_worker import DEADLINE_SECONDS, Killer, Process, wait_until
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import crowd, sliced
from tests.support.victim import BETWEEN
from worker.detect.account import LAYOUT
from worker.detect.account_upgrade import LAYOUT_FIELD
from worker.detect.stage import DETECT
from worker.engine.keyed_state import payload_of
from worker.engine.loop import COMMITTING, READING, RELEASING

SEED = 31
EVENTS = 1_500
POLL = 100
LONG = [pytest.mark.chaos, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


@pytest.fixture
def place(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A log on Kafka with everything in it, on which no worker has run."""
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL)
    place.fill(crowd(SEED, EVENTS))
    yield place
    place.remove()


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever was started in here is dead after the test."""
    with ExitStack() as stack:
        yield stack


def assert_unharmed(place: KafkaPlace, expected: Outcome) -> None:
    """Nothing lost, nothing twice, and every cited address holds its event."""
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, expected) == []
    assert found.dangling == 0


def finish(places: list[KafkaPlace], processes: ExitStack) -> None:
    """Let one worker per place run to the end of all inputs, all at once."""
    started = [processes.enter_context(place.running("--until-ended")) for place in places]
    for place, process in zip(places, started, strict=True):
        assert process.wait(DEADLINE_SECONDS) == 0, place.errors.read_text()


@pytest.mark.parametrize("workers", [1, 2, 3, pytest.param(6, marks=LONG)])
def test_workers_find_what_the_embedded_log_finds(
    workers: int, place: KafkaPlace, expected: Outcome, processes: ExitStack
) -> None:
    """However many share the tasks; of six, two have none until others end."""
    places = [place, *(place.beside(str(n)) for n in range(1, workers))]
    finish(places, processes)
    assert_unharmed(place, expected)


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=LONG)])
def test_kills_change_nothing(kills: int, place: KafkaPlace, expected: Outcome) -> None:
    """One worker is killed while it reads, releases and commits, and started again at once."""
    killer = Killer(place, Random(5))
    for aim in killer.plan(kills):
        killer.kill(aim, within=4 if kills < 50 else 2)
    place.finish()
    print(killer.report())
    assert_unharmed(place, expected)
    assert killer.between >= 0.8 * kills


def test_without_transactions_kills_are_seen(place: KafkaPlace, expected: Outcome) -> None:
    """The same harness finds duplicates where outputs are committed before the positions."""
    killer = Killer(place, Random(6), commit="outputs first")
    for _ in range(3):
        killer.kill(BETWEEN, within=4)
    place.finish(commit="outputs first")
    found = outcome(place)
    assert found.misnumbered
    assert any("only the first" in text for text in differences(found, expected))


@pytest.mark.parametrize("rounds", [6, pytest.param(60, marks=LONG)])
def test_workers_come_go_and_die(
    rounds: int, place: KafkaPlace, expected: Outcome, processes: ExitStack
) -> None:
    """Three workers; at random one is killed, stopped in good order, or started again."""
    rng = Random(7)
    places = [place, place.beside("1"), place.beside("2")]
    running: dict[int, Process] = {}
    for number in range(rounds):
        for slot, each in enumerate(places):
            if slot not in running:
                running[slot] = processes.enter_context(each.running("--until-ended"))
        victim = rng.randrange(len(places))
        units = places[victim].page.units + rng.randint(1, 3)
        _await_units(places[victim], running[victim], units)
        running[victim].send_signal(signal.SIGKILL if number % 3 else signal.SIGTERM)
        running.pop(victim).wait(DEADLINE_SECONDS)
    for process in running.values():
        process.kill()
        process.wait()
    finish(places, processes)
    assert_unharmed(place, expected)


def _await_units(place: KafkaPlace, process: Process, units: int) -> None:
    wait_until(
        lambda: place.page.units >= units or process.poll() is not None, f"{units} units of work"
    )


def test_a_frozen_worker_that_wakes_commits_nothing(
    place: KafkaPlace, expected: Outcome, processes: ExitStack
) -> None:
    """Its session times out, another does its work; when it goes on, its commit is refused."""
    frozen = processes.enter_context(place.running("--until-ended"))
    place.await_phase(frozen, 4, COMMITTING)
    frozen.send_signal(signal.SIGSTOP)
    place.beside("other").finish()
    frozen.send_signal(signal.SIGCONT)
    # Either its commit was refused, or it had none to make and found everything done.
    assert frozen.wait(DEADLINE_SECONDS) in (0, 70), place.errors.read_text()
    assert_unharmed(place, expected)


def test_of_two_workers_in_one_slot_the_older_one_ends(
    place: KafkaPlace, expected: Outcome, processes: ExitStack
) -> None:
    """With a sentence, whether it has anything left to commit or not; the newer one goes on."""
    older = processes.enter_context(place.running())
    place.await_phase(older, 4, READING)
    twin = KafkaPlace(place.config.parent.with_name("twin"), place._address, POLL, place.prefix)
    twin.finish()
    assert older.wait(DEADLINE_SECONDS) == 70
    assert "taken over" in place.errors.read_text()
    assert_unharmed(place, expected)


def test_a_stopped_worker_gives_its_tasks_back_at_once(
    place: KafkaPlace, expected: Outcome, processes: ExitStack
) -> None:
    """SIGTERM: exit code 0; another gets the tasks without waiting for the session to end."""
    first = processes.enter_context(place.running("--until-ended"))
    place.await_phase(first, 4, RELEASING)
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE_SECONDS) == 0, place.errors.read_text()
    place.beside("other").finish()
    assert_unharmed(place, expected)


def test_a_rolling_update_to_another_layout_of_states_loses_nothing(
    kafka_address: str, tmp_path: Path, expected: Outcome, processes: ExitStack
) -> None:
    """Three workers, updated one by one, each time with events to come; one of before that meets
    states of the update ends, is started again, and again, until it is updated, too.
    """
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL)
    processes.callback(place.remove)
    to_come = sliced(list(crowd(SEED, EVENTS).streams.values()), 4)
    place.append(next(to_come))
    places = [place, place.beside("1"), place.beside("2")]
    running = [processes.enter_context(each.running()) for each in places]

    def keep_up() -> None:
        for slot, process in enumerate(running):
            if process.poll() is not None:
                assert process.poll() == 70, places[slot].errors.read_text()
                said = places[slot].errors.read_text()
                assert "newer release" in said or "taken over" in said, said
                running[slot] = processes.enter_context(places[slot].running())

    def has_worked(place: KafkaPlace, units: int) -> bool:
        keep_up()
        return place.page.units >= units

    for slot, updated in enumerate(places):
        wait_until(partial(has_worked, updated, updated.page.units + 2), "work")
        running[slot].send_signal(signal.SIGTERM)
        assert running[slot].wait(DEADLINE_SECONDS) in (0, 70)
        updated.environment["WALLETWATCH_TEST_LAYOUT"] = str(LAYOUT + 1)
        running[slot] = processes.enter_context(updated.running())
        place.append(next(to_come))
    assert not list(to_come)
    for process in running:
        process.kill()
        process.wait()
    finish(places, processes)
    assert_unharmed(place, expected)
    with closing(place.open()) as log:
        states = dict(log.open_session(DETECT, DETECT_INPUTS, (0,)).restore(0).states)
    saved = (msgspec.msgpack.decode(payload_of(state)) for state in states.values())
    assert LAYOUT + 1 in {account[LAYOUT_FIELD] for account in saved if isinstance(account, dict)}


def test_a_worker_of_before_ends_where_an_update_has_saved_states(
    kafka_address: str, tmp_path: Path, expected: Outcome, processes: ExitStack
) -> None:
    """With a sentence; the update then goes on as if nothing had been."""
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL)
    processes.callback(place.remove)
    first, second = sliced(list(crowd(SEED, EVENTS).streams.values()), 2)
    place.append(first)
    updated = place.beside("1")
    updated.environment["WALLETWATCH_TEST_LAYOUT"] = str(LAYOUT + 1)
    with updated.running() as process, closing(place.open()) as log:
        wait_until(lambda: sum(end for _, end in log.offsets(ALERTS)) > 50, "alerts")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0, updated.errors.read_text()
    place.append(second)
    with place.running() as process:
        assert process.wait(DEADLINE_SECONDS) == 70
    assert "newer release" in place.errors.read_text()
    updated.finish()
    assert_unharmed(place, expected)


@pytest.mark.parametrize("deaths", [2, pytest.param(10, marks=LONG)])
def test_a_broker_that_dies_and_comes_back_loses_nothing(
    deaths: int, own_broker: Broker, tmp_path: Path, expected: Outcome, processes: ExitStack
) -> None:
    """It is killed while the worker commits: that goes on, or ends and is started again."""
    place = KafkaPlace(tmp_path / "place", own_broker.address, POLL)
    place.fill(crowd(SEED, EVENTS))
    worker = processes.enter_context(place.running("--until-ended"))
    for _ in range(deaths):
        place.await_phase(worker, place.page.units + 3, COMMITTING)
        own_broker.kill()
        own_broker.start()
        if not _goes_on(place, worker):
            worker = processes.enter_context(place.running("--until-ended"))
    if worker.wait(DEADLINE_SECONDS) != 0:
        place.finish()
    assert_unharmed(place, expected)


def _goes_on(place: KafkaPlace, worker: Process) -> bool:
    """Wait until the worker has done a unit of work more (True), or has ended with 70."""
    units = place.page.units
    wait_until(lambda: place.page.units > units or worker.poll() is not None, "work, or an end")
    assert worker.poll() in (None, 0, 70), place.errors.read_text()
    return worker.poll() is None


def test_a_broker_that_says_nothing_more_ends_the_worker(
    own_broker: Broker, tmp_path: Path, expected: Outcome, processes: ExitStack
) -> None:
    """Frozen in the middle of a commit, beyond every limit; afterwards nothing is missing."""
    place = KafkaPlace(tmp_path / "place", own_broker.address, POLL)
    place.fill(crowd(SEED, EVENTS))
    worker = processes.enter_context(place.running("--until-ended"))
    place.await_phase(worker, 4, COMMITTING)
    own_broker.pause()
    assert worker.wait(DEADLINE_SECONDS) == 70, place.errors.read_text()
    own_broker.resume()
    place.finish()
    assert_unharmed(place, expected)
