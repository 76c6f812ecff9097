"""What is counted is in one list, from which it is named, summed up and measured."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

import pytest

import worker
from schemas.topics import LOGINS, TRANSACTIONS
from worker.detect.stage import DETECT
from worker.engine.outcomes import (
    OUTCOMES,
    AlertPublished,
    Counts,
    DeadLettered,
    EventOutcome,
    IncidentPublished,
    LateEvent,
    LateSignal,
    NotJudged,
    Outcome,
    Redelivered,
    summed,
)
from worker.observe.metrics import INPUTS, PREFIX, Metrics
from worker.triage.stage import TRIAGE

outcomes = pytest.mark.parametrize("kind", OUTCOMES, ids=[kind.name for kind in OUTCOMES])


def kinds_under(kind: type[Outcome]) -> Iterator[type[Outcome]]:
    """Yield all classes of outcomes that have been defined."""
    for each in kind.__subclasses__():
        yield each
        yield from kinds_under(each)


def example(kind: type[Outcome]) -> Outcome:
    """Return an outcome whose fields have different values."""
    make: Any = kind
    return make(*[f"some {field}" for field in kind.__struct_fields__])  # type: ignore[no-any-return]


def test_every_outcome_is_in_the_list_once() -> None:
    """In whatever module of the worker it is defined."""
    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    defined = [kind for kind in kinds_under(Outcome) if kind.__module__.startswith("worker.")]
    assert sorted(map(str, defined)) == sorted(map(str, OUTCOMES))


def test_no_name_is_used_twice() -> None:
    """Neither by commands, nor for a column or a metric."""
    for names in (
        [kind.name for kind in OUTCOMES],
        [kind.column.name for kind in OUTCOMES if kind.column is not None],
        [kind.metric.name for kind in OUTCOMES if kind.metric is not None],
    ):
        assert len(set(names)) == len(names)


def test_equal_values_of_two_outcomes_are_two_counts() -> None:
    """A name is part of what is counted."""
    counts = Counts([Redelivered(LOGINS), LateEvent(LOGINS), Redelivered(LOGINS)])
    assert counts == {Redelivered(LOGINS): 2, LateEvent(LOGINS): 1}


@outcomes
def test_an_outcome_says_what_it_means(kind: type[Outcome]) -> None:
    """In one sentence of its own; its fields can be printed, and columns and labels are fields."""
    assert kind.meaning().endswith(".")
    assert "\n" not in kind.meaning()
    assert kind.meaning() != Outcome.meaning()
    fields = kind.__struct_fields__
    assert example(kind).words == (kind.name, *(f"some {field}" for field in fields))
    assert kind.column is None or set(kind.column.by) <= set(fields)
    metric = kind.metric
    assert metric is None or {*metric.labels, *(metric.where or ())[:1]} <= set(fields)


@outcomes
def test_an_outcome_moves_its_metric_and_no_other(kind: type[Outcome]) -> None:
    metrics = Metrics((), ())
    outcome, metric = example(kind), kind.metric
    if metric is not None and metric.where is not None:
        metrics.count(outcome, 3)
        assert moved(metrics) == {}
        outcome = _with(outcome, *metric.where)
    metrics.count(outcome, 5)
    expected = {} if metric is None else {f"{PREFIX}{metric.name}": 5.0}
    assert moved(metrics) == expected


def moved(metrics: Metrics) -> dict[str, float]:
    """Return the samples of what is counted that are not 0."""
    names = {f"{PREFIX}{kind.metric.name}" for kind in OUTCOMES if kind.metric is not None}
    return {
        sample.name: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name in names and sample.value
    }


def _with(outcome: Outcome, field: str, value: str) -> Outcome:
    values = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    make: Any = type(outcome)
    return make(**values | {field: value})  # type: ignore[no-any-return]


def test_only_what_opened_counts_as_opened() -> None:
    """The other changes of an incident have no metric."""
    metrics = Metrics((), ())
    metrics.count(IncidentPublished("alert_joined", "error"), 1)
    metrics.count(IncidentPublished("opened", "warning"), 2)
    assert moved(metrics) == {"walletwatch_incidents_opened_total": 2.0}


@outcomes
def test_what_became_of_an_event_is_known_to_the_metric(kind: type[Outcome]) -> None:
    """Its topic is an input of a stage, or the outcome's own."""
    processed = example(kind).processed
    if processed is None:
        assert kind.processed is Outcome.processed
        return
    topics = {topic for stage in (DETECT, TRIAGE) for topic in INPUTS[stage]}
    assert processed.topic in {*topics, "some topic"}
    assert processed.outcome in set(get_args(EventOutcome)) - {"ok"}


def test_events_end_as_one_thing() -> None:
    """What was never released takes nothing from those that were judged."""
    assert DeadLettered(LOGINS, "schema").processed == (LOGINS, "invalid", False)
    assert DeadLettered(LOGINS, "event_id_conflict").processed == (LOGINS, "invalid", True)
    assert DeadLettered(LOGINS, "rule_error").processed is None
    assert Redelivered(LOGINS).processed == (LOGINS, "duplicate", True)
    assert LateEvent(LOGINS).processed == (LOGINS, "late", True)
    assert LateSignal("detect-1").processed == ("wallet.signals", "late", True)


def test_sums_are_of_one_outcome_by_some_of_its_fields() -> None:
    """In the order of their values; what was not counted is left out."""
    counts = Counts(
        {
            DeadLettered(TRANSACTIONS, "schema"): 2,
            DeadLettered(LOGINS, "schema"): 3,
            DeadLettered(LOGINS, "amount"): 4,
            AlertPublished("a_rule", "raised", "error"): 9,
            NotJudged("b", "x"): 1,
            NotJudged("a", "y"): 2,
            NotJudged("a", "z"): 0,
        }
    )
    assert list(summed(counts, DeadLettered, ("reason",)).items()) == [("amount", 4), ("schema", 5)]
    assert summed(counts, NotJudged, ("rule", "reason")) == {"a: y": 2, "b: x": 1}
    assert summed(counts, Redelivered, ("topic",)) == {}
