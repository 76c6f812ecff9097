"""One account: who owns it, what it has, and the events it has sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from schemas.time import format_time
from worker.simulate.world.agenda import Agenda
from worker.simulate.world.config import SimulateConfig
from worker.simulate.world.delivery import Event, Post, Sent
from worker.simulate.world.ledger import Ledger
from worker.simulate.world.world import (
    COUNTRIES,
    EUR,
    FIRST_DOCUMENTATION_ASN,
    MERCHANTS,
    METHODS,
    NETWORKS,
    USD,
    Country,
    SimulatedCurrency,
)

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000

__all__ = [
    "HOUR_MS",
    "MINUTE_MS",
    "SECOND_MS",
    "Event",
    "SimulatedAccount",
    "Subscription",
    "open_account",
]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a merchant takes from the account every `every_days` days."""

    merchant: str
    amount: int
    every_days: int


@dataclass(slots=True)
class SimulatedAccount:
    """An owner with habits. Every draw comes from `rng`, every moment from `agenda`."""

    index: int
    rng: Random
    agenda: Agenda
    post: Post
    country: Country
    ledgers: tuple[Ledger, ...]
    devices: tuple[Event, ...]
    """The fields of each device and of its place; a traveller's devices move."""
    payees: tuple[str, ...]
    merchants: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]
    salary: int
    salary_day: int
    rent: int
    """0: the owner pays none from this account."""
    rent_day: int
    method: str
    """How the owner authorizes payments."""
    opened_at: int
    """Nothing of the account occurs before this moment (epoch ms)."""
    has_story: bool = False
    """A story is planted in it: no trips, no reversals, no stragglers."""
    session: Event = field(default_factory=dict)
    """Where the owner is signed in: the fields that his transactions carry."""
    sessions: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By device_id: the session_id, and when that session ends."""
    visits: int = 0
    abroad: bool = False
    no_visits_until: int = 0
    row_straggles_until: int = 0
    """No balance is reported until then: a row before it may still be on its way."""
    outbox: list[Sent] = field(default_factory=list)
    """Events sent since it was last cleared, each with its arrival."""
    _ids: int = 0
    _sent: int = 0

    @property
    def account_id(self) -> str:
        """Return the id on the wire."""
        return f"acc-{self.index:06d}"

    @property
    def busy(self) -> bool:
        """Return whether the account is reserved, so that its ordinary life pauses."""
        return self.agenda.now < self.no_visits_until

    def new_id(self, prefix: str) -> str:
        """Return an id that is unique in the simulation."""
        self._ids += 1
        return f"{prefix}-{self.index:06d}-{self._ids:06d}"

    def emit(self, kind: Literal["transaction", "login", "balance"], fields: Event) -> str:
        """Send an event that occurs now; return its event_id."""
        event_id = self.new_id("evt")
        now = self.agenda.now
        event: Event = {"kind": kind, "event_id": event_id, "account_id": self.account_id}
        event |= fields
        event["occurred_at"] = format_time(now)
        arrivals = self.post.arrivals(now, event)
        if kind == "transaction" and arrivals[0] - now >= self.post.lateness_ms:
            self.row_straggles_until = now + 2 * MINUTE_MS
        for arrival in arrivals:
            self._sent += 1
            self.outbox.append((arrival, self.index, self._sent, event))
        return event_id

    def soon(self, low_s: int, high_s: int, step: Callable[..., object], *args: object) -> None:
        """Run the step after `low_s` to `high_s` seconds."""
        seconds = low_s + self.rng.random() * (high_s - low_s)
        self.agenda.after(int(seconds * SECOND_MS), step, *args)

    def when_free(self, step: Callable[..., object], *args: object) -> None:
        """Run the step now, or within five minutes after the account is no longer reserved."""
        if self.busy:
            wait = self.rng.randrange(5 * MINUTE_MS)
            self.agenda.at(self.no_visits_until + wait, self.when_free, step, *args)
        else:
            step(*args)

    def price(self, ledger: Ledger, low: int, high: int) -> int:
        """Draw an amount of `low` to `high` units of the currency; small ones are likelier."""
        draw = self.rng.random
        unit = ledger.money.unit
        return int((low + min(draw(), draw()) * (high - low)) * unit)

    def any_ledger(self) -> Ledger:
        """Draw a currency: the home currency seven times out of eight."""
        if len(self.ledgers) == 1 or self.rng.randrange(8):
            return self.ledgers[0]
        return self.ledgers[1]


def open_account(index: int, seed: int, opened_at: int, config: SimulateConfig) -> SimulatedAccount:
    """Draw an account; it depends on seed and index only, not on how many others there are."""
    rng = Random(f"{seed}:account:{index}")
    country = rng.choice(COUNTRIES)
    unit = country.money.unit
    salary = rng.randint(600, 4_000)
    return SimulatedAccount(
        index=index,
        rng=rng,
        agenda=Agenda(opened_at),
        post=Post(config, rng.getrandbits(64)),
        country=country,
        ledgers=_ledgers(rng, country.money),
        devices=tuple(_device(rng, index, n, country) for n in range(rng.choice((1, 1, 2)))),
        payees=tuple(new_payee(rng) for _ in range(rng.randint(2, 8))),
        merchants=tuple(rng.sample(MERCHANTS, rng.randint(5, 20))),
        subscriptions=tuple(_subscription(rng, country) for _ in range(rng.randint(0, 4))),
        salary=salary * unit,
        salary_day=rng.randint(1, 28),
        rent=rng.choice((0, salary // 3 * unit)),
        rent_day=rng.randint(1, 5),
        method=rng.choice(METHODS),
        opened_at=opened_at,
    )


def new_payee(rng: Random) -> str:
    """Draw an account to send money to; it need not be one of the simulation."""
    return f"acc-{rng.randrange(10**6):06d}"


def _ledgers(rng: Random, money: SimulatedCurrency) -> tuple[Ledger, ...]:
    numbered = rng.randrange(4) > 0
    shows_unmoved = rng.randrange(2) > 0
    monies = (money,) if rng.randrange(8) else (money, EUR if money is USD else USD)
    return tuple(_ledger(rng, money, numbered, shows_unmoved) for money in monies)


def _ledger(rng: Random, money: SimulatedCurrency, numbered: bool, shows_unmoved: bool) -> Ledger:
    return Ledger(
        money,
        balance=rng.randint(0, 900 * money.unit),
        sequence=rng.randint(20, 9_000),
        numbered=numbered,
        shows_unmoved=shows_unmoved,
    )


def _subscription(rng: Random, country: Country) -> Subscription:
    return Subscription(
        merchant=rng.choice(MERCHANTS),
        amount=rng.randint(3, 40) * country.money.unit - 1,
        every_days=rng.choice((1, 7, 30)),
    )


def _device(rng: Random, index: int, number: int, country: Country) -> Event:
    return {
        "device_id": f"dev-{index:06d}-{number}",
        "ip": f"2001:db8:{index % 65_536:x}:{rng.randrange(65_536):x}::{number + 1}",
        "asn": FIRST_DOCUMENTATION_ASN + rng.randrange(16),
        "network": rng.choice(NETWORKS),
        "country": country.code,
        "latitude": country.latitude,
        "longitude": country.longitude,
        "app_version": f"5.{rng.randrange(9)}.0",
    }
