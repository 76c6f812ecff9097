"""An alert is derived from its history also where the key that made its id is not at hand."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
import pytest

from rules.registry import ALL
from schemas.topics import ALERTS
from tests.support.events.arrivals import deliver
from tests.support.events.traffic import live
from tests.support.random_runs import POLICY, endure
from worker.detect.handler import Horizons
from worker.detect.seal import seal_of
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.explain.checked import OTHER_KEY, Checked, Place, check, document
from worker.explain.counterpart import is_same
from worker.explain.lives import Life, lives_of
from worker.logs.memory import MemoryLog
from worker.tokens import PUBLIC, Tokens

KEYS: Final = [("k1", b"1" * 32), ("k2", b"2" * 32)]
MINE, OTHER = map(Tokens, KEYS)
ROTATED: Final = Tokens(KEYS[1], KEYS[0])
SEEDS: Final = range(2)
_SHOWN: Final = 2
CHANGED: Final = "The history of the account gives another "


def under(tokens: Tokens, most: int = 100) -> Policy:
    """Return a policy with these tokens, and with so many open alerts of a rule on an account."""
    return replace(POLICY, tokens=tokens, horizons=Horizons(max_open_alerts=most))


@cache
def run(seed: int, most: int = 100, tokens: Tokens = MINE) -> MemoryLog:
    """Return the log of a disturbed run."""
    rng = Random(seed)
    arrival = deliver(rng, live(rng), rng.randint(1, 4), late_share=0.05)
    return endure(rng, arrival, policy=under(tokens, most))


def lives(log: MemoryLog) -> list[Life]:
    """Return two alerts of every rule of a log, and two overflow alerts if there are any."""
    found: dict[tuple[str, bool], list[Life]] = {}
    for life in lives_of(record.value or b"" for _, record in stored(log, ALERTS)).values():
        found.setdefault((life.raised["rule"], life.is_overflow), []).append(life)
    return [life for several in found.values() for life in several[:_SHOWN]]


def checked(log: MemoryLog, life: Life, tokens: Tokens, most: int = 100) -> Checked:
    """Derive an alert again from its history, with these tokens."""
    return check(Place(log, under(tokens, most), ALL), life, from_history=True)


def resealed(life: Life, change: Callable[[dict[str, Any]], object]) -> Life:
    """Return the alert with every record changed, and sealed as if nothing had been."""
    steps = msgspec.json.decode(msgspec.json.encode(life.steps))
    for step in steps:
        change(step)
        step["seal"] = seal_of(step)
    return Life(steps)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_its_key_an_alert_is_derived_id_and_all(seed: int) -> None:
    for life in lives(run(seed)):
        again = checked(run(seed), life, MINE)
        assert again.found.failures == []
        assert not again.other_key
        assert OTHER_KEY not in again.result
        assert document(again)["id_checked"] is True


@pytest.mark.parametrize("tokens", [OTHER, ROTATED, PUBLIC], ids=["other", "rotated", "public"])
@pytest.mark.parametrize("most", [100, 1], ids=["", "overflow"])
def test_without_its_key_all_but_its_id_is_derived(tokens: Tokens, most: int) -> None:
    """One sentence says so; overflow alerts too, which only the history shows."""
    for seed in SEEDS:
        log = run(seed, most)
        found = lives(log)
        assert found
        assert any(life.is_overflow for life in found) == (most == 1)
        for life in found:
            again = checked(log, life, tokens, most)
            assert again.found.failures == []
            assert again.result.endswith(f" {OTHER_KEY}")
            assert again.result.count(OTHER_KEY) == 1
            assert document(again)["id_checked"] is False


def test_ids_of_releases_before_are_said_to_be_theirs() -> None:
    """They are those that the public key gives."""
    log = run(0, tokens=PUBLIC)
    for life in lives(log):
        assert checked(log, life, MINE).result.endswith(OTHER_KEY)
        assert checked(log, life, PUBLIC).result.endswith("gives the same facts.")


def test_ids_are_checked_from_history_only() -> None:
    """What is derived from the cited records alone says nothing of ids."""
    life = lives(run(0))[0]
    again = check(Place(run(0), under(OTHER), ALL), life)
    assert again.found.failures == []
    assert not again.other_key
    assert document(again)["id_checked"] is False


@pytest.mark.parametrize("tokens", [MINE, OTHER], ids=["its key", "another"])
def test_what_does_not_depend_on_a_key_is_compared_whatever_the_key(tokens: Tokens) -> None:
    """Its facts, its times, its provider, what stands before a token, and that it is there."""
    for life in lives(run(0)):
        late = resealed(life, lambda step: step.update(provider="somebody-else"))
        failures = checked(run(0), late, tokens).found.failures
        assert [each for each in failures if each.startswith(CHANGED)] == failures
        assert len(failures) == len(life.steps)
        named = resealed(life, lambda step: step.update(dedup_key=f"other:{step['dedup_key']}"))
        assert checked(run(0), named, tokens).found.failures
        moved = resealed(life, lambda step: step.update(account_id="nobody"))
        assert "The history of the account gives no record 1 (raised) of this alert." in (
            checked(run(0), moved, tokens).found.failures
        )


def test_a_token_of_the_key_that_is_used_is_compared() -> None:
    """Of another key it cannot be."""
    life = lives(run(0))[0]
    token = MINE.of("another account")
    head = life.raised["dedup_key"].rpartition(":")[0]
    other = resealed(life, lambda step: step.update(dedup_key=f"{head}:{token}"))
    assert checked(run(0), other, MINE).found.failures
    assert checked(run(0), other, OTHER).found.failures == []


@pytest.mark.parametrize(
    ("mine", "other", "same"),
    [
        ("account:k1.0123456789abcdef", "account:k1.0123456789abcdef", True),
        ("account:k1.0123456789abcdef", "account:k2.fedcba9876543210", True),
        ("account:k1.0123456789abcdef", "account:k1.fedcba9876543210", False),
        ("account:k1.0123456789abcdef", "source:k2.fedcba9876543210", False),
        ("provider:a.b", "provider:c.d", False),
        ("provider:a", "provider:b", False),
        ("auth", "ledger", False),
        ("a\nb:k1.0123456789abcdef", "a\nb:k2.fedcba9876543210", True),
    ],
)
def test_names_differ_by_tokens_of_different_keys_alone(mine: str, other: str, same: bool) -> None:
    step = {"alert_id": "1", "mode": "live", "cause": mine, "dedup_key": "x"}
    assert is_same(step, step | {"cause": other, "alert_id": "2"}) is same
    assert is_same(step | {"dedup_key": mine}, step | {"dedup_key": other}) is same
