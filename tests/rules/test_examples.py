"""Every example of every rule holds in the real engine: codec, order, timers, publishing."""

import importlib.util
import re
from pathlib import Path
from typing import get_args

import pytest

from rules.contract import AnyRule, Example, Rule
from rules.registry import ALL
from tests.support.rule_driver import Driver
from worker.evaluate.run_examples import run_example

CASES = [
    pytest.param(rule, example, id=f"{rule.code}: {example.name}")
    for rule in ALL
    for example in rule.EXAMPLES
]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_example_holds(rule: type[AnyRule], example: Example) -> None:
    """What the example says is what the engine publishes."""
    assert run_example(rule, example) is None


def test_a_wrong_expectation_is_seen() -> None:
    """The check can fail: an example that expects nothing where there is an alert, does."""
    rule = ALL[0]
    firing = next(example for example in rule.EXAMPLES if example.expect)
    wrong = Example(name=firing.name, events=firing.events, params=firing.params)
    assert run_example(rule, wrong) is not None


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_example_gives_the_expected_alerts(rule: type[AnyRule], example: Example) -> None:
    """What an example says happens."""
    driver = Driver(rule, **example.params).run(example.events)
    assert tuple(driver.steps) == example.expect
    for draft, details in zip(driver.drafts, example.details or (), strict=False):
        assert draft.details.items() >= details.items()


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_every_rule_shows_firing_silence_and_cure(rule: type[AnyRule]) -> None:
    """Examples exist for each, and their names differ."""
    expected = [example.expect for example in rule.EXAMPLES]
    assert any(expect and expect[0].startswith("raised") for expect in expected)
    assert () in expected
    if rule.answers is not Rule.answers:  # a theft is closed by people, or expires
        assert any(step.startswith("cured") for expect in expected for step in expect)
    assert len({example.name for example in rule.EXAMPLES}) == len(rule.EXAMPLES)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
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
    assert len({rule.id for rule in ALL}) == len({rule.code for rule in ALL}) == len(ALL)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_a_rule_names_the_types_it_is_written_with(rule: type[AnyRule]) -> None:
    """mypy checks the handlers by the ones, the engine reads and saves by the others."""
    (base,) = rule.__dict__["__orig_bases__"]
    assert get_args(base) == (rule.Params, rule.State, rule.Facts)


def test_the_rule_in_the_readme_works(tmp_path: Path) -> None:
    """Whoever copies it has a rule whose examples hold, and that leaves no state behind."""
    text = (Path(__file__).parents[2] / "rules" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    path = tmp_path / "many_changes.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("many_changes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for example in module.ManyChanges.EXAMPLES:
        driver = Driver(module.ManyChanges, **example.params).run(example.events)
        assert tuple(driver.steps) == example.expect
    driver.pass_time(10**15)
    assert driver.state() == module.ManyChanges.State()
