"""A second opinion on every payment of an account, worked out from its whole past.

Nothing is shared with the rules or the simulator: it reads records as they go over the wire,
keeps everything, and is slow.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import atan2, cos, hypot, radians, sin

from schemas.money import CURRENCIES, to_minor
from schemas.time import parse_time

Event = dict[str, object]
MINUTE = 60_000
DAY = 86_400_000
CHANGES = {
    "password_change",
    "password_reset",
    "phone_change",
    "email_change",
    "mfa_enable",
    "mfa_disable",
}
HIDING = {"vpn", "relay"}
ELSEWHERE = HIDING | {"mobile"}
"""Networks whose place says little of a journey."""


def at(event: Event) -> int:
    """When it occurred (epoch ms)."""
    return parse_time(str(event["occurred_at"]))


def minor(event: Event, name: str) -> int:
    """An amount in minor units; 0 when it is not given."""
    return to_minor(str(event.get(name, "0")), CURRENCIES[str(event["currency"])])


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events once each, in the order in which the account made them."""
    unique = {str(event["event_id"]): event for event in events}
    return sorted(unique.values(), key=place)


def place(event: Event) -> tuple[int, int, int, str]:
    """What decides the order: at one moment logins, transactions, then balances.

    Of transactions the pending ones without a number come first, the numbered ones last.
    """
    rank = ("login", "transaction", "balance").index(str(event["kind"]))
    number = int(str(event.get("ledger_sequence", -1)))
    if number < 0 and event.get("status") == "pending":
        number = -2
    return at(event), rank, number, str(event["event_id"])


def kilometres(a: Event, b: Event) -> float:
    """Great-circle distance of two events that have places, by their angle at the centre."""
    north_a, north_b = radians(float(str(a["latitude"]))), radians(float(str(b["latitude"])))
    east = radians(float(str(b["longitude"])) - float(str(a["longitude"])))
    across = hypot(
        cos(north_b) * sin(east),
        cos(north_a) * sin(north_b) - sin(north_a) * cos(north_b) * cos(east),
    )
    along = sin(north_a) * sin(north_b) + cos(north_a) * cos(north_b) * cos(east)
    return 6_371 * atan2(across, along)


def too_fast(a: Event, b: Event) -> bool:
    """Whether the journey from one to the other is faster than any traveller."""
    if "latitude" not in a or "latitude" not in b:
        return False
    km = kilometres(a, b)
    return km > 100 and km * 3_600_000 > 900 * (at(b) - at(a))


def is_debit(event: Event) -> bool:
    """Whether the owner, or who passes for him, moves money out."""
    return (
        event["kind"] == "transaction"
        and event["type"] in ("payment", "transfer_out", "withdrawal")
        and event.get("initiator", "customer") == "customer"
    )


@dataclass
class Past:
    """All that an account has done."""

    logins: list[Event] = field(default_factory=list)
    first_at: int | None = None
    seen: dict[tuple[str, object], int] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    guessed: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    travelled: list[tuple[int, int]] = field(default_factory=list)
    spent: dict[object, list[int]] = field(default_factory=lambda: defaultdict(list))
    debits: int = 0
    judged: set[object] = field(default_factory=set)

    def is_known(self, now: int) -> bool:
        """Whether anything can be called new already."""
        often = len(self.logins) >= 5 or self.debits >= 10
        return often and self.first_at is not None and now - self.first_at >= 7 * DAY

    def see(self, event: Event) -> None:
        """Remember when device, country and payee were seen first."""
        for name in ("device_id", "country", "counterparty_id"):
            if name in event:
                self.seen.setdefault((name, event[name]), at(event))

    def log_in(self, event: Event) -> None:
        """Remember a login event, and what it means for later payments."""
        now = at(event)
        if self.first_at is None:
            self.first_at = now
        if event["action"] in CHANGES and event["outcome"] == "success":
            self.changed.append(now)
        if event["action"] != "login":
            return
        if event["outcome"] == "failure":
            if event.get("reason") not in ("account_locked", "unknown_account"):
                self.failures.append(now)
            return
        if sum(now - failed <= 30 * MINUTE for failed in self.failures) >= 5:
            self.guessed.append(now)
        self.failures.clear()
        if self.logins and too_fast(self.logins[-1], event):
            hidden = ELSEWHERE & {self.logins[-1].get("network"), event.get("network")}
            self.travelled.append((now, 20 if hidden else 40))
        self.logins.append(event)
        self.see(event)


def judged_payments(events: Iterable[Event]) -> Iterator[tuple[Event, int, int]]:
    """Yield each payment where it is judged: the event, points of who pays, and of the money.

    A dispute has 100 of the first and 0 of the others.
    """
    past = Past()
    for event in in_order(events):
        if event["kind"] == "login":
            past.log_in(event)
        elif is_debit(event):
            yield from _judge(past, event)


def _judge(past: Past, event: Event) -> Iterator[tuple[Event, int, int]]:
    if event["status"] == "disputed":
        yield event, 100, 0
    if event["status"] not in ("pending", "completed"):
        return
    if past.first_at is None:
        past.first_at = at(event)
    known = past.is_known(at(event))
    new_payee = ("counterparty_id", event.get("counterparty_id")) not in past.seen
    past.see(event)
    if event["transaction_id"] not in past.judged:
        past.judged.add(event["transaction_id"])
        yield event, _who(past, event, known), _money(past, event, known, new_payee)
    if event["status"] == "completed":
        past.debits += 1
        past.spent[event["currency"]].append(minor(event, "amount"))


def _who(past: Past, event: Event, known: bool) -> int:
    now = at(event)
    hidden = event.get("network") in HIDING
    points = _authorization(event) + _session(past, event)
    for name in ("device_id", "country"):
        first = past.seen.get((name, event.get(name)))
        if known and first is not None and now - first <= DAY:
            points += 12 if hidden else 25
    travels = [found for when, found in past.travelled if now - when <= DAY]
    if past.logins and too_fast(past.logins[-1], event):
        elsewhere = ELSEWHERE & {past.logins[-1].get("network"), event.get("network")}
        travels.append(20 if elsewhere else 40)
    if travels:
        points += min(20, max(travels)) if hidden else max(travels)
    points += 35 * any(now - when <= DAY for when in past.guessed)
    return points + 30 * any(now - when <= DAY for when in past.changed)


def _authorization(event: Event) -> int:
    given = event.get("authorization")
    if not isinstance(given, dict):
        return 0
    if given["result"] in ("failed", "expired"):
        return 60
    exempt = 50 * 10 ** CURRENCIES[str(event["currency"])]
    skipped = given["method"] == "none" or given["result"] == "skipped"
    return 30 if skipped and minor(event, "amount") > exempt else 0


def _session(past: Past, event: Event) -> int:
    if "session_id" not in event or not past.logins:
        return 0
    unknown = event["session_id"] not in {login.get("session_id") for login in past.logins}
    return 40 if unknown and at(event) - at(past.logins[0]) >= 90 * DAY else 0


def _money(past: Past, event: Event, known: bool, new_payee: bool) -> int:
    points = 5 if event["type"] in ("withdrawal", "transfer_out") else 0
    largest = max(past.spent[event["currency"]][-50:], default=None)
    if known and "counterparty_id" in event and new_payee:
        recent = sum(
            at(event) - first <= 30 * MINUTE
            for (name, _), first in past.seen.items()
            if name == "counterparty_id"
        )
        points += 15 + (30 if recent >= 5 else 0)
    if known and largest is not None and minor(event, "amount") > 3 * largest:
        points += 20
    return points + (20 if _drained(event) else 0)


def _drained(event: Event) -> bool:
    name = next((name for name in ("available_balance", "balance_before") if name in event), None)
    if name is None or minor(event, name) <= 0:
        return False
    cost = minor(event, "amount") + minor(event, "fee")
    paid = {"balance": cost, "mixed": minor(event, "funding_from_balance")}
    return paid.get(str(event.get("funding", "balance")), 0) * 100 >= 80 * minor(event, name)


def severity(who: int, money: int) -> str | None:
    """What the points come to."""
    if who >= 100:
        return "error"
    if money == 0:
        return "info" if who >= 50 else None
    total = who + money
    if who == 0 or total < 50:
        return None
    return "error" if total >= 80 else "warning"
