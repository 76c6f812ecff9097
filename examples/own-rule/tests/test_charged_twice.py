"""OWN1: its examples hold, and what happens at the edges."""

import pytest
from wallet_own_rule.charged_twice import ChargedTwice
from wallet_own_rule.examples import paid

from rules.contract import Example
from rules.testing import Scenario
from worker.evaluate.run_examples import run_example


@pytest.mark.parametrize("example", ChargedTwice.EXAMPLES, ids=lambda example: example.name)
def test_example_holds(example: Example) -> None:
    """In the real engine, and every alert is derived again."""
    assert run_example(ChargedTwice, example) is None


def test_the_last_millisecond_counts() -> None:
    """One later the payments are two."""
    for time, steps in (("10:02:00.000", ["raised warning"]), ("10:02:00.001", [])):
        scenario = Scenario(ChargedTwice)
        scenario.give(paid("t1", "10:00:00")).give(paid("t2", time))
        assert scenario.steps == steps


def test_a_second_event_of_one_transaction_is_no_second_payment() -> None:
    """Some platforms send the final status twice, with another event_id."""
    scenario = Scenario(ChargedTwice).give(paid("t1", "10:00:00"))
    scenario.give(paid("t1", "10:00:30") | {"event_id": "t1-again"})
    assert scenario.steps == []
