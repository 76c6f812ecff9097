"""What every alert quotes suffices to decide it again, and what is said of it is true."""

import re
from typing import Any

import pytest

from rules.alerts import Verdict
from rules.builders import balance, login, txn
from rules.contract import AnyRule, Example, Otherwise
from rules.facts import Values
from rules.testing import Scenario
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from tests.support.checked_rules import CHECKED

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
    scenario = Scenario(rule, **example.params).run(example.events)
    assert scenario.judged
    for facts in scenario.judged:
        verdict = scenario.rule.judge(scenario.rule.Facts.of(facts))
        assert verdict is not None
        claims = scenario.rule.otherwise(scenario.rule.Facts.of(facts))
        assert claims, "there is always something that would have made it milder"
        for claim in claims:
            assert _rank(_judged(scenario.rule, facts, claim)) < _rank(verdict), claim


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_reasons_are_sentences_without_names(rule: type[AnyRule], example: Example) -> None:
    """They begin with a capital letter, end with a full stop, and name no account."""
    scenario = Scenario(rule, **example.params).run(example.events)
    for facts in scenario.judged:
        reasons = scenario.rule.because(scenario.rule.Facts.of(facts))
        assert reasons
        for reason in reasons:
            assert reason[0].isupper() or reason[0].isdigit(), reason
            assert reason.endswith("."), reason
            assert "acc-1" not in reason


ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (?!is\b|was\b|has\b|ms\b)(?:\w+ )?[a-z]+s\b")
"""As in "1 failed logins"; "1 s" and "1 min 30 s" are no such."""


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_of_one_thing_texts_speak_in_the_singular(rule: type[AnyRule], example: Example) -> None:
    """Titles, reasons, and what would have been milder; amounts are no minor units."""
    scenario = Scenario(rule, **example.params).run(example.events)
    texts = [alert.title for alert in scenario.alerts]
    for facts in map(scenario.rule.Facts.of, scenario.judged):
        texts += scenario.rule.because(facts)
        texts += [claim.sentence for claim in scenario.rule.otherwise(facts)]
    for text in texts:
        assert ONE_OF_MANY.search(text) is None, text
        assert "minor units" not in text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("locked after 1 failed logins", True),
        ("1 entries", True),
        ("1 points.", True),
        ("1 failed login came", False),
        ("1 min 30 s", False),
        ("1 s after, 1 ms", False),
        ("11 logins, 21 points, 0.1 points", False),
        ("of which 1 came after the last success", False),
        ("an error needs 1 (error_points)", False),
    ],
)
def test_the_plural_of_one_is_noticed(text: str, wrong: bool) -> None:
    """The check can fail, and does not where nothing is wrong."""
    assert (ONE_OF_MANY.search(text) is not None) == wrong


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.code)
def test_every_parameter_says_which_fact_it_decides_by(rule: type[AnyRule]) -> None:
    """And every fact named so is quoted by some alert of the examples."""
    deciding = rule.Facts.deciding()
    assert set(deciding) <= set(rule.Params.model_fields)
    quoted: set[str] = set()
    for example in rule.EXAMPLES:
        for facts in Scenario(rule, **example.params).run(example.events).judged:
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


def _read_again(scenario: Scenario) -> dict[str, Any]:
    """Compare each quoted value with its event; return the values."""
    read: dict[str, Any] = {}
    for alert in scenario.alerts:
        for name, value, ref in alert.facts:
            if ref is not None:
                assert scenario.rule.Facts.readers()[name](scenario.event_at(ref)) == value, name
                read[name] = value
    return read


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_each_quoted_fact_is_read_again(rule: type[AnyRule], example: Example) -> None:
    """In every example that finds something."""
    assert _read_again(Scenario(rule, **example.params).run(example.events))


@pytest.mark.parametrize(
    "told",
    [
        balance("09:59:00", "90.00"),
        txn("t0", "09:59:00", balance_after="90.00", balance_kind="posted"),
    ],
)
def test_a_balance_is_read_again_where_it_was_told(told: dict[str, Any]) -> None:
    """From a report or from what a transaction left."""
    scenario = Scenario(UnauthorizedTransaction)
    scenario.run([login("09:00:00"), told, txn("t1", "10:00:00", amount="80.00", **FAILED)])
    read = _read_again(scenario)
    assert read["known_balance_minor"] == 9_000
    assert scenario.raised[0].details["points_money"] == {"drained": 20, "sends_out": 5}
