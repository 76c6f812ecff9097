"""kill -9 at any moment changes nothing that is committed (design §2.2, §5)."""

from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.support.crashing_worker import Killer, Place, producing
from tests.support.log_comparison import Outcome, differences, outcome
from tests.support.producer import crowd
from tests.support.victim import BETWEEN, Order

SEED = 20_000


class Size(NamedTuple):
    """How much a test does, and what it must at least have met."""

    events: int
    kills: int
    poll: int = 200
    between: int = 0
    each: int = 0


TINY = Size(events=2_000, kills=3, poll=100)
SMALL = Size(events=20_000, kills=12, between=9, each=1)
LIVELY = Size(events=50_000, kills=25, between=20, each=2)
LARGE = Size(events=200_000, kills=100, poll=500, between=80, each=10)
LONG = [pytest.mark.chaos, pytest.mark.timeout(900)]


def sizes(short: Size, long: Size) -> pytest.MarkDecorator:
    """Give the test a short original, and with `make chaos` a long one."""
    return pytest.mark.parametrize(
        "original", [short, pytest.param(long, marks=LONG)], indirect=True, ids=["short", "long"]
    )


class Original(NamedTuple):
    """A log on which no worker has run, and what an uninterrupted run makes of it."""

    size: Size
    untouched: Place
    outcome: Outcome
    units: int
    """How many units of work that took."""

    @property
    def within(self) -> int:
        """Among how many first units a victim dies, so that the kills spread over the run."""
        return max(2, round(2 * self.units / self.size.kills))


@pytest.fixture(scope="module")
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    """The uninterrupted run, on a copy of the log with everything in it."""
    size: Size = request.param
    folder = tmp_path_factory.mktemp("original")
    untouched = Place(folder / "untouched", size.poll)
    untouched.fill(crowd(SEED, size.events))
    whole = Place(folder / "whole", size.poll)
    whole.copy_log(untouched)
    whole.finish()
    return Original(size, untouched, outcome(whole), whole.page.units)


@sizes(SMALL, LARGE)
def test_kills_change_nothing(original: Original, tmp_path: Path) -> None:
    """Everything is in the log; the worker is killed while reading, releasing, committing."""
    assert_much_to_lose(original)
    place = Place(tmp_path / "killed", original.size.poll)
    place.copy_log(original.untouched)
    killer = Killer(place, Random(1))
    for aim in killer.plan(original.size.kills):
        killer.kill(aim, original.within)
    place.finish()
    assert_unharmed(place, original, killer)


@sizes(TINY, LIVELY)
def test_kills_change_nothing_while_a_producer_appends(original: Original, tmp_path: Path) -> None:
    """The same with a producer that appends something with each unit of work, ends at last."""
    place = Place(tmp_path / "killed", original.size.poll)
    slices = 3 * original.units
    with producing(place, SEED, original.size.events, slices) as producer:
        killer = Killer(
            place, Random(2), feed=lambda: producer.append(min(place.page.units, slices - 1))
        )
        for aim in killer.plan(original.size.kills):
            killer.kill(aim, original.within)
        producer.append_rest()
    place.finish()
    assert_unharmed(place, original, killer)


def assert_much_to_lose(original: Original) -> None:
    """The uninterrupted run finds much of everything, and numbers it well."""
    found, aside, volumes, misnumbered, dangling = original.outcome
    assert len(found.alerts) > original.size.events // 10
    assert len(found.incidents) > original.size.events // 10
    assert sum("wallet.late" in text for text in aside) > 100
    assert sum("event_id_conflict" in text for text in aside) > 100
    assert sum("not_json" in text for text in aside) > 100
    assert len(volumes) > 100
    assert (misnumbered, dangling) == ([], 0)


def assert_unharmed(place: Place, original: Original, killer: Killer) -> None:
    """Nothing lost, nothing twice; and the kills were where they had to be."""
    print(killer.report())
    found = outcome(place)
    assert found.misnumbered == []
    assert differences(found, original.outcome) == []
    assert found.dangling == 0
    assert len(killer.kills) == original.size.kills
    assert killer.between >= original.size.between
    assert min(killer.histogram[aim] for aim in killer.AIMS) >= original.size.each


@pytest.mark.parametrize("original", [TINY], indirect=True, ids=["short"])
@pytest.mark.parametrize("order", ["outputs first", "outputs last"])
def test_a_commit_in_two_parts_is_noticed(original: Original, order: Order, tmp_path: Path) -> None:
    """Outputs before the state come twice; outputs after it are lost."""
    place = Place(tmp_path / "killed", original.size.poll)
    place.copy_log(original.untouched)
    killer = Killer(place, Random(3), commit=order)
    for _ in range(original.size.kills):
        killer.kill(BETWEEN, original.within)
    place.finish(commit=order)
    found = outcome(place)
    assert found.misnumbered
    kind = "first" if order == "outputs first" else "second"
    assert any(f"only the {kind}" in text for text in differences(found, original.outcome))
