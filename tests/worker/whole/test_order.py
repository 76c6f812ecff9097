"""The same answer in any order, with redeliveries, and after any crash (design §2.1, §2.2, §4, §5).

The plain run reads the sorted history in one poll. The endured run gets the same events out of
order within the lateness, some again, input after input in any interleaving, in polls of any size,
with tasks split over workers that crash and are made anew.
"""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from schemas.topics import ALERTS, LATE, LOGINS
from tests.support.events.arrivals import HORIZON, JUNK, LATENESS, Arrival, deliver, in_order
from tests.support.events.traffic import START, Event, Wallet, live
from tests.support.random_runs import POLICY, RULES, endure, run_plainly
from tests.support.run_comparison import comparable, dangling, documents, set_aside, volumes
from worker.detect.handler import Horizons
from worker.logs.memory import MemoryLog

SEEDS = 1_000
CHUNK = 100
CHUNKS = [range(first, first + CHUNK) for first in range(0, SEEDS, CHUNK)]
FIRED_PER_CHUNK = 5
"""So that every rule fires in at least 50 of the 1,000 seeds."""

Story = tuple[list[Event], Arrival, Random]


def story(seed: int, late_share: float = 0.0) -> Story:
    """Return what happened, how it arrives, and the chance that goes on from there."""
    rng = Random(seed)
    events = live(rng)
    return events, deliver(rng, events, rng.randint(1, 4), late_share), rng


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_order_duplicates_polls_and_restarts_change_nothing(seeds: range) -> None:
    """The endured run finds exactly what the plain run finds, and every citation resolves."""
    fired: Counter[str] = Counter()
    crashes = 0
    for seed in seeds:
        events, arrival, rng = story(seed)
        assert_hard_enough(events, arrival)
        plain = run_plainly(in_order(events))
        endured = endure(rng, arrival)
        assert comparable(endured) == comparable(plain), f"seed {seed}"
        assert dangling(endured) == [], f"seed {seed}"
        assert_nothing_set_aside_but_junk(endured, arrival)
        fired.update({alert["rule"] for _, alert in documents(plain, ALERTS)})
        crashes += endured.crashes
    assert {rule.id for rule in RULES} <= {
        rule for rule, count in fired.items() if count >= FIRED_PER_CHUNK
    }
    assert crashes >= CHUNK


@pytest.mark.parametrize(("most", "seeds"), [(1, CHUNKS[0][:50]), (2, CHUNKS[1][:50])])
def test_order_duplicates_polls_and_restarts_change_nothing_that_is_counted(
    most: int, seeds: range
) -> None:
    """Where rules find more than they may have open: overflow alerts are the same too."""
    policy = replace(POLICY, horizons=Horizons(max_open_alerts=most))
    steps: Counter[str] = Counter()
    for seed in seeds:
        events, arrival, rng = story(seed)
        plain = run_plainly(in_order(events), policy=policy)
        endured = endure(rng, arrival, policy=policy)
        assert comparable(endured) == comparable(plain), f"seed {seed}"
        assert dangling(endured) == [], f"seed {seed}"
        steps.update(a["kind"] for _, a in documents(plain, ALERTS) if "counted" in a)
    assert min(steps[kind] for kind in ("raised", "updated", "cured")) >= FIRED_PER_CHUNK


@pytest.mark.parametrize("seeds", CHUNKS[:2], ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_polls_and_restarts_change_nothing_where_events_are_late(seeds: range) -> None:
    """What is late, refused or in conflict depends on the streams alone, and is reported once."""
    late = told_again = 0
    for seed in seeds:
        _, arrival, rng = story(seed, late_share=0.08)
        records = [record for stream in arrival.streams.values() for record in stream]
        plain = run_plainly(records, arrival.partitions)
        endured = endure(rng, arrival)
        assert comparable(endured) == comparable(plain), f"seed {seed}"
        assert set_aside(endured) == set_aside(plain), f"seed {seed}"
        assert volumes(endured) == volumes(plain), f"seed {seed}"
        assert dangling(endured) == [], f"seed {seed}"
        late += sum(topic == LATE for topic, *_ in set_aside(plain))
        told_again += sum(volume.revision > 1 for volume in volumes(plain))
    assert late >= 5 * CHUNK
    assert told_again >= 5


@pytest.mark.parametrize(("beyond", "late"), [(0, 0), (1, 1)])
def test_a_redelivery_is_known_to_the_end_of_the_horizon(beyond: int, late: int) -> None:
    """Later than that it is like an event too old to judge: it is late."""
    events: list[Event] = []
    wallet = Wallet(Random(0), "owner", events)
    wallet.do_nothing_special(START)
    first = next(event for event in events if event.topic == LOGINS)
    wallet.do_nothing_special(START + HORIZON + LATENESS + beyond)
    again = [record for record in in_order(events) if record.value == first.value]
    history = in_order(events)
    ends = [record for record in history if record.key is None]
    history = [record for record in history if record.key is not None]
    log = run_plainly(history + again + ends)
    assert len(set_aside(log)) == late
    assert comparable(log) == comparable(run_plainly(in_order(events)))


def assert_hard_enough(events: list[Event], arrival: Arrival) -> None:
    """The seed is as the property demands."""
    assert arrival.events >= 200
    assert len({event.account for event in events}) >= 3
    assert len({event.topic for event in events}) == 3
    assert arrival.disordered >= arrival.events * 0.20
    assert arrival.redelivered >= arrival.events * 0.05


def assert_nothing_set_aside_but_junk(log: MemoryLog, arrival: Arrival) -> None:
    """Nothing is late; every bad record is one dead letter, however often it was read.

    Redelivered logins under unknown names are the exception: nothing is kept to recognise them.
    """
    values = [value or b"" for _, _, value, _ in set_aside(log)]
    known = [value for value in values if b"unknown_account" not in value]
    assert known == [JUNK] * arrival.junk
