"""Every alert is derived again from what it cites and quotes; whatever is changed is noticed."""

from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
import pytest

from rules.registry import ALL
from rules.unauthorized_transaction.rule import UnauthorizedTransaction
from schemas.topics import ALERTS
from tests.support.events.arrivals import deliver, in_order
from tests.support.events.traffic import live
from tests.support.random_runs import POLICY, endure, run_plainly
from worker.codec.codec import Limits
from worker.detect.seal import seal_of
from worker.engine.log import stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import Record
from worker.explain.derive import Derivation, derive
from worker.explain.history import alerts_again
from worker.explain.lives import Life
from worker.logs.memory import MemoryLog
from worker.run.replay import replay
from worker.simulate import SimulateConfig, simulate

LIMITS: Final = Limits()
SEEDS: Final = range(12)


def lives(log: MemoryLog) -> list[Life]:
    """Return the alerts of a log."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _, record in stored(log, ALERTS):
        step = msgspec.json.decode(record.value or b"")
        found.setdefault(step["alert_id"], []).append(step)
    return [Life(steps) for steps in found.values()]


def reader(log: MemoryLog) -> Callable[[str, int, int], Record | None]:
    """Return what reads one record of the log."""

    def read(topic: str, partition: int, offset: int) -> Record | None:
        records = log.read(topic, partition, offset, 1)
        return records[0] if records and records[0].offset == offset else None

    return read


def derived(log: MemoryLog, life: Life) -> Derivation:
    """Derive an alert of the log."""
    return derive(life, ALL, reader(log), LIMITS)


@cache
def ordered(seed: int) -> MemoryLog:
    """Return the log of a plain run, made once."""
    return run_plainly(in_order(live(Random(seed))))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_alert_is_derived_wherever_its_events_stood(seed: int) -> None:
    """Also where they came out of order, late or twice, and workers crashed."""
    rng = Random(seed)
    arrival = deliver(rng, live(rng), rng.randint(1, 4), late_share=0.05)
    log = endure(rng, arrival)
    found = lives(log)
    assert found
    for life in found:
        assert derived(log, life).failures == [], life.raised["title"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_history_of_the_account_gives_every_alert(seed: int) -> None:
    """Record by record, with the same facts at the same event times."""
    rng = Random(seed)
    arrival = deliver(rng, live(rng), rng.randint(1, 4), late_share=0.05)
    log = endure(rng, arrival)
    accounts = {(life.raised["account_id"], life.raised["origin"]) for life in lives(log)}
    for account, origin in accounts:
        number = int(origin.removeprefix("detect-"))
        again = alerts_again(log, account, number, POLICY, until=0)  # the records end it
        seals = sorted(step["seal"] for life in lives(log) for step in _of(life, account))
        assert sorted(step["seal"] for step in again) == seals


def _of(life: Life, account: str) -> list[dict[str, Any]]:
    return life.steps if life.raised["account_id"] == account else []


def changed_copies(life: Life) -> Iterator[tuple[str, Life]]:
    """Yield the alert with one fact, parameter or verdict changed, record by record."""
    for number, step in enumerate(life.steps):
        for index, fact in enumerate(step.get("facts", ())):
            yield f"fact {fact['name']}", _with(life, number, ("facts", index, "value"))
        for name in step["parameters"]:
            yield f"parameter {name}", _with(life, number, ("parameters", name))
        for name in ("severity", "title", "at"):
            yield name, _with(life, number, (name,))


def _with(life: Life, number: int, path: tuple[Any, ...]) -> Life:
    steps = msgspec.json.decode(msgspec.json.encode(life.steps))
    target = steps[number]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = _other(target.get(path[-1]))
    return Life(steps)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, dict):
        return {**value, "XXX": 1}
    return [*value, "x"] if isinstance(value, list) else 1


@pytest.mark.parametrize("seed", SEEDS)
def test_one_changed_fact_or_parameter_is_noticed(seed: int) -> None:
    """By the seal of the record, whatever it is."""
    log = ordered(seed)
    for life in lives(log):
        for name, altered in changed_copies(life):
            assert derived(log, altered).failures, name


def without_amounts(life: Life) -> Life:
    """Return the alert as releases wrote it that had no amounts as text."""
    steps = msgspec.json.decode(msgspec.json.encode(life.steps))
    for step in steps:
        for money in step["amount_at_stake"]:
            del money["amount"]
    return Life(steps)


def with_amount(life: Life, text: str) -> Life:
    """Return the alert with another text in its last record."""
    steps = msgspec.json.decode(msgspec.json.encode(life.steps))
    for money in steps[-1]["amount_at_stake"]:
        money["amount"] = text
    return Life(steps)


def test_amounts_as_text_are_checked_and_may_be_absent() -> None:
    """Their seals are equal: a history gives an alert of a release before all the same."""
    log = ordered(0)
    alerts = [life for life in lives(log) if life.raised["amount_at_stake"]]
    assert alerts
    for life in alerts:
        old = without_amounts(life)
        assert derived(log, old).failures == []
        assert [seal_of(step) for step in old.steps] == [step["seal"] for step in life.steps]
        for text in ("123456789.01", life.raised["amount_at_stake"][0]["amount"] + "0", "", "x"):
            assert derived(log, with_amount(life, text)).failures, text


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_read_from_an_event_are_compared_with_it(seed: int) -> None:
    """Even if the seal was made anew."""
    log = ordered(seed)
    tried = 0
    for life in lives(log):
        for number, step in enumerate(life.steps):
            for index, fact in enumerate(step.get("facts", ())):
                if "topic" in fact:
                    altered = _with(life, number, ("facts", index, "value"))
                    altered.steps[number]["seal"] = seal_of(altered.steps[number])
                    assert derived(log, altered).failures, fact["name"]
                    tried += 1
    assert tried > 10


def test_facts_worked_out_from_several_events_are_worked_out_again() -> None:
    """A distance, a span or a count that the cited events do not give, though sealed anew."""
    example = next(each for each in UnauthorizedTransaction.EXAMPLES if "Lisbon" in each.name)
    lines = [("example", n, msgspec.json.encode(each)) for n, each in enumerate(example.events, 1)]
    log = replay(lines, POLICY).log
    (life,) = lives(log)
    assert derived(log, life).failures == []
    names = [fact["name"] for fact in life.raised["facts"]]
    for name in ("logins_travel_m", "logins_travel_ms"):
        altered = _with(life, 0, ("facts", names.index(name), "value"))
        altered.raised["seal"] = seal_of(altered.raised)
        why = "Fact logins_travel_m is not what the cited records give together."
        assert derived(log, altered).failures == [why]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_changed_byte_of_a_cited_record_is_noticed(seed: int) -> None:
    """Any bit of any byte, also where the event stays the same."""
    log, rng = ordered(seed), Random(seed)
    read = reader(log)
    for life in lives(log):
        for step in life.steps:
            for cited in step.get("evidence", ()):
                where = (cited["topic"], cited["partition"], cited["offset"])
                altered = _one_byte_off(read, where, rng)
                assert derive(life, ALL, altered, LIMITS).failures


def _one_byte_off(
    read: Callable[[str, int, int], Record | None], where: tuple[str, int, int], rng: Random
) -> Callable[[str, int, int], Record | None]:
    def other(topic: str, partition: int, offset: int) -> Record | None:
        record = read(topic, partition, offset)
        if record is None or (topic, partition, offset) != where:
            return record
        value = bytearray(record.value or b"")
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
        return Record(record.offset, record.append_time, record.key, bytes(value))

    return other


def test_a_missing_record_and_another_version_are_said() -> None:
    """Pruned evidence, a rule of another release, and no such rule."""
    log = ordered(0)
    life = lives(log)[0]
    gone = derive(life, ALL, lambda *_: None, LIMITS)
    assert any("no longer in the log" in why for why in gone.failures)
    older = Life([{**step, "rule_version": 99} for step in life.steps])
    assert any("version" in why for why in derived(log, older).failures)
    other = Life([{**step, "rule": "no_such_rule"} for step in life.steps])
    assert any("has no rule" in why for why in derived(log, other).failures)


@pytest.mark.bench
def test_all_alerts_of_a_hundred_thousand_simulated_events_are_derived() -> None:
    """From the records they cite, and from the history of their account."""
    partitions = 64
    config = SimulateConfig(accounts=2_500, days=3)
    lines = [("bench", n, msgspec.json.encode(e)) for n, e in enumerate(simulate(config, 3), 1)]
    assert len(lines) >= 100_000
    log = replay(lines, POLICY, partitions=partitions).log
    found = lives(log)
    assert {life.raised["rule"] for life in found} == {rule.id for rule in ALL}
    for life in found:
        assert derived(log, life).failures == [], life.raised["title"]
    for account in {life.raised["account_id"] for life in found}:
        number = partition_of(account.encode(), partitions)
        again = alerts_again(log, account, number, POLICY, until=0)
        seals = sorted(step["seal"] for life in found for step in _of(life, account))
        assert sorted(step["seal"] for step in again) == seals
    print(f"{len(lines):,} events: {len(found)} alerts, all derived")
