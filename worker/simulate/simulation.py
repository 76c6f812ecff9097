"""All accounts together: what they send, merged by time and delivered."""

from collections.abc import Iterator
from heapq import merge
from random import Random

from worker.simulate.account import Account, Event, open_account
from worker.simulate.config import SimulateConfig
from worker.simulate.days import begin_day
from worker.simulate.delivery import Sent, deliver
from worker.simulate.stories import cast, plan_story
from worker.simulate.truth import Truth


def simulate(config: SimulateConfig, seed: int, truth: Truth | None = None) -> Iterator[Event]:
    """Yield the events of all accounts in the order of arrival; equal seeds give equal events.

    `truth` receives what is planted, while the events are taken; it is whole at their end.
    """
    truth = [] if truth is None else truth
    stories = cast(config, seed)
    lives = []
    for index in range(config.accounts):
        account = open_account(index, seed, config.start_ms)
        account.agenda.after(0, begin_day, account, 0)
        if index in stories:
            plan_story(account, *stories[index], truth, config)
        lives.append(_live(account, config.end_ms, may_straggle=index not in stories))
    rng = Random(f"{seed}:delivery")
    yield from deliver(merge(*lives), config, rng)


def _live(account: Account, end_ms: int, *, may_straggle: bool) -> Iterator[Sent]:
    number = 0
    for _ in account.agenda.run_until(end_ms):
        for at, event in account.outbox:
            number += 1
            yield Sent(at, account.index, number, event, may_straggle)
        account.outbox.clear()
