"""Rules are called for the events that they declare to read, and for no others."""

from random import Random
from typing import Any, get_args

import pytest

from rules.contract import AnyRule, Params, Rule, State
from rules.effects import Effects
from rules.events import DISPATCH_FIELDS, LOGIN, TRANSACTION, Login, Transaction
from rules.facts import Facts
from rules.profile import Profile
from rules.registry import ALL
from schemas.topics import INPUTS, TRANSACTIONS
from tests.support.events.arrivals import deliver
from tests.support.events.traffic import live
from tests.support.random_runs import RULES, run_plainly
from tests.support.run_comparison import comparable
from worker.detect.dispatch import Bound, Dispatch
from worker.detect.stage import DETECT, Policy


class Nothing(State):
    """No state."""


class Payments(Rule[Params, Nothing, Facts]):
    """Reads failed and completed payments; late ones, and logins of any kind, whole."""

    id, code, category = "payments", "X1", "payment"
    Params, State, Facts = Params, Nothing, Facts
    reads = {TRANSACTION: {"type": {"payment"}, "status": ("failed", "completed")}}

    def on_transaction(self, state: Any, event: Transaction, profile: Profile, fx: Effects) -> None:
        """Do nothing."""

    def on_login(self, state: Any, event: Login, profile: Profile, fx: Effects) -> None:
        """Do nothing."""


def _transaction(type_: str, status: str) -> Transaction:
    return Transaction("e", "t", "acc-1", type_, status, 1, "EUR", 0)


@pytest.mark.parametrize(
    ("type_", "status", "called"),
    [
        ("payment", "failed", True),
        ("payment", "completed", True),
        ("payment", "pending", False),
        ("refund", "failed", False),
    ],
)
def test_every_declared_field_must_match(type_: str, status: str, called: bool) -> None:
    """The same events give the same answer when they come again."""
    dispatch = Dispatch([Bound(Payments(Params()))], "on")
    for _ in range(2):
        calls = dispatch.calls(TRANSACTION, _transaction(type_, status))
        assert [code for _, code, _ in calls] == ["X1"] * called


def test_a_kind_that_is_not_named_is_read_whole_where_it_has_a_handler() -> None:
    """A handler that is not overridden is not called."""
    bound = [Bound(Payments(Params()))]
    login = Login("e", "acc-1", "password_change", "success", 0)
    assert len(Dispatch(bound, "on").calls(LOGIN, login)) == 1
    assert Dispatch(bound, "late").calls(LOGIN, login) == ()
    assert Dispatch(bound, "late").calls(TRANSACTION, _transaction("payment", "failed")) == ()


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_rules_declare_fields_and_values_that_exist(rule: type[AnyRule]) -> None:
    """A misspelt one would silence the rule."""
    for kind, wanted in rule.reads.items():
        assert wanted.keys() <= set(DISPATCH_FIELDS[kind])
        for field, values in wanted.items():
            allowed = get_args(INPUTS[kind].model.model_fields[field].annotation)
            assert set() < set(values) <= set(allowed)


@pytest.mark.parametrize("seed", range(6))
def test_what_rules_declare_leaves_out_nothing(seed: int) -> None:
    """Rules that are called for every event publish the same, and save the same states."""
    rng = Random(seed)
    records = [
        record
        for stream in deliver(rng, live(rng), partitions=1).streams.values()
        for record in stream
    ]
    greedy = tuple(_reading_all(type(rule)) for rule in RULES)
    declared = run_plainly(records)
    everything = run_plainly(
        records, policy=Policy(rules=greedy, known_rules=greedy, dead_letter_limit=None)
    )
    assert declared.offsets(TRANSACTIONS)[0][1] > 0
    assert comparable(declared) == comparable(everything)
    assert comparable(declared).alerts
    states = [dict(log._tasks[DETECT, 0].states) for log in (declared, everything)]
    assert states[0] == states[1]


def _reading_all(rule: type[AnyRule]) -> AnyRule:
    """Return the rule with its default parameters, called for every event."""
    greedy = type(rule.__name__, (rule,), {"reads": {}, "__module__": rule.__module__})
    made: AnyRule = greedy(rule.Params())
    return made
