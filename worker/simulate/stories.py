"""Which stories there are, and which account each of them happens to."""

from collections.abc import Callable
from random import Random

from worker.simulate import balance_stories, login_stories, payment_stories
from worker.simulate.account import Account
from worker.simulate.bookings import complete, top_up
from worker.simulate.config import DAY_MS, SimulateConfig
from worker.simulate.days import local_delay
from worker.simulate.orders import purchase
from worker.simulate.story import Story
from worker.simulate.truth import Truth
from worker.simulate.visits import sign_in

Teller = Callable[[Story], None]

FAILED_PAYMENT = "failed_payment_sufficient_balance"
BALANCE_MISMATCH = "balance_mismatch"
CANNOT_LOG_IN = "cannot_log_in"

ANOMALIES: tuple[tuple[str, Teller], ...] = (
    (FAILED_PAYMENT, payment_stories.contradicted),
    (BALANCE_MISMATCH, balance_stories.row),
    (CANNOT_LOG_IN, login_stories.service_failing),
    (FAILED_PAYMENT, payment_stories.technical_uncured),
    (BALANCE_MISMATCH, balance_stories.chain),
    (CANNOT_LOG_IN, login_stories.bad_credentials),
    (BALANCE_MISMATCH, balance_stories.missing_entry),
    (FAILED_PAYMENT, payment_stories.technical_cured),
)
INNOCENTS: tuple[tuple[str, Teller], ...] = (
    (FAILED_PAYMENT, payment_stories.insufficient_then_retry),
    (CANNOT_LOG_IN, login_stories.typing_errors),
    (FAILED_PAYMENT, payment_stories.held_funds),
    (CANNOT_LOG_IN, login_stories.few_failures),
    (FAILED_PAYMENT, payment_stories.limit),
    (FAILED_PAYMENT, payment_stories.fraud),
    (FAILED_PAYMENT, payment_stories.card_funded),
    (FAILED_PAYMENT, payment_stories.merchant_initiated),
)
STORIES = ANOMALIES + INNOCENTS
"""With too few accounts for all, the first ones are told."""

_BEGIN_HOURS = (11, 17)
"""Local hours between which a story begins: every home country's UTC day holds them whole."""


def cast(config: SimulateConfig, seed: int) -> dict[int, tuple[str, Teller]]:
    """Draw the accounts that stories happen to: by account index, at most one story each."""
    wanted = min(config.accounts, config.variant_count * len(STORIES))
    rng = Random(f"{seed}:stories")
    chosen = rng.sample(range(config.accounts), wanted)
    return {index: STORIES[n % len(STORIES)] for n, index in enumerate(chosen)}


def plan_story(
    account: Account, rule: str, teller: Teller, truth: Truth, config: SimulateConfig
) -> None:
    """Put the story on the account's agenda, on some day: a visit, a purchase, then the story."""
    story = Story(account, truth, rule, teller.__name__)
    day = account.rng.randrange(config.days)
    delay = day * DAY_MS + local_delay(account, account.rng.randint(*_BEGIN_HOURS))
    account.agenda.after(delay, _begin, story, teller)


def _begin(story: Story, teller: Teller) -> None:
    sign_in(story.account)
    story.account.soon(20, 60, _buy_before, story.account)
    story.account.soon(90, 180, teller, story)


def _buy_before(account: Account) -> None:
    """Pay something ordinary, so that the story has a row before its own."""
    ledger = account.ledgers[0]
    order = purchase(account, account.price(ledger, 2, 40), ledger)
    top_up(account, ledger, order.cost)
    complete(account, order)
