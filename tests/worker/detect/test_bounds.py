"""Whatever one account, bucket or incident is given, every list that its key keeps is bounded.

docs/architecture.md lists them all with their bounds; here each is driven to its bound and beyond.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct, inspect

from rules.account_lockout.state import MAX_LOCKS, MAX_UNDER_WAY
from rules.balance_mismatch.ledger import chain, group, history, reports
from rules.balance_mismatch.state import MAX_BOOKS
from rules.cannot_log_in.state import MAX_KEPT
from rules.ended import MAX_ANSWERED, MAX_ENDED, MAX_PAYOUTS
from rules.failed_payment.state import MAX_CURRENCIES, MAX_WAITING
from rules.habits import (
    DEBITS_COMPARED,
    MAX_COUNTERPARTIES,
    MAX_FAILURES,
    MAX_SESSIONS,
)
from rules.habits import MAX_CURRENCIES as MAX_SPENT
from rules.incidents.lifecycle import MAX_TRANSACTIONS as MAX_OF_INCIDENT
from rules.profile import MAX_BALANCES, MAX_HOLDS
from schemas.alert import MAX_EVIDENCE, MAX_TRANSACTIONS
from schemas.base import SEVERITIES
from schemas.incident import MAX_ALERT_IDS
from schemas.time import format_time
from schemas.topics import INPUTS
from tests.support.events.traffic import START
from tests.support.random_runs import POLICY
from worker.detect.account import Account, SavedAccounts, layout_for
from worker.detect.effects import MAX_TIMERS
from worker.detect.handler import Horizons
from worker.detect.id_segments import MOST_ROWS, SEGMENT_ROWS, _Saved
from worker.detect.kept_buckets import MAX_CAUSES, KeptBucket
from worker.detect.stage import detect
from worker.engine.keyed_state import payload_of
from worker.engine.records import Record, Snapshot, TopicPartition
from worker.triage.handler import MAX_RESOLVED, _Stored

PAGE: Final = Path(__file__).parents[3] / "docs" / "architecture.md"
MAX_OPEN: Final = 10
ROW_BYTES: Final = {
    "Seen.rows": 12,
    "Book.sessions": 4,
    "Ended.others": 13,
    "Ended.payouts": 13,
    "Ended.answered": 8,
    "KeptAlerts.rows": 22,
}
"""Of fields that are rows in bytes."""
DRIVEN: Final = {
    "Profile.balances": MAX_BALANCES,
    "Profile.holds": MAX_HOLDS,
    "Seen.rows": MAX_COUNTERPARTIES,
    "Book.sessions": MAX_SESSIONS,
    "Habits.places": 2,
    "Habits.failures": MAX_FAILURES,
    "Habits.changes": 4,
    "Habits.spending": MAX_SPENT,
    "Spending.peaks": 2 * DEBITS_COMPARED,
    "Ended.others": MAX_ENDED,
    "Ended.payouts": MAX_PAYOUTS,
    "Ended.answered": MAX_ANSWERED,
    "KeptAlerts.rows": MAX_OPEN,
    "FailedPaymentState.recent": 4,
    "FailedPaymentState.credits": MAX_CURRENCIES,
    "FailedPaymentState.waiting": MAX_WAITING,
    "BalanceMismatchState.chains": MAX_BOOKS,
    "BalanceMismatchState.books": MAX_BOOKS,
    "BalanceMismatchState.reports": reports.MAX_REPORTS,
    "Chain.recent": 2 * chain.MAX_RECENT,
    "Chain.gaps": chain.MAX_GAPS,
    "BalanceBook.history": 2 * history.MAX_BALANCES,
    "PendingGroup.steps": 2 * group.MAX_ROWS - 2,
    "PendingGroup.refs": group.MAX_REFS,
    "UnauthorizedTransactionState.pending": 64,
    "UnauthorizedTransactionState.journeys": 2,
    "Guess.failed": MAX_FAILURES,
    "Lock.under_way": MAX_HOLDS + MAX_UNDER_WAY,
    "AccountLockoutState.locks": MAX_LOCKS,
    "AccountLockoutState.under_way": MAX_UNDER_WAY,
    "CannotLogInState.failures": MAX_KEPT,
}
"""By field the bound, which the accounts below reach and do not pass."""
STATED: Final = {
    "Account.ids": MOST_ROWS,
    "_Saved.rows": SEGMENT_ROWS,
    "Account.timers": MAX_TIMERS,
    "Overflow.counted": len(SEVERITIES),
    "OpenAlert.transaction_ids": MAX_TRANSACTIONS,
    "Boundary.balances": chain.MAX_CANDIDATES,
    "KeptBucket.causes": MAX_CAUSES + 1,
    "KeptBucket.timers": 1,
    "IncidentState.transactions": MAX_OF_INCIDENT,
    "IncidentState.evidence": MAX_EVIDENCE,
    "IncidentState.alert_ids": MAX_ALERT_IDS,
    "_Stored.timers": MAX_RESOLVED,
}
"""Bounds that the tests of their modules drive."""

Event = dict[str, Any]


def test_the_page_lists_every_list_that_is_kept() -> None:
    """By the field that keeps it, with its bound where that is a number."""
    rows = re.findall(r"\n\| ((?:`\w+\.\w+`(?:, )?)+) \| ([^|]+) \|", PAGE.read_text("utf-8"))
    listed = {name: bound for names, bound in rows for name in re.findall(r"`(\S+?)`", names)}
    kept = {name for root in (_layout(), _Saved, KeptBucket, _Stored) for name in _lists_of(root)}
    assert listed.keys() == kept
    numbers = {name: bound for name, bound in (DRIVEN | STATED).items() if name in listed}
    del numbers["KeptAlerts.rows"]  # a setting
    for name, bound in numbers.items():
        assert listed[name].split()[0].rstrip(",") == f"{bound:,}", name


def _layout() -> type[Account]:
    return layout_for(POLICY.known_rules)


def _lists_of(root: type[Struct]) -> list[str]:
    """Return the fields that may hold many values, as "Class.field"."""
    found: list[str] = []
    seen: set[type] = set()

    def visit(kind: inspect.Type, where: str) -> None:
        match kind:
            case inspect.StructType() if kind.cls not in seen:
                seen.add(kind.cls)
                for field in kind.fields:
                    visit(field.type, f"{kind.cls.__name__}.{field.name}")
            case inspect.UnionType():
                for each in kind.types:
                    visit(each, where)
            case inspect.ListType() | inspect.VarTupleType() | inspect.SetType():
                found.append(where)
                visit(kind.item_type, where)
            case inspect.TupleType():
                for each in kind.item_types:
                    visit(each, where)
            case inspect.DictType():
                found.append(where)
                visit(kind.value_type, where)
            case inspect.BytesType() | inspect.ByteArrayType():
                found.append(where)

    visit(inspect.type_info(root), "")
    return found


# -- driving them -------------------------------------------------------------------------


def txn(number: int, status: str = "completed", **fields: Any) -> Event:
    """Return a payment."""
    return {
        "kind": "transaction",
        "transaction_id": f"t{number}",
        "type": "payment",
        "status": status,
        "amount": "1.00",
        "currency": "EUR",
    } | fields


def login(outcome: str = "success", **fields: Any) -> Event:
    """Return a login."""
    return {"kind": "login", "action": "login", "outcome": outcome} | fields


def row(number: int, before: int, after: int, **fields: Any) -> Event:
    """Return a payment that reports balances."""
    return txn(
        number,
        amount=f"{abs(before - after)}.00",
        type="payment" if after <= before else "topup",
        balance_before=f"{before}.00",
        balance_after=f"{after}.00",
        balance_kind="posted",
        **fields,
    )


CURRENCIES: Final = (
    *("EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "BGN"),
    *("TRY", "AUD", "CAD", "NZD", "MXN", "BRL", "ZAR", "INR"),
)


def habits() -> Iterator[Event]:
    """Devices, payees, sessions, places, changes and currencies without end."""
    for n in range(300):
        place: Event = {
            "latitude": float(n % 50),
            "longitude": 7.0,
            "network": ("vpn", "mobile")[n % 2],
        }
        if n % 3:
            place |= {"network": "residential"}
        yield login(
            device_id=f"d{n}", session_id=f"s{n}", country="ABCDEFGHIJ"[n % 10] + "X", **place
        )
    for n in range(300, 450):
        yield txn(n, counterparty_id=f"c{n}", amount=f"{2_000 - n}.00")
    for n, currency in enumerate(CURRENCIES):
        yield txn(1_000 + n, currency=currency)
    for action in ("password_change", "phone_change", "email_change", "mfa_enable", "mfa_disable"):
        yield login(action=action)


def failures() -> Iterator[Event]:
    """Failed logins without end; then some that succeed."""
    for n in range(200):
        yield login("failure", reason="bad_credentials", session_id=f"s{n}")
    for _ in range(10):
        yield login()


def pending() -> Iterator[Event]:
    """Debits that never end, by balance and by card; then locks."""
    for n in range(200):
        yield txn(n, "pending")
        yield txn(1_000 + n, "pending", funding="card")
    for _ in range(20):
        yield login(action="lock", reason="suspicious")


def endings() -> Iterator[Event]:
    """Transactions and payouts that end."""
    for n in range(200):
        yield txn(n, type="withdrawal" if n % 2 else "payment", idempotency_key=f"k{n}")


def refusals() -> Iterator[Event]:
    """Refusals though the money was there: more wait, and more are open, than may."""
    for n in range(100):
        proof = {"available_balance": "500.00", "failure_code": "insufficient_funds"}
        yield txn(n, "failed", **proof)
        yield txn(1_000 + n, "failed", available_balance="500.00", failure_code="timeout")
        yield txn(2_000 + n, type="topup", currency=CURRENCIES[n % 20])


def gaps() -> Iterator[Event]:
    """Rows of many currencies with every second number missing."""
    for n in range(100):
        yield row(n, 100, 99, ledger_sequence=2 * n)
    for n, currency in enumerate(CURRENCIES):
        yield row(1_000 + n, 100, 99, ledger_sequence=1, currency=currency)


def groups() -> Iterator[Event]:
    """Rows without number at one moment, and reports that fit none of them."""
    balance = 100_000
    for n in range(2_500):
        yield row(n, balance, balance - 1)
        balance -= 1
    for n, currency in enumerate(CURRENCIES):
        yield row(5_000 + n, 100, 99, currency=currency)
        report = {"kind": "balance", "balance": "7.00", "balance_kind": "posted", "source": "app"}
        yield report | {"currency": currency}


LIVES: Final[tuple[tuple[Callable[[], Iterator[Event]], int], ...]] = (
    (habits, 60_000),
    (failures, 100),
    (pending, 100),
    (endings, 100),
    (refusals, 100),
    (gaps, 100),
    (groups, 1),
)
"""What happens, and how many milliseconds lie between two events."""


@pytest.fixture(scope="module")
def most() -> dict[str, int]:
    """Return how many values each field has ever held."""
    found: dict[str, int] = {}
    for events, pause in LIVES:
        for account in _lived(events(), pause):
            _measure(account, found)
    return found


def _lived(events: Iterator[Event], pause: int) -> Iterator[Account]:
    """Yield the account after every few of the events."""
    policy = replace(POLICY, horizons=Horizons(max_open_alerts=MAX_OPEN))
    task = detect(policy).make(0, Snapshot(None, ()))
    saved = SavedAccounts(policy.known_rules)
    topics = {each.kind: each.topic for each in INPUTS}
    for number, event in enumerate(events):
        at = START + number * pause
        head = {"event_id": f"e{number}", "account_id": "one", "occurred_at": format_time(at)}
        if event["kind"] == "balance":
            head |= {"as_of": head["occurred_at"]}
        record = Record(number, None, b"one", msgspec.json.encode(event | head))
        task.read(TopicPartition(topics[event["kind"]], 0), [record])
        for source in task.sources:
            source.inputs[0].prove(at)
        if number % 5 == 4:
            task.work(None)
            task.save()
            if (stored := task.states.get(b"one")) is not None:
                yield saved.read(payload_of(stored))


def _measure(value: Any, found: dict[str, int], where: str = "") -> None:
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            _measure(getattr(value, name), found, f"{type(value).__name__}.{name}")
    elif isinstance(value, list | tuple | set | dict | bytes | bytearray):
        found[where] = max(found.get(where, 0), len(value) // ROW_BYTES.get(where, 1))
        if isinstance(value, list | tuple | dict):
            for each in value.values() if isinstance(value, dict) else value:
                _measure(each, found, f"{where}[]")


@pytest.mark.parametrize("name", sorted(DRIVEN))
def test_no_list_passes_its_bound(name: str, most: dict[str, int]) -> None:
    """And this one has come to it."""
    assert most[name] == DRIVEN[name]


def test_timers_stay_few(most: dict[str, int]) -> None:
    """Those of gaps, refusals and alerts end with what they are for."""
    assert most["Account.timers"] <= MAX_OPEN + MAX_WAITING + chain.MAX_GAPS + MAX_BOOKS
