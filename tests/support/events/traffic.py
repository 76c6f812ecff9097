"""Seeded test traffic: small, and not the product's simulator.

A few accounts live through short episodes that come in bursts, with much at the same millisecond;
between two bursts lies anything from seconds to weeks.
"""

from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from schemas.money import from_minor
from schemas.time import format_time, parse_time
from schemas.topics import BALANCES, LOGINS, TRANSACTIONS

START: Final = parse_time("2026-03-02T00:00:00Z")
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
NEAR: Final = (0, 0, 0, 1, 40, 700)
PAUSES: Final = (
    *(7 * SECOND, 70 * SECOND, 150 * SECOND, 11 * MINUTE, 11 * MINUTE, 35 * MINUTE),
    *(5 * HOUR, 20 * HOUR, 25 * HOUR, 3 * DAY, 8 * DAY),
)


class Event(NamedTuple):
    """One event on the wire; its time in milliseconds."""

    topic: str
    account: str
    at: int
    value: bytes


class Wallet:
    """One account, and what may happen to it."""

    def __init__(self, rng: Random, account: str, events: list[Event]) -> None:
        self._rng = rng
        self._account = account
        self._events = events
        self._balance = 100_000
        self._sequence = 0
        self._old_balance = 50_000
        self.episodes = (
            *(self.spend, self.miscount, self.lose_a_row, self.use_a_number_twice),
            *(self.be_refused, self.be_refused, self.hit_a_glitch, self.struggle, self.struggle),
            *(self.struggle, self.do_nothing_special, self.do_nothing_special),
            *(self.keep_old_books, self.keep_old_books, self.be_robbed, self.be_robbed),
            *(self.be_locked, self.be_locked),
        )

    # -- episodes -------------------------------------------------------------------------

    def spend(self, at: int) -> None:
        """Book rows in order, some at the same millisecond."""
        for _ in range(self._rng.randint(3, 7)):
            self._row(at)
            at += self._near()

    def miscount(self, at: int) -> None:
        """Book a row that is wrong by some cents; sometimes it is corrected."""
        self._row(at)
        wrong = self._rng.choice((-1, 1, 250))
        self._row(at + self._near(), wrong=wrong)
        self._row(at + 1 + self._near())
        if self._rng.random() < 0.6:
            later = at + self._rng.choice((0, 1, 30 * SECOND, 3 * HOUR))
            self._row(later, type="adjustment", amount=from_minor(-wrong, 2), moves=-wrong)

    def lose_a_row(self, at: int) -> None:
        """Skip a number of the sequence, for good or for a while."""
        self._row(at)
        later = self._rng.choice((None, 0, 2 * SECOND, 61 * SECOND, 17 * MINUTE))
        if later is None:
            self._sequence += 1
            self._balance -= 300
        else:
            self._row(at + later)
        for _ in range(2):
            self._row(at + self._near())

    def use_a_number_twice(self, at: int) -> None:
        """Book two rows with one number, at one moment or not."""
        self._row(at)
        self._sequence -= 1
        self._row(at + self._near())
        self._row(at + SECOND)

    def be_refused(self, at: int) -> None:
        """Be refused for insufficient funds, with or without proof that the money was there."""
        reference = self._id()
        proof = self._rng.choice(("row", "snapshot", "snapshot", "available", "none"))
        fields: dict[str, Any] = {}
        if proof == "row":
            fields = {"balance_before": from_minor(self._balance, 2), "balance_kind": "posted"}
        elif proof == "available":
            fields = {"available_balance": from_minor(self._balance, 2)}
        elif proof == "snapshot":
            self._report(at - self._rng.choice((0, 0, -1, 1, 2 * SECOND)))
        if self._rng.random() < 0.3:
            self._transaction(at - self._rng.choice((0, 1, 4_999, 5_000, 5_001)), "pending")
        fields |= {"failure_code": "insufficient_funds", "external_reference": reference}
        self._transaction(at, "failed", **fields)
        wait = self._rng.choice((None, 0, 0, 1, 30 * SECOND, 9 * MINUTE))
        if wait is not None:
            self._transaction(at + wait, "completed", external_reference=reference)

    def hit_a_glitch(self, at: int) -> None:
        """Fail for a technical reason; a retry may succeed within the grace, or not."""
        reference = self._id()
        proof = {"available_balance": from_minor(self._balance, 2), "idempotency_key": reference}
        self._transaction(at, "failed", failure_code="timeout", provider="acme-pay", **proof)
        wait = self._rng.choice((None, 0, 30 * SECOND, 2 * MINUTE, 2 * MINUTE + 1, 10 * MINUTE))
        if wait is not None:
            self._transaction(at + wait, "completed", idempotency_key=reference)

    def struggle(self, at: int) -> None:
        """Fail to log in several times, then get in, or not, or just at the last moment."""
        reasons = ("bad_credentials", "bad_credentials", "timeout", "account_locked")
        for _ in range(self._rng.randint(4, 7)):
            session = self._rng.choice((None, None, self._id()))
            self._login(at, "failure", reason=self._rng.choice(reasons), session_id=session)
            at += self._near()
        waits = (None, None, 0, 0, 1, SECOND, 10 * MINUTE - 1, 10 * MINUTE, 10 * MINUTE + 700)
        wait = self._rng.choice((*waits, 20 * MINUTE))
        if wait is not None:
            self._login(at + wait, "success")

    def keep_old_books(self, at: int) -> None:
        """Book rows without numbers, in any order within a moment, sometimes with a break."""
        for _ in range(self._rng.randint(1, 3)):
            rows = []
            for _ in range(self._rng.randint(1, 5)):
                before = self._old_balance
                self._old_balance -= self._rng.choice((100, 100, self._rng.randint(1, 900)))
                rows.append((before, self._old_balance))
            if self._rng.random() < 0.3:
                self._old_balance += self._rng.choice((1, -1, 700))
            for before, after in self._rng.sample(rows, len(rows)):
                self._old_row(at + self._rng.choice((0, 0, 1)), before, after)
            at += self._rng.choice((0, 999, 1_000, 1_001, MINUTE))
        if self._rng.random() < 0.5:
            as_of = at - self._rng.choice((0, 4_999, 5_000, 5_001, MINUTE, 11 * MINUTE))
            reported = self._old_balance + self._rng.choice((0, 0, 1, 300))
            self._report(
                at, balance=from_minor(reported, 2), currency="USD", as_of=format_time(as_of)
            )

    def be_robbed(self, at: int) -> None:
        """Have someone else pay: with a new device, a changed password, a failed approval."""
        who: dict[str, Any] = {"device_id": self._rng.choice(("old", "old", self._id()))}
        who["country"] = self._rng.choice(("DE", "DE", "JP"))
        who["network"] = self._rng.choice(("residential", "vpn"))
        if self._rng.random() < 0.5:
            place = self._rng.choice(((52.5, 13.4), (35.7, 139.7)))
            who |= {"latitude": place[0], "longitude": place[1]}
        if self._rng.random() < 0.4:
            for _ in range(self._rng.randint(4, 6)):
                self._login(at, "failure", reason="bad_credentials")
        self._login(at + self._near(), "success", **who)
        if self._rng.random() < 0.5:
            change = self._rng.choice(("password_change", "phone_change", "mfa_disable"))
            self._login(at + self._near(), "success", action=change)
        for _ in range(self._rng.randint(1, 6)):
            self._take(at + self._near(), who)

    def _take(self, at: int, who: dict[str, Any]) -> None:
        result = self._rng.choice(("passed", "passed", "failed", "skipped"))
        fields = who | {
            "transaction_id": self._id(),
            "type": self._rng.choice(("payment", "transfer_out", "withdrawal")),
            "counterparty_id": self._rng.choice(("friend", self._id())),
            "amount": from_minor(self._rng.choice((900, 6_000, 90_000)), 2),
            "available_balance": from_minor(100_000, 2),
            "authorization": {"method": self._rng.choice(("otp", "none")), "result": result},
        }
        if self._rng.random() < 0.5:
            self._transaction(at, "pending", **fields)
        self._transaction(at + self._near(), "completed", **fields)
        if self._rng.random() < 0.1:
            self._transaction(at + self._rng.choice((0, 1, DAY)), "disputed", **fields)

    def be_locked(self, at: int) -> None:
        """Have the account locked, once or again and again; try it, pay, have it opened."""
        for _ in range(self._rng.choice((1, 1, 3))):
            for _ in range(self._rng.randint(0, 6)):
                self._login(at, "failure", reason="bad_credentials", channel="app")
            reasons = ("max_retries", "max_retries", "suspicious", "customer", None)
            reason, until = self._rng.choice(reasons), self._rng.choice((None, MINUTE, 30 * MINUTE))
            ends = format_time(at + until) if until else None
            locked = at + self._near()
            where = self._rng.choice(("app", None))
            self._login(
                locked, "success", action="lock", reason=reason, lock_until=ends, channel=where
            )
            wait = self._rng.choice((0, 1, MINUTE, 2 * MINUTE, 2 * MINUTE + 1, 40 * MINUTE))
            if self._rng.random() < 0.6:
                self._login(locked + wait, "failure", reason="account_locked")
            if self._rng.random() < 0.3:
                self._transaction(locked + self._rng.choice((0, 1, wait)), "completed")
            if self._rng.random() < 0.5:
                self._login(locked + wait + self._near(), "success", action="unlock")
            at = locked + self._rng.choice((1, MINUTE, HOUR))

    def do_nothing_special(self, at: int) -> None:
        """Do what no rule alerts on."""
        self._login(at, "success")
        self._login(at, "success", action="logout")
        self._login(at, "failure", reason="unknown_account")
        self._report(at + self._near())
        self._transaction(at, "pending")
        self._transaction(at, "failed", failure_code="limit_exceeded")

    # -- events ---------------------------------------------------------------------------

    def _row(self, at: int, wrong: int = 0, moves: int | None = None, **fields: Any) -> None:
        paid = self._rng.randint(1, 2_000)
        before, self._balance = self._balance, self._balance + (-paid if moves is None else moves)
        self._sequence += 1
        row = {
            "amount": from_minor(paid, 2),
            "balance_before": from_minor(before, 2),
            "balance_after": from_minor(self._balance + wrong, 2),
            "balance_kind": "posted",
            "ledger_sequence": self._sequence,
        }
        self._transaction(at, "completed", **row | fields)

    def _old_row(self, at: int, before: int, after: int) -> None:
        row = {
            "amount": from_minor(before - after, 2),
            "currency": "USD",
            "balance_before": from_minor(before, 2),
            "balance_after": from_minor(after, 2),
            "balance_kind": "posted",
        }
        self._transaction(at, "completed", **row)

    def _transaction(self, at: int, status: str, **fields: Any) -> None:
        self._send(
            TRANSACTIONS,
            at,
            {
                "transaction_id": self._id(),
                "type": "payment",
                "status": status,
                "amount": from_minor(self._rng.randint(1, 2_000), 2),
                "currency": "EUR",
            }
            | fields,
        )

    def _login(self, at: int, outcome: str, **fields: Any) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        self._send(LOGINS, at, {"action": "login", "outcome": outcome} | given)

    def _report(self, at: int, **fields: Any) -> None:
        report = {"currency": "EUR", "balance": from_minor(self._balance, 2)}
        report |= {"balance_kind": "posted", "as_of": format_time(at), "source": "ledger"}
        self._send(BALANCES, at, report | fields)

    def _send(self, topic: str, at: int, fields: dict[str, Any]) -> None:
        head = {"event_id": self._id(), "account_id": self._account, "occurred_at": format_time(at)}
        self._events.append(Event(topic, self._account, at, msgspec.json.encode(head | fields)))

    def _id(self) -> str:
        return f"{self._rng.getrandbits(48):x}"

    def _near(self) -> int:
        return self._rng.choice(NEAR)


def live(rng: Random, least: int = 205) -> list[Event]:
    """Return at least that many events of three to six accounts."""
    events: list[Event] = []
    wallets = [Wallet(rng, f"account-{n}", events) for n in range(rng.randint(3, 6))]
    for wallet in wallets:
        wallet.do_nothing_special(START)
    at = START
    while len(events) < least:
        for wallet in wallets:
            for episode in rng.sample(wallet.episodes, 2):
                episode(at + rng.randrange(SECOND))
        at = max(event.at for event in events) if rng.random() < 0.1 else at
        at += 31 * DAY if rng.random() < 0.005 else rng.choice(PAUSES)
    return events
