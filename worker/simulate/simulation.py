"""All accounts together: their events, merged by arrival."""

from collections.abc import Iterator

from schemas.truth import Plant
from worker.simulate.life.days import begin_day
from worker.simulate.life.history import live_before
from worker.simulate.stories import balance_cast
from worker.simulate.stories.assignment import Variant, cast, plan_story
from worker.simulate.world.account import HOUR_MS, SimulatedAccount, open_account
from worker.simulate.world.config import DAY_MS, SimulateConfig
from worker.simulate.world.delivery import REDELIVERED_WITHIN_MS, Event, Sent, heartbeats

SPAN_MS = 2 * HOUR_MS


def simulate(
    config: SimulateConfig, seed: int, truth: list[Plant] | None = None
) -> Iterator[Event]:
    """Yield the events of all accounts in the order of arrival; equal seeds give equal events.

    `truth` receives what is planted while the events are consumed; it is complete at their end.
    """
    truth = [] if truth is None else truth
    stories = cast(config, seed)
    accounts = [_open(i, seed, stories.get(i), truth, config) for i in range(config.accounts)]
    accounts.sort(key=lambda account: account.opened_at)
    on_their_way: list[Sent] = []
    for begin, end in _windows(accounts[0].opened_at, config):
        for account in accounts:
            if account.opened_at >= end:
                break
            account.agenda.run_until(min(end, config.end_ms))
            on_their_way += account.outbox
            account.outbox.clear()
        on_their_way.sort()
        arrived = _count_before(end, on_their_way)
        yield from _with_heartbeats(on_their_way[:arrived], begin, config)
        del on_their_way[:arrived]


def _open(
    index: int, seed: int, variant: Variant | None, truth: list[Plant], config: SimulateConfig
) -> SimulatedAccount:
    history_days = variant.history_days if variant else 0
    account = open_account(index, seed, config.start_ms - history_days * DAY_MS, config)
    if variant:
        account.has_story = True
        account.post.never_straggle()
        _keep_books_for(variant, account)
    if history_days:
        live_before(account, history_days, config)
    account.agenda.at(config.start_ms, begin_day, account, 0)
    if variant:
        plan_story(account, variant, truth, config)
    return account


def _keep_books_for(variant: Variant, account: SimulatedAccount) -> None:
    """Number the entries, or leave them unnumbered, as the story needs."""
    for ledger in account.ledgers:
        if variant.plot in balance_cast.NUMBERED:
            ledger.numbered = True
        elif variant.plot in balance_cast.UNNUMBERED:
            ledger.numbered = False


def _windows(begin: int, config: SimulateConfig) -> Iterator[tuple[int, int]]:
    """Yield the spans of arrival, whole days before the start and SPAN_MS from then on."""
    while begin < config.end_ms:
        end = begin + (DAY_MS if begin < config.start_ms else SPAN_MS)
        yield begin, end
        begin = end
    yield begin, begin + config.straggler_max_ms + REDELIVERED_WITHIN_MS + 1


def _count_before(end: int, sent: list[Sent]) -> int:
    """Return how many of the sorted ones arrive before `end`."""
    low, high = 0, len(sent)
    while low < high:
        middle = (low + high) // 2
        if sent[middle][0] < end:
            low = middle + 1
        else:
            high = middle
    return low


def _with_heartbeats(sent: list[Sent], begin: int, config: SimulateConfig) -> Iterator[Event]:
    """Yield the events of one span; heartbeats are due at its begin while it is of the start."""
    if config.heartbeats and config.start_ms < begin <= config.end_ms:
        yield from heartbeats(begin, config.lateness_ms)
    for _, _, _, event in sent:
        yield event
