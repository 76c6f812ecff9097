"""Which stories are planted, and in which account each of them happens."""

from random import Random

from schemas.truth import Plant
from worker.simulate.life.bookings import complete, top_up
from worker.simulate.life.days import local_delay
from worker.simulate.life.history import ANNIVERSARY_LEAD_MS, first_seen_at
from worker.simulate.life.orders import purchase
from worker.simulate.life.visits import sign_in
from worker.simulate.stories.casting import ANOMALIES, INNOCENTS, RULES, STORIES
from worker.simulate.stories.story import Story
from worker.simulate.stories.variant import Plot, Variant
from worker.simulate.world.account import SimulatedAccount
from worker.simulate.world.config import DAY_MS, SimulateConfig

__all__ = ["ANOMALIES", "INNOCENTS", "STORIES", "Variant", "cast", "plan_story"]

_BEGIN_HOURS = (11, 16)
"""Local hours in which a story begins; in every home country they lie within one UTC day."""


def cast(config: SimulateConfig, seed: int) -> dict[int, Variant]:
    """Draw the accounts in which stories happen: by account index, at most one story each.

    Unless the stories of each variant are counted, half of the accounts have none, but a few
    accounts have as many as there are rules.
    """
    room = config.accounts
    if config.stories_per_variant is None:
        room = min(room, max(room // 2, RULES))
    wanted = min(room, config.variant_count * len(STORIES))
    chosen = Random(f"{seed}:stories").sample(range(config.accounts), wanted)
    return {index: STORIES[n % len(STORIES)] for n, index in enumerate(chosen)}


def plan_story(
    account: SimulatedAccount, variant: Variant, truth: list[Plant], config: SimulateConfig
) -> None:
    """Put the story on the account's agenda, on some day: a visit, a purchase, then the story."""
    story = Story(account, truth, variant.rule, variant.name)
    delay = _begins_at(account, variant, config) - account.agenda.now
    if variant.alone:
        account.no_visits_until = account.agenda.now + delay
        account.agenda.after(delay, variant.plot, story)
    else:
        account.agenda.after(delay, _begin, story, variant.plot)


def _begins_at(account: SimulatedAccount, variant: Variant, config: SimulateConfig) -> int:
    if variant.anniversary:
        first = first_seen_at(account, variant.history_days, config)
        return first + variant.history_days * DAY_MS - ANNIVERSARY_LEAD_MS
    day = account.rng.randrange(config.days) - variant.begins_early
    delay = local_delay(account, account.rng.randint(*_BEGIN_HOURS))
    return config.start_ms + day * DAY_MS + delay


def _begin(story: Story, plot: Plot) -> None:
    sign_in(story.account)
    story.account.soon(20, 60, _buy_before, story.account)
    story.account.soon(90, 180, plot, story)


def _buy_before(account: SimulatedAccount) -> None:
    """Pay something ordinary, so that the story has a row before its own."""
    ledger = account.ledgers[0]
    order = purchase(account, account.price(ledger, 2, 40), ledger)
    top_up(account, ledger, order.cost)
    complete(account, order)
