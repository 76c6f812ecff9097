"""What every alert quotes suffices to decide it again, and what is said of it is true."""

from typing import Any

import pytest

from rules.builders import balance, login, txn
from rules.contract import AnyRule, Example, Otherwise, Verdict
from rules.events import Event
from rules.facts import Values
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from tests.support.checked_rules import CHECKED
from tests.support.rule_driver import Driver

_RANK = {None: 0, "info": 1, "warning": 2, "error": 3}
CASES = [
    pytest.param(rule, example, id=f"{rule.code}: {example.name}")
    for rule in CHECKED
    for example in rule.EXAMPLES
    if example.expect
]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_what_would_have_been_milder_is_judged_so(rule: type[AnyRule], example: Example) -> None:
    """Each sentence about another fact or parameter holds when the rule is asked."""
    driver = Driver(rule, **example.params).run(example.events)
    assert driver.judged
    for facts in driver.judged:
        verdict = driver.rule.judge(driver.rule.Facts.of(facts))
        assert verdict is not None
        claims = driver.rule.otherwise(driver.rule.Facts.of(facts))
        assert claims, "there is always something that would have made it milder"
        for claim in claims:
            assert _rank(_judged(driver.rule, facts, claim)) < _rank(verdict), claim


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_reasons_are_sentences_without_names(rule: type[AnyRule], example: Example) -> None:
    """They begin with a capital letter, end with a full stop, and name no account."""
    driver = Driver(rule, **example.params).run(example.events)
    for facts in driver.judged:
        reasons = driver.rule.because(driver.rule.Facts.of(facts))
        assert reasons
        for reason in reasons:
            assert reason[0].isupper() or reason[0].isdigit(), reason
            assert reason.endswith("."), reason
            assert "acc-1" not in reason


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.code)
def test_every_parameter_says_which_fact_it_decides_by(rule: type[AnyRule]) -> None:
    """And every fact named so is quoted by some alert of the examples."""
    deciding = rule.Facts.deciding()
    assert set(deciding) <= set(rule.Params.model_fields)
    quoted: set[str] = set()
    for example in rule.EXAMPLES:
        for facts in Driver(rule, **example.params).run(example.events).judged:
            quoted |= set(facts)
    assert set(deciding.values()) <= quoted


def _judged(rule: AnyRule, facts: Values, claim: Otherwise) -> Verdict | None:
    assert claim.facts or claim.params, "it must change something"
    other = type(rule)(rule.params.model_copy(update=dict(claim.params)))
    return other.judge(other.Facts.of({**facts, **claim.facts}))


def _rank(verdict: Verdict | None) -> int:
    return _RANK[verdict.severity if verdict else None]


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
        readers = self.rule.Facts.readers()
        for _, found in self.log:
            for name, value, ref in found.facts:
                if ref is not None:
                    assert readers[name](self.events[ref.event_id]) == value, name
                    read[name] = value
        return read


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_each_quoted_fact_is_read_again(rule: type[AnyRule], example: Example) -> None:
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
