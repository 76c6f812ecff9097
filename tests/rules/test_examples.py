"""Every example of every rule holds in the real engine: codec, order, timers, publishing."""

from typing import get_args

import pytest

from rules.codes import OUTSIDE, SHIPPED, is_from_outside
from rules.contract import AnyRule, Example, Rule
from rules.registry import ALL
from rules.testing import Scenario
from tests.support.checked_rules import CHECKED, SAMPLE, guide_blocks
from worker.config.registration import faults_of
from worker.evaluate.run_examples import run_example

CASES = [
    pytest.param(rule, example, id=f"{rule.code}: {example.name}")
    for rule in CHECKED
    for example in rule.EXAMPLES
]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_example_holds(rule: type[AnyRule], example: Example) -> None:
    """What the example says is what a replay and a scenario publish."""
    assert run_example(rule, example) is None
    scenario = Scenario(rule, **example.params).run(example.events)
    assert tuple(scenario.steps) == example.expect
    for raised, details in zip(scenario.raised, example.details or (), strict=False):
        assert raised.details.items() >= details.items()


def test_a_wrong_expectation_is_seen() -> None:
    """The check can fail: an example that expects nothing where there is an alert, does."""
    rule = ALL[0]
    firing = next(example for example in rule.EXAMPLES if example.expect)
    wrong = Example(name=firing.name, events=firing.events, params=firing.params)
    assert run_example(rule, wrong) is not None


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.code)
def test_every_rule_shows_firing_silence_and_cure(rule: type[AnyRule]) -> None:
    """Examples exist for each, and their names differ."""
    expected = [example.expect for example in rule.EXAMPLES]
    assert any(expect and expect[0].startswith("raised") for expect in expected)
    assert () in expected
    if rule.answers is not Rule.answers:  # a theft is closed by people, or expires
        assert any(step.startswith("cured") for expect in expected for step in expect)
    assert len({example.name for example in rule.EXAMPLES}) == len(rule.EXAMPLES)


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.code)
def test_every_parameter_has_default_description_and_bounds(rule: type[AnyRule]) -> None:
    """`rules explain` can show each threshold with what it means and may be."""
    schema = rule.Params.model_json_schema()
    for name, field in schema["properties"].items():
        assert field.get("description"), name
        assert "default" in field, name
        if field["type"] == "integer":
            assert {"minimum", "maximum"} <= field.keys(), name
    assert rule.Params() == rule.Params.model_validate_json(rule.Params().model_dump_json())


def test_rules_differ_in_id_and_code() -> None:
    """Saved state and documents name a rule by them."""
    assert (
        len({rule.id for rule in CHECKED}) == len({rule.code for rule in CHECKED}) == len(CHECKED)
    )


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_a_rule_names_the_types_it_is_written_with(rule: type[AnyRule]) -> None:
    """mypy checks the handlers by the ones, the engine reads and saves by the others."""
    (base,) = rule.__dict__["__orig_bases__"]
    assert get_args(base) == (rule.Params, rule.State, rule.Facts)


def test_the_rule_of_the_guide_leaves_no_state_behind() -> None:
    """Its examples hold, as those of every rule; then the account falls silent."""
    for example in SAMPLE.EXAMPLES:
        scenario = Scenario(SAMPLE, **example.params).run(example.events)
        assert tuple(scenario.steps) == example.expect
        scenario.pass_time(10**15)
        assert scenario.state() == SAMPLE.State()


def test_the_guide_gives_the_thresholds_of_its_rule() -> None:
    """As the test of thresholds wants them."""
    names = {"MINUTE": 60_000}
    given = eval(f"{{{guide_blocks('python')[1]}}}", names)
    assert given == {SAMPLE.code: SAMPLE.Params().model_dump()}


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.code)
def test_every_rule_may_be_registered(rule: type[AnyRule]) -> None:
    """All of them are held to what is asked of rules from outside."""
    codes = OUTSIDE if is_from_outside(rule.code) else SHIPPED
    assert list(faults_of(rule, codes)) == []
