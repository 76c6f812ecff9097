"""Amounts of 1 to 38 digits from the bytes of events to incidents, and back in `explain`: exact.

One unit of work per event, each by a new worker: whatever an account knows has been saved and read.
"""

from itertools import chain, pairwise
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.money import from_minor
from schemas.time import parse_time
from schemas.topics import ALERTS, DEAD_LETTERS, DETECT_INPUTS, INCIDENTS, TRANSACTIONS
from tests.support.random_runs import PLAIN, RULES
from worker.codec.codec import Limits
from worker.detect.stage import Policy, detect
from worker.engine.log import stored
from worker.engine.loop import StageWorker
from worker.engine.records import NewRecord
from worker.explain.derive import derive
from worker.explain.history import alerts_again
from worker.explain.lives import Life
from worker.explain.render import alert_lines
from worker.logs.memory import MemoryLog
from worker.run.replay import ends
from worker.triage.stage import triage

MOST: Final = 10**38 - 1
EDGES: Final = (1, 2, 9, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1)
EDGES_BEYOND: Final = (2**64, 2**64 + 1, 2**126, 10**37, MOST - 1, MOST)

amounts = st.integers(1, 38).flatmap(lambda digits: st.integers(10 ** (digits - 1), 10**digits - 1))
exponents = st.integers(0, 18)


class Books:
    """The rows of one account, as its ledger writes them."""

    def __init__(self, exponent: int) -> None:
        self.exponent = exponent
        self.rows: list[bytes] = []
        limits = Limits(currencies={"COIN": exponent})
        self.policy = Policy(RULES, RULES, limits=limits, dead_letter_limit=None)

    def text(self, minor: int) -> str:
        return from_minor(minor, self.exponent)

    def add(self, amount: int, status: str = "completed", **more: Any) -> None:
        number = len(self.rows) + 1
        row = {
            "event_id": f"e{number}",
            "transaction_id": f"t{number}",
            "account_id": "whale",
            "type": "payment",
            "status": status,
            "amount": self.text(amount),
            "currency": "COIN",
            "occurred_at": f"2026-03-02T10:{number:02d}:00.000Z",
        }
        self.rows.append(msgspec.json.encode(row | more))

    def row(self, before: int, after: int, **more: Any) -> None:
        """A booked row that takes the difference, or brings it."""
        kind = "payment" if before >= after else "topup"
        balances = {"balance_before": self.text(before), "balance_after": self.text(after)}
        self.add(abs(before - after), type=kind, balance_kind="posted", **balances | more)

    def played(self, at_once: bool = False) -> MemoryLog:
        """Return the log of both stages: a worker per event, or one for all."""
        log = MemoryLog(partitions=1)
        batches = []
        for number, row in enumerate(self.rows, 1):  # judged at once: the time is known to go on
            beat = f'{{"kind":"heartbeat","occurred_at":"2026-03-02T10:{number:02d}:30.000Z"}}'
            beats = [NewRecord(topic, None, beat.encode(), 0) for topic in DETECT_INPUTS]
            batches.append([NewRecord(TRANSACTIONS, b"whale", row, 0), *beats])
        batches.append(ends(parse_time("2026-03-03T10:00:00Z"), 1))
        for batch in [list(chain.from_iterable(batches))] if at_once else batches:
            log.append(batch)
            for stage in (detect(self.policy), triage(self.policy, 1)):
                worker = StageWorker(log, stage, [0], lambda: 0, PLAIN)
                while worker.run_once():
                    pass
                worker.close()
        return log

    def alerts(self, log: MemoryLog, rule: str) -> list[dict[str, Any]]:
        """Return the alerts of a rule, each derived again from what it cites and from all."""
        found = [msgspec.json.decode(record.value or b"") for _, record in stored(log, ALERTS)]
        again = alerts_again(log, "whale", 0, self.policy, until=0)
        assert sorted(each["seal"] for each in again) == sorted(each["seal"] for each in found)
        for alert in found:
            life = Life([each for each in found if each["alert_id"] == alert["alert_id"]])

            def read(topic: str, partition: int, offset: int) -> Any:
                return log.read(topic, partition, offset, 1)[0]

            derivation = derive(life, [type(each) for each in RULES], read, self.policy.limits)
            assert derivation.failures == []
            lines = "\n".join(alert_lines(life, derivation, "records"))
            assert all(f"{money['amount']} COIN" in lines for money in alert["amount_at_stake"])
        return [each for each in found if each["rule"] == rule and each["kind"] == "raised"]


def documents(log: MemoryLog, topic: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(record.value or b"") for _, record in stored(log, topic)]


def check_a_break(balance: int, amount: int, jump: int, exponent: int) -> None:
    """A row of `amount` from a balance, after which the next balance is wrong by `jump`."""
    books = Books(exponent)
    books.row(balance, balance - amount)
    books.row(balance - amount + jump, balance - amount + jump)
    books.row(balance - amount + jump, balance - amount + jump)
    log = books.played()
    assert documents(log, DEAD_LETTERS) == []
    found = books.alerts(log, "balance_mismatch")
    if not jump:
        assert found == []
        return
    (alert,) = found
    assert alert["details"]["drift_minor"] == jump
    money = {"currency": "COIN", "minor_units": abs(jump), "exponent": exponent}
    assert alert["amount_at_stake"] == [money | {"amount": books.text(abs(jump))}]
    (incident,) = [each for each in documents(log, INCIDENTS) if each["revision"] == 1]
    assert incident["amount_at_stake"] == alert["amount_at_stake"]


@settings(max_examples=60, deadline=None)
@given(amounts, st.data(), exponents)
def test_a_jump_of_one_minor_unit_is_found(
    balance: int, data: st.DataObject, exponent: int
) -> None:
    """Of either sign, at any balance; none is found where there is none."""
    amount = data.draw(st.integers(0, balance), label="amount")
    jump = data.draw(st.sampled_from((-1, 0, 1)), label="jump")
    least, most = min(0, jump), max(0, jump)
    if balance - amount + least >= 0 and balance - amount + most <= MOST:
        check_a_break(balance, amount, jump, exponent)


@pytest.mark.parametrize("exponent", [0, 2, 18])
@pytest.mark.parametrize("balance", [*EDGES, *EDGES_BEYOND])
@pytest.mark.parametrize("jump", [-1, 1])
def test_a_jump_of_one_minor_unit_is_found_at_every_edge(
    balance: int, jump: int, exponent: int
) -> None:
    check_a_break(balance, 1 if jump > 0 else 0, jump, exponent)


@pytest.mark.parametrize("jump", [*EDGES, *EDGES_BEYOND])
def test_a_jump_of_any_size_is_quoted_exactly(jump: int) -> None:
    """Up, and down into the red."""
    check_a_break(0, 0, jump, 18)
    check_a_break(0, 0, -jump, 2)


@settings(max_examples=40, deadline=None)
@given(amounts, st.integers(-1, 1), exponents)
def test_a_refusal_is_judged_to_the_smallest_unit(
    available: int, missing: int, exponent: int
) -> None:
    """One unit too little is a reason to refuse; enough, to the unit, is none."""
    amount = available + missing
    if not 0 < amount <= MOST:
        return
    books = Books(exponent)
    books.add(
        amount,
        "failed",
        failure_code="insufficient_funds",
        failure_code_system="internal",
        funding="balance",
        available_balance=books.text(available),
    )
    log = books.played()
    found = books.alerts(log, "failed_payment_sufficient_balance")
    assert len(found) == (missing <= 0)
    for alert in found:
        money = {"currency": "COIN", "minor_units": amount, "exponent": exponent}
        assert alert["amount_at_stake"] == [money | {"amount": books.text(amount)}]
        assert {each["name"]: each.get("value") for each in alert["facts"]}[
            "amount_minor"
        ] == amount


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-MOST, MOST), min_size=3, max_size=6), exponents)
def test_workers_that_take_turns_find_what_one_finds(balances: list[int], exponent: int) -> None:
    """Any balances one after the other: what is saved between them changes nothing."""
    books = Books(exponent)
    for before, after in pairwise(balances):
        if abs(before - after) <= MOST:
            books.row(before, after)
    if not books.rows:
        return
    one, many = books.played(at_once=True), books.played()
    assert documents(many, DEAD_LETTERS) == documents(one, DEAD_LETTERS) == []
    assert [(each["alert_id"], each["kind"], each["seal"]) for each in documents(many, ALERTS)] == [
        (each["alert_id"], each["kind"], each["seal"]) for each in documents(one, ALERTS)
    ]
