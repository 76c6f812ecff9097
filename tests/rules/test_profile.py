"""The shared facts of an account: balances, holds, and whom an event teaches."""

from dataclasses import dataclass
from typing import Any

import pytest

from rules.events import BALANCE, LOGIN, TRANSACTION, Balance, Event, Login, Ref, Transaction
from rules.marks import PUBLIC, Marks
from rules.profile import (
    MAX_BALANCES,
    MAX_HOLDS,
    Profile,
    forget_outdated,
    paid_by_balance,
    remember_transaction,
    update_profile,
)
from schemas.transaction import BalanceKind

DAY = 86_400_000


@dataclass
class Told:
    """Where an event comes from."""

    ref: Ref
    marks: Marks = PUBLIC


def told(*events: Event, late: bool = False, facts: Profile | None = None) -> Profile:
    """Return what is known after these events."""
    facts = Profile() if facts is None else facts
    for event in events:
        kind = {Transaction: TRANSACTION, Login: LOGIN, Balance: BALANCE}[type(event)]
        update_profile(facts, event, Told(Ref(kind, 0, event.event_id, event.occurred_at)), late)
        if isinstance(event, Transaction):
            remember_transaction(facts, event, late)
    return facts


def debit(at: int, status: str = "completed", amount: int = 100, **fields: Any) -> Transaction:
    """Return a payment; its balance is posted."""
    name, kind = fields.pop("name", f"x{at}"), fields.pop("type", "payment")
    if "balance_after" in fields:
        fields = {"balance_kind": "posted"} | fields
    currency = fields.pop("currency", "EUR")
    return Transaction(
        f"{name}-{status}-{at}", name, "acc-1", kind, status, amount, currency, at, **fields
    )


def report(at: int, minor: int, currency: str = "EUR", kind: BalanceKind = "posted") -> Balance:
    """Return a reported balance."""
    return Balance(f"b{at}", "acc-1", currency, minor, kind, at, at, "ledger")


def before(profile: Profile) -> int | None:
    """Return the balance that the event has replaced."""
    return None if profile.before is None else profile.before.minor


def minor(profile: Profile, currency: str = "EUR") -> int | None:
    """Return the balance that is known."""
    known = profile.known(currency)
    return None if known is None else known.minor


def test_the_newest_balance_of_a_currency_is_known() -> None:
    """Of whatever kind; an older one changes nothing, one of the same moment does."""
    facts = told(report(5, 50), report(7, 70, kind="available"), report(6, 60))
    assert minor(facts) == 70
    assert [known.minor for known in facts.balances] == [60, 70]
    told(report(5, 55), facts=facts)
    assert [known.minor for known in facts.balances] == [60, 70]
    told(report(6, 66), facts=facts)
    assert [known.minor for known in facts.balances] == [66, 70]
    told(report(9, 1, "USD"), facts=facts)
    assert (minor(facts), minor(facts, "USD"), minor(facts, "JPY")) == (70, 1, None)


def test_beyond_sixteen_the_oldest_balance_is_forgotten() -> None:
    """Not the first that was told."""
    currencies = [f"C{number:02}" for number in range(MAX_BALANCES)]
    facts = told(report(100, 1, "C00"), *(report(n, 1, f"C{n:02}") for n in range(1, MAX_BALANCES)))
    assert [known.currency for known in facts.balances] == currencies
    told(report(50, 1, "NEW"), facts=facts)
    assert [known.currency for known in facts.balances] == [*currencies[:1], *currencies[2:], "NEW"]


@pytest.mark.parametrize(
    ("event", "known"),
    [
        (debit(10), None),
        (debit(10, type="withdrawal"), None),
        (debit(10, type="adjustment"), None),
        (debit(10, funding="mixed"), None),
        (debit(10, funding="mixed", funding_from_balance=1), None),
        (debit(9), 70),
        (debit(10, funding="card"), 70),
        (debit(10, funding="mixed", funding_from_balance=0), 70),
        (debit(10, type="topup"), None),
        (debit(10, type="topup", amount=0), 70),
        (debit(10, "reversed"), None),
        (debit(10, "disputed"), None),
        (debit(10, "reversed", type="topup"), None),
        (debit(10, "reversed", funding="card"), 70),
        (debit(10, "pending"), 70),
        (debit(10, "failed"), 70),
        (debit(10, currency="USD"), 70),
        (debit(10, balance_after=30), 30),
        (debit(9, balance_after=30), 70),
    ],
)
def test_what_moves_money_and_reports_no_balance_makes_an_older_one_stale(
    event: Transaction, known: int | None
) -> None:
    """Or one of its own moment; one that is newer stays."""
    assert minor(told(report(10, 70), event)) == known


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired"])
def test_what_undoes_a_known_completion_makes_the_balance_stale(status: str) -> None:
    """The money came back, told or not; of what never completed nothing was moved."""
    undone = debit(10, status, name="t1")
    assert minor(told(report(9, 70), undone)) == 70
    completed = debit(5, name="t1", balance_after=60)
    assert minor(told(completed, report(9, 70), undone)) is None
    assert minor(told(debit(5, "pending", name="t1"), report(9, 70), undone)) == 70


def test_what_was_known_just_before_an_event_is_kept_for_its_call() -> None:
    """Where the event has replaced it, and does not tell it itself."""
    facts = told(report(1, 70), debit(2))
    assert before(facts) == 70
    assert before(told(debit(3), facts=facts)) is None
    told(report(4, 80), debit(5, balance_after=60), facts=facts)
    assert (before(facts), minor(facts)) == (80, 60)
    assert before(told(debit(6, balance_after=50, balance_before=60), facts=facts)) is None
    assert before(told(debit(1, balance_after=60))) is None


@pytest.mark.parametrize(
    ("fields", "minor"),
    [
        ({}, 100),
        ({"fee": 7}, 107),
        ({"fee": 7, "fee_mode": "in_row"}, 107),
        ({"fee": 7, "fee_mode": "separate"}, 100),
        ({"fee": 0, "fee_mode": "in_row"}, 100),
        ({"fee": 7, "funding": "balance"}, 107),
        ({"fee": 7, "funding": "card"}, 0),
        ({"fee": 7, "funding": "mixed", "funding_from_balance": 40}, 40),
        ({"fee": 7, "funding": "mixed"}, None),
    ],
)
def test_what_the_balance_pays(fields: dict[str, Any], minor: int | None) -> None:
    """The amount with a fee in the row, a part of it, or nothing."""
    assert paid_by_balance(debit(1, **fields)) == minor
    held = told(debit(1, "pending", **fields)).holds
    assert [hold.minor for hold in held] == ([minor] if minor else [])


def test_a_pending_debit_holds_its_money_until_it_ends() -> None:
    """From when it was opened; its own money is not held from itself."""
    facts = told(debit(5, "pending", name="a"), debit(6, "pending", name="b", amount=30))
    assert [facts.held("EUR", since, "c") for since in (5, 6, 7)] == [130, 30, 0]
    assert (facts.held("EUR", 0, "a"), facts.held("USD", 0, "c")) == (30, 0)
    told(debit(7, "pending", name="a", amount=40), facts=facts)
    assert (facts.held("EUR", 6, "c"), len(facts.holds)) == (70, 2)
    told(debit(8, "disputed", name="a"), facts=facts)
    assert facts.held("EUR", 0, "c") == 70
    told(debit(9, "failed", name="a"), facts=facts)
    assert facts.held("EUR", 0, "c") == 30
    told(debit(4, "completed", name="b"), facts=facts, late=True)
    assert facts.holds == ()


def test_only_debits_on_time_hold_money() -> None:
    """The end of a late one may have been seen already; a credit holds nothing."""
    assert told(debit(1, "pending"), late=True).holds == ()
    assert told(debit(1, "pending", type="topup")).holds == ()
    assert len(told(debit(1, "pending", type="fee")).holds) == 1


def test_beyond_sixty_four_the_oldest_hold_is_forgotten() -> None:
    """The newest tell most about what can be spent."""
    facts = told(*(debit(at, "pending") for at in range(MAX_HOLDS)))
    assert len(facts.holds) == MAX_HOLDS
    told(debit(MAX_HOLDS, "pending"), facts=facts)
    assert [hold.opened_at for hold in facts.holds] == list(range(1, MAX_HOLDS + 1))


def test_what_is_older_than_a_day_fades() -> None:
    """Balances and failed logins of exactly a day stay."""
    refused = [Login(f"l{at}", "acc-1", "login", "failure", at) for at in (9, 10)]
    facts = told(report(9, 1, "USD"), report(10, 2), *refused)
    forget_outdated(facts, 10 + DAY, DAY)
    assert [known.minor for known in facts.balances] == [2]
    assert [failed.ref.occurred_at for failed in facts.habits.failures] == [10]
