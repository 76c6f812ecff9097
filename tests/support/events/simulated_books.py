"""A simulation as its tests see it: from the events alone, by arithmetic written here."""

from collections import defaultdict

from schemas.money import CURRENCIES, to_minor
from schemas.time import parse_time
from schemas.truth import Plant
from worker.simulate import SimulateConfig, simulate

Event = dict[str, object]
DEBITS = {"payment", "transfer_out", "withdrawal", "fee"}
MINUTE = 60_000
DAY = 86_400_000
MONEY = ("failed_payment_sufficient_balance", "balance_mismatch")
"""The rules whose stories are of money."""


class SimulatedBooks:
    """One simulation, with its events once each in the order of time.

    Attributes:
        books: the posted rows with balances, by account and currency, as they were booked.
        accounts_with_stories: the ids of the accounts in which a story is planted.
    """

    def __init__(self, config: SimulateConfig, seed: int) -> None:
        self.truth: list[Plant] = []
        self.arrived = list(simulate(config, seed, self.truth))
        sent = [event for event in self.arrived if event["kind"] != "heartbeat"]
        self.by_id = {str(event["event_id"]): event for event in sent}
        self.events = sorted(self.by_id.values(), key=lambda event: (at(event), event["event_id"]))
        self.by_account: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            self.by_account[str(event["account_id"])].append(event)
        self.accounts_with_stories = {plant.account_id for plant in self.truth}
        self.books = self._books()

    def planted(self, *variants: str) -> list[Plant]:
        found = [plant for plant in self.truth if plant.variant in variants]
        assert {plant.variant for plant in found} == set(variants)
        return found

    def anchor(self, plant: Plant) -> Event:
        return self.by_id[plant.event_ids[-1]]

    def of_account(self, account_id: str, kind: str) -> list[Event]:
        return [event for event in self.by_account[account_id] if event["kind"] == kind]

    def before(self, plant: Plant) -> list[Event]:
        """The rows of the account that occurred before the anchor."""
        rows = self.of_account(plant.account_id, "transaction")
        return [row for row in rows if at(row) < at(self.anchor(plant))]

    def _books(self) -> dict[tuple[str, str], list[Event]]:
        books: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in self.events:
            if event.get("balance_kind") == "posted" and event["kind"] == "transaction":
                books[str(event["account_id"]), str(event["currency"])].append(event)
        for rows in books.values():
            rows.sort(key=_booked)
        return books


def _booked(row: Event) -> tuple[int, int, str]:
    """Numbered rows by their number, others as they were made."""
    return int(str(row.get("ledger_sequence", 0))), at(row), str(row["event_id"])


def at(event: Event) -> int:
    return parse_time(str(event["occurred_at"]))


def minor(event: Event, name: str) -> int:
    return to_minor(str(event.get(name, "0")), CURRENCIES[str(event["currency"])])


def major(event: Event) -> int:
    return int(10 ** CURRENCIES[str(event["currency"])])


def cost(event: Event) -> int:
    """What the balance was to pay of a debit."""
    if event["funding"] == "mixed":
        return minor(event, "funding_from_balance")
    if event["funding"] != "balance":
        return 0
    return minor(event, "amount") + minor(event, "fee")


def effect(event: Event) -> int:
    """What a row must move of the posted balance, from its other fields."""
    separate = minor(event, "fee") if event.get("fee_mode") == "separate" else 0
    full = separate - cost(event) if event["type"] in DEBITS else minor(event, "amount")
    if event["status"] == "completed":
        return full
    moved = "balance_before" in event and event["balance_before"] != event["balance_after"]
    return -full if moved and event["status"] != "pending" else 0


def started(row: Event) -> int:
    """Where a row started; one that tells only its end moved what it must."""
    if "balance_before" in row:
        return minor(row, "balance_before")
    return minor(row, "balance_after") - effect(row)


def drift(row: Event) -> int:
    """By how much the row moved its balance wrongly."""
    return minor(row, "balance_after") - started(row) - effect(row)
