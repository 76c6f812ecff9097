"""Rows of a simulation among their neighbours."""

from schemas.truth import Plant
from tests.support.events.simulated_books import Event, SimulatedBooks, at, minor, started


def neighbour(money: SimulatedBooks, plant: Plant) -> Event:
    """The row booked just before the anchor."""
    event = money.anchor(plant)
    rows = money.books[plant.account_id, str(event["currency"])]
    ids = [row["event_id"] for row in rows]
    return rows[ids.index(event["event_id"]) - 1]


def only_sets(row: Event) -> bool:
    """Whether a row tells the balance after it alone, and not what it has moved."""
    unreported = row["funding"] == "mixed" and "funding_from_balance" not in row
    return "balance_before" not in row and (row["status"] != "completed" or unreported)


def group_of(money: SimulatedBooks, plant: Plant) -> list[Event]:
    """The balances' rows of the account around the anchor, each < 1 s after the one before."""
    anchor = money.anchor(plant)
    rows = [
        row
        for row in money.of_account(plant.account_id, "transaction")
        if row.get("balance_kind") == "posted" and row["currency"] == anchor["currency"]
    ]
    groups: list[list[Event]] = [[]]
    for row in rows:
        if groups[-1] and at(row) - at(groups[-1][-1]) >= 1_000:
            groups.append([])
        groups[-1].append(row)
    return next(group for group in groups if anchor in group)


def orders(known: int, rows: list[Event]) -> bool:
    """Whether some order of the rows makes one chain that starts at the known balance."""
    if not rows:
        return True
    return any(
        started(row) == known
        and orders(minor(row, "balance_after"), rows[:index] + rows[index + 1 :])
        for index, row in enumerate(rows)
    )


def known_before(money: SimulatedBooks, group: list[Event]) -> int:
    rows = [
        row
        for row in money.of_account(str(group[0]["account_id"]), "transaction")
        if row.get("balance_kind") == "posted"
        and row["currency"] == group[0]["currency"]
        and at(row) < at(group[0])
    ]
    return minor(rows[-1], "balance_after")
