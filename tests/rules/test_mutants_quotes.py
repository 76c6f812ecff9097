"""What an alert quotes of an event can be read from that event again."""

from typing import Any

import pytest

from rules.builders import balance, login, txn
from rules.contract import Example, Rule
from rules.events import Event
from rules.registry import ALL
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from tests.support.rule_driver import Driver

CASES = [
    pytest.param(rule, example, id=f"{rule.code}: {example.name}")
    for rule in ALL
    for example in rule.EXAMPLES
    if example.expect
]
FAILED: dict[str, Any] = {
    "authorization": {"method": "otp", "result": "failed"},
    "type": "transfer_out",
}


class _Reader(Driver):
    """Keeps the events to read them again."""

    def handle(self, kind: int, event: Event, late: bool = False) -> Driver:
        """Handle one event."""
        self.events = getattr(self, "events", {}) | {event.event_id: event}
        return super().handle(kind, event, late)

    def read_again(self) -> dict[str, Any]:
        """Compare each quoted value with its event; return the values."""
        read: dict[str, Any] = {}
        for _, found in self.log:
            for name, value, ref in found.facts:
                if ref is not None:
                    assert self.rule.QUOTED[name](self.events[ref.event_id]) == value, name
                    read[name] = value
        return read


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_each_quoted_fact_is_read_again(rule: type[Rule[Any, Any]], example: Example) -> None:
    """In every example that finds something."""
    driver = _Reader(rule, **example.params)
    driver.run(example.events)
    assert driver.read_again()


@pytest.mark.parametrize(
    "told",
    [
        balance("09:59:00", "90.00"),
        txn("t0", "09:59:00", balance_after="90.00", balance_kind="posted"),
    ],
)
def test_a_balance_is_read_again_where_it_was_told(told: dict[str, Any]) -> None:
    """From a report or from what a transaction left."""
    driver = _Reader(UnauthorizedTransaction)
    driver.run([login("09:00:00"), told, txn("t1", "10:00:00", amount="80.00", **FAILED)])
    read = driver.read_again()
    assert read["known_balance_minor"] == 9_000
    assert driver.drafts[0].details["points_money"] == {"drained": 20, "sends_out": 5}
