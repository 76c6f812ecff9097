"""One account: who owns it, what it has, and the events it has sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from schemas.time import format_time
from worker.simulate.agenda import Agenda
from worker.simulate.ledger import Ledger
from worker.simulate.world import (
    COUNTRIES,
    EUR,
    FIRST_DOCUMENTATION_ASN,
    MERCHANTS,
    NETWORKS,
    USD,
    Country,
    Money,
)

Event = dict[str, object]
"""One record, as it is written to a line."""

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a merchant takes from the account every `every_days` days."""

    merchant: str
    amount: int
    every_days: int


@dataclass(slots=True)
class Account:
    """An owner with habits. Every draw comes from `rng`, every moment from `agenda`."""

    index: int
    rng: Random
    agenda: Agenda
    country: Country
    ledgers: tuple[Ledger, ...]
    devices: tuple[Event, ...]
    payees: tuple[str, ...]
    merchants: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]
    salary: int
    salary_day: int
    session: Event = field(default_factory=dict)
    """Where the owner is signed in: the fields that his transactions carry."""
    no_visits_until: int = 0
    outbox: list[tuple[int, Event]] = field(default_factory=list)
    """Events sent by the step that runs, with the time at which they occurred."""
    _ids: int = 0

    @property
    def account_id(self) -> str:
        """Return the id on the wire."""
        return f"acc-{self.index:06d}"

    def new_id(self, prefix: str) -> str:
        """Return an id that nothing else in the simulation has."""
        self._ids += 1
        return f"{prefix}-{self.index:06d}-{self._ids:06d}"

    def emit(self, kind: Literal["transaction", "login", "balance"], fields: Event) -> str:
        """Send an event that occurs now; return its event_id."""
        event_id = self.new_id("evt")
        now = self.agenda.now
        event: Event = {"kind": kind, "event_id": event_id, "account_id": self.account_id}
        event |= fields
        event["occurred_at"] = format_time(now)
        self.outbox.append((now, event))
        return event_id

    def soon(self, low_s: int, high_s: int, step: Callable[..., object], *args: object) -> None:
        """Run the step after `low_s` to `high_s` seconds."""
        self.agenda.after(self.rng.randint(low_s * SECOND_MS, high_s * SECOND_MS), step, *args)

    def price(self, ledger: Ledger, low: int, high: int) -> int:
        """Draw an amount of `low` to `high` units of the currency; small ones are likelier."""
        unit = ledger.money.unit
        draw = self.rng.randint
        return min(draw(low * unit, high * unit), draw(low * unit, high * unit))

    def any_ledger(self) -> Ledger:
        """Draw a currency: the home currency seven times out of eight."""
        if len(self.ledgers) == 1 or self.rng.randrange(8):
            return self.ledgers[0]
        return self.ledgers[1]


def open_account(index: int, seed: int, start_ms: int) -> Account:
    """Draw an account; it depends on seed and index only, not on how many others there are."""
    rng = Random(f"{seed}:account:{index}")
    country = rng.choice(COUNTRIES)
    ledgers = [_ledger(rng, country.money)]
    if rng.randrange(8) == 0:
        ledgers.append(_ledger(rng, EUR if country.money is USD else USD))
    return Account(
        index=index,
        rng=rng,
        agenda=Agenda(start_ms),
        country=country,
        ledgers=tuple(ledgers),
        devices=tuple(_device(rng, index, n, country) for n in range(rng.choice((1, 1, 2)))),
        payees=tuple(f"acc-{rng.randrange(10**6):06d}" for _ in range(rng.randint(2, 8))),
        merchants=tuple(rng.sample(MERCHANTS, rng.randint(5, 20))),
        subscriptions=tuple(_subscription(rng, country) for _ in range(rng.randint(0, 4))),
        salary=rng.randint(600, 4_000) * country.money.unit,
        salary_day=rng.randint(1, 28),
    )


def _ledger(rng: Random, money: Money) -> Ledger:
    return Ledger(money, balance=rng.randint(0, 900 * money.unit), sequence=rng.randint(20, 9_000))


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
