"""An overflow alert is derived from the history of its account: no record of its own shows it."""

from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from rules.registry import ALL
from schemas.topics import ALERTS
from tests.support.events.arrivals import deliver
from tests.support.events.traffic import live
from tests.support.random_runs import POLICY, endure
from worker.detect.handler import Horizons
from worker.engine.log import stored
from worker.explain.checked import Checked, Place, check, document
from worker.explain.lives import Life, life_of, lives_of
from worker.explain.render import alert_lines
from worker.logs.memory import MemoryLog

TIGHT = replace(POLICY, horizons=Horizons(max_open_alerts=1))
SEEDS = range(6)


def run(seed: int) -> MemoryLog:
    """Return the log of a disturbed run."""
    rng = Random(seed)
    return endure(rng, deliver(rng, live(rng), rng.randint(1, 4)), policy=TIGHT)


def overflows(log: MemoryLog) -> list[Life]:
    """Return the overflow alerts of a log."""
    lives = lives_of(record.value or b"" for _, record in stored(log, ALERTS))
    found = [life_of(log, alert_id) for alert_id in lives]
    return [life for life in found if life is not None and life.is_overflow]


def checked(log: MemoryLog, life: Life) -> Checked:
    """Derive an alert again, under the default limit: the one that it quotes counts."""
    return check(Place(log, POLICY, ALL), life)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_history_of_its_account_gives_the_same_counts(seed: int) -> None:
    """Record by record, whether or not that is asked for."""
    log = run(seed)
    found = overflows(log)
    assert found
    for life in found:
        again = checked(log, life)
        assert again.found.failures == [], life.raised["title"]
        assert again.from_history
        assert again.result.endswith("and the history of the account gives the same counts.")


def test_another_count_is_not_derived() -> None:
    """Neither by its seal nor by the history."""
    log = run(0)
    life = overflows(log)[0]
    steps: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(life.steps))
    steps[-1]["counted"] += 1
    failures = checked(log, Life(steps)).found.failures
    kind = steps[-1]["kind"]
    assert failures == [
        f"Record {len(steps)} of the alert was changed: its seal is broken.",
        f"The history of the account gives another counted in record {len(steps)} ({kind}).",
    ]


def test_it_says_what_it_counts() -> None:
    """By severity, and why they have no alerts of their own."""
    log = run(0)
    life = max(overflows(log), key=lambda life: int(life.steps[-1]["counted"]))
    again = checked(log, life)
    lines = list(alert_lines(again.life, again.found, again.result))
    at = lines.index("What it counts")
    total, rule = life.steps[-1]["counted"], life.raised["rule"]
    assert total > 1
    assert lines[at + 1 : at + 3] == [
        f"  {total} findings of rule {rule} on this account while 1 of its alerts",
        "  were open, the limit (engine.max_open_alerts). They have no alerts of their own.",
    ]
    for step in life.steps:
        assert sum(step["details"]["by_severity"].values()) == step["counted"]
    assert document(again)["derived"] is True
    assert document(again)["because"] == []
