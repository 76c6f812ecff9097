"""OWN1: its examples hold, and what happens at the edges."""

import pytest
from wallet_own_rule.charged_twice import ChargedTwice
from wallet_own_rule.examples import paid

from rules.contract import Example
from worker.evaluate.run_examples import run_example


@pytest.mark.parametrize("example", ChargedTwice.EXAMPLES, ids=lambda example: example.name)
def test_example_holds(example: Example) -> None:
    """In the real engine, and every alert is derived again."""
    assert run_example(ChargedTwice, example) is None


def test_the_last_millisecond_counts() -> None:
    """One later the payments are two."""
    for time, expect in (("10:02:00.000", ("raised warning",)), ("10:02:00.001", ())):
        events = (paid("t1", "10:00:00"), paid("t2", time))
        assert run_example(ChargedTwice, Example(name=time, events=events, expect=expect)) is None


def test_a_second_event_of_one_transaction_is_no_second_payment() -> None:
    """Some platforms send the final status twice, with another event_id."""
    again = paid("t1", "10:00:30") | {"event_id": "t1-again"}
    example = Example(name="Again", events=(paid("t1", "10:00:00"), again))
    assert run_example(ChargedTwice, example) is None
