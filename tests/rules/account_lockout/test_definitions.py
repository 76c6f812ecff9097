"""A4 against its definitions, read word by word over whole random histories."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from rules.account_lockout.rule import AccountLockout
from rules.events import Login, Transaction
from rules.testing import Scenario

SMALL: dict[str, Any] = {
    "policy_limit": 2,
    "policy_window_ms": 4_000,
    "overdue_grace_ms": 2_000,
    "repeated_locks": 2,
    "repeated_window_ms": 60_000,
}


def random_history(rng: random.Random) -> list[Login | Transaction]:
    """Return events of one account at whole seconds, never two at one time."""
    found: list[Login | Transaction] = []
    now = 1_000_000
    for number in range(70):
        now += 1_000 * rng.choice((1, 1, 1, 2, 3, 20))
        name, draw = f"e{number}", rng.random()
        if draw < 0.3:
            reason = rng.choice(("bad_credentials", "timeout", "account_locked", "account_locked"))
            found.append(Login(name, "acc-1", "login", "failure", now, reason=reason))
        elif draw < 0.5:
            reason = rng.choice(("customer", "max_retries", "max_retries", "suspicious"))
            channel = rng.choice(("app", "app", "branch"))
            until = rng.choice((None, now + 3_000, now + 5_000))
            found.append(Login(name, "acc-1", "lock", "success", now, reason, until, channel))
        elif draw < 0.65:
            action = rng.choice(("login", "unlock", "logout"))
            found.append(Login(name, "acc-1", action, "success", now))
        else:
            status = rng.choice(("pending", "pending", "completed", "failed"))
            transaction = f"t{rng.randrange(number // 4 + 1)}"
            funding = rng.choice(("card", "balance"))
            what = ("acc-1", "payment", status, 100, "EUR", now)
            found.append(Transaction(name, transaction, *what, funding=funding))
    return found


def opens(event: Login) -> bool:
    """Say whether the account is open after it."""
    return event.outcome == "success" and event.action in ("login", "unlock")


def is_under_way(events: list[Transaction], transaction_id: str, time: int) -> bool:
    """Say whether a transaction has begun at a time, whether or not it has ended."""
    return any(
        event.transaction_id == transaction_id and event.occurred_at <= time for event in events
    )


def is_unjustified(lock: Login, before: list[Login]) -> bool:
    """Look at the logins before a lock."""
    if (lock.reason, lock.channel) != ("max_retries", "app"):
        return False
    successes = [e.occurred_at for e in before if opens(e) and e.action == "login"]
    if not successes or before[0].occurred_at >= lock.occurred_at - 4_000:
        return False
    wrong = [e for e in before if e.reason == "bad_credentials" and e.occurred_at > successes[-1]]
    return len(wrong) < 2


def is_repeated(lock: Login, before: list[Login]) -> bool:
    """Look at the locks before a lock."""
    since = lock.occurred_at - 60_000
    locks = [e for e in before if e.action == "lock" and e.occurred_at >= since]
    return lock.reason != "customer" and any(e.reason != "customer" for e in locks)


def moves_money(lock: Login, start: int, end: int, debits: list[Transaction]) -> bool:
    """Look at the debits while a lock is in force."""
    last = end if lock.lock_until is None else min(end, lock.lock_until + 1)
    return any(
        start < debit.occurred_at < last
        and debit.status != "failed"
        and not is_under_way(debits, debit.transaction_id, lock.occurred_at)
        and not is_under_way(debits, debit.transaction_id, start)
        for debit in debits
    )


def spans(lock: Login, after: list[Login]) -> Iterator[tuple[str, int, int]]:
    """Yield when a lock is in force: what begins it, from when, until when."""
    anchor, start, until = lock.event_id, lock.occurred_at, lock.lock_until
    locked = True
    for event in after:
        at = event.occurred_at
        if event.action == "lock" or (not locked and (until is None or at > until)):
            break
        if locked and opens(event):
            yield anchor, start, at
            locked = False
        elif not locked and event.reason == "account_locked":
            anchor, start, locked = event.event_id, at, True
    else:
        event = None
    if locked:
        yield anchor, start, event.occurred_at if event else 2**60


def defined(events: list[Login | Transaction]) -> dict[str, set[str]]:
    """Return by anchor what each alert must have found in the end, looking at everything."""
    logins = [event for event in events if isinstance(event, Login)]
    debits = [event for event in events if isinstance(event, Transaction)]
    found: dict[str, set[str]] = {}
    for index, lock in enumerate(logins):
        if lock.action != "lock":
            continue
        before, after, until = logins[:index], logins[index + 1 :], lock.lock_until
        for anchor, start, end in spans(lock, after):
            kinds = found[anchor] = {"lock"}
            if anchor == lock.event_id:
                kinds |= {"unjustified"} if is_unjustified(lock, before) else set()
                kinds |= {"repeated"} if is_repeated(lock, before) else set()
            kinds |= {"money_moved"} if moves_money(lock, start, end, debits) else set()
            refused = [e for e in after if e.reason == "account_locked"]
            refused = [e for e in refused if start < e.occurred_at < end]
            overdue = [e for e in refused if until is not None and e.occurred_at > until + 2_000]
            ended = [e for e in refused if until is not None and e.occurred_at > until]
            if overdue and ended[0] is not overdue[0]:
                kinds.add("overdue")
            elif overdue:
                found[overdue[0].event_id] = {"lock", "overdue"}
    return found


@pytest.mark.parametrize("seed", range(200))
def test_what_is_found_is_what_the_definitions_say(seed: int) -> None:
    """In random histories, for every lock and every refusal."""
    events = random_history(random.Random(seed))
    scenario = Scenario(AccountLockout, **SMALL)
    for event in events:
        scenario.give(event)
    scenario.pass_time(scenario.now + 1)
    found: dict[str, set[str]] = {}
    for alert in scenario.alerts:
        if alert.kind in ("raised", "updated"):
            found[alert.anchor] = set(alert.details["kinds"])
    assert found == defined(events)
