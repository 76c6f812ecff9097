"""The memory of transactions that have ended, beside one that forgets nothing."""

import random
from typing import Any

import pytest

from rules.ended import MAX_ANSWERED, MAX_ENDED, MAX_PAYOUTS, PAYOUT_MS, End, Ended
from rules.events import Transaction
from rules.profile import mark_of

STATUSES = ("completed", "failed", "cancelled", "expired", "reversed")


def end(name: str, at: int, status: str = "completed", **fields: Any) -> Transaction:
    """Return the end of a transaction."""
    kind = fields.pop("type", "payment")
    return Transaction(f"{name}-{at}", name, "acc-1", kind, status, 100, "EUR", at, **fields)


class Arrivals(Ended):
    """A memory to which events come; one is late if a newer one has come before it."""

    newest: int = 0

    def see(self, event: Transaction) -> bool:
        """Add the end of a transaction."""
        late = event.occurred_at < self.newest
        self.newest = max(self.newest, event.occurred_at)
        return self.add(mark_of(event.transaction_id), event, late)


def remember(*events: Transaction) -> Arrivals:
    """Return the memory of these ends, in this order of arrival."""
    ended = Arrivals()
    for event in events:
        ended.see(event)
    return ended


@pytest.mark.parametrize("seed", range(50))
def test_the_newest_end_counts_in_whatever_order_they_arrive(seed: int) -> None:
    """By occurred_at; and that it has completed once is not forgotten."""
    draw = random.Random(seed)
    times = draw.sample(range(1_000), 60)
    events = [end(draw.choice("abcdefgh"), at, draw.choice(STATUSES)) for at in times]
    ended = remember(*events)
    for name in "abcdefgh":
        own = [event for event in events if event.transaction_id == name]
        if not own:
            continue
        newest = max(own, key=lambda event: event.occurred_at)
        has_completed = any(event.status == "completed" for event in own)
        expected = End(newest.occurred_at, newest.status, has_completed)
        assert ended.end_of(mark_of(name)) == expected
    assert remember(*sorted(events, key=lambda event: event.occurred_at)).others == ended.others


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, MAX_ENDED),
        ({"type": "transfer_out"}, MAX_ENDED),
        ({"type": "topup"}, MAX_ENDED),
        ({"type": "withdrawal"}, MAX_PAYOUTS),
        ({"type": "transfer_out", "rail": "sepa"}, MAX_PAYOUTS),
    ],
)
def test_the_oldest_by_its_time_is_forgotten(fields: dict[str, Any], most: int) -> None:
    """Not the one that arrived first; and it is reported, so that it can be counted."""
    ended = Arrivals()
    for at in range(most, 0, -1):
        assert not ended.see(end(f"t{at}", at, **fields))
    assert ended.see(end("new", most + 1, **fields))
    assert ended.end_of(mark_of("t1")) is None
    assert ended.end_of(mark_of("t2")) is not None
    assert ended.see(end("old", 0, **fields))
    assert ended.end_of(mark_of("old")) is None
    assert len(ended.others + ended.payouts) == most * 13


def test_payouts_and_others_do_not_displace_each_other() -> None:
    """A withdrawal that comes back after days is known though many payments followed."""
    ended = remember(end("w", 1, type="withdrawal"), *(end(f"t{at}", at) for at in range(2, 99)))
    assert ended.end_of(mark_of("w")) == End(1, "completed", has_completed=True)


def test_what_is_too_old_is_forgotten_to_the_millisecond() -> None:
    """Payouts after seven days, others after the horizon; keys when no end is left."""
    ended = remember(end("t", 10, idempotency_key="k"), end("w", 10, type="withdrawal"))
    ended.forget_before(10, 10)
    assert ended.end_of(mark_of("t")) is not None
    ended.forget_before(11, 10)
    assert ended.end_of(mark_of("t")) is None
    assert ended.newest_payout_at == 10
    assert ended.has_retry_of(end("x", 20, idempotency_key="k"))
    ended.forget_before(10 + PAYOUT_MS, 11)
    assert (ended.others, ended.payouts, ended.answered) == (b"", b"", b"")
    assert ended.newest_payout_at is None


def test_keys_and_references_of_debits_that_completed_are_known() -> None:
    """Each by its kind; not those of failures and credits."""
    ended = remember(
        end("a", 1, idempotency_key="same", external_reference="order-1"),
        end("b", 2, "failed", idempotency_key="failed"),
        end("c", 3, type="topup", idempotency_key="credit"),
    )
    for fields, known in (
        ({"idempotency_key": "same"}, True),
        ({"external_reference": "order-1"}, True),
        ({"external_reference": "same"}, False),
        ({"idempotency_key": "order-1"}, False),
        ({"idempotency_key": "failed"}, False),
        ({"idempotency_key": "credit"}, False),
        ({}, False),
    ):
        assert ended.has_retry_of(end("x", 9, "failed", **fields)) is known


def test_the_last_keys_are_known() -> None:
    """One that is used again is among the last."""
    ended = remember(*(end(f"t{n}", n, idempotency_key=f"k{n}") for n in range(MAX_ANSWERED)))
    ended.see(end("t0", 50, idempotency_key="k0"))
    ended.see(end("new", 51, idempotency_key="new"))
    found = {
        n for n in range(MAX_ANSWERED) if ended.has_retry_of(end("x", 60, idempotency_key=f"k{n}"))
    }
    assert found == set(range(MAX_ANSWERED)) - {1}
    assert len(ended.answered) == MAX_ANSWERED * 8


def test_a_row_is_found_at_its_beginning_only() -> None:
    """Bytes of a time that look like a mark are none."""
    wanted = mark_of("wanted")
    at = int.from_bytes(b"\0" + wanted.to_bytes(4, "big") + b"\0\0\0", "big")
    ended = remember(end("other", at))
    assert ended.end_of(wanted) is None
    ended.see(end("wanted", at + 1, "failed"))
    assert ended.end_of(wanted) == End(at + 1, "failed", has_completed=False)
