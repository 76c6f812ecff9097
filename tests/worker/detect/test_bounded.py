"""An account that has seen everything stays small, and right about what it still knows."""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec
import pytest

from rules.habits import MAX_COUNTERPARTIES, MAX_DEVICES, Habits
from rules.marks import PUBLIC
from schemas.time import format_time
from schemas.topics import ALERTS
from tests.support.events.traffic import DAY, MINUTE, START
from tests.support.random_runs import POLICY
from worker.detect.stage import DETECT
from worker.engine.keyed_state import payload_of
from worker.engine.log import stored
from worker.run.replay import replay

MOST_BYTES: Final = 10 * 1024
MOST_BYTES_A_DAY_LATER: Final = 8 * 1024
EVERY: Final = 10 * MINUTE
"""Between two events: so few of them are within the horizon of redeliveries."""


class Life:
    """Events of one account on ever other devices, to ever other payees; and what was seen when."""

    def __init__(self, count: int, names: int, rng: Random, silent: int) -> None:
        self._count = count
        self._silent = silent
        self._names = names
        self._rng = rng
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def lines(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield the events, every third a login."""
        balance = 10**9
        for number in range(self._count):
            at = START + number * EVERY
            fields = self._login(at) if number % 3 == 0 else self._debit(number, at, balance)
            balance -= number % 3 > 0
            head = {"event_id": f"event-{number}", "account_id": "one"}
            event = head | fields | {"occurred_at": format_time(at)}
            yield "life", number + 1, msgspec.json.encode(event)
        if self._silent:
            at = START + self._count * EVERY + self._silent
            event = {"event_id": "other", "account_id": "other", "occurred_at": format_time(at)}
            login = {"kind": "login", "action": "login", "outcome": "success"}
            yield "life", self._count + 1, msgspec.json.encode(event | login)

    def _login(self, at: int) -> dict[str, Any]:
        device = self._see("device", at)
        session = f"session-{self._rng.randrange(10**9)}"
        return {
            "kind": "login",
            "action": "login",
            "outcome": self._rng.choice(("success", "success", "failure")),
            "device_id": device,
            "session_id": session,
            "country": self._rng.choice("ABCDEFGHIJKLMNOPQRST") + "X",
        }

    def _debit(self, number: int, at: int, balance: int) -> dict[str, Any]:
        return {
            "kind": "transaction",
            "transaction_id": f"transaction-{number}",
            "type": self._rng.choice(("payment", "transfer_out")),
            "status": self._rng.choice(("completed", "completed", "pending")),
            "amount": "0.01",
            "currency": "EUR",
            "counterparty_id": self._see("payee", at),
            "provider": f"provider-{number % 7}",
        }

    def _see(self, kind: str, at: int) -> str:
        name = f"{kind}-{self._rng.randrange(self._names)}"
        self.first.setdefault(name, at)
        self.last[name] = at
        return name


def check(count: int, silent: int = 0) -> int:
    """Let the account live; return the bytes of its state, so long after its last event."""
    life = Life(count, 10_000, Random(5), silent)
    log = replay(life.lines(), POLICY, keep_inputs=False).log
    states = dict(log.open_session(DETECT, (), (0,)).restore(0).states)
    record = states[b"one"]
    facts = msgspec.msgpack.decode(payload_of(record))["f"]
    habits = msgspec.convert(facts[2], Habits)
    _assert_right(habits, life)
    assert [record for _, record in stored(log, ALERTS)] == []
    return len(record)


def _assert_right(habits: Habits, life: Life) -> None:
    """Nothing that was seen before counts as new, remembered or not."""
    book, end = habits.book, max(life.last.values())
    assert len(book.devices) == MAX_DEVICES
    assert len(book.counterparties) == MAX_COUNTERPARTIES
    assert book.devices.new_since(end - DAY) == book.counterparties.new_since(end - DAY) == 0
    newest = max((n for n in life.last if n.startswith("payee")), key=life.last.__getitem__)
    assert book.counterparties.rows[-12:-6] == PUBLIC.of(newest)
    for name in life.first:
        if name.startswith("device"):
            assert not book.devices.see(PUBLIC.of(name), end, MAX_DEVICES)
        else:
            assert not book.counterparties.see(PUBLIC.of(name), end, MAX_COUNTERPARTIES)


def test_twenty_thousand_events_on_thousands_of_devices() -> None:
    """The record of the account stays below ten kilobytes."""
    assert check(20_000) <= MOST_BYTES


def test_a_day_after_the_last_event() -> None:
    """Recent ids are forgotten then; habits stay."""
    assert check(20_000, silent=DAY) <= MOST_BYTES_A_DAY_LATER


@pytest.mark.bench
@pytest.mark.parametrize(
    ("silent", "most"), [(0, MOST_BYTES), (DAY, MOST_BYTES_A_DAY_LATER)], ids=["at_once", "later"]
)
def test_a_million_events_on_ten_thousand_devices(silent: int, most: int) -> None:
    """The same after nineteen years."""
    size = check(1_000_000, silent)
    print(f"one account with 1,000,000 events, {silent} ms after the last: {size} bytes of state")
    assert size <= most
