"""A simulation of stolen and locked accounts as its tests see it: each plant with its account."""

from collections import defaultdict
from typing import NamedTuple

from schemas.truth import Plant
from tests.support.events import theft_oracle as suspicion
from tests.support.events.theft_oracle import Event, at, is_debit
from worker.simulate import SimulateConfig, simulate

THEFT, LOCK, SHUT_OUT = "unauthorized_transaction", "account_lockout", "cannot_log_in"


class SimulatedAccounts:
    """One simulation: its truth, and the events of each account once each in order."""

    def __init__(self, config: SimulateConfig, seed: int) -> None:
        self.truth: list[Plant] = []
        accounts: dict[str, list[Event]] = defaultdict(list)
        for event in simulate(config, seed, self.truth):
            if "account_id" in event:
                accounts[str(event["account_id"])].append(event)
        self.accounts = {name: suspicion.in_order(events) for name, events in accounts.items()}

    def plants(self, rule: str) -> dict[str, Plant]:
        return {plant.event_ids[-1]: plant for plant in self.truth if plant.rule == rule}

    def case(self, variant: str) -> "PlantedCase":
        """The last plant of a variant, by its story's own rule."""
        plant = [plant for plant in self.truth if plant.variant == variant][-1]
        events = self.accounts[plant.account_id]
        number = [event["event_id"] for event in events].index(plant.event_ids[-1])
        return PlantedCase(plant, events, events[number], events[:number])


class PlantedCase(NamedTuple):
    """A plant among the events of its account."""

    plant: Plant
    events: list[Event]
    anchor: Event
    before: list[Event]

    def last(self, *actions: str, outcome: str = "success") -> Event:
        return self.logins(*actions, outcome=outcome)[-1]

    def logins(self, *actions: str, outcome: str = "success") -> list[Event]:
        return [
            event
            for event in self.before
            if event["kind"] == "login"
            and event["action"] in actions
            and event["outcome"] == outcome
        ]

    def debits(self) -> list[Event]:
        return [e for e in self.before if is_debit(e) and e["status"] == "completed"]

    def since(self, event: Event) -> int:
        return at(self.anchor) - at(event)

    def first_with(self, name: str) -> Event:
        return next(e for e in self.events if e.get(name) == self.anchor[name])

    def after(self) -> list[Event]:
        return self.events[len(self.before) + 1 :]
