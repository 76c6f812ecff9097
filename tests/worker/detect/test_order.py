"""The order of events that happened at one moment, whatever order they were read in."""

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from rules.builders import balance, login, txn
from rules.events import RANKS
from schemas.topics import INPUTS
from tests.support.events.mutations import compact
from worker.detect.stage import Policy, detect
from worker.engine.context import Handler
from worker.engine.records import Record, Snapshot, TopicPartition
from worker.engine.reorder import EVENT, Entry

Wire = Mapping[str, Any]
AT = "10:00:00"
TOPICS = {each.kind: each.topic for each in INPUTS}


def order_of(events: Sequence[Wire]) -> list[str]:
    """Return the event_ids in the order in which a task handles them, read in the given order."""
    seen: list[str] = []

    class Watched:
        """Notes every event that the handler of the task is given."""

        def __init__(self, handler: Any) -> None:
            self._handler = handler
            self.families = {**handler.families, b"": self}

        def __getattr__(self, name: str) -> Any:
            return getattr(self._handler, name)

        def on_event(self, live: Any, entry: Entry, context: Any) -> None:
            """Note the event."""
            seen.append(entry[EVENT].event_id)
            self._handler.on_event(live, entry, context)

    task = detect(Policy([], []), wrap=lambda handler: cast(Handler, Watched(handler))).make(
        0, Snapshot(None, ())
    )
    for offset, event in enumerate(events):
        record = Record(offset, None, event["account_id"].encode(), compact(dict(event)))
        task.read(TopicPartition(TOPICS[event["kind"]], 0), [record])
    for source in task.sources:
        source.advance(0, 2**62, proves=True)
    task.work(0)
    return seen


def orders(*events: Wire) -> set[tuple[str, ...]]:
    """Return every order that results from reading the events in any order."""
    return {tuple(order_of(each)) for each in itertools.permutations(events)}


def pay(event_id: str, status: str = "completed", **fields: Any) -> Wire:
    """Return a payment of that moment."""
    return txn(f"t-{event_id}", AT, status, event_id=event_id, **fields)


def test_every_kind_has_a_rank_of_its_own() -> None:
    """Logins, transactions, balances; a place in the list of inputs says nothing."""
    assert len(RANKS) == len(set(RANKS)) == len(INPUTS)
    named = {each.kind: rank for each, rank in zip(INPUTS, RANKS, strict=True)}
    assert named == {"login": 0, "transaction": 1, "balance": 2}


def test_a_login_enables_the_payment_of_the_same_moment() -> None:
    """And a reported balance knows both."""
    events = (balance(AT, "1.00", event_id="a"), pay("b"), login(AT, event_id="c"))
    assert orders(*events) == {("c", "b", "a")}


def test_a_transaction_begins_before_it_ends() -> None:
    """Producers that stamp whole seconds give both the same moment."""
    assert orders(pay("z", "pending"), pay("a"), pay("m", "failed")) == {("z", "a", "m")}


def test_ledger_sequence_is_the_order_of_those_that_have_one() -> None:
    """Also of a pending one; they come behind those without."""
    events = (
        pay("a", ledger_sequence=7),
        pay("b", "pending", ledger_sequence=6),
        pay("c", ledger_sequence=0),
        pay("d"),
    )
    assert orders(*events) == {("d", "c", "b", "a")}


def test_otherwise_the_event_id_decides() -> None:
    """So that the order is the same everywhere."""
    assert orders(pay("b"), pay("a"), pay("c")) == {("a", "b", "c")}
    assert orders(pay("b", "pending"), pay("a", "pending")) == {("a", "b")}


def test_a_millisecond_is_more_than_any_rank() -> None:
    """Kinds and statuses order only what happened at one moment."""
    events = (
        txn("t", "10:00:00.000", event_id="x"),
        login("10:00:00.001", event_id="y"),
        txn("t", "10:00:00.002", "pending", event_id="z"),
    )
    assert orders(*events) == {("x", "y", "z")}


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_has_one_order(seed: int) -> None:
    """However it is read."""
    draw = random.Random(seed)
    times = ("10:00:00.000", "10:00:00.001")
    events: list[Wire] = []
    for n in range(12):
        kind, time = draw.choice("tlb"), draw.choice(times)
        if kind == "t":
            status = draw.choice(("pending", "completed", "failed"))
            events.append(txn(f"t{n % 3}", time, status, event_id=f"e{n:02}"))
        elif kind == "l":
            events.append(login(time, event_id=f"e{n:02}"))
        else:
            events.append(balance(time, "1.00", event_id=f"e{n:02}"))
    expected = order_of(events)
    for _ in range(5):
        draw.shuffle(events)
        assert order_of(events) == expected
