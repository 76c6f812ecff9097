"""A second opinion on every refusal for insufficient funds, worked out from all of an account.

Nothing is shared with the rules or the simulator but the bounds of what is remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.events.simulated_books import DAY, DEBITS, MINUTE, cost, minor
from tests.support.events.theft_oracle import Event, at

OWNERS = {"payment", "transfer_out", "withdrawal"}
CODES = {"51", "insufficient_funds", "AM04"}
ENDS = {"completed", "failed", "cancelled", "expired", "reversed"}
CREDITS = {"topup", "transfer_in", "interest", "refund", "reversal"}
BESIDE_MS = 5_000
MAX_AGE_MS = 5 * MINUTE
HOLD_MS = 7 * DAY


@dataclass
class Books:
    """What is known of an account's money by some of its events."""

    holds: dict[object, tuple[object, int, int]] = field(default_factory=dict)
    """By transaction_id: currency, minor units, and when the money was reserved."""
    others: list[object] = field(default_factory=list)
    payouts: list[object] = field(default_factory=list)
    completed: set[object] = field(default_factory=set)
    answered: list[object] = field(default_factory=list)
    balances: dict[object, tuple[int, int]] = field(default_factory=dict)
    """By currency: minor units, and when that was told."""

    def see(self, event: Event) -> None:
        if event["kind"] == "balance":
            self.balances[event["currency"]] = minor(event, "balance"), at(event)
        elif event["kind"] == "transaction":
            self._see_balance(event)
            self._see_hold(event)

    def has_succeeded(self, event: Event) -> bool:
        """Whether the transaction, its key or its reference is known to have completed."""
        remembered = event["transaction_id"] in self.others + self.payouts
        own = remembered and event["transaction_id"] in self.completed
        return own or any(key in self.answered for key in _keys(event))

    def spendable(self, event: Event) -> int | None:
        """What the owner could spend at the event; None: that is not known."""
        if "available_balance" in event:
            return minor(event, "available_balance")
        if "balance_before" in event:
            balance = minor(event, "balance_before")
        else:
            balance, told_at = self.balances.get(event["currency"], (0, 0))
            if at(event) - told_at > MAX_AGE_MS:
                return None
        return balance - sum(
            held
            for name, (currency, held, since) in self.holds.items()
            if name != event["transaction_id"]
            and currency == event["currency"]
            and at(event) - since <= HOLD_MS
        )

    def _see_balance(self, event: Event) -> None:
        if "balance_after" in event:
            self.balances[event["currency"]] = minor(event, "balance_after"), at(event)
            return
        back = event["status"] in ENDS and event["transaction_id"] in self.completed
        moves = cost(event) if event["type"] in DEBITS else minor(event, "amount")
        if moves and (back or event["status"] in ("completed", "reversed", "disputed")):
            self.balances.pop(event["currency"], None)

    def _see_hold(self, event: Event) -> None:
        name, status = event["transaction_id"], event["status"]
        remains = minor(event, "hold_remaining") if "hold_remaining" in event else None
        if status == "pending" and remains is None:
            if event["type"] in DEBITS and name not in self.others + self.payouts:
                self.holds[name] = event["currency"], cost(event), at(event)
            return
        if remains:
            since = at(event) if status == "pending" else self.holds[name][2]
            self.holds[name] = event["currency"], remains, since
            return
        self.holds.pop(name, None)
        if status in ENDS:
            self._end(event)

    def _end(self, event: Event) -> None:
        name = event["transaction_id"]
        is_payout = event["type"] in ("withdrawal", "transfer_out")
        ended, most = (self.payouts, 64) if is_payout else (self.others, 32)
        if name in ended:
            ended.remove(name)
        ended.append(name)
        del ended[:-most]
        if event["status"] == "completed":
            self.completed.add(name)
            if event["type"] in DEBITS:
                self.answered += _keys(event)
                del self.answered[:-16]


def books_before(events: Sequence[Event], event: Event) -> Books:
    """The books just before one of the account's events, which are in order."""
    books = Books()
    for other in events[: events.index(event)]:
        books.see(other)
    return books


def is_refusal(event: Event) -> bool:
    """Whether an attempt of the owner was refused for insufficient funds of the wallet."""
    return (
        event.get("status") == "failed"
        and event["type"] in OWNERS
        and event.get("initiator", "customer") == "customer"
        and event["failure_code"] in CODES
        and event["funding"] in ("balance", "mixed")
    )


def severity(events: Sequence[Event], refusal: Event) -> str | None:
    """What must be raised about a refusal; None: nothing."""
    books = books_before(events, refusal)
    spendable = books.spendable(refusal)
    if books.has_succeeded(refusal) or spendable is None or spendable < cost(refusal):
        return None
    if any(is_answer(refusal, other) for other in beside(events, refusal)):
        return None
    told = "available_balance" in refusal
    known = [
        other
        for other in beside(events, refusal)
        if at(other) <= at(refusal) or not is_crowded(events, refusal)
    ]
    return "info" if not told and known else "error"


def is_crowded(events: Sequence[Event], refusal: Event) -> bool:
    """Whether as many refusals as may wait have come just before, so that it is judged at once."""
    waiting = [
        other
        for other in filter(is_refusal, events)
        if at(refusal) - BESIDE_MS < at(other) < at(refusal)
    ]
    return len(waiting) >= 8


def beside(events: Sequence[Event], refusal: Event, within_ms: int = BESIDE_MS) -> list[Event]:
    """Return the other debits, and the credits of the currency, that are as near."""
    return [
        other
        for other in events
        if other["kind"] == "transaction"
        and abs(at(other) - at(refusal)) <= within_ms
        and other["transaction_id"] != refusal["transaction_id"]
        and (_is_debit_made(other) or _is_credit_in(other, refusal["currency"]))
    ]


def is_answer(refusal: Event, other: Event) -> bool:
    """Whether the other is a later success of what was refused."""
    return (
        other["type"] in DEBITS
        and other["status"] == "completed"
        and at(other) >= at(refusal)
        and any(key in _keys(other) for key in _keys(refusal))
    )


def _is_debit_made(event: Event) -> bool:
    return event["type"] in DEBITS and event["status"] in ("pending", "completed")


def _is_credit_in(event: Event, currency: object) -> bool:
    raises = event["type"] in CREDITS or not str(event["amount"]).startswith("-")
    return (
        event["type"] not in DEBITS
        and raises
        and event["status"] == "completed"
        and event["currency"] == currency
    )


def _keys(event: Event) -> list[object]:
    names = ("idempotency_key", "external_reference")
    return [(name, event[name]) for name in names if name in event]
