"""How events arrive: each after a delay, some twice, a few far too late."""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from worker.simulate.account import Event
from worker.simulate.config import SimulateConfig

REDELIVERED_WITHIN_MS = 10 * 60_000


class Sent(NamedTuple):
    """An event as it was sent; in the order of time, then account, then sending."""

    at: int
    account: int
    number: int
    event: Event
    may_straggle: bool


def deliver(sent: Iterable[Sent], config: SimulateConfig, rng: Random) -> Iterator[Event]:
    """Yield events in the order of arrival; a redelivery is the same object again.

    An event that is no straggler arrives less than lateness_ms after it occurred, so it is never
    late behind one that arrived before it.
    """
    arriving: list[tuple[int, int, Event]] = []
    number = 0
    for at, _, _, event, may_straggle in sent:
        while arriving and arriving[0][0] <= at:
            yield heappop(arriving)[2]
        for arrival in _arrivals(at, config, rng, may_straggle):
            number += 1
            heappush(arriving, (arrival, number, event))
    while arriving:
        yield heappop(arriving)[2]


def _arrivals(at: int, config: SimulateConfig, rng: Random, may_straggle: bool) -> Iterator[int]:
    if may_straggle and rng.randrange(10_000) < config.stragglers_per_10_000:
        first = at + rng.randint(config.lateness_ms, config.straggler_max_ms)
    else:
        first = at + rng.randrange(config.lateness_ms)
    yield first
    if rng.randrange(100) < config.redelivered_percent:
        yield first + rng.randrange(REDELIVERED_WITHIN_MS)
