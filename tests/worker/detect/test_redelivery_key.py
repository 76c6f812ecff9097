"""The key of hashes of recent ids stays; rows of the time before it are compared as before."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from schemas.topics import DETECT_INPUTS, LOGINS
from tests.support.events.forging import decoded
from tests.support.events.mutations import compact, full_login
from tests.support.random_runs import POLICY
from tests.worker.detect.test_reader import RULES, Bench
from worker.detect.account import SavedAccounts
from worker.detect.redelivery import ROWS
from worker.detect.stage import DETECT, Policy
from worker.detect.unkeyed_ids import UNKEYED, unkeyed_identity
from worker.engine.keyed_state import pack, payload_of
from worker.engine.outcomes import Redelivered, TooOld
from worker.engine.records import Commit, StateChange
from worker.engine.task_meta import TaskMeta, read_meta
from worker.logs.memory import MemoryLog
from worker.run.forget import forget
from worker.tokens import Tokens

TOKENS = [Tokens((f"k{number}", bytes([number]) * 32)) for number in range(3)]
POLICIES = [Policy(RULES, RULES, tokens=tokens) for tokens in TOKENS]
KEY = b"acc-1"


def meta(log: MemoryLog) -> TaskMeta:
    """Return what is saved of the one task of detect."""
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    saved = session.restore(0).meta
    session.close()
    return read_meta(saved, DETECT, DETECT_INPUTS)


def rows(log: MemoryLog) -> tuple[bytes, bytes]:
    """Return the rows of the account, and those of before."""
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    (stored,) = [value for key, value in session.restore(0).states if key == KEY]
    session.close()
    account = SavedAccounts(RULES).read(payload_of(stored))
    return bytes(account.ids), account.unkeyed_ids


def as_before(log: MemoryLog, *kept: bytes) -> None:
    """Give the account the rows that a release before would have kept of these events."""
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    (stored,) = [value for key, value in session.restore(0).states if key == KEY]
    account = SavedAccounts(RULES).read(payload_of(stored))
    account.ids = bytearray()
    account.unkeyed_ids = b"".join(unkeyed_identity(LOGINS, decoded(raw)) for raw in kept)
    payload = msgspec.msgpack.encode(account)
    session.commit(Commit(states=[StateChange(0, KEY, pack(account.timers, payload))]))
    session.close()


def test_the_first_commit_of_a_task_fixes_its_key() -> None:
    """After two rotations the first token key is gone; redeliveries are recognised still."""
    bench = Bench()
    bench.give(full_login())
    bench.give(full_login("10:00:10", event_id="later"))
    for policy in POLICIES:
        bench.work(policy=policy)
        assert meta(bench.log).secret == TOKENS[0].redelivery_key
        bench.give(full_login())
    bench.end()
    bench.work(policy=POLICIES[2])
    assert bench.counts[Redelivered(LOGINS)] == 3
    assert bench.reasons() == []


def test_a_task_that_has_not_committed_has_no_key_yet() -> None:
    """It takes the one of its first commit, as does a task of a release that kept none."""
    bench = Bench()
    bench.work(policy=POLICIES[0])
    bench.give(full_login())
    bench.work(policy=POLICIES[1])
    assert meta(bench.log).secret == TOKENS[1].redelivery_key


def test_what_is_hashed_depends_on_the_key_and_what_comes_out_does_not() -> None:
    kept, benches = [], [Bench(), Bench()]
    for bench, policy in zip(benches, POLICIES, strict=False):
        for event in ({}, {}, {"outcome": "success"}, {"event_id": "e2"}):
            bench.give(full_login(**event))
        bench.end("2026-03-02T11:00:00Z")
        bench.work(policy=policy)
        kept.append(rows(bench.log)[0])
    assert [len(each) for each in kept] == [2 * ROWS.size] * 2
    assert kept[0][ROWS.id] != kept[1][ROWS.id]
    assert kept[0][ROWS.content] != kept[1][ROWS.content]
    assert benches[0].counts == benches[1].counts
    assert benches[0].reasons() == benches[1].reasons() == ["event_id_conflict"]


def test_a_task_keeps_its_keys_when_an_account_is_forgotten() -> None:
    bench = Bench()
    bench.give(full_login())
    bench.end("2026-03-02T11:00:00Z")
    bench.work(policy=POLICIES[0])
    found = forget(bench.log, replace(POLICY, tokens=TOKENS[1]), "acc-1", bench.now)
    assert found is not None
    assert found.event_ids == 1
    assert meta(bench.log).secret == TOKENS[0].redelivery_key
    assert meta(bench.log).id_key == TOKENS[0].id_key


# -- rows of before -----------------------------------------------------------------------

FIRST, SECOND = compact(full_login()), compact(full_login(event_id="e2"))


@pytest.mark.parametrize(
    ("again", "reasons", "redelivered"),
    [
        ({}, [], 1),
        ({"event_id": "e2"}, [], 1),
        ({"outcome": "success"}, ["event_id_conflict"], 0),
        ({"extra": {"a": "b"}}, ["event_id_conflict"], 0),
        ({"event_id": "e3"}, [], 0),
    ],
)
def test_rows_of_before_are_compared_as_before(
    again: dict[str, Any], reasons: list[str], redelivered: int
) -> None:
    """By the CRC of the content; a new event is remembered beside them, in a row of today."""
    bench = Bench()
    bench.give(FIRST)
    bench.give(SECOND)
    bench.end("2026-03-02T11:00:00Z")
    bench.work()
    as_before(bench.log, FIRST, SECOND)
    bench.give(full_login(**again))
    bench.end("2026-03-02T12:00:00Z")
    bench.work()
    assert bench.reasons() == reasons
    assert bench.counts.get(Redelivered(LOGINS), 0) == redelivered
    is_new = not reasons and not redelivered
    assert [len(each) for each in rows(bench.log)] == [ROWS.size * is_new, 2 * UNKEYED.size]


def test_rows_of_before_fade() -> None:
    """A day after the newest of them, with or without events since; nothing is left then."""
    for more in (0, 3):
        bench = Bench()
        bench.give(FIRST)
        bench.end("2026-03-02T11:00:00Z")
        bench.work()
        as_before(bench.log, FIRST)
        bench.now += 86_400_000
        for number in range(more):
            bench.give(full_login(f"12:00:0{number}", event_id=f"new-{number}"))
        assert rows(bench.log)[1]
        bench.end("2026-03-03T12:00:00.001Z")
        bench.work()
        assert bench.reasons() == []
        kept, before = rows(bench.log)
        assert (len(kept), before) == (more * ROWS.size, b"")


def test_events_of_rows_of_before_that_are_forgotten_are_too_old() -> None:
    """As those of a row of today: the horizon is the same."""
    bench = Bench()
    bench.give(full_login("09:00:00"))
    bench.end("2026-03-02T11:00:00Z")
    bench.work()
    as_before(bench.log, compact(full_login("09:00:00")))
    bench.now += 86_400_000
    bench.give({"kind": "heartbeat", "occurred_at": "2026-03-03T09:00:06Z"}, key=None)
    bench.give(compact(full_login("09:00:00")))
    bench.end("2026-03-03T12:00:00Z")
    bench.work()
    assert Redelivered(LOGINS) not in bench.counts
    assert bench.counts[TooOld(LOGINS)] == 1
