"""Checking lines says of each what a worker would do with it."""

import random
from typing import Any

import pytest

from rules.registry import ALL
from schemas.examples import EXAMPLES
from schemas.time import DAY_MS, MINUTE_MS, parse_time
from schemas.topics import DEAD_LETTERS
from tests.support.events.mutations import (
    FULL,
    compact,
    full_balance,
    full_login,
    full_transaction,
    mutants,
)
from worker.codec.bad_record import SENTENCES
from worker.codec.codec import Limits
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.outcomes import FieldMended, UnknownFields
from worker.run.replay import replay
from worker.run.validate import Validator

RULES = [rule(rule.Params()) for rule in ALL]
POLICY = Policy(RULES, RULES, dead_letter_limit=None)
NOW = parse_time("2026-03-02T10:00:00.000Z")


def checked(*lines: bytes, policy: Policy = POLICY, now: int = NOW) -> list[tuple[str, str]]:
    """Return (reason, what is wrong) of each line; empty texts where nothing is."""
    validator = Validator(policy, now)
    verdicts = [validator.check("f", number, line) for number, line in enumerate(lines, 1)]
    return [(each.bad.reason, each.bad.error) if each.bad else ("", "") for each in verdicts]


def events(*changes: dict[str, Any]) -> list[bytes]:
    """Return logins with these fields."""
    return [compact(full_login(**each)) for each in changes]


RIGHT = ("", "")


def test_examples_are_right() -> None:
    lines = [compact(dict(EXAMPLES[kind])) for kind in FULL]
    lines += [compact(dict(EXAMPLES[kind])) for kind in ("heartbeat", "end")]
    assert checked(*lines, now=NOW + DAY_MS) == [RIGHT] * 5
    update = checked(compact(dict(EXAMPLES["incident_update"])))
    assert update == [
        ("schema", "kind: must be one of transaction, login, balance, heartbeat, end, in files")
    ]


def test_a_control_of_an_input_that_detect_does_not_read_is_right() -> None:
    line = b'{"kind":"end","occurred_at":"2026-03-02T10:00:00Z","topic":"wallet.incident-updates"}'
    assert checked(line) == [RIGHT]


# -- what only the lines before can say ---------------------------------------------------

AGAIN = ("event_id_conflict", "event_id: line 1 of f has it, with other content")
LATER = {"occurred_at": "2026-03-02T10:00:00.001Z"}


@pytest.mark.parametrize(
    ("lines", "verdicts"),
    [
        (events({}, {}), [RIGHT, RIGHT]),
        (events({}, {"outcome": "success"}), [RIGHT, AGAIN]),
        (events({}, {"outcome": "success"}, {}), [RIGHT, AGAIN, RIGHT]),
        (events({}, LATER), [RIGHT, AGAIN]),
        (events(LATER, {}), [RIGHT, AGAIN]),
        (events({}, {"account_id": "acc-2", "outcome": "success"}), [RIGHT, RIGHT]),
        (events({}, {"event_id": "other", "outcome": "success"}), [RIGHT, RIGHT]),
        (events({"user_agent": "x" * 256}, {"user_agent": "x" * 300}), [RIGHT, RIGHT]),
        (events({"network": None}, {"network": "5g"}), [RIGHT, RIGHT]),
        (events({"unknown": 1}, {"unknown": 2}), [RIGHT, RIGHT]),
        (events({"asn": None}, {"asn": 7}), [RIGHT, AGAIN]),
        (
            [compact(full_login(event_id="e")), compact(full_balance(event_id="e"))],
            [RIGHT, RIGHT],
        ),
        (
            [compact(full_transaction(fee=fee)) for fee in ("0.50", "0.51")],
            [RIGHT, AGAIN],
        ),
        (events({}, {"occurred_at": "2026-03-01T10:00:00.000Z"}), [RIGHT, AGAIN]),
        (events({}, {"occurred_at": "2026-03-01T09:59:59.999Z"}), [RIGHT, RIGHT]),
        (
            events({"occurred_at": "2026-03-01T09:59:59.999Z"}, {}, LATER),
            [RIGHT, RIGHT, (AGAIN[0], "event_id: line 2 of f has it, with other content")],
        ),
        (
            events({"outcome": "so so"}, {}),
            [("schema", "outcome: not one of success, failure"), RIGHT],
        ),
    ],
)
def test_an_id_that_is_used_again(lines: list[bytes], verdicts: list[tuple[str, str]]) -> None:
    """With other content within the horizon it is bad; with the same it is a redelivery."""
    assert checked(*lines) == verdicts


def test_the_first_of_two_is_named_with_its_file() -> None:
    validator = Validator(POLICY, NOW)
    first, second = events({}, {"asn": 1})
    assert validator.check("a.ndjson", 7, first).bad is None
    assert validator.check("b.ndjson", 1, first).bad is None
    found = validator.check("b.ndjson", 2, second).bad
    assert found is not None
    assert found.error == "event_id: line 7 of a.ndjson has it, with other content"
    assert validator.redelivered == 1


# -- what the configuration says ----------------------------------------------------------


@pytest.mark.parametrize(("ahead", "is_bad"), [(5 * MINUTE_MS, False), (5 * MINUTE_MS + 1, True)])
def test_what_is_to_come_is_bad_beyond_the_allowed_skew(ahead: int, is_bad: bool) -> None:
    ((reason, what),) = checked(compact(full_login()), now=NOW - ahead)
    assert reason == ("future_timestamp" if is_bad else "")
    setting = "inputs.logins.max_clock_skew_ms"
    allowed = f"occurred_at: must not be more than 5 min after the append time ({setting})"
    assert what == (allowed if is_bad else "")


def test_limits_and_currencies_are_those_of_the_policy() -> None:
    limits = Limits(max_event_bytes=1000, currencies={"GEM": 3}, accept_json_numbers=True)
    policy = Policy(RULES, RULES, limits=limits)
    gems = compact(full_balance(currency="GEM", balance="@")).replace(b'"@"', b"1.125")
    euros, long = compact(full_balance()), compact(full_balance(more="x" * 1000))
    assert checked(gems, euros, long, policy=policy) == [
        RIGHT,
        (
            "currency",
            f"currency: {SENTENCES['unknown_currency']}",
        ),
        ("too_large", "record: has more than 1000 bytes (engine.max_event_bytes)"),
    ]


def test_what_would_be_mended_is_told_and_counted() -> None:
    validator = Validator(POLICY, NOW)
    for number, line in enumerate(events({"network": "5g", "hat": 1}, {"network": "4g"})):
        verdict = validator.check("f", number, line)
        assert verdict.bad is None
        assert [(each.field, each.how) for each in verdict.mended] == [("network", "dropped")]
        assert verdict.mended[0].what.startswith("not one of residential, mobile,")
    bad = validator.check("f", 3, compact(full_login(event_id="a b", network="5g")))
    assert (bad.bad is not None, bad.mended) == (True, ())
    assert {(kind, each.field): n for (kind, each), n in validator.mended.items()} == {
        ("login", "network"): 2
    }
    assert validator.unknown_fields == 1


# -- a worker does the same ---------------------------------------------------------------


def told(lines: list[bytes]) -> tuple[dict[int, tuple[str, str]], Validator]:
    """Return what checking says of each bad line, by its number."""
    validator = Validator(POLICY, 2**60)
    verdicts = {n: validator.check("f", n, line).bad for n, line in enumerate(lines, 1)}
    return {n: (bad.reason, bad.error) for n, bad in verdicts.items() if bad}, validator


def beginning_of(line: bytes) -> bytes:
    """Return what a dead letter has of a line."""
    return line if len(line) <= POLICY.limits.max_event_bytes else line[:1024] + b"..."


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_finds_the_same_lines_bad_for_the_same_reasons(seed: int) -> None:
    """Of 1,000 mutants: the same counts too; which of two with one id came first is its own."""
    lines = [raw for _, _, raw in mutants(1000, seed)]
    lines = [line.replace(b"\n", b" ") for line in lines]
    random.Random(seed).shuffle(lines)
    found, validator = told(lines)
    result = replay([("f", n, line) for n, line in enumerate(lines, 1)], POLICY, as_is=True)
    dead: dict[bytes, tuple[str, str]] = {}
    for _, record in stored(result.log, DEAD_LETTERS):
        headers = {name: value.decode() for name, value in record.headers}
        if headers["dlq_reason"] != "rule_error":
            dead[record.value or b""] = headers["dlq_reason"], headers["dlq_error"]
    own = "event_id_conflict"
    said = {beginning_of(lines[n - 1]): each for n, each in found.items() if each[0] != own}
    assert said == {value: each for value, each in dead.items() if each[0] != own}
    assert len(said) > 200
    counted = sum(n for each, n in result.counts.items() if isinstance(each, UnknownFields))
    assert validator.unknown_fields == counted > 0
    mended = sum(n for each, n in result.counts.items() if isinstance(each, FieldMended))
    conflicts = sum(reason == own for reason, _ in found.values())
    assert 0 < validator.mended.total() <= mended <= validator.mended.total() + 3 * conflicts
