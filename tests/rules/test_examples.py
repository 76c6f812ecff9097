"""Every example of every rule holds in the real engine: codec, order, timers, publishing."""

from typing import Any

import pytest

from rules.contract import Example, Rule
from rules.registry import ALL
from worker.evaluate.run_examples import run_example

CASES = [
    pytest.param(rule, example, id=f"{rule.code}: {example.name}")
    for rule in ALL
    for example in rule.EXAMPLES
]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_example_holds(rule: type[Rule[Any, Any]], example: Example) -> None:
    """What the example says is what the engine publishes."""
    assert run_example(rule, example) is None


def test_a_wrong_expectation_is_seen() -> None:
    """The check can fail: an example that expects nothing where there is an alert, does."""
    rule = ALL[0]
    firing = next(example for example in rule.EXAMPLES if example.expect)
    wrong = Example(name=firing.name, events=firing.events, params=firing.params)
    assert run_example(rule, wrong) is not None
